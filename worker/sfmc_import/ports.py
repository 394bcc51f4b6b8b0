"""Declares what the use cases call: Marketing Cloud, the ledger, the definitions and the clock."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeVar

from sfmc_import.checking import Days
from sfmc_import.errors import SfmcImportError
from sfmc_import.faults import Fault, NotApplied, Rejected
from sfmc_import.file_format import FileDescription
from sfmc_import.policy import Policy
from sfmc_import.processes import Process
from sfmc_import.request import StartRequest
from sfmc_import.retrying import Backoff, RetryPolicy
from sfmc_import.runs import Accepted, Definition, FileLocation, Run, Unexpected
from sfmc_import.states import Decision, DueRequest, Followed, Held, Lease, Reply, Reported, Result, Turn

Refusal = NotApplied | Rejected

if TYPE_CHECKING:
    from sfmc_import.clocks import Between


class LedgerUnavailableError(SfmcImportError):
    """Redis is unavailable or cannot confirm durability; the step may or may not have been done."""


class NotConfirmedError(LedgerUnavailableError):
    """Redis has what was recorded (`is_recorded`) or had it, unconfirmed by disk or replicas: it may be lost yet."""

    def __init__(self, text: str, *, is_recorded: bool = True) -> None:
        super().__init__(text)
        self.is_recorded = is_recorded


class MarketingCloud(Protocol):
    """The SOAP service; every failure is a value. Queries change nothing, so they are never ambiguous."""

    def prepare(self) -> None:
        """Do beforehand what the first call would wait for, without a call to the service."""
        ...

    def stop(self, seconds: float) -> None:
        """The process ends: cut queries now, and starts that were sent `seconds` later; nothing new is sent."""
        ...

    def start(self, mid: str, customer_key: str, *, not_after: float) -> Accepted | Fault:
        """Send Perform "start" once, unless `not_after` (CLOCK_BOOTTIME seconds) is past."""
        ...

    def definition(self, mid: str, customer_key: str) -> Definition | Refusal | None:
        """Retrieve one ImportDefinition; None when no such key exists."""
        ...

    def definition_of_object(self, mid: str, object_id: str) -> Definition | Refusal | None:
        """Retrieve one ImportDefinition by its ObjectID; None when there is none."""
        ...

    def definitions(self, mid: str) -> Sequence[Definition] | Refusal:
        """Retrieve all ImportDefinitions of a business unit."""
        ...

    def runs_of(self, mid: str, customer_key: str, *, above: str | None = None) -> Sequence[Run] | Refusal:
        """List all rows of ImportResultsSummary that name this definition, with their StartDate.

        With `above` it asks only for those with a greater TaskResultID; it may give others too.
        """
        ...

    def runs(self, mid: str, task_ids: Collection[str]) -> Mapping[str, Run] | Refusal:
        """Look up runs by TaskResultID in one query; what is not visible yet is absent."""
        ...


class Describing(Protocol):
    """What Marketing Cloud says about the file of a definition."""

    def description(self, mid: str, customer_key: str) -> FileDescription | Refusal | None:
        """Give how a definition reads its file, and the columns of its destination; None without the definition."""
        ...

    def location(self, mid: str, customer_key: str) -> FileLocation | Refusal | None:
        """Give from where a definition reads its file; None without the definition."""
        ...


class Ledger(Protocol):
    """The state in Redis. Each method is one atomic step that writes state and event together, on Redis time.

    Every step may be repeated with the same arguments and gives the same answer without a second event.
    Steps with a lease return False when its fencing token is stale.
    """

    def accept(self, request: StartRequest, *, report: bool = False) -> bool:
        """Record a request; False when this request_id was recorded before.

        Raises IdTakenError when it was recorded with other content, and publishes an event of it if `report`: not for
        a message, which becomes a dead letter and has its event then.
        """
        ...

    def confirm(self, recorded: Collection[str | Reported]) -> None:
        """Return once disk or replicas have these records and all of before, as SFMC_DURABILITY asks, if it does.

        Raises LedgerUnavailableError where they do not confirm it now, or where the ledger lacks one of the records.
        """
        ...

    def claim(
        self,
        request: StartRequest,
        owner: str,
        policy: Policy,
        definition: Definition | None = None,
        read_ago: float = 0.0,
        oldest: float | None = None,
    ) -> Decision:
        """Record the request if it is new, decide, and give a lease to `owner` where it may act.

        `definition` is what Marketing Cloud says about a request that was not resolved before, asked for `read_ago`
        seconds ago; it is noted with it. If that was before the request, later answers are not compared with it; and
        if it was longer ago than `oldest`, it lets the request start, but neither wait behind another one nor end:
        ReadFirst then, and the request is not resolved.
        Raises IdTakenError when this request_id was recorded with other content; nothing is changed then.
        """
        ...

    def read_again(self, request_id: str, definition: Definition, read_ago: float) -> bool:
        """Note a definition that was asked for after the request, in place of one that was asked for before it.

        False where this one was asked for before it too, or nothing is to be noted (any more). A request that waits,
        and whose CustomerKey is that of another definition by now, is decided anew.
        """
        ...

    def hold(self, request: StartRequest, owner: str) -> tuple[bool, Decision | None]:
        """Record a request, and hold it for `owner`, for one lease, while its definition is read: a loss is counted.

        Gives whether it was new, and nothing when the worker may go on; `claim` or `unresolved` ends the hold.
        Otherwise why it must not read now: another worker does, another suspect acts, or the request waits or has
        ended. A request whose definition is known is not held. Raises IdTakenError as `claim`.
        """
        ...

    def outlived(self, owner: str, request_ids: Collection[str]) -> None:
        """Note that the process of `owner` lives, which held these requests and could not reach the ledger at the end.

        The hold that runs out, or has run out, is no lost worker then. Other requests are left as they are.
        """
        ...

    def held(self, request_id: str, owner: str) -> Held | None:
        """Give what `owner` holds of a request with which it cannot go on; None for what another one has."""
        ...

    def unresolved(
        self, request: StartRequest, fault: Refusal, delay: float, policy: Policy, said_ago: float = 0.0
    ) -> str:
        """Record that the definition of a request is refused, or cannot be read now; gives the state after it.

        `rejected` for a refusal; else `retrying`, due again after `delay` seconds, or `gave_up` at the deadline. A
        refusal that was asked for `said_ago` seconds ago, before the request came, is asked for again.
        Where the request stands elsewhere nothing changes. Raises IdTakenError as `claim` does.
        """
        ...

    def load(self, request_id: str) -> StartRequest | None:
        """Read a recorded request; None when the ledger does not know it (any more)."""
        ...

    def record_intent(
        self,
        lease: Lease,
        known: Collection[str],
        *,
        window: float = 0.0,
        above: bool = False,
        bound: str | None = None,
        policy: Policy | None = None,
        is_sent: bool = True,
    ) -> float | NotApplied | None:
        """Write the intent before the first attempt; seconds left of the lease, or None when the token is stale.

        Gives NotApplied `paused` while an operator's pause holds the request, and `window` while the window is not
        over, as this `window` makes it: it counts from the last start, and may be longer than it was then. Where the
        CustomerKey is another one than was asked, gives `after` while a run is missing that this `policy` asks for.

        `window` is that of the start, in hours: whoever ends the request later may not be able to read the definition.
        With `above` every TaskResultID up to the newest that the ledger knows counts as known too. With `bound` those
        up to this one were not asked for: `known` has the newer ones. Where nothing will be sent (`is_sent` is False),
        for a run exists that may be ours, nothing holds the request.
        """
        ...

    def renew_intent(self, lease: Lease) -> float | NotApplied | None:
        """Mark the next attempt as possibly applied and renew the lease; answers as `record_intent`."""
        ...

    def withdraw_intent(self, lease: Lease, *, unproved: bool = False) -> bool:
        """Withdraw the mark of this attempt: it was not applied.

        With `unproved` only the answer says so: the intent stays, and the next attempt looks for a run since it.
        """
        ...

    def started(
        self, lease: Lease, start: Accepted, window: float, policy: Policy, *, reconciled: bool = False
    ) -> bool:
        """Commit an accepted start and its window in hours; a late one is accepted if nothing else was started."""
        ...

    def retry(
        self, lease: Lease, fault: Fault, delay: float, *, let_go: bool = False, anew: bool = False
    ) -> str | None:
        """Nothing was applied, or nothing was found and policy allows to repeat: due again after `delay` seconds.

        With `let_go` other requests may have the definition until then, and the window is asked again. With `anew` too
        the request is resolved again: its CustomerKey is that of another definition by now.
        What hit the whole account moves the retry deadline by the time that it took.
        Gives the state after it: `retrying`, or `gave_up` when the retry deadline would be over by then
        (`start_unknown` or `reconciling` as in `reject`); None when the fencing token is stale.
        """
        ...

    def mark_ambiguous(self, lease: Lease, fault: Fault, delay: float, policy: Policy) -> bool:
        """A start may have been applied: `reconciling`, reconciled first after `delay` seconds.

        A start that was denied is looked for once; the claims that follow name the code of the answer.
        """
        ...

    def reconcile_later(self, lease: Lease, fault: Fault, delay: float) -> bool:
        """No run so far: reconcile again after `delay` seconds; what hit the whole account moves the deadline by it."""
        ...

    def record_start_unknown(self, lease: Lease, candidates: Sequence[str], window: float) -> bool:
        """End as `start_unknown`; the window in hours counts as used, for the import may have started."""
        ...

    def reject(self, lease: Lease, fault: Rejected) -> str | None:
        """End as `rejected` and free the definition; gives the state of the end, None for an old lease.

        It is `reconciling` where the answer, or an earlier one, was no proof: a run is looked for before the end. It
        is `start_unknown` where an earlier attempt was repeated without proof that it was not applied.
        """
        ...

    def unassigned_task_ids(self, mid: str, task_ids: Collection[str]) -> frozenset[str]:
        """Of these TaskResultIDs, those that are assigned to no request."""
        ...

    def followed(self, request_ids: Collection[str]) -> Sequence[Followed]:
        """Of these requests, those that are `started` now."""
        ...

    def polling(self, request_ids: Collection[str], owner: str) -> Turn:
        """Hold runs for one lease, because their answer may kill the worker: it counts when no answer is recorded.

        A run that lost a worker is a suspect and gets a turn of its own, when no other suspect acts. One that lost too
        many ends as `follow_timed_out`.
        """
        ...

    def progressed(self, run: Followed, status: str | None, delay: float, fault: Refusal | None = None) -> None:
        """Record a poll: an event when `status` is new, the next after `delay` seconds; a `fault` is shown."""
        ...

    def ended(
        self, run: Followed, outcome: str, result: Run | None, policy: Policy, unexpected: Unexpected | None = None
    ) -> Mapping[str, Any]:
        """End a run with its terminal event (`completed`, …, `follow_timed_out`) and wake the next follow-up.

        `unexpected` is what makes it `completed_suspicious`. The rows of a completed run are kept for the next one.

        After an Error it gives `consecutive_errors` of the definition, and `window_opens` where a start must wait.
        """
        ...

    def resume(self, request_id: str, policy: Policy) -> bool:
        """Follow a run again whose following had timed out; False when the request has no run to follow."""
        ...

    def resolve(
        self,
        request_id: str,
        task_id: str | None,
        operator: str,
        reason: str | None,
        policy: Policy,
        *,
        force: bool = False,
    ) -> bool | None:
        """Record what an operator found out about a request in `start_unknown`: its Task.ID, or None for no start.

        With a Task.ID it is `started` and followed; without one window, file and source event are free again.
        False when the request stands elsewhere, or the run belongs to another one; None when another operator has said
        the same before, or that nothing was started (a moment ago, or it was replayed since). `force` takes the run.
        """
        ...

    def report(self, report_id: str, name: str, mid: str, subject: str, data: Mapping[str, Any]) -> bool:
        """Publish an event about an arrival or a message that became no request; False when it was published before."""
        ...

    def write_probe(self, who: str, count: int, call: float = 0.0) -> bool:
        """Write `count`, one more each time, for the process `who`; True when the number before it was lost.

        `call` is the longest time that one of its calls may take.
        """
        ...

    def present(self, process: Process) -> str:
        """Note that a process lives; gives the account that the ledger belongs to, empty before the first worker."""
        ...

    def absent(self, process: Process) -> None:
        """Note that a process has ended."""
        ...

    def results(self, limit: int) -> Sequence[Result]:
        """Requests that have started or ended and whose sender waits for the result: at most `limit` of them."""
        ...

    def result_stored(self, result: Result, proof: str = "") -> None:
        """Note that the sender has it; with a key as `proof` only if the server that notes it has that."""
        ...

    def replies(self, limit: int, pause: float) -> Sequence[Reply]:
        """Ends that are to be sent to a task of their sender, each not given again for `pause` seconds."""
        ...

    def reply_sent(self, reply: Reply, proof: str = "") -> None:
        """Note that it was sent; `proof` as above."""
        ...

    def due(self, limit: int, pause: float) -> Sequence[DueRequest]:
        """Requests whose time has come, each not given again for `pause` seconds.

        First those that have a run to be polled, four times `limit` at most, then at most `limit` of all others.
        """
        ...


class ScheduleState(Protocol):
    """What beats share about schedules; every time is one of the clock of Redis."""

    def read(self, sources: Sequence[str]) -> tuple[datetime, Mapping[str, datetime]]:
        """Give the time, and until when the ticks of these schedules are done; a new one is left out."""
        ...

    def note(self, source: str, seen: datetime) -> None:
        """Note that all ticks of a schedule until `seen` are done."""
        ...

    def recorded_at(self, request_id: str) -> datetime | None:
        """Give when a request came into the ledger; None for one that is not there."""
        ...

    def own_id(self, usual: str) -> str:
        """Give an id in place of a `usual` one that is taken: it cannot be foreseen, and is the same each time."""
        ...


class Definitions(Protocol):
    """Definitions as last read, with a time to live."""

    def get(
        self, mid: str, customer_key: str, *, object_id: str | None = None, max_age: float = inf
    ) -> Definition | Refusal:
        """Give a definition from memory, if it is not older than `max_age` seconds, or ask Marketing Cloud.

        With `object_id` it is found by that. Where there is none it is a refusal. Each says when it was asked for.
        """
        ...

    def known(self, mid: str, customer_key: str) -> Definition | None:
        """Give a definition from memory; None when Marketing Cloud would have to be asked."""
        ...

    def forget(self, mid: str, customer_key: str) -> None:
        """Read a definition anew when it is needed next: Marketing Cloud refused what it says."""
        ...


class Clock(Protocol):
    """CLOCK_BOOTTIME, which also counts while a machine sleeps, and three clocks that show the day."""

    def boottime(self) -> float:
        """Seconds since an arbitrary start."""
        ...

    def wall(self) -> float:
        """Seconds since 1970, as this machine has it; it may be set."""
        ...

    def service(self) -> float | None:
        """Seconds since 1970, as Marketing Cloud has it; None while no answer has named its time."""
        ...

    def note_redis(self, time: float, asked: float) -> None:
        """Note the time that Redis gave now, and was `asked` for at that boottime."""
        ...

    def between(self, moment: float) -> "Between":
        """Say when a moment that Redis has noted was by the clock of Marketing Cloud: none of both is trusted."""
        ...


T = TypeVar("T")


class RetryCall(Protocol):
    """Repeats a call within seconds, by one policy of `retrying`."""

    def __call__(self, attempt: Callable[[], T]) -> T:
        """Return the first answer that is final, or the last one. Raises what the last attempt raised."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds and pauses. `call` is the longest time of a Perform, `results_delay` that until a row appears.

    `check_age` is how old a definition may be right before a start; `days` says how dates in FileSpec are read.
    """

    call: float
    check_age: float
    days: Days
    results_delay: float
    scheduled: RetryPolicy
    repeat: RetryPolicy
    reconcile: RetryPolicy
    follow: Backoff


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """The ports and the policies.

    `retry_call` repeats a Perform while nothing was applied, `retry_ledger` a step of the ledger while Redis is
    unavailable. `baseline` says whether the runs of a definition are listed before each first attempt, `whole_baseline`
    whether all of them, instead of those that are newer than the newest that the ledger knows.
    Calls within `together` take their permits at once; `count_usage` brings what this process used to the ledger.
    """

    marketing_cloud: MarketingCloud
    ledger: Ledger
    definitions: Definitions
    clock: Clock
    retry_call: RetryCall
    retry_ledger: RetryCall
    policies: Callable[[str, str], Policy]
    chance: Callable[[], float]
    timing: Timing
    baseline: bool = True
    together: Callable[[], AbstractContextManager[None]] = nullcontext
    count_usage: Callable[[], None] = lambda: None
    whole_baseline: bool = False


class TokenName(NamedTuple):
    """Whose access token it is: the business unit, and a name of the login that only who has the key can make."""

    mid: str
    login: str


@dataclass(frozen=True, slots=True)
class TokenLook:
    """A sealed token, the right to ask for one, or that another process asks, `now` in ms; `strange` is no token."""

    kind: Literal["token", "lease", "wait"]
    now: int
    text: str = field(default="", repr=False)
    strange: bool = False


class TokenLedger(Protocol):
    """Sealed access tokens for all processes of an account; every method may raise LedgerUnavailableError."""

    def look(self, name: TokenName, owner: str, seen: str, *, refused: bool) -> TokenLook:
        """Look for a token other than the one that is `seen`, or for the right to ask for one as `owner`.

        With `refused` no process shall use the token that is seen.
        """
        ...

    def share(self, name: TokenName, owner: str, seen: str, text: str, life: float) -> bool:
        """Share a token for so many seconds, and give the right to ask back; False when another one is there."""
        ...

    def leave(self, name: TokenName, owner: str) -> None:
        """Give the right to ask back: no token came."""
        ...
