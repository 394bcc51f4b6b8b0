"""How near a worker of 64 threads comes to 64 calls at a time, when Marketing Cloud takes 300 ms for a Perform."""

import statistics
from collections.abc import Iterator

from sfmc_harness.bench.figures import Figure
from sfmc_harness.bench.processes import ask
from sfmc_harness.bench.rounds import all_started, bench, middle_rate, starts_of
from sfmc_harness.bench.stand_in import HISTORY

THREADS, SECONDS = 64, 0.3
WARM_UP = 64
IDEAL = THREADS / SECONDS


def figures(rounds: int = 3, messages: int = 960) -> Iterator[Figure]:
    """Take the rate of the middle of each round, by the stand-in's own clock: begin and end have idle threads."""
    with bench() as on:
        worker = on.worker(0, SFMC_CONCURRENCY=str(THREADS))
        ask(f"{on.url}/set?latency={SECONDS}")
        rates = []
        for number, size in enumerate([WARM_UP] + [messages] * rounds):
            keys = [f"c-{number}-{one}" for one in range(size)]
            on.measure(worker, "starts", starts_of(keys), all_started(size))
            rates.append(middle_rate(ask(f"{on.url}/performs")[-size:]))
    rate = statistics.median(rates[1:])
    detail = f"{rate:.0f} a second of {IDEAL:.0f}; {HISTORY} rows of history, a file, HTTPS"
    yield Figure(
        f"{THREADS} threads at {SECONDS * 1000:.0f} ms ÷ ideal", rate / IDEAL, 0.97, detail, 0.4, at_least=True
    )
