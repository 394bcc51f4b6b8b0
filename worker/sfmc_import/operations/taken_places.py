"""Which requests have the places of a group of definitions, or of the account, for one of which a request waits."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sfmc_import.access import ReadAccess
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.ledger.key_kinds import PLACES
from sfmc_import.operations.views import RequestView
from sfmc_import.states import UNFINISHED
from sfmc_import.waiting import RUNNING_LIMIT

FIRST = 3
"""So many of them are named."""

READ = 10
"""So many are read: one that has ended may have its place until others want it."""

ReadViews = Callable[[ReadAccess, Sequence[str]], list[RequestView]]


def with_taken_places(access: ReadAccess, views: Sequence[RequestView], read: ReadViews) -> list[RequestView]:
    """Say of each request that waits until fewer imports run which ones these are; `read` gives requests."""
    waiting = [each.request_id for each in views if _waits(each)]
    if not waiting:
        return list(views)
    groups = _groups(access, waiting)
    said = {group: _said(access, group, read) for group in dict.fromkeys(groups.values())}
    return [_with(each, said.get(groups.get(each.request_id, ""))) for each in views]


def _waits(view: RequestView) -> bool:
    error = None if view.waiting is None else view.waiting.last_error
    return error is not None and not error.is_past and error.code == RUNNING_LIMIT


def _with(view: RequestView, said: str | None) -> RequestView:
    if view.waiting is None or not said:
        return view
    return view.model_copy(update={"waiting": view.waiting.model_copy(update={"places": said})})


def _groups(access: ReadAccess, request_ids: Sequence[str]) -> Mapping[str, str]:
    """Give the group in which each of them waits."""
    client: Any = access.client
    with redis_errors(), client.pipeline(transaction=False) as pipe:
        for each in request_ids:
            pipe.hget(access.keys.request(each), "waits_place")
        found = pipe.execute()
    return {name: group.decode() for name, group in zip(request_ids, found, strict=True) if group}


def _said(access: ReadAccess, group: str, read: ReadViews) -> str | None:
    client: Any = access.client
    name = access.keys.name_of(PLACES, group)
    with redis_errors(), client.pipeline(transaction=False) as pipe:
        pipe.zrange(name, 0, READ - 1)
        pipe.zcard(name)
        ids, count = pipe.execute()
    holders = [each for each in read(access, [one.decode() for one in ids]) if each.state in UNFINISHED][:FIRST]
    if not holders:
        return None
    more = count - len(holders) if count > READ or len(holders) == FIRST else 0
    return f"{'; '.join(map(_sentence, holders))}{f'; and {more} more' if more > 0 else ''}"


def _sentence(holder: RequestView) -> str:
    """Say since when it runs, and what keeps its end from being known."""
    since = "" if holder.since is None else f" since {holder.since:%Y-%m-%d %H:%M:%S} UTC"
    now = holder.waiting or holder.attempting
    error = None if now is None or now.last_error is None or now.last_error.is_past else now.last_error
    failed = "" if error is None else f" (error {error.code})"
    task = f", Task.ID {holder.task_id}" if holder.task_id else ""
    return f"{holder.customer_key}: request {holder.request_id} is {holder.state}{since}{failed}{task}"
