"""The whole outside world on one page: what the use cases ask of Marketing Cloud, the ledger and the clock."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sfmc_import.faults import Fault, NotApplied, Rejected
from sfmc_import.policy import Policy
from sfmc_import.request import StartRequest
from sfmc_import.retrying import Backoff
from sfmc_import.runs import Accepted, Definition, Run
from sfmc_import.states import Decision, DueRequest, Followed, Lease

Refusal = NotApplied | Rejected


class LedgerUnavailableError(RuntimeError):
    """Redis cannot be asked now, or cannot promise durability; nothing is known about the step that was tried."""


class MarketingCloud(Protocol):
    """The SOAP service; every failure is a value. Queries change nothing, so they are never ambiguous."""

    def prepare(self) -> None:
        """Do beforehand what the first call would wait for; asks nothing of the service."""
        ...

    def start(self, mid: str, customer_key: str, *, not_after: float) -> Accepted | Fault:
        """Send Perform "start" once, on its own connection, unless `not_after` (CLOCK_BOOTTIME seconds) is past."""
        ...

    def definition(self, mid: str, customer_key: str) -> Definition | Refusal | None:
        """Retrieve one ImportDefinition; None when no such key exists."""
        ...

    def definitions(self, mid: str) -> Sequence[Definition] | Refusal:
        """Retrieve all ImportDefinitions of a business unit."""
        ...

    def runs_of(self, mid: str, customer_key: str) -> Sequence[Run] | Refusal:
        """List all rows of ImportResultsSummary that name this definition."""
        ...

    def runs(self, mid: str, task_ids: Collection[str]) -> Mapping[str, Run] | Refusal:
        """Look up runs by TaskResultID in one query; what is not visible yet is absent."""
        ...


class Ledger(Protocol):
    """The state in Redis. Each method is one atomic step that writes state and event together, on Redis time.

    Every step may be repeated with the same arguments and gives the same answer without a second event.
    Steps with a grant return False when its fence is stale.
    """

    def accept(self, request: StartRequest) -> bool:
        """Record a request; False when this request_id was recorded before."""
        ...

    def refuse(self, request: StartRequest, code: str, text: str) -> None:
        """Record a request that can never be carried out, and its end as `rejected`."""
        ...

    def claim(self, request: StartRequest, owner: str, policy: Policy) -> Decision:
        """Record the request if it is new, decide, and give a lease to `owner` where it may act."""
        ...

    def load(self, request_id: str) -> StartRequest | None:
        """Read a recorded request; None when the ledger does not know it (any more)."""
        ...

    def record_intent(self, grant: Lease, known: Collection[str], *, above: bool = False) -> float | None:
        """Write the intent before the first attempt; the lease left in seconds, or None when the fence is stale.

        With `above` every TaskResultID up to the newest that the ledger knows counts as known too.
        """
        ...

    def renew_intent(self, grant: Lease) -> float | None:
        """Mark the next attempt as possibly applied and renew the lease; answers as `intend`."""
        ...

    def withdraw_intent(self, grant: Lease) -> bool:
        """Take the mark of `sending` back: this attempt provably was not applied."""
        ...

    def started(
        self, grant: Lease, start: Accepted, window: float, policy: Policy, *, reconciled: bool = False
    ) -> bool:
        """Commit an accepted start and its window in hours; a late one is accepted if nothing else was started."""
        ...

    def retry(self, grant: Lease, fault: Fault, delay: float) -> str | None:
        """Nothing was applied, or nothing was found and policy allows to repeat: due again after `delay` seconds.

        Gives the state after it: `retrying`, or `gave_up` when the retry deadline would be over by then;
        None when the fence is stale.
        """
        ...

    def mark_ambiguous(self, grant: Lease, fault: Fault, delay: float, policy: Policy) -> bool:
        """A start may have been applied: `reconciling`, first look after `delay` seconds."""
        ...

    def reconcile_later(self, grant: Lease, delay: float) -> bool:
        """Nothing to be seen yet: release the lease and look again after `delay` seconds."""
        ...

    def record_start_unknown(self, grant: Lease, candidates: Sequence[str], window: float) -> bool:
        """End as `start_unknown`; the window in hours counts as used, for the import may have started."""
        ...

    def reject(self, grant: Lease, fault: Rejected) -> bool:
        """End as `rejected` and free the definition."""
        ...

    def unassigned_task_ids(self, mid: str, task_ids: Collection[str]) -> frozenset[str]:
        """Of these TaskResultIDs, those that no request has been given."""
        ...

    def followed(self, request_ids: Collection[str]) -> Sequence[Followed]:
        """Of these requests, those that are `started` now."""
        ...

    def progressed(self, run: Followed, status: str | None, delay: float) -> None:
        """Note a look at a run: an event when `status` is new, next look after `delay` seconds."""
        ...

    def ended(self, run: Followed, outcome: str, result: Run | None, policy: Policy) -> None:
        """End a run with its terminal event (`completed`, …, `follow_timed_out`) and let the next follow-up in."""
        ...

    def resume(self, request_id: str, policy: Policy) -> bool:
        """Follow a run again whose following had timed out; False when the request has no run to follow."""
        ...

    def resolve(self, request_id: str, task_id: str | None, operator: str, reason: str | None, policy: Policy) -> bool:
        """Record what an operator says of a request in `start_unknown`: its Task.ID, or None: nothing was started.

        With a Task.ID it is `started` and followed; without one window, file and source event are free again.
        False when the request stands elsewhere, or the run belongs to another one.
        """
        ...

    def write_probe(self, who: str, count: int) -> bool:
        """Write `count`, one more each time, for the process `who`; True when the number before it was lost."""
        ...

    def due(self, limit: int, pause: float) -> Sequence[DueRequest]:
        """Requests whose time has come, at most `limit`, each not given again for `pause` seconds."""
        ...


class Definitions(Protocol):
    """Definitions as last read, with a time to live."""

    def get(self, mid: str, customer_key: str) -> Definition | Refusal | None:
        """Give a definition from memory, or ask Marketing Cloud; None when no such key exists."""
        ...


class Clock(Protocol):
    """CLOCK_BOOTTIME, which also counts while a machine sleeps."""

    def boottime(self) -> float:
        """Seconds since an arbitrary start."""
        ...


RetryCall = Callable[[Callable[[], Accepted | Fault | None]], Accepted | Fault | None]
"""Calls an attempt again, within seconds, while it answers NotApplied."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds. `call` is the longest a Perform may take, `results_delay` how long a row may take to appear."""

    call: float
    results_delay: float
    retry: Backoff
    reconcile: Backoff
    follow: Backoff


class RetryLedger(Protocol):
    """Repeats a step of the ledger while Redis is away."""

    def __call__(self, step: Callable[[], T]) -> T:
        """Give the answer of the step; raises LedgerUnavailableError when Redis stays away."""
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
    retry_call: RetryCall
    retry_ledger: RetryLedger
    policies: Callable[[str, str], Policy]
    chance: Callable[[], float]
    timing: Timing
    baseline: bool = True
