"""When to try again: pauses as pure arithmetic; `chance` is a random number in [0, 1) from outside."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Pauses between `floor` and `cap` seconds that grow by `factor` and are spread by full jitter above the floor."""

    floor: float
    cap: float
    factor: float = 2.0

    def pause(self, tries: int, chance: float) -> float:
        """Seconds to wait after so many tries (1 is the first)."""
        # The exponent is bounded because a float overflows long before a request gives up.
        longest = min(self.cap, self.floor * self.factor ** min(max(tries, 0), 64))
        return self.floor + (longest - self.floor) * chance
