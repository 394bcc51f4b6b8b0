"""What every use case is given; filled in by worker.bootstrap, by fakes in the tests."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from worker.domain.policy import Policy
from worker.domain.retrying import Backoff
from worker.ports import Clock, Definitions, Ledger, MarketingCloud, Patience

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds. `call` is the longest a Perform may take, `settle` how long a row may take to appear."""

    call: float = 130.0
    settle: float = 60.0
    retry: Backoff = Backoff(floor=15.0, cap=900.0)
    look: Backoff = Backoff(floor=10.0, cap=120.0)
    follow: Backoff = Backoff(floor=5.0, cap=60.0, factor=1.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """The ports and the policies; `persist` repeats a step of the ledger while Redis is away, within its patience.

    `baseline` says whether the runs of a definition are listed before each first attempt.
    """

    marketing_cloud: MarketingCloud
    ledger: Ledger
    definitions: Definitions
    clock: Clock
    patience: Patience
    persist: Callable[[Callable[[], bool]], bool]
    policies: Callable[[str, str], Policy]
    chance: Callable[[], float]
    timing: Timing = Timing()
    baseline: bool = True
