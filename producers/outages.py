"""Patience with a closed door: when to knock again, and one line when an outage begins and ends."""

from collections.abc import Callable
from typing import TypeVar

import structlog

from worker.door import DoorClosedError

T = TypeVar("T")

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 4.0


class Outage:
    """One thing behind the door that may not answer; pauses in seconds double from 1 to 4.

    The longest pause is short because one knock is cheap, and because what waits should go out within ten seconds
    of the return.
    """

    def __init__(self, of: str, clock: Callable[[], float]) -> None:
        self._log = structlog.get_logger("producers.outages").bind(part=of)
        self._clock = clock
        self._since: float | None = None
        self._pause = 0.0
        self._next_try = 0.0

    def attempt(self, action: Callable[[], T]) -> T | None:
        """Do `action`; None when it is too early to try again or the door is closed. Other errors pass."""
        if self.is_waiting:
            return None
        try:
            answer = action()
        except DoorClosedError as error:
            self._begin_or_go_on(str(error))
            return None
        self._end()
        return answer

    @property
    def is_waiting(self) -> bool:
        """Whether an outage is on and the next try is still ahead."""
        return self._since is not None and self._clock() < self._next_try

    @property
    def next_in(self) -> float | None:
        """Seconds until the next try; None when nothing is out."""
        return None if self._since is None else max(0.0, self._next_try - self._clock())

    def _begin_or_go_on(self, reason: str) -> None:
        now = self._clock()
        if self._since is None:
            self._since = now
            self._log.error("door_closed", reason=reason)
        self._pause = min(LONGEST_PAUSE, self._pause * 2 or FIRST_PAUSE)
        self._next_try = self._clock() + self._pause

    def _end(self) -> None:
        if self._since is not None:
            self._log.info("door_open_again", seconds=round(self._clock() - self._since, 1))
        self._since, self._pause = None, 0.0
