"""Where the definition stands whose completed run a request waits for (`after`), and what helps it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sfmc_import.access import ReadAccess
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.ledger.operator_keys import FAILURES
from sfmc_import.operations.paused_too import with_pause
from sfmc_import.operations.views import AwaitedView, RequestView
from sfmc_import.request import fold_key
from sfmc_import.states import AS_EXPECTED, UNFINISHED

LOOKED_AT = 200
"""Among so many requests that are due next, and so many of the newest bad ends, one of a definition is looked for."""

FIRST = 5
"""So many of them are read: those that are due stand first, then the newest that ended."""

MOST = 20
"""Definitions that one answer says this of."""

ReadViews = Callable[[ReadAccess, Sequence[str]], list[RequestView]]
Place = tuple[str, str]
"""Business unit and CustomerKey of a definition."""


class _Listed(NamedTuple):
    """A request that a list has: which, and of which definition, under every key that it had."""

    request_id: str
    mid: str
    keys: frozenset[str]


def with_awaited(access: ReadAccess, views: Sequence[RequestView], read: ReadViews) -> list[RequestView]:
    """Say of each request that waits for the run of another definition how that stands; `read` gives requests."""
    places = list(dict.fromkeys(filter(None, map(_place, views))))[:MOST]
    if not places:
        return list(views)
    listed = _listed(access)
    found = {place: _awaited(access, place, listed, read) for place in places}
    return [_with(each, *found.get(_place(each) or ("", ""), (None, None))) for each in views]


def _place(view: RequestView) -> Place | None:
    waiting = view.waiting
    is_after = waiting is not None and waiting.reason == "after" and bool(waiting.held_by)
    return (view.mid, str(waiting.held_by)) if waiting is not None and is_after else None


def _with(view: RequestView, awaited: AwaitedView | None, advice: str | None) -> RequestView:
    if view.waiting is None or awaited is None:
        return view
    waiting = view.waiting.model_copy(update={"awaited": awaited})
    found = view.model_copy(update={"waiting": waiting, "advice": advice or view.advice})
    return with_pause(found) if advice else found


def _listed(access: ReadAccess) -> list[_Listed]:
    """Give the requests that are due next, then those that ended badly, the newest first."""
    client: Any = access.client
    with redis_errors(), client.pipeline(transaction=False) as pipe:
        pipe.zrange(access.keys.due, 0, LOOKED_AT - 1)
        pipe.zrange(access.keys.name_of(FAILURES), 0, LOOKED_AT - 1, desc=True)
        ids = [name.decode() for names in pipe.execute() for name in names]
        for each in ids:
            pipe.hmget(access.keys.request(each), "mid", "key", "home")
        rows = pipe.execute()
    return [_one(*pair) for pair in zip(ids, rows, strict=True) if pair[1][0] is not None]


def _one(request_id: str, row: Sequence[bytes | None]) -> _Listed:
    mid, *keys = ("" if each is None else each.decode() for each in row)
    return _Listed(request_id, mid, frozenset(fold_key(each) for each in keys if each))


def _awaited(
    access: ReadAccess, place: Place, listed: Sequence[_Listed], read: ReadViews
) -> tuple[AwaitedView, str | None]:
    mid, key = place
    record = access.reader.definition(mid, key)
    names = {fold_key(key), fold_key(access.reader.home(mid, key))}
    ids = [each.request_id for each in listed if each.mid == mid and names & each.keys]
    own = [record["holder"]] if record["holder"] else []
    views = [each for each in read(access, [*own, *ids[:FIRST]]) if each.state not in AS_EXPECTED]
    first = next((each for each in views if each.state in UNFINISHED), next(iter(views), None))
    errors = record["consecutive_errors"]
    if first is None:
        text = f"{key}: no request of it is known that runs, waits or has ended badly"
        return AwaitedView(customer_key=key, consecutive_errors=errors, text=text), f"let the file of {key} come"
    view = AwaitedView(
        customer_key=key,
        request_id=first.request_id,
        state=first.state,
        since=first.since,
        consecutive_errors=errors,
        text=f"{key}: {_sentence(first, errors)}",
        **_failure(first),
    )
    return view, _advice(key, first)


def _failure(of: RequestView) -> dict[str, Any]:
    """Give what it fails with since when, and when it is given up; nothing where nothing fails."""
    now = of.waiting or of.attempting
    error = None if now is None else now.last_error
    if now is None or error is None or error.is_past:
        return {}
    return {"code": error.code, "fails_since": error.since, "deadline": now.deadline, "then": now.then}


def _sentence(of: RequestView, errors: int) -> str:
    at = "" if of.since is None else _at(of.since)
    if of.state in UNFINISHED:
        reason = "" if of.waiting is None or of.waiting.reason == "following" else f" ({of.waiting.reason})"
        failure = _failure(of)
        return f"request {of.request_id} is {of.state}{reason}{_said_of(failure) if failure else f' since {at}'}"
    in_a_row = f", {errors} imports in a row that ended in Error" if errors > 1 else ""
    return f"request {of.request_id} ended as {of.state} at {at}{in_a_row}; none that runs or waits is known"


def _said_of(failure: dict[str, Any]) -> str:
    since, until = failure["fails_since"], failure["deadline"]
    begun = "" if since is None else f" since {_at(since)}"
    said = f", and fails with code {failure['code']}{begun}"
    return said if until is None else f"{said}; if nothing changes, it ends as {failure['then']} by {_at(until)}"


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _advice(key: str, of: RequestView) -> str | None:
    """Give what helps the other definition."""
    if of.advice is None or of.advice.startswith("wait:"):
        return None
    return f"for {key}: {of.advice}; what waits for {key} goes on by itself when that has completed"
