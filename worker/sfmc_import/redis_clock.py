"""Gives the time of Redis in processes whose own clock may be wrong, and says where it is."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import structlog

from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.redis_server import CLOCK_DIFFERENCE

ASK_SECONDS = 15.0
"""How often Redis is asked for its time by a process that runs on."""

OLD_SECONDS = 60.0
"""An answer that is older is not reckoned on from, where Redis gives another one."""

END_SECONDS = 2.0
UNAVAILABLE = (ServiceUnavailableError, LedgerUnavailableError)
FIX = "synchronise the clock of this machine and that of Redis (NTP)"
log = structlog.get_logger("sfmc_import.redis_clock")

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _steady() -> float:
    return time.clock_gettime(_CLOCK)


class RedisClock:
    """The time of Redis, reckoned on from its last answer by a clock that is never set; safe for threads.

    `ask` asks for it, in seconds since 1970, and raises an error of UNAVAILABLE; `wall` is what this machine says.
    """

    def __init__(
        self,
        ask: Callable[[], float],
        *,
        steady: Callable[[], float] = _steady,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._ask, self._steady, self._wall = ask, steady, wall
        self._answer: tuple[float, float] | None = None
        self._tried_at = 0.0

    def now(self) -> datetime:
        """Give it; asks where no answer is known, and at times anew. Raises what `ask` raises before the first."""
        answer = self._answer
        if answer is None or self._is_due(answer[1]):
            answer = self._asked_anew(answer)
        answer_time, at = answer
        return datetime.fromtimestamp(answer_time + self._steady() - at, UTC)

    def ahead(self) -> float:
        """Ask, and give by how many seconds this machine is ahead; raises what `ask` raises.

        What the way to Redis and back takes counts as no difference.
        """
        begun = self._steady()
        answer_time, at = self._asked()
        difference = self._wall() - (answer_time + self._steady() - at)
        return difference if abs(difference) > 2 * (at - begun) else 0.0

    def _is_due(self, answered_at: float) -> bool:
        now = self._steady()
        return now - answered_at >= OLD_SECONDS and now - self._tried_at >= ASK_SECONDS

    def _asked_anew(self, before: tuple[float, float] | None) -> tuple[float, float]:
        try:
            return self._asked()
        except UNAVAILABLE:
            if before is None:
                raise
            return before

    def _asked(self) -> tuple[float, float]:
        begun = self._tried_at = self._steady()
        answer_time = self._ask()
        self._answer = answer_time, (begun + self._steady()) / 2
        return self._answer


Note = Callable[[float | None], object]
"""Notes by how many seconds the clock of a process is ahead of that of Redis; None where the two agree."""


class ClockComparison:
    """Compares the two, and says in the log, and by `note`, where they differ; one look each 15 seconds."""

    def __init__(self, clock: RedisClock, note: Note) -> None:
        self._clock, self._note = clock, note
        self._noted: float | None = None
        self._logged: float | None = None

    def look(self) -> None:
        """Look once; while Redis is unavailable nothing is known."""
        try:
            ahead = self._clock.ahead()
            differs = ahead if abs(ahead) > CLOCK_DIFFERENCE else None
            self._log(differs)
            if differs is not None or self._noted is not None:
                self._note(differs)
                self._noted = differs
        except UNAVAILABLE:
            return

    def end(self) -> None:
        """Take back what was noted: the process ends."""
        if self._noted is None:
            return
        try:
            self._note(None)
        except UNAVAILABLE:
            # It is forgotten by itself after a minute.
            return

    def _log(self, ahead: float | None) -> None:
        before, self._logged = self._logged, ahead
        if ahead is None:
            if before is not None:
                log.info("clock_agrees")
        elif before is None:
            text = "decisions use the time of Redis; the times of this log, and of what this process sends, are wrong"
            log.warning("clock_differs", ahead=round(ahead, 1), detail=text, fix=FIX)
        elif abs(ahead - before) <= CLOCK_DIFFERENCE:
            self._logged = before
        else:
            log.warning("clock_differs", ahead=round(ahead, 1), fix=FIX)


@contextmanager
def compared(clock: RedisClock, note: Note) -> Iterator[None]:
    """Compare the clocks meanwhile, in a thread of its own: Redis may hang."""
    comparison, over = ClockComparison(clock, note), threading.Event()

    def run() -> None:
        comparison.look()
        while not over.wait(ASK_SECONDS):
            comparison.look()
        comparison.end()

    thread = threading.Thread(target=run, name="clock-comparison", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(END_SECONDS)


def named(kind: str) -> str:
    """Name this process as operators see it."""
    return f"{kind} {socket.gethostname()}:{os.getpid()}"
