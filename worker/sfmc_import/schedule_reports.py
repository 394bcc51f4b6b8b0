"""Tells the ledger how each schedule stands, for `sfmc-import status`: last look, what fails since when, next tick."""

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

import structlog

from sfmc_import.schedules import Schedule, seconds_to_next
from sfmc_import.ticker import Failure, Ticker

REPEAT_SECONDS = 5.0
"""How soon it is said again although nothing has changed; looks are ten seconds apart at most (ticker.LOOK_SECONDS)."""

log = structlog.get_logger("sfmc_import.ticker")

Note = Callable[[str, Sequence[Mapping[str, Any]] | None], None]
"""Keeps what a process says of its sources; None when it ends."""


class ScheduleReports:
    """Says it after looks of a ticker; what goes wrong costs nothing but this."""

    def __init__(self, note: Note, clock: Callable[[], float] = time.monotonic) -> None:
        self._note, self._clock = note, clock
        self._name = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:6]}"
        self._said: object = None
        self._said_at = 0.0
        self._is_failing = False

    def tell(self, ticker: Ticker) -> None:
        """Say it, if something has changed or it would be forgotten."""
        if ticker.looked_at is None:
            return
        state, now = dict(ticker.failures), self._clock()
        if state == self._said and now - self._said_at < REPEAT_SECONDS:
            return
        if self._tell([describe(each, state.get(each.source), ticker.looked_at) for each in ticker.schedules]):
            self._said, self._said_at = state, now

    def end(self) -> None:
        """Say that the process ends as it should."""
        if self._said is not None:
            self._tell(None)

    def _tell(self, said: Sequence[Mapping[str, Any]] | None) -> bool:
        try:
            self._note(self._name, said)
        except Exception as error:  # noqa: BLE001 - only what `status` shows depends on it: the ticks go on
            if not self._is_failing:
                log.warning("schedule_report_failed", reason=str(error), action="tried_again")
            self._is_failing = True
            return False
        self._is_failing = False
        return True


def describe(schedule: Schedule, failure: Failure | None, now: datetime) -> dict[str, Any]:
    """Describe a schedule as a source is described; times are seconds before and after `now`."""
    about: dict[str, Any] = {
        "folder": f"source {schedule.source} (schedule, {schedule.customer_key})",
        "location": f"schedule:{schedule.source}",
        "state": "watched",
        "looked": 0.0,
        "again": round(seconds_to_next(schedule, now), 1),
        "files": [],
        "more": 0,
    }
    if failure is not None:
        since = max(0.0, (now - failure.since).total_seconds())
        about |= {"state": "failing", "age": round(since, 1), "text": failure.text[:MAX_TEXT]}
    return about


MAX_TEXT = 300
