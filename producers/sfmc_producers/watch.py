"""The watcher's loop over its folders: look, then wait for the wakeup or the time; holds no rule of its own."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime

import structlog

from sfmc_import.client import Client
from sfmc_producers.folder import Folder, FolderScanner
from sfmc_producers.submitter import Submitter
from sfmc_producers.wakeup import Wakeup, ended_by_signals, notified

log = structlog.get_logger("sfmc_producers.watch")

MIN_PAUSE_SECONDS = 0.02
"""Seconds between two looks, however often the wakeup rings: a burst of files is one look, not one each."""

MAX_REST_SECONDS = 2.0
"""Seconds of rest after a look that took long: most of those waited for a Redis that was away, and it is back."""


def watch(door: Client, folders: Sequence[Folder], *, rescan: float) -> None:
    """Watch until SIGTERM or SIGINT; `rescan` is the most seconds between two looks.

    Raises BadRouteError when a route of the settings can never work.
    """
    announcer = Submitter(door, time.monotonic, lambda: datetime.now(UTC))
    watches = [FolderScanner(each, announcer, time.monotonic) for each in folders]
    notifying = [(each.path, each.recursive) for each in folders]
    with closing(Wakeup()) as wakeup, ended_by_signals(wakeup), notified(wakeup, notifying):
        log.info("watch_started", folders=[str(each.path) for each in folders], rescan_seconds=rescan)
        _run_loop(wakeup, announcer, watches, rescan)
    log.info("watch_ended")


def _run_loop(wakeup: Wakeup, announcer: Submitter, watches: Sequence[FolderScanner], rescan: float) -> None:
    while not wakeup.is_closing:
        begun = time.monotonic()
        waits = [*(_scan(each.scan) for each in watches), announcer.next_in, rescan]
        # Not busier than half the time where looks take a while.
        least = max(MIN_PAUSE_SECONDS, min(time.monotonic() - begun, MAX_REST_SECONDS))
        pause = max(least, min(wait for wait in waits if wait is not None))
        if wakeup.wait(pause) and not wakeup.is_closing:
            time.sleep(least)


def _scan(look: Callable[[], float | None]) -> float | None:
    """Take one look; whatever goes wrong in it costs this look alone, for the files are still there."""
    try:
        return look()
    except Exception:
        log.exception("scan_failed")
        return None
