"""What a worker, a beat and a watcher cost while nothing happens: CPU time and memory."""

import tempfile
import time
from collections.abc import Iterator

import psutil

from sfmc_harness.bench.figures import Figure
from sfmc_harness.bench.processes import run_seconds
from sfmc_harness.bench.rounds import all_started, bench, starts_of

SECONDS, _BEGIN_SECONDS = 30.0, 5.0
CPU_GOALS = {"worker": (0.15, 1.5), "beat": (0.45, 3.0), "watcher": (0.05, 1.0)}
MEMORY_GOALS = {"worker": (60.0, 130.0), "beat": (67.0, 120.0), "watcher": (66.0, 120.0)}
"""Goal and floor; for the memory of beat and watcher what it was."""


def figures(seconds: float = SECONDS) -> Iterator[Figure]:
    """Look at all three side by side; the worker has made its first start and gets the sweeps of the beat."""
    with bench() as on, tempfile.TemporaryDirectory() as folder:
        worker = on.worker(0)
        on.measure(worker, "the first start", starts_of(["first"]), all_started(1))
        pids = {"worker": worker.pid, "beat": on.beat(worker), "watcher": on.watcher(worker, folder)}
        time.sleep(_BEGIN_SECONDS)
        before, begun = {name: run_seconds(pid) for name, pid in pids.items()}, time.perf_counter()
        time.sleep(seconds)
        for name, pid in pids.items():
            share = (run_seconds(pid) - before[name]) / (time.perf_counter() - begun) * 100
            goal, floor = CPU_GOALS[name]
            yield Figure(f"% of a core that an idle {name} takes", share, goal, f"over {seconds:.0f} s", floor)
        for name, pid in pids.items():
            goal, floor = MEMORY_GOALS[name]
            yield _memory(name, pid, goal, floor)


def _memory(name: str, pid: int, goal: float, floor: float) -> Figure:
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    memory = sum(one.memory_info().rss for one in family) / 1e6
    return Figure(f"MB of memory of an idle {name}", memory, goal, f"{len(family)} processes", floor)
