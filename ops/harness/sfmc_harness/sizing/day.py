"""A day of arrivals in compressed time: a queue with the limits of the model, second by second; not the product."""

import math
import random
from collections import Counter, deque
from dataclasses import dataclass

from sfmc_harness.sizing.model import BUSY, REDIS_CPU, START_CPU, Load, calls_of_start, polls_a_minute

DAY = 86_400
MOST_PEAK = 5.0
_SHARPNESS = 8
_MEAN_OF_WAVE = math.comb(16, 8) / 4**8
"""The mean of ((1 + cos x) / 2) to the power of _SHARPNESS."""

_MOST_DRAWN = 100.0
_FLOW = 0.9
"""Nine tenths of the limit flow in evenly (ADR 30)."""


@dataclass(frozen=True, slots=True)
class Day:
    """What a day showed: waits in seconds by their share, and the calls of its busiest minute."""

    requests: int
    unstarted: int
    p50: int
    p95: int
    longest: int
    calls_per_minute: float


def rate_at(second: int, load: Load) -> float:
    """Give the arrivals a second: a day with one peak, of MOST_PEAK at most, whose mean is that of the load."""
    wave = ((1 + math.cos(2 * math.pi * (second / DAY - 0.5))) / 2) ** _SHARPNESS
    height = (min(max(load.peak, 1.0), MOST_PEAK) - 1) / (1 - _MEAN_OF_WAVE)
    return load.arrivals_per_hour / 3600 * (1 - height * _MEAN_OF_WAVE + height * wave)


def simulate(load: Load, processes: int, seed: int = 0) -> Day:
    """Let one day pass."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    waits, waiting = Counter[int](), deque[list[int]]()
    minute: deque[tuple[int, float]] = deque(maxlen=60)
    permits, requests, left, busiest = 0.0, 0, 0, 0.0
    threads = processes * load.threads / (3 * load.call_seconds)
    most = min(processes * BUSY / START_CPU, threads, BUSY / REDIS_CPU)
    for second in range(DAY):
        arrived = _poisson(rate_at(second, load), draw)
        requests, left = requests + arrived, left + arrived
        if arrived:
            waiting.append([second, arrived])
        each = calls_of_start(min(most, float(left)), load)
        polls = polls_a_minute(sum(number for number, _ in minute) / 60, load)
        permits = min(permits + (load.limit * _FLOW - polls) / 60, load.limit * 0.1) if load.limit else math.inf
        started = _take(waiting, second, max(0, int(min(most, permits / each))), waits)
        permits, left = permits - started * each, left - started
        minute.append((started, started * each))
        if len(minute) == minute.maxlen:
            busiest = max(busiest, sum(calls for _, calls in minute) + polls)
    return Day(requests, left, *_shares(waits), busiest)


def _take(waiting: deque[list[int]], now: int, room: int, waits: Counter[int]) -> int:
    """Start the oldest ones, and note how long each has waited."""
    started = 0
    while waiting and started < room:
        since, number = waiting[0]
        taken = min(number, room - started)
        waits[now - since] += taken
        started += taken
        if taken == number:
            waiting.popleft()
        else:
            waiting[0][1] -= taken
    return started


def _shares(waits: Counter[int]) -> tuple[int, int, int]:
    """Give the median, the wait of 95 % and the longest one."""
    total = sum(waits.values())

    def of(share: float) -> int:
        seen = 0
        for seconds in sorted(waits):
            seen += waits[seconds]
            if seen >= total * share:
                return seconds
        return 0

    return of(0.5), of(0.95), max(waits, default=0)


def _poisson(mean: float, draw: random.Random) -> int:
    """Draw the arrivals of a second (Knuth), in parts: e to the power of -746 is 0 here."""
    if mean > _MOST_DRAWN:
        return _poisson(_MOST_DRAWN, draw) + _poisson(mean - _MOST_DRAWN, draw)
    limit, product, number = math.exp(-mean), draw.random(), 0
    while product > limit:
        product, number = product * draw.random(), number + 1
    return number
