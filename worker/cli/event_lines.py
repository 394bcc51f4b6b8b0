"""An event of the stream as one line for people; reads nothing."""

from collections.abc import Mapping
from typing import Any

import click

from worker.domain.life import TERMINAL

COLOURS = {
    "completed": "green",
    "completed_with_errors": "yellow",
    "completed_empty": "yellow",
    "duplicate": "blue",
    "deferred": "blue",
    "retrying": "yellow",
    "reconciling": "yellow",
    "follow_timed_out": "yellow",
    "start_unknown": "red",
    "not_started": "blue",
    "rejected": "red",
    "gave_up": "red",
    "import_failed": "red",
}
SHOWN = (
    "task_id",
    "import_status",
    "why",
    "held_by",
    "superseded_by",
    "window_opens",
    "code",
    "text",
    "candidates",
    "operator",
)
COUNTS = {"rows_total": "rows", "rows_successful": "ok", "rows_duplicated": "duplicated", "rows_failed": "failed"}
ENDS = frozenset(TERMINAL)


def kind(event: Mapping[str, Any]) -> str:
    """Give the last word of the type, such as started."""
    return str(event["type"]).rpartition(".")[2]


def line(event: Mapping[str, Any]) -> str:
    """Give time (UTC), kind, CustomerKey, file and what else a person wants to know."""
    word = kind(event)
    clock = str(event.get("time", ""))[:19].replace("T", " ")
    data = event.get("data", {})
    parts = [clock, click.style(f"{word:<21}", fg=COLOURS.get(word)), f"{event.get('subject', ''):<20}"]
    return "  ".join([*parts, "  ".join(_facts(data))]).rstrip()


def _facts(data: Mapping[str, Any]) -> list[str]:
    file = data.get("file")
    facts = [str(file["name"])] if isinstance(file, Mapping) and file.get("name") else []
    facts += [f"{name}={data[name]}" for name in SHOWN if data.get(name) not in (None, "")]
    counts = [f"{data[name]} {word}" for name, word in COUNTS.items() if isinstance(data.get(name), int)]
    return facts + ([", ".join(counts)] if counts else [])
