"""Celery's side of the logs: its records take our form, and each task's records carry what they are about."""

import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import structlog
from celery import Celery, signals

BOUND = ("request_id", "customer_key", "mid", "attempt")
"""Message headers, and arguments of `imports.start`, that every record of a task carries."""


def connect_celery(app: Celery, set_up: Callable[[], object]) -> None:
    """Let `set_up` configure the logs of worker and beat instead of Celery, and bind what each task is about.

    `set_up` is called in each process that Celery starts, at times twice; after it, `print` makes records too.
    """

    def take_over(**_: Any) -> None:
        set_up()
        app.log.redirect_stdouts_to_logger(app.log.get_default_logger("celery.redirected"), loglevel="WARNING")
        # Celery prints its farewell there, past all logging; records tell the same.
        sys.__stdout__ = None  # type: ignore[misc]
        sys.excepthook = _log_uncaught
        threading.excepthook = _log_thread_end

    # Before Celery's first warning, and again when it would set up its own.
    signals.celeryd_init.connect(lambda **_: set_up(), weak=False)
    signals.setup_logging.connect(take_over, weak=False)
    signals.task_prerun.connect(_bind, weak=False)
    signals.task_postrun.connect(_unbind, weak=False)
    signals.worker_shutting_down.connect(_tell_shutdown, weak=False)


def _bind(task_id: str = "", task: Any = None, kwargs: Any = None, **_: Any) -> None:
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(celery_task_id=task_id, celery_task=task.name, **subject_of(task, kwargs))


def _unbind(**_: Any) -> None:
    structlog.contextvars.clear_contextvars()


def _tell_shutdown(sig: str = "", how: str = "", **_: Any) -> None:
    structlog.get_logger(__name__).info("worker_shutting_down", signal=sig, how=how.lower())


def subject_of(task: Any, kwargs: Any) -> dict[str, str | int]:
    """Read what a task is about from the headers of its message, else from its arguments."""
    headers = task.request.headers or {}
    arguments = kwargs if isinstance(kwargs, dict) else {}
    found = {name: headers.get(name) or arguments.get(name) for name in BOUND}
    told: dict[str, str | int] = {k: str(value) for k, value in found.items() if isinstance(value, (str, int))}
    attempt = str(told.pop("attempt", ""))
    return told | ({"attempt": int(attempt)} if attempt.isdecimal() else {})


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    structlog.get_logger(__name__).critical("uncaught_exception", exc_info=(kind, error, trace))


def _log_thread_end(ended: threading.ExceptHookArgs) -> None:
    name = ended.thread.name if ended.thread else None
    exc_info = (ended.exc_type, ended.exc_value, ended.exc_traceback)
    structlog.get_logger(__name__).critical("thread_died", thread=name, exc_info=exc_info)
