"""The result of a measurement: a value, its goal, the floor below which the bench fails, and the details behind it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class MeasurementError(RuntimeError):
    """Something else happened than what was to be measured; the text says what."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result: `value` should reach `goal`, from below or, with `at_least`, from above.

    A value on the wrong side of `floor` says that something got worse. Without one the goal is the floor. `limit` says
    why a goal that is missed is missed; `before` is what the figure was when the goal was set.
    """

    line: str
    value: float
    goal: float
    detail: str = ""
    floor: float | None = None
    at_least: bool = False
    limit: str = ""
    before: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the goal is reached."""
        return self._reaches(self.goal)

    @property
    def holds(self) -> bool:
        """Whether the value is not worse than the floor."""
        return self._reaches(self.goal if self.floor is None else self.floor)

    @property
    def as_json(self) -> dict[str, Any]:
        """Give the line for machines."""
        floor = self.goal if self.floor is None else self.floor
        verdicts = {"met": self.is_met, "floor": floor, "holds": self.holds}
        return {"line": self.line, "value": self.value, "goal": self.goal, **verdicts, **self._explained}

    @property
    def _explained(self) -> dict[str, str]:
        limit = {} if self.is_met or not self.limit else {"limit": self.limit}
        before = {"before": self.before} if self.before else {}
        return before | {"detail": self.detail} | limit

    def _reaches(self, limit: float) -> bool:
        return self.value >= limit if self.at_least else self.value <= limit

    def __str__(self) -> str:
        verdict = "met   " if self.is_met else "missed" if self.holds else "WORSE "
        sign = "≥" if self.at_least else "≤"
        beside = f", before {self.before}" if self.before else ""
        beside += "" if self.floor is None else f", floor {self.floor:g}"
        limit = "" if self.is_met or not self.limit else f"\n         because {self.limit}"
        return f"{verdict} {self.line}: {self.value:.2f} (goal {sign} {self.goal:g}{beside}; {self.detail}){limit}"


def expect(what: str, expected: Mapping[str, int], counted: Mapping[str, int]) -> None:
    """Refuse a measurement in which not exactly the expected things happened, by name; a name without one is 0."""
    names = [name for name in expected if expected[name] != counted.get(name, 0)]
    if names:
        wanted = ", ".join(f"{expected[name]} {name}" for name in names)
        seen = ", ".join(f"{number} {name}" for name, number in sorted(counted.items()) if number)
        raise MeasurementError(f"{what}: not what was to be measured. Expected {wanted}; counted {seen or 'nothing'}")
