"""Configures structlog and stdlib logging of a process: processors, levels, redaction and the output stream."""

import json
import logging
import os
import sys
from collections.abc import Iterable
from typing import Any, BinaryIO, Literal

import orjson
import structlog

from sfmc_import.display import json_escaped, one_line, wants_colours
from sfmc_import.redaction import KNOWN, Redactor


class LineHandler(logging.Handler):
    """The one way out: our own records and those of stdlib logging share its stream and its lock.

    logging renews this lock in forked children, so a pool child cannot inherit a held one.
    """

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        # Unbuffered: a signal handler may log in the middle of a write, which a buffer refuses.
        self._stream: Any = getattr(stream, "raw", stream)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record of stdlib logging."""
        try:
            line: str | bytes = self.format(record)
        except Exception:  # noqa: BLE001 - a record that cannot be formatted must not end its caller
            self.handleError(record)
            return
        self.write(line)

    def write(self, line: str | bytes) -> None:
        """Write one line at once; a lost terminal or a full disk must not stop an import."""
        text = line.encode("utf-8", "backslashreplace") if isinstance(line, str) else line
        rest = memoryview(text + b"\n")
        self.acquire()
        try:
            while rest:
                rest = rest[self._stream.write(rest) or 0 :]
        except (OSError, ValueError):
            return
        finally:
            self.release()


class LineLogger:
    """What structlog calls with a finished line; all levels are the same here."""

    __slots__ = ("msg", "name")

    def __init__(self, name: str, handler: LineHandler) -> None:
        self.name = name
        self.msg = handler.write

    def __getattr__(self, level: str) -> Any:
        """Give `info`, `warning`, … which all write."""
        return self.msg


def as_json(_logger: Any, _method: str, event: Any) -> bytes:
    """Render a record as one line of JSON; what JSON does not know is shown as text."""
    try:
        line = orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # numbers beyond 64 bits and broken Unicode, which orjson refuses
        line = json.dumps(event, default=str).encode()
    return line if line.isascii() and b"\x7f" not in line else json_escaped(line.decode()).encode()


def as_json_text(logger: Any, method: str, event: Any) -> str:
    """Render a record for stdlib logging, whose formatters give text."""
    return as_json(logger, method, event).decode()


TRACEBACKS = ("exception", "stack")


def as_lines(_logger: Any, _method: str, event: Any) -> Any:
    """Make each text of a record one line, before it is shown to a person; the lines of a traceback stay lines."""
    shown = {}
    for name, value in event.items():
        lines = str(value).split("\n") if name in TRACEBACKS else [value]
        # Further lines are indented: a text of several lines must not look like further records.
        text = "\n    ".join(map(one_line, lines)) if isinstance(value, str) else value
        shown[one_line(name)] = text
    return shown


OUR_LOGGERS = "sfmc_import."
CLIENT_FIELDS = ("event", "request_id", "customer_key", "mid", "redis", "error", "action")
"""What `sfmc_import.client` adds to its records: it logs by stdlib logging, because it runs in host programs.

Its `event` is the static name, which our records have in the place of the sentence that a host prints. What other
loggers add under such names means something else.
"""

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}

# Whole envelopes, with token and all, are what these log at debug level: they stay capped whatever is asked for.
NEVER_BELOW_WARNING = (
    *("zeep", "urllib3", "requests", "redis", "watchdog", "asyncssh", "httpx", "httpcore"),
    *("azure", "boto3", "botocore", "s3transfer"),
)

# One line or more for each message, which our own records say better; shown when debug is asked for.
TALKATIVE = ("celery.worker.strategy", "celery.app.trace", "celery.beat", "kombu", "amqp", "asyncio", "uvicorn.access")


def configure(
    *,
    level: str = "info",
    form: Literal["auto", "json", "pretty"] = "auto",
    secrets: Iterable[str] = (),
    stream: BinaryIO | None = None,
) -> Redactor:
    """Send all records of this process to `stream` (standard error by default), from `level` on.

    `form` auto is pretty on a terminal and JSON elsewhere. Returns the redactor, to which secrets can be added later.
    """
    out = _standard_error() if stream is None else stream
    pretty = form == "pretty" or (form == "auto" and out.isatty())
    colours = wants_colours(os.environ, is_terminal=out.isatty())
    KNOWN.learn(*secrets)
    redactor = Redactor()
    handler = LineHandler(out)
    shared = _shared(redactor)
    handler.setFormatter(_formatter(shared, pretty=pretty, colours=colours))
    _route_stdlib(handler, level)
    structlog.configure(
        processors=[*_named(), *shared, *_last(pretty, colours=colours)],
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


def _named() -> list[Any]:
    return [structlog.contextvars.merge_contextvars, structlog.stdlib.add_logger_name]


TIMES = "%Y-%m-%dT%H:%M:%S.%fZ"
"""How a line says when, in UTC: `isoformat` leaves the fraction out at a whole second."""


def _shared(redactor: Redactor) -> list[Any]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt=TIMES, utc=True),
        structlog.processors.format_exc_info,
        redactor,
    ]


def _last(pretty: bool, *, colours: bool) -> list[Any]:
    if not pretty:
        return [as_json]
    # The renderer's own tracebacks show local variables, and those may hold secrets.
    return [
        as_lines,
        structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback),
    ]


def _formatter(shared: list[Any], *, pretty: bool, colours: bool) -> structlog.stdlib.ProcessorFormatter:
    last = _last(pretty, colours=colours) if pretty else [as_json_text]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            *_named(),
            _task_of_celery,
            _fields_of_the_client,
        ],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *shared, *last],
    )


def _fields_of_the_client(_logger: Any, _method: str, event: Any) -> Any:
    """Take the fields of our own records that come by stdlib logging."""
    record = event.get("_record")
    if record is not None and record.name.startswith(OUR_LOGGERS):
        event |= {name: vars(record)[name] for name in CLIENT_FIELDS if name in vars(record)}
    return event


def _task_of_celery(_logger: Any, _method: str, event: Any) -> Any:
    """Take from Celery's records the id and name of the task; arguments stay in the ledger."""
    data = getattr(event.get("_record"), "data", None)
    if isinstance(data, dict):
        found = {"celery_task_id": data.get("id"), "celery_task": data.get("name")}
        event |= {name: value for name, value in found.items() if isinstance(value, str)}
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


__all__ = ["Redactor", "configure"]
