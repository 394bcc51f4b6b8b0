"""Declares the state machine of a request: states, transitions and their events, and the decisions of a claim."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

NEW = "new"
UNFINISHED = ("accepted", "deferred", "starting", "retrying", "reconciling", "started")
AS_EXPECTED = ("completed", "completed_with_errors", "completed_empty")
"""Ends of an import that is a success for whoever waits for it."""

COMPLETED = (*AS_EXPECTED, "completed_suspicious")
FAILED = (
    "rejected",
    "gave_up",
    "expired",
    "start_unknown",
    "completed_suspicious",
    "import_failed",
    "follow_timed_out",
)
"""Ends that a person should know of; the newest of them are in the list `failures`."""

WARNED = ("completed_with_errors", "completed_empty")
"""Ends of an import that a person should look at; the newest of them are in the list `warnings`."""

SETTLED = ("rejected", "gave_up", "expired", "completed_suspicious", "import_failed", *WARNED)
"""Ends that are settled once a newer request has imported the same content, or has overwritten what it was for."""

RUN_ENDS = (*COMPLETED, "import_failed", "follow_timed_out")
TERMINAL = ("duplicate", "rejected", "gave_up", "expired", "cancelled", "start_unknown", *RUN_ENDS)
# What an operator may say about a request that ended as start_unknown; it is no terminal state.
NOT_STARTED = "not_started"
UNSTARTED = ("rejected", "gave_up", "expired", NOT_STARTED)
"""States of which nothing was started: a duplicate of the request is taken up."""

NOT_IN_VAIN = (*UNFINISHED, *COMPLETED, "start_unknown", "follow_timed_out")
"""States of a replay that may import the file, or has: what it replays is replayed once more only by force."""

LETTER_EVENTS = {"replayed": "operator.dead_letter_replayed", "deleted": "operator.dead_letter_deleted"}
"""What an operator does with a dead letter, and its event."""

DEFINITIONS_REFRESHED = "operator.definitions_refreshed"
FOLDER_FORGOTTEN = "operator.folder_forgotten"
OPERATOR_EVENTS = (
    *("operator.paused", "operator.resumed", "operator.forced"),
    *(DEFINITIONS_REFRESHED, FOLDER_FORGOTTEN, *LETTER_EVENTS.values()),
)
SETTLED_EVENT = "settled"
BUDGET_EVENTS = ("budget_warned", "budget_spent")
REPORTS = (SETTLED_EVENT, "unrouted", "ambiguous_route", "message_rejected", *BUDGET_EVENTS, *OPERATOR_EVENTS)
"""Events that change no state; each has its sentence in ENDINGS of ops/harness/sfmc_harness/pages.py."""


class Seen(NamedTuple):
    """How somebody saw a request that is to be replayed: its state, and its newest replay, if there is one."""

    state: str
    replayed_by: str = ""


class Reported(NamedTuple):
    """One of REPORTS that was published of something: it is published once for the same `id`."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Transition:
    """One allowed transition; `why` is its sentence in the documentation."""

    source: str
    target: str
    event: str
    why: str


def _transitions(sources: tuple[str, ...], target: str, why: str, event: str | None = None) -> tuple[Transition, ...]:
    return tuple(Transition(source, target, event or target, why) for source in sources)


