"""The life of a request for people: its events with what came between them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from sfmc_import.events import Event, facts, kind, left_out

_BETWEEN = {
    "accepted": ("waited for a worker", "wait"),
    "deferred": ("waited for its turn", "wait"),
    "duplicate": ("counted as a duplicate", "wait"),
    "starting": ("the start was prepared and sent", "run"),
    "retrying": ("waited for the next attempt", "wait"),
    "reconciling": ("its run was looked for", "warn"),
    "started": ("the import ran", "good"),
    "progressed": ("the import ran", "good"),
    "start_unknown": ("waited for an operator", "bad"),
    "not_started": ("nothing was started", "wait"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One event: when, what, and what was between it and the next one, in seconds; None for the last."""

    at: datetime
    word: str
    facts: Sequence[str]
    between: str
    tone: str
    seconds: float | None
    raw: dict[str, Any]


def steps(events: Iterable[Event], now: datetime, *, is_over: bool) -> list[Step]:
    """Give the steps of a life; one that is not over goes on until now."""
    found = list(events)
    times = [datetime.fromisoformat(event["time"]) for event in found]
    ends = [*times[1:], None if is_over else now][: len(times)]
    gaps = [left_out(*pair) for pair in pairwise(found)] + [0]
    return [_step(*row) for row in zip(found, times, ends, gaps, strict=False)]


def _step(event: Event, at: datetime, end: datetime | None, missing: int) -> Step:
    word = kind(event)
    between, tone = _BETWEEN.get(word, ("nothing happened", "none"))
    if missing:
        between, tone = f"{missing} events that are not shown", "none"
    why = event["data"].get("why") if word == "deferred" else None
    return Step(
        at=at,
        word=word,
        facts=facts(event["data"]),
        between=f"{between} ({why})" if why else between,
        tone=tone,
        seconds=None if end is None else max(0.0, (end - at).total_seconds()),
        raw=event,
    )
