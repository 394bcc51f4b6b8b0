"""The model: definitions and arrivals give calls, workers, CPU and memory of Redis, and the first limit.

Each figure is that of the bench line that stands beside it, as seen on two shared cores.
"""

import math
from dataclasses import dataclass

START_CPU = 0.0057
"""Seconds of a worker's core for a start: `bench starts`, CPU of a start."""
REDIS_CPU = 0.0016
"""Seconds of the core of Redis for a start with its following: `bench starts`, CPU of Redis for a start."""
START_BYTES = 600
"""Bytes that a start leaves until it is forgotten: `bench ledger`, bytes that a start with a file leaves."""
EVENT_BYTES = 632
"""Bytes of an event: `bench starts`, bytes of Redis for an event of the stream."""
DEFINITION_BYTES = 500
"""Bytes of a definition that has had a start; measured by hand, see ops/docs/redis.md."""
QUESTIONS = 2
"""What a start asks before Perform: its definition, and its newer runs."""
GATHER_SECONDS = 0.1
"""So long a question waits for others at most: SFMC_GATHER_MS."""
POLL_STEP = 2.5
"""Polls meet at multiples of half of SFMC_FOLLOW_MIN_INTERVAL; its first pause is the whole of it."""
POLLED_TOGETHER = 100
ONE_PROCESS = "one worker process"
BUSY = 0.7
"""A core, or the threads of a process, that are busier than that let messages wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What comes: `peak` is the busiest hour ÷ the mean one; in `call_seconds` Marketing Cloud answers.

    `keep_days` is how long ended requests are kept, `stream` how many events, `limit` the calls per minute.
    """

    definitions: int
    arrivals_per_hour: float
    peak: float = 3.0
    run_seconds: float = 60.0
    call_seconds: float = 0.3
    threads: int = 32
    keep_days: float = 30.0
    stream: int = 1_000_000
    limit: int = 2000

    @property
    def peak_per_second(self) -> float:
        """Starts a second in the busiest hour."""
        return self.arrivals_per_hour * self.peak / 3600


@dataclass(frozen=True, slots=True)
class Size:
    """What the load needs; `limits` are the starts a second that each part allows."""

    calls_per_start: float
    calls_per_minute: float
    worker_cores: float
    processes: int
    redis_cores: float
    redis_bytes: int
    limits: dict[str, float]

    @property
    def first_limit(self) -> str:
        """The part that is full first when the load grows, and that more worker processes do not widen."""
        return min(self.limits.keys() - {ONE_PROCESS}, key=lambda name: self.limits[name])


def questions_together(per_second: float, load: Load) -> float:
    """Say how many questions go as one: those that come while a call is under way or within the time that one waits."""
    return min(max(1.0, per_second * max(load.call_seconds, GATHER_SECONDS)), float(load.threads))


def calls_of_start(per_second: float, load: Load) -> float:
    """Give the calls of a start before and with Perform."""
    return 1 + QUESTIONS / questions_together(per_second, load)


def polls_of_run(load: Load) -> int:
    """Give the polls of one run to its end, with pauses that double and no other run to share them."""
    pause, at, polls = 2 * POLL_STEP, 2 * POLL_STEP, 1
    while at < load.run_seconds:
        pause = min(2 * pause, 60.0)
        at, polls = at + pause, polls + 1
    return polls


def polls_a_minute(per_second: float, load: Load) -> float:
    """Give the queries that follow all runs: many runs share the moments at which polls meet."""
    asked = per_second * 60 * polls_of_run(load)
    moments = 60 / POLL_STEP
    return min(asked, moments * math.ceil(max(1.0, asked / moments / POLLED_TOGETHER)))


def calls_a_minute(per_second: float, load: Load) -> float:
    """Give all calls of a minute at this rate of starts."""
    return per_second * 60 * calls_of_start(per_second, load) + polls_a_minute(per_second, load)


def size(load: Load) -> Size:
    """Say what the busiest hour of this load needs."""
    rate = load.peak_per_second
    cores = rate * START_CPU
    in_flight = rate * (1 + QUESTIONS) * load.call_seconds
    kept = load.arrivals_per_hour * 24 * load.keep_days * START_BYTES
    return Size(
        calls_per_start=calls_of_start(rate, load),
        calls_per_minute=calls_a_minute(rate, load),
        worker_cores=cores,
        processes=max(1, math.ceil(max(cores / BUSY, in_flight / load.threads / BUSY))),
        redis_cores=rate * REDIS_CPU,
        redis_bytes=round(kept + load.stream * EVENT_BYTES + load.definitions * DEFINITION_BYTES),
        limits=limits(load),
    )


def limits(load: Load) -> dict[str, float]:
    """Give the starts a second that the calls of the account, one Redis and one worker process allow."""
    one_process = min(BUSY / START_CPU, BUSY * load.threads / ((1 + QUESTIONS) * load.call_seconds))
    found = {"Redis": BUSY / REDIS_CPU, ONE_PROCESS: one_process}
    return found | ({"calls of the account": _most_by_calls(load)} if load.limit else {})


def _most_by_calls(load: Load) -> float:
    """Find the rate at which the calls of a minute reach the limit."""
    low, high = 0.0, float(load.limit)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if calls_a_minute(middle, load) <= load.limit else (low, middle)
    return low