TRANSITIONS: tuple[Transition, ...] = (
    *_transitions((NEW,), "accepted", "the request is recorded"),
    *_transitions(
        ("accepted", "deferred", "retrying"),
        "duplicate",
        "handled already, in the window without a new file, or superseded",
    ),
    *_transitions(("duplicate",), "accepted", "the request that it repeated ended without a start; it is decided anew"),
    *_transitions(
        ("accepted", "retrying"), "deferred", "a different file inside the window or during a run waits for its turn"
    ),
    *_transitions(("accepted", "deferred", "retrying"), "starting", "a worker has the lease"),
    *_transitions(("starting",), "starting", "the lease ran out before anything was sent; another worker has it now"),
    *_transitions(("starting", "reconciling"), "retrying", "nothing was applied; due again after a pause"),
    *_transitions(
        ("deferred",), "retrying", "its CustomerKey is that of another definition than was read; it is decided anew"
    ),
    *_transitions(("accepted", "retrying"), "retrying", "its definition cannot be read; due again after a pause"),
    *_transitions(("starting",), "reconciling", "a start may have been applied; look before anything is sent again"),
    *_transitions(("starting", "reconciling", "retrying"), "started", "Marketing Cloud accepted the start"),
    *_transitions(
        ("retrying",), "reconciling", "it is over, and its last attempt was answered without proof; look before it ends"
    ),
    *(
        step
        for end in ("rejected", "gave_up", "expired")
        for step in _transitions(
            ("reconciling",), end, "it would have ended so, and the look after an answer without proof found no run"
        )
    ),
    *_transitions(("gave_up",), "started", "the Task.ID came late, from a worker that had been frozen"),
    *_transitions(("start_unknown", NOT_STARTED), "started", "the Task.ID came late, or an operator gives it"),
    *_transitions(
        ("start_unknown",), NOT_STARTED, "an operator says that nothing was started; window and file are free"
    ),
    *_transitions(
        ("accepted", "deferred", "duplicate"),
        "started",
        "a failover of Redis lost the steps between; the Task.ID is true",
    ),
    *_transitions(("reconciling",), "start_unknown", "it cannot be proved whether the start was applied"),
    *_transitions(
        ("starting", "retrying"),
        "start_unknown",
        "it ends without a run, and an earlier attempt that was repeated without proof may have been applied",
    ),
    *_transitions(
        ("accepted", "retrying", "starting"),
        "rejected",
        "Marketing Cloud refuses for good, another file would be imported, or the request is not valid",
    ),
    *_transitions(
        ("accepted", "retrying", "starting"), "gave_up", "the retry deadline is over, or it killed too many workers"
    ),
    *_transitions(("accepted", "deferred", "retrying"), "cancelled", "an operator says that it is not to be started"),
    *_transitions(
        ("accepted", "deferred", "retrying", "starting"),
        "expired",
        "the deadline of its sender is over, and nothing was sent",
    ),
    *_transitions(("started",), "started", "the status of the run changed", "progressed"),
    *(
        step
        for end in RUN_ENDS
        for step in _transitions(("started",), end, "the run ended, or was followed long enough")
    ),
    *_transitions(("follow_timed_out",), "started", "an operator follows the run again", "progressed"),
)


def event_of(source: str, target: str) -> str:
    """Give the event that a step writes; raise KeyError for a step that does not exist."""
    return {(step.source, step.target): step.event for step in TRANSITIONS}[source, target]


def to_lua_set(states: tuple[str, ...]) -> str:
    """Give states as a Lua table that has true for each."""
    return "{" + ",".join(f"{state}=true" for state in states) + "}"


