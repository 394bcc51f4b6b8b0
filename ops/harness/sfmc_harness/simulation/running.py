"""Runs many schedules on a server of their own, shortens what fails, and says it for people."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sfmc_harness.simulation.calls import TraceLine
from sfmc_harness.simulation.drawing import draw
from sfmc_harness.simulation.plan import LEASE, RESULTS_DELAY, Plan
from sfmc_harness.simulation.schedule import Schedule, Verdict
from sfmc_harness.simulation.shrink import shrink
from sfmc_harness.simulation.store import Store
from sfmc_import.ledger import LedgerSettings
from sfmc_import.ledger.scripts import read_part
from sfmc_local.redis_server import Valkey

SETTINGS = LedgerSettings(lease=LEASE, results_delay=RESULTS_DELAY)
SHRINK_TRIES = 300


@dataclass
class Tally:
    """What some schedules came to: how many, how many steps, how requests ended, and the plan that failed first."""

    schedules: int = 0
    steps: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[Plan, Verdict]] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Count another tally in."""
        self.schedules += other.schedules
        self.steps += other.steps
        self.ends += other.ends
        self.failed += other.failed


@contextmanager
def open_store(read: Callable[[str], str] = read_part) -> Iterator[Store]:
    """A server without persistence, and the scripts in it."""
    with Valkey(options={"appendonly": "no"}) as server:
        store = Store(server.url, SETTINGS, read)
        try:
            yield store
        finally:
            store.close()


def run_seeds(store: Store, seeds: Iterable[int], steps: int) -> Tally:
    """Run the schedules of these seeds until one fails."""
    tally = Tally()
    for seed in seeds:
        plan = draw(seed, steps)
        verdict = Schedule(plan, store).run()
        tally.schedules += 1
        tally.steps += verdict.steps
        tally.ends.update(verdict.ends.values())
        if verdict.kind:
            tally.failed.append((plan, verdict))
            break
    return tally


def shortened(store: Store, plan: Plan, verdict: Verdict, tries: int = SHRINK_TRIES) -> tuple[Plan, Verdict]:
    """The shortest plan found in so many tries that breaks the same promise."""
    short = shrink(plan, lambda smaller: Schedule(smaller, store).run().kind == verdict.kind, tries)
    return short, Schedule(short, store).run()


def as_text(verdict: Verdict) -> str:
    """The violation and the steps that lead to it."""
    first = verdict.trace[0].now if verdict.trace else 0
    return "\n".join([verdict.text, *(_line(line, first) for line in verdict.trace)])


def _line(line: TraceLine, first: int) -> str:
    seconds = (line.now - first) / 1000
    return f"{line.step:5} {seconds:12.3f} s  {line.host:9} {line.request:4} {line.what:22} {line.fault}".rstrip()
