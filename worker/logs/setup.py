"""Puts structlog and stdlib logging together: processors, levels and the way out; knows nothing of Celery."""

import logging
import sys
from collections.abc import Iterable
from typing import Any, BinaryIO, Literal

import structlog

from worker.logs.lines import LineHandler, LineLogger, as_json, as_json_text
from worker.logs.redaction import Redactor

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

# Whole envelopes, with token and all, are what these tell at debug level: they stay capped whatever is asked for.
NEVER_BELOW_WARNING = ("zeep", "urllib3", "requests", "redis", "watchdog")

# One line or more for each message, which our own records tell better; shown when debug is asked for.
TALKATIVE = ("celery.worker.strategy", "celery.app.trace", "celery.beat", "kombu", "amqp", "asyncio", "uvicorn.access")


def configure(
    *,
    level: str = "info",
    form: Literal["auto", "json", "pretty"] = "auto",
    secrets: Iterable[str] = (),
    stream: BinaryIO | None = None,
) -> Redactor:
    """Send all records of this process to `stream` (standard error by default), from `level` on.

    `form` auto is pretty on a terminal and JSON elsewhere. Returns the redactor, to be taught later secrets.
    """
    out = _standard_error() if stream is None else stream
    pretty = form == "pretty" or (form == "auto" and out.isatty())
    redactor = Redactor(secrets)
    handler = LineHandler(out)
    shared = _shared(redactor)
    handler.setFormatter(_formatter(shared, pretty=pretty, colors=out.isatty()))
    _route_stdlib(handler, level)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, _logger_name, *shared, _renderer(pretty, out.isatty())],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *names: LineLogger(str(names[0]) if names else "sfmc-import", handler),
        cache_logger_on_first_use=True,
    )
    return redactor


def _standard_error() -> BinaryIO:
    # Celery may have put a proxy without bytes in the place of sys.stderr.
    plain = sys.stderr if hasattr(sys.stderr, "buffer") else sys.__stderr__
    if plain is None:
        raise RuntimeError("this process has no standard error to log to")
    return plain.buffer


def _shared(redactor: Redactor) -> list[Any]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redactor,
    ]


def _renderer(pretty: bool, colors: bool) -> Any:
    if not pretty:
        return as_json
    # The renderer's own tracebacks show local variables, and those may hold secrets.
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)


def _formatter(shared: list[Any], *, pretty: bool, colors: bool) -> structlog.stdlib.ProcessorFormatter:
    last = _renderer(pretty, colors) if pretty else as_json_text
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.contextvars.merge_contextvars, structlog.stdlib.add_logger_name, _task_of_celery],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *shared, last],
    )


def _logger_name(logger: LineLogger, _method: str, event: Any) -> Any:
    event["logger"] = logger.name
    return event


def _task_of_celery(_logger: Any, _method: str, event: Any) -> Any:
    """Take from Celery's records the id and name of the task; arguments stay in the ledger."""
    data = getattr(event.get("_record"), "data", None)
    if isinstance(data, dict):
        told = {"celery_task_id": data.get("id"), "celery_task": data.get("name")}
        event |= {name: value for name, value in told.items() if isinstance(value, str)}
    return event


def _route_stdlib(handler: LineHandler, level: str) -> None:
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    for name in NEVER_BELOW_WARNING:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.NOTSET if level == "debug" else logging.WARNING)
    logging.captureWarnings(capture=True)
    # Celery warns at each lost connection of a default that Celery 6 changes; our settings decide it already.
    logging.getLogger("py.warnings").addFilter(_is_not_of_celery_6)


def _is_not_of_celery_6(record: logging.LogRecord) -> bool:
    return "CPendingDeprecationWarning" not in record.getMessage()
