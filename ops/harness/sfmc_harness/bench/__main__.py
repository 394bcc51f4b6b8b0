"""Runs the benches by name, or all, and compares each figure with its goal and its floor."""

import argparse
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout

from sfmc_harness.bench.figures import Figure, MeasurementError
from sfmc_harness.bench.limits import explained

ALL = (
    "waiting", "arrivals", "starts", "polls", "perform", "concurrency", "backlog", "files", "push", "sqs", "delivery",
    "idle", "console", "ledger", "size", "soak", "importing", "sandbox",
)  # fmt: skip


def figures_of(name: str, **options: int) -> Iterator[Figure]:
    """Measure one bench; `options` are its own. Each figure says its limit, if that is known."""
    found: Iterator[Figure] = importlib.import_module(f"sfmc_harness.bench.{name}").figures(**options)
    return map(explained, found)


def main(arguments: list[str], measure: Callable[..., Iterator[Figure]] = figures_of) -> int:
    """Print every figure; 1 if one is below its floor, a measurement failed, or with --strict a goal was missed."""
    options = _options(arguments)
    unknown = [name for name in options.names if name not in ALL]
    if unknown:
        print(f"no bench {', '.join(unknown)}: there are {', '.join(ALL)}", file=sys.stderr)
        return 2
    figures, failed = [], False
    for name in options.names or ALL:
        try:
            found = measure(name, messages=options.soak) if name == "soak" else measure(name)
            # A bench may tell what it does on the way: for machines the list stands alone.
            with redirect_stdout(sys.stderr if options.json else sys.stdout):
                figures += list(_shown(name, found, show=not options.json))
        except (MeasurementError, TimeoutError) as error:
            print(f"bench {name} failed: {error}", file=sys.stderr)
            failed = True
    if options.json:
        print(json.dumps([figure.as_json for figure in figures], indent=2, ensure_ascii=False))
    held = all(figure.is_met if options.strict else figure.holds for figure in figures)
    return 0 if held and not failed else 1


def _options(arguments: list[str]) -> argparse.Namespace:
    exits = "Exit code: 0 all as it should be, 1 a figure is below its floor or a measurement failed, 2 usage error."
    parser = argparse.ArgumentParser("bench", description=__doc__, epilog=exits)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(ALL)}; without one: all")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a goal is missed, too")
    parser.add_argument("--json", action="store_true", help="print a list of {line, value, goal, met, floor, holds}")
    parser.add_argument("--soak", type=int, default=100_000, metavar="N", help="messages of the soak (100000)")
    return parser.parse_args(arguments)


def _shown(name: str, figures: Iterator[Figure], *, show: bool) -> Iterator[Figure]:
    if show:
        print(f"{name}:", flush=True)
    for figure in figures:
        if show:
            print(f"  {figure}", flush=True)
        yield figure


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
