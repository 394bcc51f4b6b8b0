"""python3 ops/dev.py simulate --mutants: which wrong scripts and rules the simulation detects, and by which seed."""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from sfmc_harness.simulation.running import open_store, run_seeds
from tests.support.mutants.scripts import reading
from tests.support.mutants.wrong_rules import RULES
from tests.support.mutants.wrong_scripts import MUTANTS

STEPS = 60
SIMULATED = frozenset({"retrying", "retry_call", "service", "runs", "policy", "states"})
"""The modules of rules that a schedule runs."""


class Found(NamedTuple):
    """What the simulation says of one wrong change: the seed and the violation, or None."""

    change: str
    seed: int | None
    violation: str


def search(seeds: int) -> tuple[int, str] | None:
    """Run seeds over what this process has imported, until one fails."""
    with open_store() as store:
        failed = run_seeds(store, range(seeds), STEPS).failed
    return (failed[0][0].seed, failed[0][1].text) if failed else None


def script(number: int, seeds: int) -> Found:
    """Run seeds over one wrong script."""
    mutant = MUTANTS[number]
    with open_store(reading(mutant)) as store:
        failed = run_seeds(store, range(seeds), STEPS).failed
    change = f"{mutant.file}: {mutant.find!r} -> {mutant.replace!r}"
    return Found(change, failed[0][0].seed, failed[0][1].text) if failed else Found(change, None, "")


def rule(number: int, seeds: int) -> Found:
    """Run seeds over one wrong rule, in a process of its own that imports it."""
    module, find, replace = RULES[number]
    environment = os.environ | {"WRONG_RULE": str(number), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "tests.support.mutants.simulated_rule", str(seeds)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    seed, _, violation = done.stdout.strip().partition(" ")
    return Found(f"{module}: {find!r} -> {replace!r}", int(seed) if seed else None, violation)


def found(seeds: int, processes: int) -> Iterator[Found]:
    """What becomes of every wrong script and rule, in order."""
    rules = [number for number, (module, _, _) in enumerate(RULES) if module.rpartition(".")[2] in SIMULATED]
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(script, range(len(MUTANTS)), [seeds] * len(MUTANTS))
        yield from pool.map(rule, rules, [seeds] * len(rules))


def main() -> None:
    """Print one line for each wrong change, and how many were detected."""
    parser = argparse.ArgumentParser(prog="dev.py simulate --mutants", description=__doc__)
    parser.add_argument("--seeds", type=int, default=300, metavar="N", help="schedules tried for each change (300)")
    parser.add_argument("--processes", type=int, default=min(os.cpu_count() or 1, 8), metavar="P")
    given = parser.parse_args()
    detected = total = 0
    for one in found(given.seeds, given.processes):
        total += 1
        detected += one.seed is not None
        result = "survives" if one.seed is None else f"seed {one.seed}: {one.violation[:90]}"
        print(f"{one.change[:130]:130}  {result}", flush=True)  # noqa: T201 - a program for people
    print(f"{detected} of {total} wrong changes are detected within {given.seeds} schedules each")  # noqa: T201


if __name__ == "__main__":
    main()
