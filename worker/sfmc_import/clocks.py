"""Compares the clock of Redis with that of Marketing Cloud, whose answers name it, or with that of this machine."""

from collections.abc import Callable
from dataclasses import dataclass

SLOWEST = 10.0
"""What took longer between question and answer, in seconds, counts only where nothing better is known."""

MOST_OFF = 26 * 3600.0
"""No two time zones are further apart: what differs by more from the clock of this machine is no time of day."""

REMEMBERED = 1800.0
"""So many seconds at least, and twice as many at most, it is remembered how far the clock of Redis was off."""

WRONG_AFTER, DANGEROUS_AFTER = 60.0, 300.0
"""Beyond so many seconds a clock is wrong enough to say so, and to decide what is untrue."""


@dataclass(frozen=True, slots=True)
class Between:
    """Between which times of Marketing Cloud's clock a moment lies that Redis has noted."""

    first: float
    last: float


class Clocks:
    """Implements sfmc_import.ports.Clock over the clocks of this machine; safe for threads and after a fork.

    `boottime` is steady: all that is noted counts from it, so that setting the clock of this machine changes nothing.
    `on_change` is called with the seconds that Redis is ahead when these come to be too many, or no longer are.
    """

    def __init__(self, boottime: Callable[[], float], wall: Callable[[], float]) -> None:
        self.boottime = boottime
        self.wall = wall
        self.on_change: Callable[[float], object] = float
        self._level = 0
        # Each is replaced as a whole. The first two: a time less the boottime of the same instant.
        self._service: float | None = None
        self._redis: float | None = None
        self._seen = _Seen(0, 0.0, 0.0)
        self._before = self._seen

    def note_service(self, date: float, sent: float) -> None:
        """Note the time that an answer of Marketing Cloud names, which came now, to what was `sent` at that boottime.

        It names whole seconds.
        """
        now = self.boottime()
        is_better = now - sent <= SLOWEST or self._service is None
        if is_better and abs(date - self.wall()) <= MOST_OFF:
            self._service = date + 0.5 - (sent + now) / 2

    def service(self) -> float | None:
        """Give the time by the clock of Marketing Cloud, in seconds since 1970; None while no answer has named it."""
        return None if self._service is None else self._service + self.boottime()

    def note_redis(self, time: float, asked: float) -> None:
        """Note the time that Redis gave now, and was `asked` for at that boottime."""
        now = self.boottime()
        if now - asked > SLOWEST and self._redis is not None:
            return
        self._redis = time - (asked + now) / 2
        if self._service is not None:
            self._remember(self._redis - self._service, int(now // REMEMBERED))

    def between(self, moment: float) -> Between:
        """Say when a moment was that Redis has noted, in seconds since 1970, by the clock of Marketing Cloud.

        It lies between what Redis says and what that is on the other clock, as far as it was off in the last half
        hour; while no answer has named a time, the clock of this machine stands in.
        """
        offs = [0.0, self.redis_ahead()]
        period = int(self.boottime() // REMEMBERED)
        for seen in (self._seen, self._before):
            if seen.period >= period - 1:
                offs += (seen.least, seen.most)
        return Between(moment - max(offs), moment - min(offs))

    def redis_ahead(self) -> float:
        """Give the seconds by which the clock of Redis is ahead; 0 where it was not asked yet."""
        if self._redis is None:
            return 0.0
        known = self._service
        return self._redis - (self.wall() - self.boottime() if known is None else known)

    def _remember(self, ahead: float, period: int) -> None:
        seen = self._seen
        if seen.period != period:
            self._before, seen = seen, _Seen(period, ahead, ahead)
        self._seen = _Seen(period, min(seen.least, ahead), max(seen.most, ahead))
        level = how_wrong(ahead)
        if level != self._level:
            self._level = level
            self.on_change(ahead)


@dataclass(frozen=True, slots=True)
class _Seen:
    """How far ahead the clock of Redis was in one period: at least and at most."""

    period: int
    least: float
    most: float


def how_wrong(seconds: float) -> int:
    """Give 0 for clocks that agree well enough, 1 for a clock that is to be set right, 2 for one that does harm."""
    return (abs(seconds) > WRONG_AFTER) + (abs(seconds) > DANGEROUS_AFTER)
