"""What the scripts have to be told: names and times; nothing is read from an environment."""

from dataclasses import dataclass, field

from worker.adapters.ledger.durability import Durability

_DAY = 86_400.0
_TIMES = (
    "lease",
    "settle",
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

    `settle` is how long a row of ImportResultsSummary may take to appear,
    `accept_grace` how long a Celery message may take before the sweep sends another,
    `recheck` how often a follow-up looks although nobody woke it, `first_look` when a new run is looked at,
    `loss_ttl` how long starts are careful after Redis lost writes, `pulse_ttl` how long a process may be away
    before its number is forgotten. `max_lost` workers may die with a request.
    """

    prefix: str = "sfmc-import:"
    lease: float = 180.0
    settle: float = 60.0
    accept_grace: float = 5.0
    recheck: float = 600.0
    first_look: float = 5.0
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
