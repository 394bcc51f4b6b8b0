"""The settings of the ledger: its times, its limits, and who confirms what it writes."""

from dataclasses import dataclass, field
from typing import Any, Literal

from sfmc_import.request import DEFAULT_PREFIX

# How long replicas and disk may take to confirm an intent, and what else was recorded, in milliseconds: a client waits
# for three seconds, and `everysec` writes to disk once in one of them.
CONFIRM_TIMEOUT_MS = 1500
CONFIRM_RECORDS_MS = 2500


@dataclass(frozen=True, slots=True, kw_only=True)
class Durability:
    """Who confirms an intent before Perform is sent, and a request before its source lets go of it.

    `none`: no confirmation. `wait`: `replicas` replicas must confirm. `waitaof` (Redis 7.2, Valkey): the local disk
    must confirm as well.
    """

    kind: Literal["none", "wait", "waitaof"] = "none"
    replicas: int = 0
    records_ms: int = CONFIRM_RECORDS_MS

    @property
    def command(self) -> tuple[Any, ...] | None:
        """The command that follows the script of an intent on the same connection; None without confirmation."""
        return self._within(CONFIRM_TIMEOUT_MS)

    @property
    def barrier(self) -> tuple[Any, ...] | None:
        """The command that follows the mark behind other records on the same connection; None without confirmation."""
        return self._within(self.records_ms)

    def _within(self, milliseconds: int) -> tuple[Any, ...] | None:
        if self.kind == "wait":
            return ("WAIT", self.replicas, milliseconds)
        if self.kind == "waitaof":
            return ("WAITAOF", 1, self.replicas, milliseconds)
        return None

    def is_met(self, answer: Any) -> bool:
        """Tell whether the answer of `command` is a confirmation."""
        if self.kind == "wait":
            return int(answer) >= self.replicas
        if self.kind == "waitaof":
            local, replicas = answer
            return int(local) >= 1 and int(replicas) >= self.replicas
        return True


POLL_STEP = 0.5
"""Polls of all runs meet at multiples of this part of `first_poll`: each waits so much longer at most."""

WATCH_SECONDS = 60.0
"""How long what a watcher said of its folders holds: it says it again every 15 seconds."""

CAREFUL_SECONDS = 900.0
"""How long starts look for runs after a loss, beyond the time until the last start before it would show."""


def careful_seconds(answer: float, results_delay: float) -> float:
    """Give how long a write loss is in force; `answer` is the longest time until Marketing Cloud answers."""
    return CAREFUL_SECONDS + answer + results_delay


_DAY = 86_400.0
_TIMES = (
    "lease",
    "answer",
    "results_delay",
    "accept_grace",
    "recheck",
    "request_ttl",
    "seen_ttl",
    "unfinished_ttl",
    "loss_ttl",
    "probe_ttl",
    "watch_ttl",
    "folders_ttl",
    "schedule_ttl",
    "session_ttl",
    "usage_day_ttl",
    "usage_ttl",
    "definition_ttl",
    "marks_ttl",
    "token_ttl",
    "token_lease_ttl",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """Times of the ledger in seconds.

    `answer` is how long a worker with these settings waits for the answer to a start,
    `results_delay` is how long a row of ImportResultsSummary may take to appear,
    `accept_grace` how long a Celery message may take before the sweep sends another,
    `recheck` how often a follow-up is tried although it was not woken, `first_poll` when a new run is polled first,
    `loss_ttl` how long starts look for existing runs after a write loss, `probe_ttl` how long a process may be
    away before its number is forgotten, `watch_ttl` how long what a watcher said of its folders is kept,
    `folders_ttl` how long a folder that no watcher reads any more is remembered,
    `schedule_ttl` how long the last look at a schedule is kept: longer than a missed tick can be made up for,
    `session_ttl` how long a login at the console lasts, `usage_day_ttl` how long the calls of a day are kept,
    `usage_ttl` how long those of a month or a year,
    `definition_ttl` how long a definition is shared, `marks_ttl` how long it is known that one was to be read again,
    `token_ttl` how long an access token is shared at most, `token_lease_ttl` how long one process alone asks for one.
    `max_lost` workers may die with a request while it is the only suspect; the loss that made it one is not counted.
    """

    prefix: str = DEFAULT_PREFIX
    lease: float = 180.0
    answer: float = 130.0
    results_delay: float = 60.0
    accept_grace: float = 5.0
    recheck: float = 600.0
    first_poll: float = 5.0
    request_ttl: float = 30 * _DAY
    seen_ttl: float = 30 * _DAY
    unfinished_ttl: float = 90 * _DAY
    stream_maxlen: int = 1_000_000
    loss_ttl: float = 900.0
    probe_ttl: float = 3600.0
    watch_ttl: float = WATCH_SECONDS
    folders_ttl: float = 14 * _DAY
    schedule_ttl: float = 8 * _DAY
    session_ttl: float = 12 * 3600.0
    usage_day_ttl: float = 35 * _DAY
    usage_ttl: float = 400 * _DAY
    definition_ttl: float = 300.0
    marks_ttl: float = _DAY
    token_ttl: float = _DAY
    token_lease_ttl: float = 10.0
    max_lost: int = 3
    durability: Durability = field(default_factory=Durability)

    def for_scripts(self) -> dict[str, int]:
        """The whole numbers the scripts read."""
        numbers = {name: round(getattr(self, name) * 1000) for name in _TIMES}
        numbers["poll_step"] = max(1, round(self.first_poll * POLL_STEP * 1000))
        return numbers | {"stream_maxlen": self.stream_maxlen, "max_lost": self.max_lost}
