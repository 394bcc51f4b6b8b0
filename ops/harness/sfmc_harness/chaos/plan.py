"""What one chaos run consists of: numbers, definitions and policy, the short times of its processes, the schedule."""

import heapq
import itertools
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

ACCOUNT_ID = "510001234"
LEASE_SECONDS = 8.0
GRACE_SECONDS = 15.0
"""From SIGTERM to SIGKILL."""

WINDOW_HOURS = 0.0006
"""The window of some definitions: about 2 seconds."""

QUICK = {
    "SFMC_LEASE_SECONDS": f"{LEASE_SECONDS:g}",
    "SFMC_CONNECT_TIMEOUT": "1",
    "SFMC_READ_TIMEOUT": "3",
    "SFMC_TOKEN_TIMEOUT": "3",
    "SFMC_RESULTS_DELAY": "2",
    "SFMC_RECONCILE_DEADLINE": "10",
    "SFMC_CALL_RETRY_SECONDS": "2",
    "SFMC_RETRY_BACKOFF": "0.5",
    "SFMC_RETRY_BACKOFF_CAP": "3",
    "SFMC_FOLLOW_MIN_INTERVAL": "0.3",
    "SFMC_FOLLOW_MAX_INTERVAL": "2",
    "SFMC_SWEEP_SECONDS": "0.5",
    "SFMC_DEFINITION_TTL": "30",
    "SFMC_CONCURRENCY": "8",
    "SFMC_LOG_FORMAT": "json",
}
"""Settings that make hours into seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Size of a run. The producers take `seconds` to send `requests`; with a `fault_rate` of 0 there is no fault.

    `program` is what handles the messages: the product, or the naive worker that shows what the checker detects.
    """

    seed: int
    requests: int
    seconds: float
    workers: int = 3
    producers: int = 4
    fault_rate: float = 0.2
    transport: Literal["reliable", "stock"] = "reliable"
    program: Literal["product", "naive"] = "product"

    @property
    def keys(self) -> list[str]:
        """The definitions; each gets a dozen requests on average."""
        return [f"chaos-{number}" for number in range(max(6, self.requests // 12))]

    @property
    def end_within(self) -> float:
        """Seconds that the last request may take after the last fault is over; the naive worker need not end well."""
        return max(60.0, self.seconds) if self.program == "product" else 10.0

    def chance(self, purpose: str) -> random.Random:
        """A random generator for each purpose, so that one does not change the numbers of another."""
        return random.Random(f"{self.seed}/{purpose}")  # noqa: S311 - repeatable on purpose

    @property
    def windows(self) -> dict[str, float]:
        """The seconds of the window of each definition that has one."""
        return {key: WINDOW_HOURS * 3600 for number, key in enumerate(self.keys) if number % 3 == 1}

    def policy(self) -> str:
        """The policy file."""
        return "\n".join(self._policy_lines()) + "\n"

    def _policy_lines(self) -> Iterator[str]:
        # Files have several names, for follow-ups that coalesce or do not; the sandbox has one file for all.
        yield from ("[defaults]", 'when_mismatch = "start"')
        for number, key in enumerate(self.keys):
            yield from ("[[definition]]", f'customer_key = "{key}"')
            if key in self.windows:
                yield f"max_import_frequency = {WINDOW_HOURS}"
            yield f'coalesce = "{("same_name", "latest", "each")[number % 5 % 3]}"'
            yield f'when_ambiguous = "{"repeat" if number % 4 == 3 else "unknown"}"'


class Schedule:
    """Calls in order of their times, on the monotonic clock, all in the thread that calls `do_due`."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._entries)

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call once, that many seconds from now."""
        heapq.heappush(self._entries, (time.monotonic() + seconds, next(self._numbers), call))

    def do_due(self) -> None:
        """Make every call whose time has come."""
        while self._entries and self._entries[0][0] <= time.monotonic():
            heapq.heappop(self._entries)[2]()
