"""The state of the system, of one definition, of the processes: what `sfmc-import status` shows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sfmc_import.access import ReadAccess
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.operations import actions, knowing, pausing, queued, requests, unknown
from sfmc_import.operations.broker import BrokerView, queue_state
from sfmc_import.operations.clocks import ClockView, wrong_clocks
from sfmc_import.operations.errors import InvalidError, NotFoundError
from sfmc_import.operations.fixing import login_of
from sfmc_import.operations.in_doubt import folders, missing
from sfmc_import.operations.in_the_way import in_the_way, said_of_unread
from sfmc_import.operations.lost_writes import LossView, losses
from sfmc_import.operations.notified import NotificationView, notifications
from sfmc_import.operations.outdated import OldDefinitionsView, old_definitions
from sfmc_import.operations.servers import ServerTroubleView, server_troubles, with_their_begin
from sfmc_import.operations.stale_lists import lists_that_may_be_old
from sfmc_import.operations.troubles import TroubleView, troubles, troubles_of
from sfmc_import.operations.unmatched import LOOKED_AT, UnmatchedFile, unmatched_files
from sfmc_import.operations.views import (
    AttemptView,
    FolderView,
    PauseView,
    RequestView,
    Time,
    View,
    WaitingView,
    WorkerView,
    time_of,
)
from sfmc_import.redaction import hidden_in

SHOWN = 20
FILES_OF = 20
"""Newest events of a definition whose files say in which folders they lie."""


class RunningView(View):
    """The workers and beats that live; `missing` and `late` say in sentences what is wrong with them.

    `now` is the time of Redis.
    """

    now: Time
    workers: int
    beats: int
    missing: list[str]
    late: list[str]


class StatusView(View):
    """The whole: numbers, what is paused, the newest failures and warnings, what is due next, the folders.

    `losses` has what Redis lost, `servers` what keeps it from taking writes, `watchers` what the folder watchers say as
    they say it, `failures` the newest of `failed` requests, `next` the first of `unfinished`. Without numbers of the
    queue, `broker` says why. `clocks` are processes whose clock differs from that of Redis.
    """

    redis: str
    now: Time
    unfinished: int
    overdue: int
    events: int
    queued: int | None
    in_flight: int | None
    dead_letters: int | None
    broker: BrokerView | None = None
    workers: int
    beats: int
    missing: tuple[str, ...] = ()
    losses: tuple[LossView, ...] = ()
    troubles: tuple[TroubleView, ...] = ()
    notifications: tuple[NotificationView, ...] = ()
    paused: list[PauseView]
    failures: list[RequestView]
    warnings: tuple[RequestView, ...] = ()
    next: list[RequestView]
    watchers: list[dict[str, Any]]
    folders: tuple[FolderView, ...] = ()
    old_definitions: tuple[OldDefinitionsView, ...] = ()
    servers: tuple[ServerTroubleView, ...] = ()
    failed: int = 0
    clocks: tuple[ClockView, ...] = ()


class StandingView(View):
    """One definition: what holds it, its window in seconds, its follow-ups, its newest events.

    `holder` is the request that does, `holder_waiting` why that waits, `holder_attempting` its further attempt; `pause`
    is that of an operator. `queued` requests of it wait for a worker, and `queued_unseen` messages may hold more; null:
    the queue does not answer. `missing` says which process must be started for any start, that the broker does not
    answer, and which folder of its files is not read; `troubles` has what holds requests of its business unit.
    `holder_advice` says what helps the holder, and `holder_worker` which worker has it now.
    """

    mid: str
    customer_key: str
    known: bool
    holder: str | None
    holder_state: str | None
    holder_task_id: str | None
    fence: int
    lease_left: float
    window_left: float
    window_by: str | None
    window_age: float | None
    consecutive_errors: int
    waiting: list[RequestView]
    recent: list[dict[str, Any]]
    holder_waiting: WaitingView | None = None
    holder_attempting: AttemptView | None = None
    holder_advice: str | None = None
    holder_worker: WorkerView | None = None
    pause: PauseView | None = None
    missing: tuple[str, ...] = ()
    queued: int = 0
    queued_unseen: int | None = 0
    troubles: tuple[TroubleView, ...] = ()


class UnmatchedFileView(View):
    """A file that starts nothing: since when, and why."""

    name: str
    location: str
    fingerprint: str
    since: str
    reason: str
    text: str
    customer_keys: list[str]
    mid: str


class UnmatchedView(View):
    """How many files start nothing, and the newest of them.

    `hint` says why there is none, where the business unit that was asked for is not known here. `old_definitions` are
    lists that files are matched with now although they could not be read anew.
    """

    count: int
    unmatched: list[UnmatchedFileView]
    hint: str | None = None
    old_definitions: tuple[OldDefinitionsView, ...] = ()


def running(access: ReadAccess) -> RunningView:
    """Count the workers and beats that live."""
    found, now = access.reader.running(), time_of(access.reader.now())
    assert now is not None
    said = {"missing": list(missing(access)), "late": list(found.late)}
    return RunningView(now=now, workers=found.workers, beats=found.beats, **said)


def status(access: ReadAccess) -> StatusView:
    """Give the state of the system."""
    now, processes = time_of(access.reader.now()), access.reader.running()
    assert now is not None
    due, read = requests.unfinished(access, SHOWN), folders(access)
    return StatusView(
        redis=access.settings.redis.shown,
        now=now,
        **{**access.reader.overview(), **queue_state(access)},
        workers=processes.workers,
        beats=processes.beats,
        missing=missing(access),
        paused=actions.pauses(access),
        failures=requests.failures(access, SHOWN),
        warnings=tuple(requests.warnings(access, SHOWN)),
        losses=losses(access.reader, access.settings),
        troubles=troubles(access),
        failed=requests.failed(access),
        notifications=notifications(access),
        next=due,
        watchers=hidden_in([dict(each) for each in access.reader.watchers()]),
        folders=read,
        old_definitions=old_definitions(access.reader, login_of(access.settings), access.settings.time_zone),
        servers=with_their_begin(access, server_troubles(access), read),
        clocks=wrong_clocks(access.reader),
    )


def standing(access: ReadAccess, customer_key: str, mid: str, last: int = 10) -> StandingView:
    """Give the state of one definition; raises NotFoundError for one that nothing knows, and InvalidError."""
    if not mid:
        raise InvalidError("no business unit", "set SFMC_ACCOUNT_ID or give its MID")
    key = access.reader.spelled(mid, customer_key)
    record = dict(access.reader.definition(mid, key))
    home, paused = access.reader.home(mid, key), access.reader.pauses()
    found = queued.look(access).of(mid, home)
    if paused.of_definition(mid, key, home) is None and not found["queued"]:
        _check_known(access, mid, key, record)
    holder = access.reader.request(record["holder"]) if record["holder"] else None
    held = next(iter(requests.read_views(access, [record["holder"]])), None) if holder else None
    recent = [hidden_in(dict(event)) for event in access.reader.recent(mid, key, max(last, FILES_OF))]
    return StandingView(
        **{**record, "waiting": requests.read_views(access, record["waiting"])},
        recent=recent[:last],
        holder_state=None if holder is None else holder["state"],
        holder_task_id=None if holder is None else holder.get("task_id"),
        holder_waiting=None if held is None else held.waiting,
        holder_attempting=None if held is None else held.attempting,
        holder_advice=None if held is None else held.advice,
        holder_worker=None if held is None else held.worker,
        pause=pausing.holder(paused, mid, key, home),
        missing=in_the_way(access, recent),
        troubles=troubles_of(access, mid),
        **found,
    )


def _check_known(access: ReadAccess, mid: str, key: str, record: Mapping[str, Any]) -> None:
    """Raise NotFoundError if neither ledger, events nor policy file have this definition: it is mistyped, or new."""
    if record["known"]:
        return
    if key not in knowing.keys_of(access, mid):
        unread = said_of_unread(access, "a file for it")
        text = f"the ledger does not know a definition {key} of business unit {mid}{unread}"
        raise NotFoundError(text, unknown.advice(access, mid, key))


def unmatched(access: ReadAccess, last: int = 10, mid: str | None = None) -> UnmatchedView:
    """Give the files that start nothing, of all or of a business unit, the newest first."""
    with redis_errors():
        found = unmatched_files(access.stream.backwards(LOOKED_AT))
    old = lists_that_may_be_old(access, (each.mid for each in found))
    if mid is None:
        return unmatched_view(found, last).model_copy(update={"old_definitions": old})
    own = [each for each in found if each.mid == mid]
    hint = None if own else knowing.hint(access, mid)
    own_old = tuple(each for each in old if each.mid == mid)
    return unmatched_view(own, last).model_copy(update={"hint": hint, "old_definitions": own_old})


def unmatched_view(found: Sequence[UnmatchedFile], last: int) -> UnmatchedView:
    """Count the files, and show the first `last` of them."""
    rows = [hidden_in({**asdict(each), "customer_keys": list(each.customer_keys)}) for each in found[:last]]
    views = [UnmatchedFileView(**row) for row in rows]
    return UnmatchedView(count=len(found), unmatched=views)
