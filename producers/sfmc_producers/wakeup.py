"""What wakes the watcher: a wakeup that file notifications and signals ring; it carries no news, only "look now"."""

import contextlib
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType

import structlog
from watchdog.events import FileClosedEvent, FileCreatedEvent, FileMovedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

SCAN_AFTER: list[type[FileSystemEvent]] = [FileCreatedEvent, FileClosedEvent, FileMovedEvent]


class Wakeup:
    """Waits for a notice; safe from other threads and from signal handlers, since SimpleQueue.put is reentrant."""

    def __init__(self) -> None:
        self._notices: SimpleQueue[None] = SimpleQueue()
        self.is_closing = False

    def set(self) -> None:
        """Wake who waits; any number of notices before that count as one."""
        # A notice that is still there is enough.
        if self._notices.empty():
            self._notices.put(None)

    def stop(self) -> None:
        """Wake who waits, for the last time."""
        self.is_closing = True
        self.set()

    def wait(self, seconds: float) -> bool:
        """Wait for a notice; False when none came in `seconds`."""
        try:
            self._notices.get(timeout=seconds)
        except Empty:
            return False
        return True


class _Notifier(FileSystemEventHandler):
    def __init__(self, wakeup: Wakeup) -> None:
        self._wakeup = wakeup

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Wake the watcher, whatever happened: the scan finds out what."""
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
