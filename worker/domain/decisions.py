"""Answers of the ledger: what a worker may do next for a request; plain data, no behaviour."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The lease to act for one request: every later step names its fence and is refused when a newer one exists.

    `attempt` counts the leases of this request; `lease` is in seconds from the answer.
    """

    request_id: str
    mid: str
    customer_key: str
    fence: int
    attempt: int
    lease: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """Start now: nothing was sent for this request that could still be unknown.

    `newest` is the newest TaskResultID known of the business unit. `loss_age` is set for a while after Redis
    lost its last writes: the seconds since that was noticed; `newest` is then the newest that survived.
    """

    grant: Grant
    newest: str | None = None
    loss_age: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconcile:
    """Look first: a start may have been applied. `known` are the TaskResultIDs that existed before it was sent.

    `above` stands for them where they were not listed: all up to this one existed.
    `late` says that the time to look is over: what is not found now will not be looked for again.
    """

    grant: Grant
    known: frozenset[str]
    above: str | None = None
    late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing to do now; `state` is where the request stands, `held_by` the request in its way, `opens_in` seconds."""

    state: str
    held_by: str | None = None
    opens_in: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The request has its terminal event already, `state`; nothing is left to do."""

    state: str
    held_by: str | None = None
    opens_in: float | None = None


Decision = Go | Reconcile | Wait | Ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A run to be looked at: the request in state `started` with its Task.ID; `age` in seconds since the start."""

    request_id: str
    mid: str
    customer_key: str
    task_id: str
    status: str | None
    looks: int
    age: float
    overdue: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """An unfinished request whose next time has come; `attempt` counts the leases it had."""

    request_id: str
    mid: str
    customer_key: str
    state: str
    attempt: int = 0
