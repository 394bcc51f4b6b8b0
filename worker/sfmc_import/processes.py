"""The processes that carry requests on, as the ledger knows them, and what their absence means."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

ALIVE_SECONDS = 20.0
"""A process that was silent for longer counts as gone: four heartbeats."""

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
    """How many workers and beats live, and the seconds since the newest heartbeat of each; None without one."""

    workers: int
    beats: int
    worker_seen: float | None = None
    beat_seen: float | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """What does not happen now because no process does it, one sentence each."""
        return tuple(
            sentence
            for number, sentence in (
                (self.workers, "no worker runs: the request is kept, and is started when one runs"),
                (self.beats, "no beat runs: what waits, is tried again or is followed is kept until one runs"),
            )
            if not number
        )


def running(processes: Iterable[tuple[str, float]]) -> Running:
    """Count processes, given as text and seconds since the last heartbeat; what cannot be read is left out."""
    seen: dict[str, list[float]] = {"worker": [], "beat": []}
    for text, seconds in processes:
        kind = str(_read(text).get("kind"))
        if kind in seen and seconds <= ALIVE_SECONDS:
            seen[kind].append(seconds)
    workers, beats = seen["worker"], seen["beat"]
    return Running(
        workers=len(workers),
        beats=len(beats),
        worker_seen=min(workers, default=None),
        beat_seen=min(beats, default=None),
    )


def _read(text: str) -> Mapping[str, object]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
