"""Shows the demo: a live table on a terminal, plain lines in a pipe, JSON lines for machines."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Any, Protocol, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sfmc_import.cli.output import print_json
from sfmc_import.display import one_line, wants_colours
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
        """Tell whether every request has ended, well or not, and all that are expected are there."""
        ended = [line.customer_key for line in self.lines.values() if line.state in ENDS]
        return len(ended) == len(self.lines) and all(
            ended.count(key) >= number for key, number in expected_endings().items()
        )

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
        print_json(event)

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
        self._is_live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._console = console_for(sys.stdout, is_live=self._is_live)
        self._live = Live(console=self._console, refresh_per_second=8, transient=True)

    def say(self, words: str) -> None:
        """Print what the demo does, set off from the events."""
        self._console.print(Text(one_line(narrated(words)), style="bold"), soft_wrap=True)

    def event(self, event: Mapping[str, Any]) -> None:
        """Print the event in its colour and renew the table."""
        parts = ((one_line(part.text), part.colour or "") for part in line(event))
        self._console.print(Text.assemble(*parts), soft_wrap=True)
        if self._is_live:
            self._live.update(Group("", table_of(self._record, self._console.width)))

    def table(self) -> None:
        """Print the table for good."""
        self._live.stop()
        self._console.print("", table_of(self._record, self._console.width))

    def __enter__(self) -> Self:
        if self._is_live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


def console_for(stream: IO[str], *, is_live: bool) -> Console:
    """Make the console of this stream; rich takes FORCE_COLOR for a terminal, and would move the cursor of a file."""
    colours = wants_colours(os.environ, is_terminal=stream.isatty())
    width = None if is_live else PIPE_WIDTH
    return Console(
        file=stream,
        highlight=False,
        width=width,
        force_terminal=is_live or colours,
        color_system="auto" if colours else None,
    )


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


def facts_of(request: Line) -> dict[str, Text]:
    """Return what the table says of one request, apart from its counts."""
    outcome = Text(one_line(request.state), style=COLOURS.get(request.state, ""))
    destination = DESTINATIONS.get(request.customer_key, "")
    texts = (request.customer_key, destination, request.file, request.task_id)
    # As Text: rich would take [brackets] in a str for its own markup.
    return dict(zip(FACTS, (*(Text(one_line(text)) for text in texts), outcome), strict=True))


def narrated(words: str) -> str:
    """Return what the demo says in the columns of the events; times are UTC as theirs."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC  {'demo':<21}  {words}"
