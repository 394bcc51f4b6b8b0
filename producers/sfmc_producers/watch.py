"""Watches folders, each in a thread of its own: a folder whose file system does not answer keeps no other waiting."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from types import FrameType

import structlog

from sfmc_import.client import Client
from sfmc_producers.folder import Folder, FolderScanner
from sfmc_producers.listing import shown
from sfmc_producers.notifications import Notifications
from sfmc_producers.observing import HangingFolders, Reporter
from sfmc_producers.submitter import RoutingRules, Submitter
from sfmc_producers.wakeup import Wakeup

log = structlog.get_logger("sfmc_producers.watch")

MIN_PAUSE_SECONDS = 0.02
"""Seconds between two scans, however many notifications come: a burst of files is one scan, not one each."""

MAX_REST_SECONDS = 2.0
"""Seconds of rest after a scan that took long: most of those waited for a Redis that was unavailable."""

END_SECONDS = 5.0
"""How long a watcher that ends waits for its folders. It waits for none that hangs, for what it did not submit it
finds again at its next start."""


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


class FolderThread(threading.Thread):
    """Scans one folder until it is stopped: after a file notification, and every `rescan` seconds.

    A daemon: the process can end while the file system of this folder does not answer.
    """

    def __init__(self, scanner: FolderScanner, submitter: Submitter, rescan: float) -> None:
        super().__init__(name="sfmc-folder", daemon=True)
        self.scanner, self._submitter, self._rescan = scanner, submitter, rescan
        self.wakeup = Wakeup()
        folder = scanner.folder
        self._notifications = Notifications(folder.path, self.wakeup, recursive=folder.recursive)

    def run(self) -> None:
        """Scan, then wait for a file notification, the end or the next scan."""
        while not self.wakeup.is_closing:
            begun = time.monotonic()
            waits = [_scan(self._scan_and_listen), self._submitter.next_in, self._rescan]
            # Not busier than half the time where scans take a while.
            least = max(MIN_PAUSE_SECONDS, min(time.monotonic() - begun, MAX_REST_SECONDS))
            pause = max(least, min(wait for wait in waits if wait is not None))
            if self.wakeup.wait(pause) and not self.wakeup.is_closing:
                time.sleep(least)

    def stop(self) -> None:
        """Let it end after its scan."""
        self._notifications.stop()
        self.wakeup.stop()

    def _scan_and_listen(self) -> float | None:
        next_in = self.scanner.scan()
        # A client of a network file system has no notifications of what other machines write.
        if self.scanner.identity is not None and not self.scanner.is_network:
            self._notifications.keep(self.scanner.identity)
        return next_in


def watch(
    client: Client, rules: RoutingRules, folders: Sequence[Folder], *, rescan: float, hanging_after: float
) -> None:
    """Watch until SIGTERM or SIGINT; `rescan` is the most seconds between two scans of a folder.

    A folder whose file system gives no answer for `hanging_after` seconds is reported.
    Raises KeyboardInterrupt in the end if it was SIGINT, and BadRouteError when a route of the settings can never work.
    """
    submitter = Submitter(client, rules, time.monotonic, lambda: datetime.now(UTC))
    threads = [FolderThread(FolderScanner(each, submitter, time.monotonic), submitter, rescan) for each in folders]
    hanging = HangingFolders([each.scanner for each in threads], hanging_after, time.monotonic)
    reporter = Reporter(submitter, hanging, time.monotonic)
    wakeup = Wakeup()
    with ended_by_signals(wakeup) as received:
        log.info("watch_started", folders=[shown(str(each.path)) for each in folders], rescan_seconds=rescan)
        for each in (*threads, reporter):
            each.start()
        while not wakeup.is_closing:
            wakeup.wait(min(1.0, hanging_after / 2))
            hanging.look()
        _end(threads, reporter, hanging)
    log.info("watch_ended", hanging=[shown(str(each.folder.path)) for each in hanging.found])
    if signal.SIGINT in received:
        raise KeyboardInterrupt


def _end(threads: Sequence[FolderThread], reporter: Reporter, hanging: HangingFolders) -> None:
    for each in threads:
        each.stop()
    reporter.stop()
    deadline = time.monotonic() + END_SECONDS
    answering: list[threading.Thread] = [each for each in threads if hanging.step(each.scanner) is None]
    for thread in (reporter, *answering):
        thread.join(max(0.0, deadline - time.monotonic()))


def _scan(scan: Callable[[], float | None]) -> float | None:
    """Scan once; whatever goes wrong costs this scan alone, for the files are still there."""
    try:
        return scan()
    except Exception:
        log.exception("scan_failed")
        return None
