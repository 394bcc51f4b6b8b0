"""What wakes the watcher: a wakeup that file notifications and signals ring; it carries no news, only "look now"."""

import contextlib
import os
import select
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType

import structlog
from watchdog.events import FileClosedEvent, FileCreatedEvent, FileMovedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

SCAN_AFTER: list[type[FileSystemEvent]] = [FileCreatedEvent, FileClosedEvent, FileMovedEvent]


class Wakeup:
    """Waits for a ring. A pipe, since ringing must be safe from other threads and from signal handlers."""

    def __init__(self) -> None:
        self._out, self._in = os.pipe()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)
        self.is_closing = False

    def set(self) -> None:
        """Wake who waits; any number of rings before that count as one."""
        # A full pipe has rung enough.
        with contextlib.suppress(BlockingIOError):
            os.write(self._in, b"!")

    def stop(self) -> None:
        """Wake who waits, for the last time."""
        self.is_closing = True
        self.set()

    def wait(self, seconds: float) -> bool:
        """Wait for a ring; False when none came in `seconds`."""
        rang, _, _ = select.select([self._out], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            while os.read(self._out, 4096):
                pass
        return bool(rang)

    def close(self) -> None:
        """Close the pipe; it must not be set after that."""
        os.close(self._in)
        os.close(self._out)


class _Notifier(FileSystemEventHandler):
    def __init__(self, wakeup: Wakeup) -> None:
        self._wakeup = wakeup

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Ring whatever happened: the look finds out what."""
        del event
        self._wakeup.set()


@contextlib.contextmanager
def notified(wakeup: Wakeup, folders: Iterable[tuple[Path, bool]]) -> Iterator[None]:
    """Ring when a file of these (folder, recursive) is created, closed after writing or moved in.

    Where the system cannot tell, say so once and leave it to the regular looks.
    """
    observer, log = Observer(), structlog.get_logger("sfmc_producers.wakeup")
    for folder, recursive in folders:
        observer.schedule(_Notifier(wakeup), str(folder), recursive=recursive, event_filter=SCAN_AFTER)
    try:
        observer.start()
    except OSError as error:
        log.warning("file_notifications_unavailable", reason=str(error), detail="files are found by regular scans only")
        observer.unschedule_all()
        yield
        return
    try:
        yield
    finally:
        observer.stop()
        observer.join()


@contextlib.contextmanager
def ended_by_signals(wakeup: Wakeup) -> Iterator[None]:
    """Ring for the end on SIGTERM and SIGINT, so that a look is finished and nothing is torn apart."""

    def end(_number: int, _frame: FrameType | None) -> None:
        wakeup.stop()

    before = {each: signal.signal(each, end) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
