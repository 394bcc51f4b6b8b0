"""python3 ops/dev.py simulate: runs many seeds, one seed, or a plan from a file; code 1 when a promise was broken."""

import argparse
import os
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import structlog

from sfmc_harness.simulation.drawing import draw
from sfmc_harness.simulation.plan import Plan, from_json, to_json
from sfmc_harness.simulation.running import Tally, as_text, open_store, run_seeds, shortened
from sfmc_harness.simulation.schedule import Schedule, Verdict

BATCH = 50
"""Schedules between two looks at whether another process has found a violation."""


def _be_quiet() -> None:
    """Leave out what processes of the product log, such as that a circuit was opened."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("error"))


def main() -> None:
    """Read the arguments; ends the process with its exit code."""
    given = _parser().parse_args()
    _be_quiet()
    if given.trace:
        sys.exit(_replay(from_json(given.trace.read_text("utf-8"))))
    if given.seed is not None and given.seeds is None:
        sys.exit(_one(draw(given.seed, given.steps), given.save))
    sys.exit(_many(given.seed or 0, given.seeds or 2000, given))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dev.py simulate",
        description="Runs the real scripts and the real service over a modelled Marketing Cloud on virtual time. "
        "A seed decides who dies, freezes, loses a reply or Redis, and at which call. After each step the promises "
        "of ops/docs/guarantees.md are checked. With --mutants it counts which wrong scripts and rules it detects.",
    )
    parser.add_argument("--seeds", type=int, metavar="N", help="how many schedules (2000)")
    parser.add_argument("--seed", type=int, metavar="S", help="the first seed; without --seeds only this one")
    parser.add_argument("--steps", type=int, default=60, metavar="K", help="calls with faults in a schedule (60)")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="replay the plan in this file")
    parser.add_argument("--save", type=Path, metavar="FILE", help="where the shortened plan of a violation goes")
    parser.add_argument(
        "--processes", type=int, default=min(os.cpu_count() or 1, 8), metavar="P", help="how many processes"
    )
    return parser


def _replay(plan: Plan) -> int:
    with open_store() as store:
        verdict = Schedule(plan, store).run()
    print(as_text(verdict) if verdict.kind else f"nothing was broken in {verdict.steps} steps")
    return 1 if verdict.kind else 0


def _one(plan: Plan, save: Path | None) -> int:
    with open_store() as store:
        verdict = Schedule(plan, store).run()
    if verdict.kind:
        return _report(plan, verdict, save)
    print(f"seed {plan.seed}: nothing was broken in {verdict.steps} steps; {verdict.ends}")
    return 0


def _many(first: int, count: int, given: argparse.Namespace) -> int:
    began, total = time.monotonic(), Tally()
    batches = [range(at, min(at + BATCH, first + count)) for at in range(first, first + count, BATCH)]
    with ProcessPoolExecutor(given.processes, initializer=_be_quiet) as pool:
        for tally in pool.map(_batch, batches, [given.steps] * len(batches)):
            total.add(tally)
            if total.failed:
                pool.shutdown(cancel_futures=True)
                break
    seconds = time.monotonic() - began
    print(_summary(total, seconds))
    return _report(*total.failed[0], given.save) if total.failed else 0


def _batch(seeds: Iterable[int], steps: int) -> Tally:
    with open_store() as store:
        return run_seeds(store, seeds, steps)


def _summary(total: Tally, seconds: float) -> str:
    ends = ", ".join(f"{count} {state}" for state, count in total.ends.most_common())
    rate = f"{total.schedules / seconds:.1f} schedules a second, {total.steps / seconds:.0f} steps a second"
    return f"{total.schedules} schedules with {total.steps} steps in {seconds:.1f} s: {rate}\nrequests: {ends}"


def _report(plan: Plan, verdict: Verdict, save: Path | None) -> int:
    print(f"seed {plan.seed} breaks a promise: {verdict.text}")
    with open_store() as store:
        short, verdict = shortened(store, plan, verdict)
    file = save or Path("var") / "simulation" / f"seed-{plan.seed}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(to_json(short), "utf-8")
    print(
        f"the shortened schedule, to be replayed with: python3 ops/dev.py simulate --trace {file}\n{as_text(verdict)}"
    )
    print(to_json(short), end="")
    return 1
