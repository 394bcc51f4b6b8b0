"""Names of the keys: all share one hash tag, so that every script stays in one slot of a cluster."""

from dataclasses import dataclass, field
from typing import Any, Literal

from sfmc_import.request import StartRequest


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names under `prefix`.

    The stream keeps its plain documented name; its whole name is the hash tag of all other keys,
    which puts them into the slot of the stream.
    """

    prefix: str = "sfmc-import:"

    @property
    def stream(self) -> str:
        """The stream of events."""
        return f"{self.prefix}events"

    @property
    def tag(self) -> str:
        """What every other key begins with."""
        return f"{{{self.stream}}}:"

    @property
    def due(self) -> str:
        """The sorted set of next times, in milliseconds of Redis time."""
        return f"{self.tag}due"

    def request(self, request_id: str) -> str:
        """The record of a request."""
        return f"{self.tag}r:{request_id}"

    def definition(self, mid: str, customer_key: str) -> str:
        """Holder, fence, lease and window of a definition."""
        return f"{self.tag}d:{mid}:{customer_key}"

    def waiting(self, mid: str, customer_key: str) -> str:
        """The follow-ups of a definition in order of arrival."""
        return f"{self.tag}w:{mid}:{customer_key}"

    def task(self, mid: str, task_id: str) -> str:
        """Which request a TaskResultID belongs to."""
        return f"{self.tag}t:{mid}:{task_id}"


def scope(request: StartRequest) -> tuple[str, str]:
    """What single flight is about: business unit and CustomerKey."""
    return request.mid, request.customer_key


# How long replicas and disk may take to confirm, in milliseconds.
CONFIRM_TIMEOUT_MS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Durability:
    """`wait` asks `replicas` to confirm, `waitaof` (Redis 7.2, Valkey) also the local disk, `none` asks nobody."""

    kind: Literal["none", "wait", "waitaof"] = "none"
    replicas: int = 0

    @property
    def command(self) -> tuple[Any, ...] | None:
        """The command that follows the script on the same connection; None when nobody is asked."""
        if self.kind == "wait":
            return ("WAIT", self.replicas, CONFIRM_TIMEOUT_MS)
        if self.kind == "waitaof":
            return ("WAITAOF", 1, self.replicas, CONFIRM_TIMEOUT_MS)
        return None

    def is_met(self, answer: Any) -> bool:
        """Judge the answer of `command`."""
        if self.kind == "wait":
            return int(answer) >= self.replicas
        if self.kind == "waitaof":
            local, replicas = answer
            return int(local) >= 1 and int(replicas) >= self.replicas
        return True


_DAY = 86_400.0
_TIMES = (
    "lease",
    "results_delay",
    "accept_grace",
    "recheck",
    "request_ttl",
    "seen_ttl",
    "unfinished_ttl",
    "loss_ttl",
    "pulse_ttl",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """Times of the ledger in seconds.

    `results_delay` is how long a row of ImportResultsSummary may take to appear,
    `accept_grace` how long a Celery message may take before the sweep sends another,
    `recheck` how often a follow-up looks although nobody woke it, `first_poll` when a new run is looked at,
    `loss_ttl` how long starts are careful after Redis lost writes, `pulse_ttl` how long a process may be away
    before its number is forgotten. `max_lost` workers may die with a request.
    """

    prefix: str = "sfmc-import:"
    lease: float = 180.0
    results_delay: float = 60.0
    accept_grace: float = 5.0
    recheck: float = 600.0
    first_poll: float = 5.0
    request_ttl: float = 30 * _DAY
    seen_ttl: float = 30 * _DAY
    unfinished_ttl: float = 90 * _DAY
    stream_maxlen: int = 1_000_000
    loss_ttl: float = 900.0
    pulse_ttl: float = 3600.0
    max_lost: int = 3
    durability: Durability = field(default_factory=Durability)

    def for_scripts(self) -> dict[str, int]:
        """The whole numbers the scripts read."""
        numbers = {name: round(getattr(self, name) * 1000) for name in _TIMES}
        return numbers | {"stream_maxlen": self.stream_maxlen, "max_lost": self.max_lost}
