"""Use case: wake whatever is due; idempotent, so any number may run at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from worker.domain.decisions import Due
from worker.ports import Ledger

FOLLOW_BATCH = 200


@dataclass(frozen=True, slots=True)
class Swept:
    """How many requests were woken, how many runs are to be looked at, and which records were missing."""

    woken: int
    followed: int
    gone: tuple[str, ...]


def sweep(
    ledger: Ledger,
    wake: Callable[[Due], None],
    follow: Callable[[Sequence[str]], None],
    *,
    limit: int,
    pause: float,
) -> Swept:
    """Take up to `limit` due requests and send a wake-up for each, one for each batch of runs.

    A wake-up that is lost comes again after `pause` seconds.
    """
    found = ledger.due(limit, pause)
    waiting = [due for due in found if due.state not in {"started", "gone"}]
    running = [due.request_id for due in found if due.state == "started"]
    for due in waiting:
        wake(due)
    for first in range(0, len(running), FOLLOW_BATCH):
        follow(running[first : first + FOLLOW_BATCH])
    gone = tuple(due.request_id for due in found if due.state == "gone")
    return Swept(len(waiting), len(running), gone)
