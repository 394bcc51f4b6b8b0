"""What clocks that are wrong, or that are set, can cost, as guarantees.md says: the invariants let that pass."""

from sfmc_harness.simulation.clocks import SECOND
from sfmc_harness.simulation.cloud import NEVER, Applied, Cloud
from sfmc_harness.simulation.plan import CALL, LEASE, Plan
from sfmc_harness.simulation.ports import MARGIN
from sfmc_import.checking import MOST_APART
from sfmc_import.faults import DENIED, UNPROVED
from sfmc_import.run_dates import CLOCKS_APART

HOURS_AHEAD_MS = 21_600_000
"""From so far ahead on, the run of a start can seem to have begun before it in whatever zone its date is."""


def _is_denied(run: Applied) -> bool:
    return run.answer in {*UNPROVED, *DENIED}


class ClockCosts:
    """Says of applied starts what the clocks of a schedule excuse."""

    def __init__(self, plan: Plan, cloud: Cloud) -> None:
        self._plan = plan
        self._cloud = cloud
        self._clock = cloud.clock

    def opens_earlier(self, earlier: Applied, new: Applied) -> int:
        """By how many milliseconds a window opens earlier: the clock of Redis has leapt since."""
        return self._clock.leapt(earlier.at, new.at)

    def hides(self, run: Applied, new: Applied) -> bool:
        """Tell whether leaps brought the looks for a start in doubt so close that its row came after them."""
        leaps = self._clock.times_leapt(run.sent_at, new.sent_at)
        is_late = run.visible_at > new.sent_at - CALL * SECOND
        return is_late and leaps > (0 if _is_denied(run) else 1)

    def hides_at_end(self, run: Applied, ended_at: int) -> bool:
        """Tell whether a leap let the only look before an end come before the row of a denied start."""
        return _is_denied(run) and run.visible_at > ended_at and self._clock.times_leapt(run.sent_at, ended_at) > 0

    def makes_older(self, run: Applied, new: Applied) -> bool:
        """Tell whether a run seems to have begun before its own start, where its date decides."""
        is_asked = not self._plan.baseline
        return is_asked and self._clock.is_apart(run.sent_at, new.sent_at, behind=NEVER, ahead=HOURS_AHEAD_MS)

    def moves_day(self, new: Applied) -> bool:
        """The day is that of Redis, and that of the workers only where their clock differs by ten minutes at most."""
        clock, most, workers = self._clock, round(MOST_APART * SECOND), self._clock.workers_ahead
        since = new.sent_at - round(LEASE * SECOND)
        if "%%" not in self._cloud.plans[new.key].file_spec:
            return False
        is_one_right = abs(workers) <= MARGIN * SECOND
        if is_one_right and not clock.is_apart(since, new.sent_at, behind=most - workers, ahead=most + workers):
            return False
        return clock.is_apart(since, new.sent_at, behind=0, ahead=0)

    def makes_newer(self, run: Applied, *, is_unknown: bool) -> bool:
        """Where Redis is behind by minutes, the late run of an unknown start can be taken for the next one."""
        behind = round(CLOCKS_APART * SECOND)
        return (is_unknown or _is_denied(run)) and self._clock.is_apart(0, self._clock.now, behind=behind, ahead=NEVER)
