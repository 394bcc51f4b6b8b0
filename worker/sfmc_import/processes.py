"""The processes that carry requests on, as the ledger knows them, and what their absence means."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from sfmc_import.display import date_of, span

HEARTBEAT_SECONDS = 2.0
LATE_SECONDS = 2 * HEARTBEAT_SECONDS
"""A newest heartbeat that is older is shown with its age: the process may be busy, stopped or dead."""
GONE_SECONDS = 5 * HEARTBEAT_SECONDS
"""A process that was silent for longer is not counted."""
ALIVE_SECONDS = 20.0
"""A ledger is taken from workers that were silent for longer: one that was frozen for a moment may act again."""

_WITHOUT_A_WORKER = "requests are kept, and are started when one runs"
_WITHOUT_A_BEAT = "what waits, is tried again or is followed is kept until one runs"

NOT_KNOWN = "whether"
"""So begins what is said of processes that may live, and cannot say so."""

TakeOver = Literal["taken", "workers", "unfinished"]
"""What became of giving a ledger to another account: done, its workers live still, it has requests of the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A worker or a beat; `id` is its own, `account` that of a worker."""

    kind: Literal["worker", "beat"]
    name: str
    id: str
    account: str = ""

    def as_text(self) -> str:
        """Give the same text at each heartbeat: the name of the process in the ledger."""
        return json.dumps(asdict(self), separators=(",", ":"), sort_keys=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """How many workers and beats live, and the seconds since the newest heartbeat of each, also of one that is gone.

    `now` is when this was so, in seconds since 1970.
    """

    workers: int
    beats: int
    worker_seen: float | None = None
    beat_seen: float | None = None
    now: float | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """What does not happen now because no process does it, one sentence each."""
        return tuple(
            f"no {kind} runs{_last_seen(seen, self.now)}: {what}; start sfmc-import {kind}"
            for kind, number, seen, what in (
                ("worker", self.workers, self.worker_seen, _WITHOUT_A_WORKER),
                ("beat", self.beats, self.beat_seen, _WITHOUT_A_BEAT),
            )
            if not number
        )

    @property
    def unknown(self) -> tuple[str, ...]:
        """The same where Redis takes no writes: who is missing may live, and cannot say so."""
        return tuple(
            f"{NOT_KNOWN} a {kind} runs is not known{_last_seen(seen, self.now)}: Redis takes no writes, so none can"
            " say that it lives"
            for kind, number, seen in (
                ("worker", self.workers, self.worker_seen),
                ("beat", self.beats, self.beat_seen),
            )
            if not number
        )

    @property
    def late(self) -> tuple[str, ...]:
        """Which kind of process counts as living although its heartbeats have stopped, one sentence each."""
        return tuple(
            f"the newest heartbeat of a {kind} is {seen:.0f} s old, and one comes every {HEARTBEAT_SECONDS:.0f} s:"
            f" it may be stopped or overloaded"
            for kind, number, seen in (
                ("worker", self.workers, self.worker_seen),
                ("beat", self.beats, self.beat_seen),
            )
            if number and seen is not None and seen > LATE_SECONDS
        )


def _last_seen(seconds: float | None, now: float | None) -> str:
    if seconds is None:
        return " (none has run yet)"
    at = "" if now is None else f", at {date_of(now - seconds):%Y-%m-%d %H:%M:%S} UTC"
    return f" (the last one was seen {span(seconds)} ago{at})"


def running(
    processes: Iterable[tuple[str, float]], last: Mapping[str, float] | None = None, now: float | None = None
) -> Running:
    """Count processes, given as text and seconds since the last heartbeat; what cannot be read is left out.

    `last` has by kind the seconds since the last one was there, also where nothing else is left of it.
    """
    seen: dict[str, list[float]] = {"worker": [], "beat": []}
    for text, seconds in processes:
        kind = str(_read(text).get("kind"))
        if kind in seen:
            seen[kind].append(seconds)
    workers, beats = seen["worker"], seen["beat"]
    return Running(
        workers=_living(workers),
        beats=_living(beats),
        worker_seen=_newest(workers, last, "worker"),
        beat_seen=_newest(beats, last, "beat"),
        now=now,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A process of which something was heard: its name, and the seconds since its last heartbeat."""

    name: str
    seconds: float

    @property
    def is_gone(self) -> bool:
        """Tell whether it counts as ended."""
        return self.seconds > GONE_SECONDS


def owner_of(process_id: str, call: str) -> str:
    """Name a call that holds requests, so that its process is known by it; `process_id` is empty where it is not."""
    return f"{process_id}{_OF}{call}" if process_id else call


def process_of(owner: str) -> str:
    """Give the id of the process whose call this is; empty where it is not known."""
    process_id, known, _ = owner.partition(_OF)
    return process_id if known else ""


_OF = "."


def heard(processes: Iterable[tuple[str, float]]) -> Mapping[str, Heard]:
    """Give the processes by their ids, of those that `running` counts."""
    read = ((_read(text), seconds) for text, seconds in processes)
    return {str(each["id"]): Heard(name=str(each.get("name", "")), seconds=s) for each, s in read if each.get("id")}


def _newest(seen: list[float], last: Mapping[str, float] | None, kind: str) -> float | None:
    known = [*seen, *([last[kind]] if last and kind in last else [])]
    # One that lives says it by its own heartbeat alone: the end of another one is none.
    return min([each for each in seen if _lives(each)] or (max(0.0, each) for each in known), default=None)


def _living(seen: Iterable[float]) -> int:
    return sum(map(_lives, seen))


def _lives(seconds: float) -> bool:
    # A heartbeat far ahead is of a clock that went back; one that lives has written another since.
    return abs(seconds) <= GONE_SECONDS


def _read(text: str) -> Mapping[str, object]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
