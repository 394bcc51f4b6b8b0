"""What a start, and a message that starts nothing, cost beside a Celery task that does nothing: rounds in turn.

Over HTTPS, with a file in each request and 730 earlier runs of each definition, which the worker has not read before.
"""

import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sfmc_harness.bench.figures import Figure, MeasurementError
from sfmc_harness.bench.processes import ask
from sfmc_harness.bench.rounds import STREAM, Bench, Spent, Worker, all_started, bench, starts_of
from sfmc_harness.bench.stand_in import HISTORY

LONG_HISTORY = 9000
_CALLS = "without polls and tokens; a start that comes alone reads its definition and lists newer runs"


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: counted rounds, messages of a round, and of one that compares histories."""

    rounds: int = 5
    messages: int = 400
    costly: int = 100


@dataclass(slots=True)
class Rounds:
    """The cases, measured in turn so that what else the machine does meets them alike; `spent` is by their names."""

    on: Bench
    size: Size
    no_op: Worker
    ours: Worker
    duplicates: Worker
    spent: dict[str, list[Spent]] = field(default_factory=lambda: defaultdict(list))
    number: int = 0

    def run(self) -> None:
        """Measure each case once."""
        self.number += 1
        size = self.size
        self._measure("no-op", self.no_op, [{"customer_key": key} for key in self._keys("n", size.messages)], {})
        self._start("start", size.messages)
        self._refuse(size.messages)
        for name, rows in (("no history", 0), ("long history", LONG_HISTORY)):
            ask(f"{self.on.url}/set?history={rows}")
            self._start(name, size.costly)
        ask(f"{self.on.url}/set?history={HISTORY}")
        self._start("1 at once", 1)
        self._start("50 at once", 50)

    def ratio(self, part: str, above: str, below: str) -> float:
        """Divide two cases round by round and give the median."""
        pairs = list(zip(self._costs(part, above), self._costs(part, below), strict=True))
        if not all(other for _, other in pairs):
            raise MeasurementError(f"{below}: too few messages to measure {part}")
        return statistics.median(one / other for one, other in pairs)

    def typical(self, part: str, case: str) -> float:
        """Give the median of a case."""
        return statistics.median(self._costs(part, case))

    def _costs(self, part: str, case: str) -> list[float]:
        return [getattr(spent, part) for spent in self.spent[case]]

    def _keys(self, kind: str, number: int) -> list[str]:
        return [f"{kind}-{self.number}-{one}" for one in range(number)]

    def _start(self, name: str, number: int) -> None:
        messages = starts_of(self._keys(name.replace(" ", "-"), number))
        self._measure(name, self.ours, messages, all_started(number))

    def _refuse(self, number: int) -> None:
        """Start one import, then announce the same file many times."""
        [message] = starts_of(self._keys("held", 1))
        self.on.measure(self.duplicates, "the first start", [message], all_started(1))
        self._measure("duplicate", self.duplicates, [message] * number, {"duplicate": number, "Performs": 0})

    def _measure(self, name: str, worker: Worker, messages: Sequence[dict[str, Any]], expected: dict[str, int]) -> None:
        self.spent[name].append(self.on.measure(worker, name, messages, expected))


def figures(size: Size = Size()) -> Iterator[Figure]:
    """Measure all cases several times, after a round that is not counted."""
    with bench() as on:
        rounds = Rounds(on, size, on.no_op(0), on.worker(1), on.worker(2))
        rounds.run()
        rounds.spent.clear()
        for _ in range(size.rounds):
            rounds.run()
        yield from _costs(rounds)
        yield from _calls(rounds)
        yield _event(rounds.ours)


def _costs(rounds: Rounds) -> Iterator[Figure]:
    detail = f"{HISTORY} rows of history, a file, HTTPS; {_microseconds(rounds, 'cpu', 'start')}"
    yield Figure("CPU of a start ÷ no-op", rounds.ratio("cpu", "start", "no-op"), 2.6, detail, 10)
    detail = f"median of {rounds.size.rounds} rounds of {rounds.size.costly}"
    ratio = rounds.ratio("cpu", "long history", "no history")
    yield Figure(f"CPU of a start at {LONG_HISTORY} rows of history ÷ at 0", ratio, 1.1, detail, 1.5)
    rate = rounds.ratio("seconds", "no-op", "duplicate")
    detail = f"{1 / rounds.typical('seconds', 'duplicate'):.0f} a second"
    yield Figure("duplicates ÷ no-op, messages a second", rate, 0.87, detail, 0.3, at_least=True)
    for case, goal, floor in (("start", 3.0, 20.0), ("duplicate", 1.6, 8.0)):
        ratio = rounds.ratio("redis_cpu", case, "no-op")
        yield Figure(f"CPU of Redis for a {case} ÷ no-op", ratio, goal, _microseconds(rounds, "redis_cpu", case), floor)


def _calls(rounds: Rounds) -> Iterator[Figure]:
    for case, goal in (("1 at once", 2.0), ("50 at once", 1.2), ("start", 1.1)):
        number = rounds.size.messages if case == "start" else int(case.split()[0])
        calls = rounds.typical("calls", case)
        yield Figure(f"SOAP calls of a start, {number} at once", calls, goal, _CALLS, 3.0)


def _event(worker: Worker) -> Figure:
    size: Any = worker.client.memory_usage(STREAM, samples=0)
    number: Any = worker.client.xlen(STREAM)
    return Figure("bytes of Redis for an event of the stream", size / number, 300, f"{number} events", 900)


def _microseconds(rounds: Rounds, part: str, case: str) -> str:
    return f"{rounds.typical(part, case) * 1e6:.0f} µs against {rounds.typical(part, 'no-op') * 1e6:.0f} µs"
