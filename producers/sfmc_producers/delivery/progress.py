"""Says how far deliveries are: as bars on a terminal, else as a log line now and then."""

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO, Protocol, TextIO, cast

import structlog

log = structlog.get_logger("sfmc_producers.delivery")


class Watch(Protocol):
    """Follows one file on its way."""

    def at(self, done: int) -> None:
        """Note that so many bytes were sent."""
        ...

    def end(self) -> None:
        """Forget the file: it is delivered, or failed."""
        ...


WatchFile = Callable[[str, str, int | None, float], Watch]
"""Begins to follow a file: its name, its target, its bytes where they are known, seconds between two lines."""


class FromFirstByte:
    """Begins to follow a file when its first bytes are sent: many a file only waits for its turn."""

    def __init__(self, begin: Callable[[], Watch]) -> None:
        self._begin = begin
        self._watch: Watch | None = None

    def at(self, done: int) -> None:
        """Begin, if that was not done, and pass it on."""
        self._watch = self._watch or self._begin()
        self._watch.at(done)

    def end(self) -> None:
        """End what was begun."""
        if self._watch is not None:
            self._watch.end()


class Lines:
    """A line `file_delivering` every some seconds; a file that is delivered sooner has none."""

    def __init__(
        self, name: str, target: str, total: int | None, every: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._about = {"file": name, "target": target, "total": total}
        self._every, self._clock, self._said_at = every, clock, clock()

    def at(self, done: int) -> None:
        """Say it, if it is time."""
        if self._clock() - self._said_at >= self._every:
            self._said_at = self._clock()
            log.info("file_delivering", bytes=done, **self._about)

    def end(self) -> None:
        """Say nothing: how it ended is a line of its own."""


class Bars:
    """A bar for each file that is on its way, below the log lines; safe for threads. They are gone at the end."""

    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._shown = 0

    def begin(self, name: str, target: str, total: int | None, every: float) -> Watch:
        """Show a bar; without `total` it only says how much was sent."""
        del every
        with self._lock:
            self._shown += 1
            if self._shown == 1:
                self._progress.start()
            return _Bar(self, self._progress, self._progress.add_task(_plain(f"{name} → {target}"), total=total))

    def ended(self) -> None:
        """Give the terminal back after the last bar."""
        with self._lock:
            self._shown -= 1
            if not self._shown:
                self._progress.stop()


class _Bar:
    def __init__(self, bars: Bars, progress: Any, task: Any) -> None:
        self._bars, self._progress, self._task = bars, progress, task

    def at(self, done: int) -> None:
        self._progress.update(self._task, completed=done)

    def end(self) -> None:
        self._progress.remove_task(self._task)
        self._bars.ended()


class AboveBars:
    """Where log lines go on a terminal: while bars are shown, the library moves lines above them."""

    def __init__(self, stream: TextIO) -> None:
        self._plain = stream

    def write(self, data: bytes) -> int:
        """Write a line."""
        # While bars are shown, the library has put something in the place of standard error. Lines are escaped already.
        shown = sys.stderr
        if shown is self._plain:
            return os.write(self._plain.fileno(), data)
        shown.write(bytes(data).decode("utf-8", "backslashreplace"))
        return len(data)

    def isatty(self) -> bool:
        """Say that people look at it."""
        return True


def chosen(stream: TextIO | None, *, as_json: bool) -> tuple[WatchFile, BinaryIO | None]:
    """Give how deliveries are followed, and where log lines go with that; None: where they always go.

    Bars are for people who look at `stream`, where rich is installed (the extra `demo`).
    """
    bars = None if as_json or stream is None or not stream.isatty() else _bars(stream)
    if bars is None or stream is None:
        return Lines, None
    return bars.begin, cast("BinaryIO", AboveBars(stream))


def _bars(stream: TextIO) -> Bars | None:
    with suppress(ImportError):
        from rich import progress  # noqa: PLC0415 - an extra
        from rich.console import Console  # noqa: PLC0415 - as above

        columns = (
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.DownloadColumn(),
            progress.TransferSpeedColumn(),
        )
        return Bars(progress.Progress(*columns, console=Console(file=stream), transient=True))
    return None


def _plain(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)
