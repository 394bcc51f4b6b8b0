"""The ledger in Redis: one Lua script for each step, and what reads them; no decisions outside the scripts."""

from worker.adapters.ledger.redis_ledger import RedisLedger
from worker.adapters.ledger.settings import LedgerSettings

__all__ = ["LedgerSettings", "RedisLedger"]
