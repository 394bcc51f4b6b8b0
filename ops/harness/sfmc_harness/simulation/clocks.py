"""The clocks of a schedule: that of Marketing Cloud is right, those of Redis and of the workers may be wrong."""

from collections.abc import Callable
from dataclasses import dataclass, field

SECOND = 1000
NOTICED_MS = 5000
"""A sweep notices a clock that went back by more."""

MARK_MS = 3_600_000
"""So long it is remembered when the last sweep was, on the clock of Redis."""


@dataclass(frozen=True, slots=True)
class Step:
    """The clock of Redis was set at a time by so much, and is so far `ahead` since, in milliseconds."""

    at: int
    by: int
    ahead: int

    @property
    def before(self) -> int:
        """The time of Redis right before it."""
        return self.at + self.ahead - self.by


@dataclass
class Clock:
    """Virtual time in milliseconds, as Marketing Cloud has it; it implements sfmc_import.ports.Clock for workers.

    `redis_ahead` and `workers_ahead` say by how much the others are ahead. `is_unseen` tells that no sweep came since
    the clock of Redis was set, `noticed_at` when one noticed that it had gone back.
    """

    now: int
    redis_ahead: int = 0
    workers_ahead: int = 0
    is_unseen: bool = False
    noticed_at: int | None = None
    steps: list[Step] = field(default_factory=list)
    on_sweep: Callable[[], None] = lambda: None
    _first: int = 0
    _reached: int = 0
    _swept: int | None = None
    _most_since_sweep: int = 0

    def __post_init__(self) -> None:
        self._first = self.redis_ahead

    def boottime(self) -> float:
        """Seconds; no clock that is set changes it."""
        return self.now / SECOND

    def wall(self) -> float:
        """Seconds since 1970, as the machines of the workers have it."""
        return (self.now + self.workers_ahead) / SECOND

    @property
    def redis(self) -> int:
        """The time of Redis."""
        return self.now + self.redis_ahead

    @property
    def horizon(self) -> int:
        """The latest time of Redis since a sweep noticed that it went back: what waits was noted by then."""
        return max(self.redis, self._reached)

    def at_redis(self, redis: int) -> int:
        """The time at which Redis will have another one, if its clock is not set before."""
        return redis - self.redis_ahead

    def set_redis(self, milliseconds: int) -> None:
        """The clock of Redis leaps, or goes back."""
        self._reached = self.horizon
        self._most_since_sweep = max(self._most_since_sweep, self.redis)
        self.redis_ahead += milliseconds
        self.steps.append(Step(self.now, milliseconds, self.redis_ahead))
        self.is_unseen = True

    def swept(self) -> None:
        """A sweep was carried out: it notices that the clock went back, if it knows when the last one was."""
        last, redis = self._swept, self.redis
        is_known = last is not None and max(self._most_since_sweep, redis) < last + MARK_MS
        if last is not None and is_known and last > redis + NOTICED_MS:
            self._reached = redis
            self.noticed_at = self.now
        self._swept = self._most_since_sweep = redis
        self.is_unseen = False
        self.on_sweep()

    def leapt(self, since: int, until: int) -> int:
        """Give by how much the clock of Redis leapt between two times, in all."""
        return sum(self._leaps(since, until))

    def times_leapt(self, since: int, until: int) -> int:
        """Give how often it leapt between two times."""
        return len(self._leaps(since, until))

    def _leaps(self, since: int, until: int) -> list[int]:
        return [step.by for step in self.steps if step.by > 0 and since <= step.at <= until]

    def went_back(self) -> bool:
        """Tell whether it is not so late on Redis as it was before."""
        return any(step.before > self.redis for step in self.steps)

    def latest_redis(self, since: int, until: int) -> int:
        """Give the latest time of Redis between two times."""
        before = [self._first, *(step.ahead for step in self.steps if step.at <= since)]
        between = [step.before for step in self.steps if since < step.at <= until]
        at_end = [self._first, *(step.ahead for step in self.steps if step.at <= until)]
        return max(since + before[-1], until + at_end[-1], *between)
