"""The watcher's loop over its folders: look, then wait for the bell or the time; holds no rule of its own."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime

import structlog

from producers.announcing import Announcer
from producers.bell import Bell, ended_by_signals, notified
from producers.folder import Folder, FolderWatch
from worker.door import Door

log = structlog.get_logger("producers.watching")

LEAST_PAUSE = 0.02
"""Seconds between two looks, however often the bell rings: a burst of files is one look, not one each."""

LONGEST_REST = 2.0
"""Seconds of rest after a look that took long: most of those waited for a Redis that was away, and it is back."""


def watch(door: Door, folders: Sequence[Folder], *, rescan: float) -> None:
    """Watch until SIGTERM or SIGINT; `rescan` is the most seconds between two looks.

    Raises BadRouteError when a route of the settings can never work.
    """
    announcer = Announcer(door, time.monotonic, lambda: datetime.now(UTC))
    watches = [FolderWatch(each, announcer, time.monotonic) for each in folders]
    notifying = [(each.path, each.recursive) for each in folders]
    with closing(Bell()) as bell, ended_by_signals(bell), notified(bell, notifying):
        log.info("watch_started", folders=[str(each.path) for each in folders], rescan_seconds=rescan)
        _look_until_the_end(bell, announcer, watches, rescan)
    log.info("watch_ended")


def _look_until_the_end(bell: Bell, announcer: Announcer, watches: Sequence[FolderWatch], rescan: float) -> None:
    while not bell.is_closing:
        begun = time.monotonic()
        waits = [*(_look(each.look) for each in watches), announcer.next_in, rescan]
        # Not busier than half the time where looks take a while.
        least = max(LEAST_PAUSE, min(time.monotonic() - begun, LONGEST_REST))
        pause = max(least, min(wait for wait in waits if wait is not None))
        if bell.wait(pause) and not bell.is_closing:
            time.sleep(least)


def _look(look: Callable[[], float | None]) -> float | None:
    """Take one look; whatever goes wrong in it costs this look alone, for the files are still there."""
    try:
        return look()
    except Exception:
        log.exception("look_failed")
        return None
