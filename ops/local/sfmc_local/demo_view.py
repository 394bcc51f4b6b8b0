"""Shows the demo: a live table on a terminal, plain lines in a pipe, JSON lines for machines."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, Self

import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sfmc_import.events import COLOURS, ENDS, ROW_COUNTS, kind, line

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
        line.counts |= {name: data[name] for name in ROW_COUNTS if isinstance(data.get(name), int)}

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
        """Return the expected results that are missing, in words."""
        return [f"{key} {state}" for key, state in sorted(EXPECTED - self.states())]


def expected_endings() -> dict[str, int]:
    """Return how many requests of each definition will end."""
    keys = [key for key, _ in EXPECTED]
    return {key: keys.count(key) for key in keys}


PIPE_WIDTH = 126
WIDE = 110
FACTS = ("Definition", "Destination", "File", "Task.ID", "Outcome")


class View(Protocol):
    """What the demo needs of a view; a context manager, because a live view must give the terminal back."""

    def say(self, words: str) -> None:
        """Say what the demo itself does."""

    def event(self, event: Mapping[str, Any]) -> None:
        """Show one event."""

    def table(self) -> None:
        """Show where every request stands, for good."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""


class JsonView:
    """The events as they stand in the stream, one JSON line each; nothing else on standard output."""

    def say(self, words: str) -> None:
        """Say nothing."""

    def event(self, event: Mapping[str, Any]) -> None:
        """Print the event."""
        sys.stdout.buffer.write(orjson.dumps(event) + b"\n")
        sys.stdout.flush()

    def table(self) -> None:
        """Show nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was taken."""


class ConsoleView:
    """Events scroll by; on a terminal above a table that is always up to date, in a pipe before the table."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._console = Console(highlight=False)
        if not self._console.is_terminal:
            self._console = Console(highlight=False, width=PIPE_WIDTH)
        self._live = Live(console=self._console, refresh_per_second=8, transient=True)

    def say(self, words: str) -> None:
        """Print what the demo does, set off from the events."""
        self._console.print(Text(narrated(words), style="bold"), soft_wrap=True)

    def event(self, event: Mapping[str, Any]) -> None:
        """Print the event in its colour and renew the table."""
        self._console.print(Text.from_ansi(line(event)), soft_wrap=True)
        if self._console.is_terminal:
            self._live.update(Group("", table_of(self._record, self._console.width)))

    def table(self) -> None:
        """Print the table for good."""
        self._live.stop()
        self._console.print("", table_of(self._record, self._console.width))

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


def view_for(record: Record, *, as_json: bool) -> View:
    """Choose the view that suits who reads."""
    return JsonView() if as_json else ConsoleView(record)


def table_of(record: Record, width: int) -> Table:
    """Lay out where every request stands; a narrow terminal goes without destination and file."""
    shown = [name for name in FACTS if width >= WIDE or name not in {"Destination", "File"}]
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in shown:
        table.add_column(heading, overflow="fold")
    for heading in ROW_COUNTS.values():
        table.add_column(heading, justify="right")
    for each in record.lines.values():
        facts = facts_of(each)
        table.add_row(*(facts[name] for name in shown), *(str(each.counts.get(name, "")) for name in ROW_COUNTS))
    return table


def facts_of(request: Line) -> dict[str, str | Text]:
    """Return what the table says of one request, apart from its counts."""
    outcome = Text(request.state, style=COLOURS.get(request.state, ""))
    destination = DESTINATIONS.get(request.customer_key, "")
    return dict(zip(FACTS, (request.customer_key, destination, request.file, request.task_id, outcome), strict=True))


def narrated(words: str) -> str:
    """Return what the demo says in the columns of the events; times are UTC as theirs."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}  {'demo':<21}  {words}"
