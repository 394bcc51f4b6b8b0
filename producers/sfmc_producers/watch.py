"""The watcher's loop: scan all folders, then wait for a file notification or for the next scan time."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import structlog

from sfmc_import.client import Client
from sfmc_producers.folder import Folder, FolderScanner
from sfmc_producers.submitter import RoutingRules, Submitter
from sfmc_producers.wakeup import Wakeup, ended_by_signals, notified

log = structlog.get_logger("sfmc_producers.watch")

MIN_PAUSE_SECONDS = 0.02
"""Seconds between two scans, however many notifications come: a burst of files is one scan, not one each."""

MAX_REST_SECONDS = 2.0
"""Seconds of rest after a scan that took long: most of those waited for a Redis that was unavailable."""


def watch(client: Client, rules: RoutingRules, folders: Sequence[Folder], *, rescan: float) -> None:
    """Watch until SIGTERM or SIGINT; `rescan` is the most seconds between two scans.

    Raises BadRouteError when a route of the settings can never work.
    """
    submitter = Submitter(client, rules, time.monotonic, lambda: datetime.now(UTC))
    watches = [FolderScanner(each, submitter, time.monotonic) for each in folders]
    notifying = [(each.path, each.recursive) for each in folders]
    wakeup = Wakeup()
    with ended_by_signals(wakeup), notified(wakeup, notifying):
        log.info("watch_started", folders=[str(each.path) for each in folders], rescan_seconds=rescan)
        _run_loop(wakeup, submitter, watches, rescan)
    log.info("watch_ended")


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
