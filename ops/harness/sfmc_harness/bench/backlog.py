"""How fast a backlog in the ledger is worked off, beside messages that have just come.

Both are the rates of the middle of a round. A backlog waits more than a second for its first sweep: much for the few
requests of a round, nothing for the hours of a real one.
"""

import statistics
import time
from collections.abc import Iterator, Sequence

from sfmc_harness.bench.figures import Figure, expect
from sfmc_harness.bench.processes import ask, wait_for
from sfmc_harness.bench.rounds import Bench, Worker, all_started, bench, middle_rate, request_for, starts_of
from sfmc_import.ledger import LedgerSettings, RedisLedger

WARM_UP = 32
_SECONDS = 900.0


def figures(rounds: int = 3, requests: int = 2000) -> Iterator[Figure]:
    """Measure both in turn: a beat sweeps, and the requests of the backlog have no message of their own."""
    ratios, firsts = [], []
    with bench() as on:
        worker = on.worker(0)
        on.measure(worker, "the first starts", starts_of(_keys("warm", WARM_UP)), all_started(WARM_UP))
        on.beat(worker)
        for number in range(rounds):
            on.measure(worker, "fresh", starts_of(_keys(f"f{number}", requests)), all_started(requests))
            fresh = middle_rate(_newest(on, requests))
            firsts.append(_work_off(on, worker, _keys(f"b{number}", requests)))
            ratios.append(middle_rate(_newest(on, requests)) / fresh)
    first = statistics.median(firsts)
    detail = f"middle of {requests} requests in each of {rounds} rounds; the first is started after {first:.1f} s"
    yield Figure("rate of a backlog ÷ fresh messages", statistics.median(ratios), 0.95, detail, 0.6, at_least=True)


def _keys(kind: str, number: int) -> list[str]:
    return [f"{kind}-{one}" for one in range(number)]


def _work_off(on: Bench, worker: Worker, keys: Sequence[str]) -> float:
    """Record a request for each definition, due at once, and give the seconds until the first is started."""
    before, begun = _performs(on), time.time()
    ledger = RedisLedger(worker.client, LedgerSettings(accept_grace=0.0))
    for key in keys:
        ledger.accept(request_for(key, key))
    wait_for(lambda: _performs(on) - before >= len(keys), "the backlog", _SECONDS, pause=0.1)
    wait_for(lambda: worker.is_drained, "the last wake-ups", pause=0.1)
    expect("backlog", {"Performs": len(keys)}, {"Performs": _performs(on) - before})
    return min(moment for _, moment in _newest(on, len(keys))) - begun


def _newest(on: Bench, number: int) -> list[tuple[str, float]]:
    performs: list[tuple[str, float]] = ask(f"{on.url}/performs")[-number:]
    return performs


def _performs(on: Bench) -> int:
    return int(ask(f"{on.url}/counts").get("Performs", 0))
