"""Celery's consumer and request; messages that cannot be handled become dead letters, and it reconnects soon.

A worker that was asked to end takes no further message.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import structlog
from celery.app import trace
from celery.exceptions import Reject, WorkerLostError
from celery.worker import request as celery_request
from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.consumer import consumer as celery_consumer
from celery.worker.request import Request as CeleryRequest


class RefusedError(Reject):
    """Makes the message of a task a dead letter; `code` is a short word, `detail` a text for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}", requeue=False)
        # A caller that waits for the result makes the exception anew from these.
        self.args = self.code, self.detail = code, detail

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.code, self.detail)


class GivenBackError(Reject):
    """Sends the message of a task back to its queue; the task has logged why."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, requeue=True)
        self.args = (detail,)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args


DATA_ERRORS = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What Celery raises over a message of an unexpected shape, before any task code runs."""

CELERY_WORDS = frozenset(
    getattr(celery_consumer, name)
    for name in ("UNKNOWN_FORMAT", "UNKNOWN_TASK_ERROR", "INVALID_TASK_ERROR", "MESSAGE_DECODE_ERROR")
) | {"Task handler raised error: %r"}
"""What Celery logs about such messages, with bodies and tracebacks."""

CONNECT_PAUSES = {"interval_start": 1, "interval_step": 1, "interval_max": 3}
"""Seconds between two tries to connect, unless `broker_transport_options` has `sfmc_connect_pauses`.

Celery's own pauses grow to half a minute: a worker would stand idle after a long outage.
"""

CELERY_LOGGERS = tuple(logging.getLogger(module.__name__) for module in (celery_consumer, celery_request))
log = structlog.get_logger(__name__)


class Consumer(CeleryConsumer):
    """Dead-letters what Celery would log and delete, and what would end the worker; reconnects within seconds."""

    strategies: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Celery logs these with a traceback; the task, or the dead letter, has said what is wrong.
        logging.getLogger(trace.__name__).addFilter(_is_not_said)
        for logger in CELERY_LOGGERS:
            logger.addFilter(_as_one_line)

    def ensure_connected(self, conn: Any) -> Any:
        """As Celery's, with short pauses between the tries."""
        pauses = self.app.conf.broker_transport_options.get("sfmc_connect_pauses", CONNECT_PAUSES)
        conn.ensure_connection = partial(conn.ensure_connection, **pauses)
        return super().ensure_connected(conn)

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """As Celery's, with the message's shape and arguments checked first.

        Celery looks whether it was asked to end between two rounds of its loop: a message that arrives in the round
        of the signal would still be run.
        """
        handle = super().create_task_handler(*args, **kwargs)

        def on_task_received(message: Any) -> None:
            if is_ending():
                message.requeue()
                return
            try:
                without_odd_name(message.headers)
                flaw = wrong_arguments(self.app.tasks, message)
                if not (flaw and dead_letter(message, "wrong_arguments", flaw)):
                    handle(message)
            except DATA_ERRORS as problem:
                if not dead_letter(message, "invalid_task", repr(problem)):
                    raise

        return on_task_received

    def on_unknown_message(self, body: Any, message: Any) -> None:
        """No task name in headers or body."""
        with logged_once(dead_letter(message, "no_task_name", "neither headers nor body name a task")):
            super().on_unknown_message(body, message)

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        """A task that this worker does not have."""
        with logged_once(dead_letter(message, "unknown_task", f"no task named {exc.args[0] if exc.args else exc}")):
            super().on_unknown_task(body, message, exc)

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Fields that Celery refuses, and content types that are not accepted."""
        with logged_once(dead_letter(message, "invalid_task", repr(exc))):
            super().on_invalid_task(body, message, exc)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """A body that is not what its content type says."""
        with logged_once(dead_letter(message, "unreadable_body", repr(exc))):
            super().on_decode_error(message, exc)


class Request(CeleryRequest):
    """Notes on the message what its task said of it: that it is refused, or that its pool process died with it."""

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """As Celery's."""
        wrapped = exc_info.exception
        error = getattr(wrapped, "exc", wrapped)
        if isinstance(error, RefusedError):
            self.message.refusal = (error.code, error.detail)
        elif not isinstance(error, Reject):
            self.message.refusal = ("task_failed", f"{type(error).__name__}; the log has more")
        died = isinstance(error, (WorkerLostError, SystemExit))
        if died:
            self.message.worker_died = True
            log.error("pool_process_exited", message_id=self.id, task=self.name, error=str(error))
        with logged_once(died):
            return super().on_failure(exc_info, *args, **kwargs)


