"""python3 ops/dev.py simulate --mutants: which wrong scripts and rules the simulation detects, and by which plan."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from sfmc_harness.simulation.plan import from_json
from sfmc_harness.simulation.running import open_store, run_seeds
from sfmc_harness.simulation.schedule import Schedule
from sfmc_import.ledger.scripts import read_part
from tests.support.mutants.scripts import reading
from tests.support.mutants.surviving import why
from tests.support.mutants.wrong_rules import RULES
from tests.support.mutants.wrong_scripts import MUTANTS

PLANS = Path(__file__).parents[2] / "integration" / "simulation" / "plans"
STEPS = 60
SIMULATED = frozenset(
    {"retrying", "calls", "service", "runs", "policy", "states", "new_runs", "losses", "clocks", "checking"}
)
"""The modules of rules that a schedule runs."""


class Found(NamedTuple):
    """What the simulation says of one wrong change: the schedule with its violation, or an empty text."""

    change: str
    violation: str


def search(seeds: int, read: Callable[[str], str] = read_part) -> str:
    """Replay the plans that are kept, then run seeds, until one breaks a promise; gives its name and the violation."""
    with open_store(read) as store:
        for file in sorted(PLANS.glob("*.json")):
            verdict = Schedule(from_json(file.read_text("utf-8")), store).run()
            if verdict.kind:
                return f"plan {file.stem}: {verdict.text}"
        failed = run_seeds(store, range(seeds), STEPS).failed
        return f"seed {failed[0][0].seed}: {failed[0][1].text}" if failed else ""


def script(number: int, seeds: int) -> Found:
    """Search with one wrong script."""
    mutant = MUTANTS[number]
    return Found(f"{mutant.file}: {mutant.find!r} -> {mutant.replace!r}", search(seeds, reading(mutant)))


def rule(number: int, seeds: int) -> Found:
    """Search with one wrong rule, in a process of its own that imports it."""
    module, find, replace = RULES[number]
    environment = os.environ | {"WRONG_RULE": str(number), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "tests.support.mutants.simulated_rule", str(seeds)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return Found(f"{module}: {find!r} -> {replace!r}", done.stdout.strip())


def found(seeds: int, processes: int) -> Iterator[Found]:
    """What becomes of every wrong script and rule, in order."""
    rules = [number for number, (module, _, _) in enumerate(RULES) if module.rpartition(".")[2] in SIMULATED]
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(script, range(len(MUTANTS)), [seeds] * len(MUTANTS))
        yield from pool.map(rule, rules, [seeds] * len(rules))


def main() -> None:
    """Print one line for each wrong change, and how many were detected."""
    parser = argparse.ArgumentParser(prog="dev.py simulate --mutants", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, metavar="N", help="schedules tried for each change (100)")
    parser.add_argument("--processes", type=int, default=min(os.cpu_count() or 1, 8), metavar="P")
    given = parser.parse_args()
    detected = total = 0
    for one in found(given.seeds, given.processes):
        total += 1
        detected += bool(one.violation)
        result = one.violation[:100] or f"survives: {why(one.change)}"
        sys.stdout.write(f"{one.change[:130]:130}  {result}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{detected} of {total} wrong changes are detected within {given.seeds} schedules each\n")


if __name__ == "__main__":
    main()
