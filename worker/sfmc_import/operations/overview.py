"""The whole at one look: counts, failures, what runs, what waits, what is paused, who works."""

from typing import Any

from sfmc_import.access import ReadAccess
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.ledger.operator_keys import FAILURES
from sfmc_import.operations import actions, requests
from sfmc_import.operations.broker import BrokerView, queue_state
from sfmc_import.operations.clocks import ClockView, wrong_clocks
from sfmc_import.operations.fixing import login_of
from sfmc_import.operations.in_doubt import folders, missing
from sfmc_import.operations.lost_writes import LossView, losses
from sfmc_import.operations.notified import NotificationView, notifications
from sfmc_import.operations.outdated import OldDefinitionsView, old_definitions
from sfmc_import.operations.servers import ServerTroubleView, server_troubles, with_their_begin
from sfmc_import.operations.troubles import TroubleView, troubles
from sfmc_import.operations.views import FolderView, PauseView, RequestView, Time, View, time_of

LOOKED_AT = 5000
CHUNK = 500
"""How many of the requests that are due next are looked at for those that wait, and how many at once."""


class CountsView(View):
    """Numbers that Redis knows without counting; without those of the queue, `broker` says why."""

    failures: int
    running: int
    waiting: int
    overdue: int
    events: int
    queued: int | None
    in_flight: int | None
    dead_letters: int | None
    broker: BrokerView | None = None
    workers: int
    beats: int


class OverviewView(View):
    """What an operator looks at first; each list is bounded, the counts say how many there are."""

    now: Time
    counts: CountsView
    missing: list[str]
    losses: tuple[LossView, ...] = ()
    troubles: tuple[TroubleView, ...] = ()
    servers: tuple[ServerTroubleView, ...] = ()
    folders: tuple[FolderView, ...] = ()
    old_definitions: tuple[OldDefinitionsView, ...] = ()
    notifications: tuple[NotificationView, ...] = ()
    paused: list[PauseView]
    failures: list[RequestView]
    warnings: tuple[RequestView, ...] = ()
    running: list[RequestView]
    waiting: list[RequestView]
    clocks: tuple[ClockView, ...] = ()


def overview(access: ReadAccess, limit: int = 20) -> OverviewView:
    """Give the whole at one look."""
    now = time_of(access.reader.now())
    assert now is not None
    read = folders(access)
    return OverviewView(
        now=now,
        counts=counts(access),
        missing=list(missing(access)),
        paused=actions.pauses(access),
        failures=requests.failures(access, limit),
        warnings=tuple(requests.warnings(access, limit)),
        running=running(access, limit),
        losses=losses(access.reader, access.settings),
        troubles=troubles(access),
        servers=with_their_begin(access, server_troubles(access), read),
        folders=read,
        old_definitions=old_definitions(access.reader, login_of(access.settings), access.settings.time_zone),
        notifications=notifications(access),
        waiting=waiting(access, limit),
        clocks=wrong_clocks(access.reader),
    )


def running(access: ReadAccess, limit: int = 20) -> list[RequestView]:
    """Give the requests whose run is followed, those polled next first."""
    return requests.followed(access, limit)


def waiting(access: ReadAccess, limit: int = 20) -> list[RequestView]:
    """Give the requests that have not started and are due next."""
    found: list[str] = []
    for begin in range(0, LOOKED_AT, CHUNK):
        ids = _first(access, access.keys.due, CHUNK, begin)
        found += _not_followed(access, ids)
        if len(found) >= limit or len(ids) < CHUNK:
            break
    return requests.read_views(access, found[:limit])


def _not_followed(access: ReadAccess, ids: list[str]) -> list[str]:
    with redis_errors(), access.client.pipeline(transaction=False) as pipe:
        for request_id in ids:
            pipe.zscore(access.keys.follows, request_id)
        return [request_id for request_id, at in zip(ids, pipe.execute(), strict=True) if at is None]


def counts(access: ReadAccess) -> CountsView:
    """Give the numbers."""
    keys, client = access.keys, access.client
    now = round(access.reader.now() * 1000)
    processes = access.reader.running()
    with redis_errors(), client.pipeline(transaction=False) as pipe:
        pipe.zcard(keys.name_of(FAILURES))
        pipe.zcard(keys.follows)
        pipe.zcard(keys.due)
        pipe.zcount(keys.due, "-inf", now)
        pipe.xlen(keys.stream)
        failures, followed, due, overdue, events = pipe.execute()
    return CountsView(
        failures=failures,
        running=followed,
        waiting=max(0, due - followed),
        overdue=overdue,
        events=events,
        workers=processes.workers,
        beats=processes.beats,
        **queue_state(access),
    )


def _first(access: ReadAccess, key: str, count: int, begin: int = 0) -> list[str]:
    with redis_errors():
        client: Any = access.client
        return [name.decode() for name in client.zrange(key, begin, begin + count - 1)]
