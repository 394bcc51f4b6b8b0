"""Says which days the date in the name of a file may mean now, as a worker counts them right before a start."""

from collections.abc import Callable
from datetime import date, datetime

from sfmc_import.checking import Ahead, Days, days_of
from sfmc_import.ports import Clock


class FileDays:
    """`now` gives the time of Redis, `clock` that of Marketing Cloud, and of this machine while that was not heard.

    A worker counts with its own machine besides: what is selected here is selected there.
    """

    def __init__(self, days: Days, now: Callable[[], datetime], clock: Clock | None) -> None:
        self._days, self._now, self._clock = days, now, clock

    def read(self) -> tuple[date, ...]:
        """Give them: the day that counts, then the other side of a midnight that is near; raises what `now` raises."""
        now = self._now().timestamp()
        return days_of(now, self._days, self.ahead(now))

    def ahead(self, now: float) -> Ahead:
        """Say how far other clocks are ahead of that of Redis, whose time is `now`."""
        if self._clock is None:
            return Ahead()
        service = self._clock.service()
        return Ahead(self._clock.wall() - now) if service is None else Ahead(service - now, service - now)
