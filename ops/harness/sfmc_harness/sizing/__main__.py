"""python3 ops/dev.py size: what a load needs; with --simulate-day a day of it, whose busiest minute is compared."""

import argparse
import math
import sys

from sfmc_harness.sizing.day import DAY, MOST_PEAK, simulate
from sfmc_harness.sizing.model import Load, Size, size
from sfmc_import.permits import LEAST_LIMIT

APART = 0.2
"""The busiest minute of a simulated day may differ so much from what the model says, and by what chance does to it."""


def main(arguments: list[str]) -> int:
    """Print what the load needs; 1 when a simulated day differs from it."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if not 1 <= given.peak <= MOST_PEAK:
        parser.error(f"--peak: {given.peak:g}; expected: 1 to {MOST_PEAK:g}")
    if given.limit and given.limit < LEAST_LIMIT:
        parser.error(
            f"--limit: {given.limit}; expected: 0 for none, or at least {LEAST_LIMIT}, as SFMC_CALLS_PER_MINUTE"
        )
    load = Load(
        definitions=given.definitions,
        arrivals_per_hour=given.arrivals_per_hour,
        peak=given.peak,
        run_seconds=given.run_seconds,
        call_seconds=given.call_seconds,
        threads=given.threads,
        keep_days=given.keep_days,
        stream=given.stream,
        limit=given.limit,
    )
    needed = size(load)
    print(_as_text(load, needed))
    return _compare(load, needed) if given.simulate_day else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("size", description=__doc__)
    parser.add_argument("--definitions", type=_count, default=1000, help="how many (1000)")
    parser.add_argument("--arrivals-per-hour", type=_above_0, default=1000.0, help="files an hour, mean (1000)")
    parser.add_argument("--peak", type=_above_0, default=3.0, help="busiest hour ÷ mean hour, 1 to 5 (3)")
    parser.add_argument("--run-seconds", type=_above_0, default=60.0, help="how long an import takes (60)")
    parser.add_argument("--call-seconds", type=_above_0, default=0.3, help="how long a call takes (0.3)")
    parser.add_argument("--threads", type=_count, default=32, help="of a worker process (32)")
    parser.add_argument("--keep-days", type=_above_0, default=30.0, help="how long ended requests are kept (30)")
    parser.add_argument("--stream", type=_count, default=1_000_000, help="how many events are kept (1000000)")
    parser.add_argument("--limit", type=int, default=2000, help="calls of the account a minute, 0: none (2000)")
    parser.add_argument("--simulate-day", action="store_true", help="let a day pass and compare")
    return parser


def _above_0(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e12:
        raise argparse.ArgumentTypeError(f"{text}; expected: a number above 0")
    return number


def _count(text: str) -> int:
    number = _above_0(text)
    if number != int(number):
        raise argparse.ArgumentTypeError(f"{text}; expected: a whole number above 0")
    return int(number)


def _as_text(load: Load, needed: Size) -> str:
    lines = [
        f"busiest hour: {load.peak_per_second:.2f} starts a second",
        f"calls of a start: {needed.calls_per_start:.2f}; of a minute, with polls: {needed.calls_per_minute:.0f}",
        f"workers: {needed.worker_cores:.2f} cores, {needed.processes} processes of {load.threads} threads",
        f"Redis: {needed.redis_cores:.2f} cores, {needed.redis_bytes / 1e6:.0f} MB",
        *(f"limit by {name}: {rate:.1f} starts a second" for name, rate in needed.limits.items()),
        f"full first, with any number of processes: {needed.first_limit}",
    ]
    return "\n".join(lines)


def _compare(load: Load, needed: Size) -> int:
    day = simulate(load, needed.processes)
    print(
        f"a day of {DAY} s: {day.requests} requests, {day.unstarted} not started at its end; waits {day.p50} s (half), "
        f"{day.p95} s (95 %), {day.longest} s (longest); busiest minute {day.calls_per_minute:.0f} calls"
    )
    expected = min(needed.calls_per_minute, load.limit or needed.calls_per_minute)
    by_chance = 4 * math.sqrt(load.peak_per_second * 60) * needed.calls_per_start
    is_near = abs(day.calls_per_minute - expected) <= max(APART * expected, by_chance)
    is_over = needed.calls_per_minute > (load.limit or float("inf"))
    says = "more than the limit: starts wait" if is_over else "within the limit: no start waits for long"
    holds = is_near and is_over == (day.longest > 60)
    print(f"the model says {expected:.0f} calls, {says}: {'so it was' if holds else 'that was not so'}")
    return 0 if holds else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
