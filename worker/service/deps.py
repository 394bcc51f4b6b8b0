"""What every use case is given; filled in by worker.bootstrap, by fakes in the tests."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from worker.domain.policy import Policy
from worker.domain.retrying import Backoff
from worker.ports import Clock, Definitions, Ledger, MarketingCloud, Patience

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds. `call` is the longest a Perform may take, `settle` how long a row may take to appear."""

    call: float
    settle: float
    retry: Backoff
    look: Backoff
    follow: Backoff


class Persist(Protocol):
    """Repeats a step of the ledger while Redis is away."""

    def __call__(self, step: Callable[[], T]) -> T:
        """Give the answer of the step; raises LedgerDownError when Redis stays away."""
        ...


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
    persist: Persist
    policies: Callable[[str, str], Policy]
    chance: Callable[[], float]
    timing: Timing
    baseline: bool = True
