"""Many messages through one worker: whether the last are started as fast as the first, and what the worker keeps.

Each wave has one message for each definition, and the bench ends the runs of a wave before the next one. As many runs
stand in the history of each definition as there were waves.
"""

import statistics
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psutil

from sfmc_harness.bench.figures import Figure, MeasurementError
from sfmc_harness.bench.processes import ACCOUNT_ID, ask
from sfmc_harness.bench.rounds import Bench, Worker, all_started, bench, request_for
from sfmc_import.ledger import LedgerSettings, RedisLedger
from sfmc_import.ledger.keys import Keys
from sfmc_import.policy import Policy
from sfmc_import.runs import Run

MESSAGES, DEFINITIONS = 100_000, 200
_LEAST_WAVES = 20


def figures(messages: int = MESSAGES, definitions: int = DEFINITIONS) -> Iterator[Figure]:
    """Measure with a history that grows with each wave, as it does in Marketing Cloud."""
    waves = messages // definitions
    if waves < _LEAST_WAVES:
        raise MeasurementError(f"a soak has {_LEAST_WAVES * definitions} messages at least")
    with bench() as on:
        worker = on.worker(0)
        keys = [f"soak-{number}" for number in range(definitions)]
        seconds, resident = [], []
        for number in range(waves):
            ask(f"{on.url}/set?history={number}")
            seconds.append(_wave(on, worker, keys, number))
            resident.append(psutil.Process(worker.pid).memory_info().rss)
    tenth = waves // 10
    first, last = statistics.median(seconds[1 : tenth + 1]), statistics.median(seconds[-tenth:])
    detail = (
        f"{waves * definitions} messages over {definitions} definitions; {1 / first:.0f} and {1 / last:.0f} a second"
    )
    yield Figure("starts a second, last tenth ÷ first tenth", first / last, 0.95, detail, 0.3, at_least=True)
    grown = resident[-1] - resident[2 * tenth]
    detail = f"from {resident[2 * tenth] / 1e6:.1f} to {resident[-1] / 1e6:.1f} MB after a warm-up of two tenths"
    each = grown / (definitions * (waves - 2 * tenth - 1))
    yield Figure("bytes by which the worker grows with a message", each, 4.0, detail, 2000.0)


def _wave(on: Bench, worker: Worker, keys: list[str], number: int) -> float:
    """Give the seconds of a start; the runs of the wave are over then."""
    asked = [request_for(key, f"{key}-{number}") for key in keys]
    messages = [replace(each, file=_version(each.file, number), **_FORCED).as_message() for each in asked]
    spent = on.measure(worker, f"wave {number}", messages, all_started(len(keys)))
    _end_runs(worker, keys)
    return spent.seconds


_FORCED: dict[str, Any] = {"force": True, "reason": "a soak"}


def _version(file: Any, number: int) -> Any:
    return replace(file, modified_ns=file.modified_ns + number)


def _end_runs(worker: Worker, keys: list[str]) -> None:
    ledger, names = RedisLedger(worker.client, LedgerSettings()), Keys()
    holders: list[Any] = [worker.client.hget(names.definition(ACCOUNT_ID, key), "holder") for key in keys]
    for run in ledger.followed([holder.decode() for holder in holders if holder]):
        result = Run(task_id=run.task_id, customer_key=run.customer_key, status="Completed", total=1)
        ledger.ended(run, "completed", result, Policy())
