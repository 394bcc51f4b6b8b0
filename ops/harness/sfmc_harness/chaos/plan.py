"""What one chaos run consists of: numbers, definitions and policy, the short times of its processes, the schedule."""

import heapq
import itertools
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from sfmc_import.request import DEFAULT_PREFIX, broker_prefix

LEASE_SECONDS = 8.0
GRACE_SECONDS = 15.0
"""From SIGTERM to SIGKILL."""

WINDOW_HOURS = 0.0006
"""The window of some definitions: about 2 seconds."""

MIDNIGHT_MARGIN = 3.0
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
    "SFMC_MIDNIGHT_MARGIN": f"{MIDNIGHT_MARGIN:g}",
}
"""Settings that make hours into seconds."""

FAULTS = (
    "workers", "beats", "valkey", "clients", "connections", "full-redis",
    "calls", "hang", "trickle", "bomb", "slow-polls", "token-refused", "account-wide",
    "midnight", "priorities", "times", "arguments", "refusals", "two-deployments",
)  # fmt: skip
"""What `--only` can choose: faults of processes and Redis, faults of Marketing Cloud, and what senders may do."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """One installation: the prefix of its keys and its business unit. All share one Redis and their CustomerKeys."""

    name: str
    prefix: str
    account_id: str

    @property
    def broker_prefix(self) -> str:
        """What stands before the keys of Celery; nothing in the first deployment, as in a usual one."""
        return broker_prefix(self.prefix)


FIRST = Deployment("first", DEFAULT_PREFIX, "510001234")
SECOND = Deployment("second", "other:", "510009999")

ANY_FILE, EXACT_FILE, DATED_FILE = "chaos.csv", "exact.csv", "dated_%%YEAR%%%%MONTH%%%%DAY%%.csv"
"""FileSpec of the definitions: one starts whatever the file is called, one never for another name, one by its day."""


@dataclass(frozen=True, slots=True)
class Midnight:
    """When the day of the account ends in this run, in seconds since 1970, and the days before and after it."""

    at: float
    days: tuple[str, str]

    def name(self, file_spec: str, at: float) -> str:
        """The name of the file that a FileSpec selects at a moment."""
        return file_spec.replace("%%YEAR%%%%MONTH%%%%DAY%%", self.days[at >= self.at])


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Size of a run. The producers take `seconds` to send `requests`; with a `fault_rate` of 0 there is no fault.

    `program` is what handles the messages: the product, the naive worker that shows what the checker detects, or a
    product with one wrong rule. `only` names the faults; empty means all.
    """

    seed: int
    requests: int
    seconds: float
    workers: int = 3
    producers: int = 4
    fault_rate: float = 0.2
    transport: Literal["reliable", "stock"] = "reliable"
    program: str = "product"
    only: frozenset[str] = frozenset()

    def has(self, fault: str) -> bool:
        """Tell whether a fault belongs to this run."""
        return bool(self.fault_rate) and (not self.only or fault in self.only)

    @property
    def deployments(self) -> tuple[Deployment, ...]:
        """The installations on the one Redis."""
        return (FIRST, SECOND) if self.has("two-deployments") else (FIRST,)

    @property
    def keys(self) -> list[str]:
        """The definitions; each gets a dozen requests on average."""
        return [f"chaos-{number}" for number in range(max(6, self.requests // 12))]

    @property
    def file_specs(self) -> dict[str, str]:
        """The FileSpec of each definition."""
        usual = {0: EXACT_FILE, 2: DATED_FILE if self.has("midnight") else ANY_FILE}
        return {key: usual.get(number % 4, ANY_FILE) for number, key in enumerate(self.keys)}

    @property
    def ends_well(self) -> bool:
        """Whether all requests should end; what is wrong on purpose need not."""
        return self.program == "product"

    @property
    def end_within(self) -> float:
        """Seconds that the last request may take after the last fault is over."""
        return max(60.0, self.seconds) if self.ends_well else 15.0

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
        specs: Mapping[str, str] = self.file_specs
        for number, key in enumerate(self.keys):
            yield from ("[[definition]]", f'customer_key = "{key}"')
            if key in self.windows:
                yield f"max_import_frequency = {WINDOW_HOURS}"
            # Files have several names, for follow-ups that coalesce or do not.
            yield f'when_mismatch = "{"start" if specs[key] == ANY_FILE else "reject"}"'
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
