"""What a worker without messages costs: CPU time and memory."""

import time
from collections.abc import Iterator

import psutil

from sfmc_harness.bench.figures import Figure
from sfmc_harness.bench.processes import cpu_seconds
from sfmc_harness.bench.rounds import all_started, bench, starts_of

SECONDS = 30.0


def figures(seconds: float = SECONDS) -> Iterator[Figure]:
    """Look at a worker that has made its first start."""
    with bench() as on:
        worker = on.worker(0)
        on.measure(worker, "the first start", starts_of(["first"]), all_started(1))
        before, begun = cpu_seconds(worker.pid), time.perf_counter()
        time.sleep(seconds)
        share = (cpu_seconds(worker.pid) - before) / (time.perf_counter() - begun) * 100
        yield Figure("% of a core that an idle worker takes", share, 0.15, f"over {seconds:.0f} s", 1.5)
        process = psutil.Process(worker.pid)
        family = [process, *process.children(recursive=True)]
        memory = sum(one.memory_info().rss for one in family) / 1e6
        yield Figure("MB of memory of an idle worker", memory, 60, f"{len(family)} processes", 130)
