"""Celery's consumer and request; messages that cannot be handled become dead letters, and it reconnects soon.

A worker that was asked to end takes no further message.
"""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any

import structlog
from billiard.einfo import ExceptionInfo
from celery.app import trace
from celery.exceptions import Reject, WorkerLostError
from celery.worker import request as celery_request
from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.consumer import consumer as celery_consumer
from celery.worker.request import Request as CeleryRequest
from redis.exceptions import ConnectionError, TimeoutError  # noqa: A004 - those of Redis

from sfmc_transport import shapes


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

CONNECTION_ERRORS = (ConnectionError, TimeoutError, OSError)
"""What it looks like when Redis is away; all else that it says is an answer, which would be the same again."""

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
        pool: Any = self.pool
        if hasattr(pool, "executor"):  # of threads
            pool.on_apply = partial(_run_in_sight, pool.on_apply)
        # Celery logs these with a traceback; the task, or the dead letter, has said what is wrong.
        logging.getLogger(trace.__name__).addFilter(_is_not_said)
        logging.getLogger("py.warnings").addFilter(_is_no_second_record)
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
                shapes.leave_out_odd_fields(message.headers)
                options = self.app.conf.broker_transport_options
                flaw = shapes.wrong_arguments(self.app.tasks, message, options.get("sfmc_reserved", ()))
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
            self.message.refusal = ("task_failed", _what_failed(error, exc_info.traceback))
        died = isinstance(error, (WorkerLostError, SystemExit))
        if died:
            self.message.worker_died = True
            log.error("pool_process_exited", message_id=self.id, task=self.name, error=str(error))
        try:
            with logged_once(died):
                return super().on_failure(exc_info, *args, **kwargs)
        except Exception as problem:  # noqa: BLE001 - nothing else would see it, and the message keep its place for ever
            self._let_go(error, problem)

    def _let_go(self, error: BaseException, problem: Exception) -> None:
        """Go on as Celery would have, where Redis took no result or nothing of what is sent after a failure."""
        log.warning("failure_not_passed_on", message_id=self.id, task=self.name, error=type(problem).__name__)
        if not self.acknowledged:
            self.reject(requeue=_is_away(problem) or getattr(error, "requeue", False))


def _is_away(problem: BaseException) -> bool:
    # kombu makes one error of its own of what Redis answers, and of a Redis that does not.
    return isinstance(problem.__cause__ or problem, CONNECTION_ERRORS)


def _run_in_sight(run: Callable[..., Any], *args: Any, error_callback: Any = None, **options: Any) -> Any:
    """Run a task in a thread as Celery does, and set its message aside when Celery itself fails over it there.

    Nothing would see that, and the message would keep its place for ever. Where Redis is away, which is no fault of the
    message, it goes back to its queue.
    """

    def look(ended: "Future[Any]") -> None:
        error = None if ended.cancelled() else ended.exception()
        if isinstance(error, Exception) and error_callback:
            shown = GivenBackError(type(error).__name__) if _is_away(error) else error
            error_callback(ExceptionInfo((type(shown), shown, error.__traceback__)), return_ok=True)

    running = run(*args, **options)
    running.f.add_done_callback(look)
    return running


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


_SENDS_WHAT_COMES_AFTER = "_dispatch_callbacks_and_chain"
"""The function of Celery that sends what a message names to be sent after its task."""


def _what_failed(error: BaseException, trace_text: Any) -> str:
    if _SENDS_WHAT_COMES_AFTER in str(trace_text):
        return f"the task is done, but what its sender wants sent after it cannot be sent: {type(error).__name__}"
    return f"{type(error).__name__}; the log has more"


def _is_not_said(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    said = record.args.get("traceback") if isinstance(record.args, dict) else None
    after_the_task = _SENDS_WHAT_COMES_AFTER in str(said)
    return not (after_the_task or isinstance(getattr(error, "exc", error), (RefusedError, GivenBackError)))


def _is_no_second_record(record: logging.LogRecord) -> bool:
    """Drop the warning about what could not be sent after a task: its dead letter says it. Others may stand alone."""
    text = record.getMessage()
    return not ("Exception raised outside body" in text and _SENDS_WHAT_COMES_AFTER in text)


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
