"""What has happened so far, read off the events: one line for each request; shows and decides nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.cli.event_lines import COUNTS, ENDS, kind

DESTINATIONS = {"contacts": "data extension", "newsletter": "list", "orders": "data extension"}
EXPECTED = {
    ("contacts", "completed"),
    ("contacts", "duplicate"),
    ("newsletter", "completed"),
    ("orders", "completed_with_errors"),
}
"""Each definition and how its requests end when all goes well."""


@dataclass
class Line:
    """Where one request stands."""

    customer_key: str
    file: str = ""
    state: str = "accepted"
    task_id: str = ""
    counts: dict[str, int] = field(default_factory=dict)


@dataclass
class Record:
    """All requests in the order of their first event."""

    lines: dict[str, Line] = field(default_factory=dict)

    def note(self, event: Mapping[str, Any]) -> None:
        """Take one event into account."""
        data, state = event["data"], kind(event)
        request_id = data.get("request_id")
        if not request_id:
            return
        line = self.lines.setdefault(request_id, Line(str(event.get("subject", ""))))
        line.state = state
        line.file = str((data.get("file") or {}).get("name") or line.file)
        line.task_id = str(data.get("task_id") or line.task_id)
        line.counts |= {name: data[name] for name in COUNTS if isinstance(data.get(name), int)}

    def has(self, customer_key: str, state: str) -> bool:
        """Tell whether a request of this definition is in this state."""
        return (customer_key, state) in self.states()

    def states(self) -> set[tuple[str, str]]:
        """Return definition and state of every request."""
        return {(line.customer_key, line.state) for line in self.lines.values()}

    def is_complete(self) -> bool:
        """Tell whether every request that is expected has ended, well or not."""
        ended = [line.customer_key for line in self.lines.values() if line.state in ENDS]
        return all(ended.count(key) >= number for key, number in expected_endings().items())

    def missing(self) -> list[str]:
        """Return what should have happened and did not, in words."""
        return [f"{key} {state}" for key, state in sorted(EXPECTED - self.states())]


def expected_endings() -> dict[str, int]:
    """Return how many requests of each definition will end."""
    keys = [key for key, _ in EXPECTED]
    return {key: keys.count(key) for key in keys}
