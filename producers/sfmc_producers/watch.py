"""Scans all folders, then waits for a file notification, a signal or the next scan."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType

import structlog
from watchdog.events import FileClosedEvent, FileCreatedEvent, FileMovedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from sfmc_import.client import Client
from sfmc_producers.folder import Folder, FolderScanner
from sfmc_producers.submitter import RoutingRules, Submitter

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

    Where the system cannot tell, say so once and leave it to the regular scans.
    """
    observer, log = Observer(), structlog.get_logger("sfmc_producers.watch")
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
def ended_by_signals(wakeup: Wakeup) -> Iterator[list[int]]:
    """Ring for the end on SIGTERM and SIGINT, so that a scan is finished and nothing is torn apart.

    Yields the list of the signals received.
    """
    received: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        wakeup.stop()

    before = {each: signal.signal(each, end) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


log = structlog.get_logger("sfmc_producers.watch")

MIN_PAUSE_SECONDS = 0.02
"""Seconds between two scans, however many notifications come: a burst of files is one scan, not one each."""

MAX_REST_SECONDS = 2.0
"""Seconds of rest after a scan that took long: most of those waited for a Redis that was unavailable."""


def watch(client: Client, rules: RoutingRules, folders: Sequence[Folder], *, rescan: float) -> None:
    """Watch until SIGTERM or SIGINT; `rescan` is the most seconds between two scans.

    Raises KeyboardInterrupt in the end if it was SIGINT, and BadRouteError when a route of the settings can never work.
    """
    submitter = Submitter(client, rules, time.monotonic, lambda: datetime.now(UTC))
    watches = [FolderScanner(each, submitter, time.monotonic) for each in folders]
    notifying = [(each.path, each.recursive) for each in folders]
    wakeup = Wakeup()
    with ended_by_signals(wakeup) as received, notified(wakeup, notifying):
        log.info("watch_started", folders=[str(each.path) for each in folders], rescan_seconds=rescan)
        _run_loop(wakeup, submitter, watches, rescan)
    log.info("watch_ended")
    if signal.SIGINT in received:
        raise KeyboardInterrupt


def _run_loop(wakeup: Wakeup, submitter: Submitter, watches: Sequence[FolderScanner], rescan: float) -> None:
    while not wakeup.is_closing:
        begun = time.monotonic()
        waits = [*(_scan(each.scan) for each in watches), submitter.next_in, rescan]
        # Not busier than half the time where scans take a while.
        least = max(MIN_PAUSE_SECONDS, min(time.monotonic() - begun, MAX_REST_SECONDS))
        pause = max(least, min(wait for wait in waits if wait is not None))
        if wakeup.wait(pause) and not wakeup.is_closing:
            time.sleep(least)


def _scan(scan: Callable[[], float | None]) -> float | None:
    """Scan once; whatever goes wrong costs this scan alone, for the files are still there."""
    try:
        return scan()
    except Exception:
        log.exception("scan_failed")
        return None
