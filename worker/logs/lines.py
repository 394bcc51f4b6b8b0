"""Turns finished records into lines and writes each line whole; decides nothing about what is in them."""

import json
import logging
from typing import Any, BinaryIO

import orjson


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
        return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # numbers beyond 64 bits and broken Unicode, which orjson refuses
        return json.dumps(event, default=str).encode()


def as_json_text(logger: Any, method: str, event: Any) -> str:
    """Render a record for stdlib logging, whose formatters give text."""
    return as_json(logger, method, event).decode()
