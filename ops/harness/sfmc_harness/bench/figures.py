"""The result of a measurement: a value, its limit, and the details behind it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result; `value` should not exceed `limit`."""

    name: str
    value: float
    limit: float
    detail: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the limit is kept."""
        return self.value <= self.limit

    def __str__(self) -> str:
        verdict = "ok  " if self.is_met else "OVER"
        return f"{verdict} {self.name}: {self.value:.2f} (at most {self.limit:g}; {self.detail})"