def is_ending() -> bool:
    """Tell whether this worker was asked to end."""
    flags: list[Any] = [state.should_stop, state.should_terminate]
    return any(flag is not None and flag is not False for flag in flags)


def dead_letter(message: Any, reason: str, detail: str) -> bool:
    """Make a delivered message a dead letter; False under a transport that cannot."""
    move = getattr(message.channel, "dead_letter", None)
    if move is None or not getattr(message, "entry", b""):
        return False
    move(message, reason, detail)
    return True


@contextmanager
def logged_once(is_logged: bool) -> Iterator[None]:
    """Keep Celery's own record of it out of the log when ours `is_logged`; only the consumer's thread logs these."""
    for logger in CELERY_LOGGERS if is_logged else ():
        logger.addFilter(_refuse)
    try:
        yield
    finally:
        for logger in CELERY_LOGGERS:
            logger.removeFilter(_refuse)


def _is_not_said(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    return not isinstance(getattr(error, "exc", error), (RefusedError, GivenBackError))


ONE_LINE = (" ack %r, reason", " reject %r, reason", "Frequent restarts detected")
"""Celery logs these as critical with a traceback. A message that could not be given back or acknowledged is delivered
again, and a consumer that lost its connection often waits a second: both are what an outage of Redis looks like."""


def _as_one_line(record: logging.LogRecord) -> bool:
    if any(words in str(record.msg) for words in ONE_LINE):
        record.exc_info = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


def _refuse(record: logging.LogRecord) -> bool:
    return record.msg not in CELERY_WORDS


def without_odd_name(headers: Any) -> None:
    """Ignore a name for display that is no text: Celery counts tasks by it in a thread whose errors nothing sees."""
    if isinstance(headers, dict) and not isinstance(headers.get("shadow"), str | None):
        headers["shadow"] = None


def wrong_arguments(tasks: Any, message: Any) -> str | None:
    """Say why the arguments of a message (of either protocol of Celery) do not fit its task; None if they do.

    A body that cannot be read, and a task that is unknown, are Celery's to report. Raises TypeError for an encoding
    that is no text: the thread of the task would fail over it unseen, and keep its place for ever.
    """
    if not isinstance(message.content_encoding, str | None):
        raise TypeError("the content encoding is no text")
    try:
        body = message.payload
    except Exception:  # noqa: BLE001 - Celery decodes it again and reports through the hooks above
        return None
    named = message.headers.get("task")
    old = isinstance(body, dict) and ("args" in body or not named)
    task = tasks.get(named or (body.get("task") if old else None))
    if task is None:
        return None
    return _misfit_of_first_protocol(task, body) if old else _misfit(task, body)


def _misfit(task: Any, body: Any) -> str | None:
    shapes = [type(part) for part in body] if isinstance(body, list) else []
    if shapes[:2] != [list, dict] or len(shapes) != 3 or shapes[2] not in {dict, type(None)}:
        return "the body is not [arguments, keyword arguments, options]"
    return _no_call(task, body[0], body[1])


def _misfit_of_first_protocol(task: Any, body: Mapping[str, Any]) -> str | None:
    args, kwargs = body.get("args", []), body.get("kwargs", {})
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        return "args is no list, or kwargs is no object"
    return _no_call(task, args, kwargs)


def _no_call(task: Any, args: list[Any], kwargs: dict[str, Any]) -> str | None:
    """Say why a task cannot be called with these arguments; one without `typing` says it itself."""
    header = getattr(task, "__header__", None) if task.typing else None
    try:
        _ = header and header(*args, **kwargs)
    except TypeError as problem:
        return str(problem)
    return None