def to_lua_table() -> str:
    """Give all steps as one text, ` source>target=event`: a Lua table would be created anew by each call."""
    return "".join(f" {step.source}>{step.target}={step.event}" for step in TRANSITIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to act for one request: each later step names its fencing token and is refused when a newer one exists.

    `attempt` counts the leases of this request; `seconds` is how long it lasts from the answer. `home` is the
    CustomerKey that the definition had first, if it was changed since.
    """

    request_id: str
    mid: str
    customer_key: str
    home: str | None = None
    fence: int
    attempt: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstRead:
    """What a definition was like when it was read first for a request; fields as in sfmc_import.runs.Definition."""

    object_id: str | None = None
    file_spec: str | None = None
    update_type: str | None = None
    destination: str | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What existed before a start was sent: the `known` TaskResultIDs; all up to `above` where they were not listed.

    `intended_at` is when this was noted, in seconds since 1970. Up to `bound` it was not asked what existed.
    `forgotten_from` is set where nothing was sent, and a start that Redis forgot is looked for: when the request was
    recorded, in the same seconds, if that was before the loss; otherwise 0, and no run proves to be its own.
    Until `unknown_until` another request of the definition may have sent a start whose run is not known.
    """

    known: frozenset[str]
    above: str | None = None
    bound: str | None = None
    intended_at: float | None = None
    forgotten_from: float | None = None
    unknown_until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierLoss:
    """Redis lost its last writes so many seconds ago; `newest` and `since` as `newest` and `loss_since` in StartNow."""

    age: float
    newest: str | None = None
    since: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartNow:
    """Start now, if no run has appeared since an `earlier` attempt that was answered without proof.

    `now` is Redis time in seconds since 1970, `file_name` the file of the request and `modified_at` its own time in
    the same seconds, `first` its definition as it was.
    `newest` is the newest TaskResultID known of the business unit. `loss_age` is set for a while after Redis
    lost its last writes: the seconds since that was noticed; `newest` is then the newest that survived, and
    `loss_since` the time of the last event that did, in seconds since 1970. `may_be_new`: the ledger was empty then,
    and it is not known whether there was one before. `longest_call` is how long a call of any worker may take, in
    seconds. `loss_is_past`: it is over for others, and matters to this request
    alone, which is from before it. `earlier_losses` are those before it that the request has outlived too.
    `candidates` are runs that another request has named since then.
    `denied` is the code with which Marketing Cloud denied an earlier start, after which no run appeared.
    `read_before`: the definition was last read before the request came, so there is no `first` to compare with.
    `object_id` is that of the definition whose window was asked; `other_keys` are CustomerKeys that it had before.
    """

    lease: Lease
    now: float
    file_name: str | None = None
    modified_at: float | None = None
    first: FirstRead | None = None
    newest: str | None = None
    loss_age: float | None = None
    loss_since: float | None = None
    may_be_new: bool = False
    longest_call: float = 0.0
    loss_is_past: bool = False
    earlier_losses: tuple[EarlierLoss, ...] = ()
    candidates: frozenset[str] = frozenset()
    denied: str | None = None
    earlier: Intent | None = None
    read_before: bool = False
    object_id: str | None = None
    other_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconcile:
    """Look for the run first: a start may have been applied. `known` TaskResultIDs existed before it was sent.

    `above` replaces them where they were not listed: all up to this one existed. `intended_at` is when that was noted.
    Up to `bound` it was not asked which ones existed. `forgotten_from` and `unknown_until` as in Intent.
    `is_last` says that the time to look is over: this is the last query. `now` as in StartNow.
    `denied` is the code of an answer that said, without proof, that nothing was started.
    `object_id` is that of the definition.
    """

    lease: Lease
    now: float
    known: frozenset[str]
    above: str | None = None
    bound: str | None = None
    intended_at: float | None = None
    forgotten_from: float | None = None
    unknown_until: float | None = None
    is_last: bool
    denied: str | None = None
    object_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """Nothing to do now; `state` is where the request stands, `held_by` the request in its way, `opens_in` seconds.

    `read_before` as in StartNow.
    """

    state: str
    held_by: str | None = None
    opens_in: float | None = None
    read_before: bool = False


@dataclass(frozen=True, slots=True)
class ReadFirst:
    """The definition was read too long before the request came to be sure that it is still the one of its key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlreadyEnded:
    """The request has its terminal event already, `state`; nothing is left to do."""

    state: str
    held_by: str | None = None
    opens_in: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The outcome of a start for whose Celery task `caller` somebody waits."""

    request_id: str
    caller: str
    state: str
    task_id: str | None = None
    held_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The end of a request for a task of its sender: `event` is the CloudEvent, `age` the seconds since the end.

    `stored` is how the ledger keeps it.
    """

    request_id: str
    task: str
    queue: str
    event: Mapping[str, Any]
    age: float
    stored: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What an owner holds of a request: a `lease`, or without one the right to read its definition.

    `is_in_doubt`: its start was sent, or may have been. `looks` says that its run is looked for, and `is_last` that the
    time to look is over.
    """

    attempt: int
    lease: Lease | None = None
    is_in_doubt: bool = False
    looks: bool = False
    is_last: bool = False


Decision = StartNow | Reconcile | NotYet | AlreadyEnded | ReadFirst


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A run to be polled: the request in state `started` with its Task.ID; `age` in seconds since the start.

    `last_rows` is how many rows the last completed run of its definition had that had any.
    """

    request_id: str
    mid: str
    customer_key: str
    task_id: str
    status: str | None
    polls: int
    age: float
    overdue: bool
    last_rows: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Which runs may be asked for now, with one query, and which ended because too many workers died over them."""

    granted: tuple[str, ...]
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DueRequest:
    """An unfinished request whose next time has come; `attempt` counts the leases it had."""

    request_id: str
    mid: str
    customer_key: str
    state: str
    attempt: int = 0
