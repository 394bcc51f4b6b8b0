"""The terms of the quota: kinds of calls, limits of an account, permits, and the state of a circuit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

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
"""The scope of the circuit of the whole account; those of logins have the business unit."""


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
    """A circuit as the ledger has it: open for `left` more seconds, closed where that is None."""

    epoch: int = 0
    failures: int = 0
    left: float | None = None
    is_probe: bool = False
    code: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permits:
    """So many calls may be made now; with none, room is expected in `wait` seconds, and `why` names what holds."""

    count: int
    wait: float
    why: str
    circuits: Mapping[str, Circuit]
