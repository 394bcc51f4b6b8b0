"""What clocks that are wrong, or that are set, can cost, as guarantees.md says: the invariants let that pass."""

from sfmc_harness.simulation.clocks import SECOND
from sfmc_harness.simulation.cloud import Applied, Cloud
from sfmc_harness.simulation.plan import CALL
from sfmc_import.faults import DENIED, UNPROVED


def _is_denied(run: Applied) -> bool:
    return run.answer in {*UNPROVED, *DENIED}


class ClockCosts:
    """Says of applied starts what the clocks of a schedule excuse."""

    def __init__(self, cloud: Cloud) -> None:
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
