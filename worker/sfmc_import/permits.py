"""The terms of the quota: kinds of calls, limits of an account, permits, and the state of a circuit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from sfmc_import.faults import NotApplied

Share = Literal["start", "follow", "rest"]
"""Who shares the calls of an account: starts, the following of runs, and everything else."""

SHARES: Mapping[Share, float] = {"start": 0.5, "follow": 0.3, "rest": 0.2}
"""The part of the limit that each has for sure; what one leaves, the others may use."""

Kind = Literal["perform", "definition", "runs", "poll", "other"]
"""What a call is for: a start, a definition, the runs of a definition, runs that are followed, or something else."""

SHARE_OF: Mapping[Kind, Share] = {
    "perform": "start",
    "definition": "start",
    "runs": "start",
    "poll": "follow",
    "other": "rest",
}

CALLS_OF_A_START = 3
"""Permits that a start takes together: its definition, its earlier runs, Perform."""

LEAST_LIMIT = 60
"""The least calls per minute that leave room for a whole start."""

FAILURES_THAT_OPEN = 3
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 60.0
ACCOUNT = ""
"""The scope of the circuit of the whole account; those of logins end in `@` and the id of the login."""

OF_LOGIN = "@"
"""Between the business unit of a circuit of a login and the id of this login."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaLimits:
    """What holds for an account, which is the host of its SOAP API: all its business units count together.

    `calls_per_minute`, `per_day` and `per_year` are 0 without a limit. Days are those of `time_zone`. After
    `probe_seconds` a call that tried alone counts as lost.
    """

    account: str
    calls_per_minute: int = 0
    per_day: int = 0
    per_year: int = 0
    when_spent: Literal["warn", "hold"] = "warn"
    time_zone: str = "UTC"
    probe_seconds: float = 130.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """A circuit as the ledger has it: open for `left` more seconds, closed where that is None.

    `by` names the processes and the logins whose calls failed, the newest first.
    """

    epoch: int = 0
    failures: int = 0
    left: float | None = None
    is_probe: bool = False
    code: str = ""
    text: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """The login of a process and its way to it: `id` tells logins apart and reveals nothing, `shown` is for people."""

    id: str = ""
    shown: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permits:
    """So many calls may be made now; with none, room is expected in `wait` seconds, and `why` names what holds.

    `budget` says which one is spent: that of the `day` or of the `year`; empty where none is.
    """

    count: int
    wait: float
    why: str
    circuits: Mapping[str, Circuit]
    budget: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A call that may be made: `probes` are the open circuits that it tries alone, `epochs` what was known of them."""

    mid: str = ""
    kind: Kind = "other"
    probe: str = ""
    probes: tuple[str, ...] = ()
    epochs: Mapping[str, int] = field(default_factory=dict)


class Gate(Protocol):
    """What stands before each call to Marketing Cloud: the quota of the account and its circuit breaker."""

    def enter(self, kind: Kind, mid: str, customer_key: str) -> Entry | NotApplied:
        """Let a call pass, or say why and for how long it is held; `customer_key` is empty where it is of many."""
        ...

    def leave(self, entry: Entry, answer: object) -> None:
        """Note the answer to the call; None when it raised an error."""
        ...


class OpenGate:
    """Lets every call pass, for commands that make a few calls by hand."""

    def enter(self, kind: Kind, mid: str, customer_key: str) -> Entry | NotApplied:
        """Let it pass."""
        del customer_key
        return Entry(mid=mid, kind=kind)

    def leave(self, entry: Entry, answer: object) -> None:
        """Note nothing."""


class QuotaLedger(Protocol):
    """What all processes of an account share about their calls; raises LedgerUnavailableError."""

    def take(self, share: Share, need: int, want: int, mid: str, used: Mapping[str, int]) -> Permits:
        """Count what was `used`, and give up to `want` permits, at least `need`, or none."""
        ...

    def probe(self, scope: str, probe: str) -> Circuit:
        """Ask for the one place from which a call is made while this circuit is open."""
        ...

    def report(
        self,
        scope: str,
        probe: str,
        epoch: int,
        outcome: str,
        *,
        code: str = "",
        text: str = "",
        asked: float = 0.0,
        by: str = "",
    ) -> Circuit:
        """Note how a call ended: `failed` for the whole scope, `answered`, or `unknown`; gives the circuit after it."""
        ...
