"""How many queries follow a run of a minute to its end, of one start alone and of many at once."""

import time
from collections.abc import Iterator
from typing import Any

from sfmc_harness.bench.figures import Figure, MeasurementError
from sfmc_harness.bench.processes import ask, wait_for
from sfmc_harness.bench.rounds import STREAM, Bench, Worker, all_started, bench, starts_of

LASTS = 60
_MANY = 400


def figures(lasts: float = LASTS, many: int = _MANY) -> Iterator[Figure]:
    """Start imports that take so many seconds each, and count until all have ended."""
    with bench() as on:
        worker = on.worker(0)
        on.beat(worker)
        ask(f"{on.url}/set?lasts={lasts}")
        for number, goal, floor in ((1, 4.0, 8.0), (many, 0.1, 0.3)):
            polls = _polls(on, worker, number, lasts)
            detail = f"{polls} polls; imports of {lasts:g} s, polls with the usual pauses"
            yield Figure(f"polls of a run, {number} at once", polls / number, goal, detail, floor)


def _polls(on: Bench, worker: Worker, number: int, lasts: float) -> int:
    before = int(ask(f"{on.url}/counts").get("polls", 0))
    ended = _ended(worker)
    keys = [f"p-{number}-{one}" for one in range(number)]
    on.measure(worker, f"{number} starts", starts_of(keys), all_started(number))
    begun = time.monotonic()
    wait_for(lambda: _ended(worker) - ended == number, "the end of all runs", lasts + 120.0, pause=1.0)
    if time.monotonic() - begun < lasts / 2:
        raise MeasurementError("the runs ended too soon")
    return int(ask(f"{on.url}/counts")["polls"]) - before


def _ended(worker: Worker) -> int:
    entries: Any = worker.client.xrange(STREAM)
    return sum(b"sfmc.import.completed" in fields[b"event"] for _, fields in entries)
