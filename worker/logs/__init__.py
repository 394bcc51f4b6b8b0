"""Logging of every process: one JSON line for each record, ours and the libraries'; the ledger's events are elsewhere.

Celery's side is worker.logs.celery_hooks, apart so that programs without Celery need not load it.
"""

from worker.logs.redaction import Redactor
from worker.logs.setup import configure

__all__ = ["Redactor", "configure"]
