"""Questions about requests: one by id, Task.ID or file name; lists by state; the whole life of one."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sfmc_import.access import ReadAccess
from sfmc_import.advice import Advice, Command
from sfmc_import.attempts import CONFIRMED_FIRST, SENT
from sfmc_import.ends import actions, advice_for_end
from sfmc_import.events import Entry, Event, facts, just_before
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.operator_keys import FAILURES, WARNINGS
from sfmc_import.ledger.schema import REQUEST
from sfmc_import.operations import pausing
from sfmc_import.operations.at_work import with_workers
from sfmc_import.operations.awaited import with_awaited
from sfmc_import.operations.broker import said_of_processes
from sfmc_import.operations.budgets import with_ends_of_budgets
from sfmc_import.operations.causes import with_cause
from sfmc_import.operations.errors import NotFoundError
from sfmc_import.operations.fixing import Login, advice_for_wait, login_of
from sfmc_import.operations.in_the_way import around_file, said_of_unread
from sfmc_import.operations.lost_writes import said_of_loss
from sfmc_import.operations.open_circuits import with_calls_that_work
from sfmc_import.operations.paused_too import with_pause
from sfmc_import.operations.taken_places import with_taken_places
from sfmc_import.operations.views import LifeView, PauseView, RequestView, request_view
from sfmc_import.redaction import hidden, hidden_in
from sfmc_import.states import FAILED, WARNED
from sfmc_import.waiting import waiting_of

LOOKED_AT = 20_000
"""How many of the newest events a search by file name reads at most."""


_PLAIN = re.compile(r"[A-Za-z0-9 ._-]+")

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Row = tuple[str, Mapping[str, Any], float | None]
"""A request as it is read: id, record and the next time in ms."""

MAX_WHY = 400
"""Characters of why a request ended, in a list."""

UNKNOWN = "the id is wrong, or it ended more than SFMC_REQUEST_TTL ago"


def show(access: ReadAccess, request_id: str) -> RequestView:
    """Give one request; raises NotFoundError."""
    found = read_views(access, [spelled(access, request_id)])
    if not found:
        raise no_request(access, request_id)
    return found[0]


def no_request(access: ReadAccess, request_id: str) -> NotFoundError:
    """Say that there is none of this id, and why."""
    return NotFoundError(f"there is no request {request_id}{said_of_loss(access)}", UNKNOWN)


def spelled(access: ReadAccess, request_id: str) -> str:
    """Give the id under which the ledger has a request: a UUID is the same one in capitals."""
    lower = request_id.lower()
    if lower == request_id or not _UUID.fullmatch(lower) or access.reader.asked(request_id) is not None:
        return request_id
    return lower


def find(access: ReadAccess, text: str, mid: str, limit: int = 20) -> list[RequestView]:
    """Give the requests that a request id, a Task.ID or a file name means, the newest first; raises NotFoundError."""
    found = read_views(access, [spelled(access, text)])
    if not found and mid and (owner := access.reader.request_of(mid, text)):
        found = read_views(access, [owner])
    if not found:
        found = read_views(access, _ids_by_file(access, text, limit))
    if not found:
        raise NotFoundError(
            f"no request has the id, the Task.ID or the file name {text}{said_of_unread(access)}{said_of_loss(access)}",
            Advice(
                (f"files are looked for in the newest {LOOKED_AT} events",),
                Command(("status", "--unmatched")),
                at_prompt="see also",
            ),
        )
    return found


def _ids_by_file(access: ReadAccess, name: str, limit: int) -> list[str]:
    ids: dict[str, None] = {}
    for event in access.stream.backwards(LOOKED_AT, _always_written_so(name)):
        file, request_id = event["data"].get("file"), event["data"].get("request_id")
        if isinstance(file, Mapping) and request_id and name in (file.get("name"), file.get("arrived_as")):
            ids[str(request_id)] = None
            if len(ids) == limit:
                break
    return list(ids)


def _always_written_so(name: str) -> bytes:
    """Give what every JSON document has that holds a name, so that the others need not be read; empty for any."""
    return name.encode() if _PLAIN.fullmatch(name) else b""


def failures(access: ReadAccess, limit: int = 20) -> list[RequestView]:
    """Give the newest requests that ended badly, did not go on and were not replayed since."""
    with redis_errors():
        client: Any = access.client
        ids = client.zrange(access.keys.name_of(FAILURES), -limit, -1)
    return read_views(access, [name.decode() for name in reversed(ids)])


def failed(access: ReadAccess) -> int:
    """Count them; the newest 1,000 are kept."""
    with redis_errors():
        client: Any = access.client
        return int(client.zcard(access.keys.name_of(FAILURES)))


def warnings(access: ReadAccess, limit: int = 20) -> list[RequestView]:
    """Give the newest requests of the last day whose import completed without rows, or without some."""
    begin = round((access.reader.now() - WARNED_SECONDS) * 1000)
    with redis_errors():
        client: Any = access.client
        ids = client.zrange(access.keys.name_of(WARNINGS), -limit, -1, withscores=True)
    return read_views(access, [name.decode() for name, at in reversed(ids) if at >= begin])


WARNED_SECONDS = 86_400
"""So long an end that a person should look at is listed."""


def with_reasons(access: ReadAccess, views: Sequence[RequestView]) -> list[RequestView]:
    """Say of each end that a person should know of why, where the stream still has its event, and what to do."""
    ended = [each.request_id for each in views if each.state in _EXPLAINED]
    if not ended:
        return list(views)
    with redis_errors():
        entries = access.stream.at(access.reader.newest_places(ended))
    data = {str(event["data"].get("request_id")): event["data"] for _, event in entries}
    return [_with_reason(each, data.get(each.request_id, {})) if each.state in _EXPLAINED else each for each in views]


_EXPLAINED = frozenset({*FAILED, *WARNED})
SETTLED = (
    "nothing: a newer request has imported the same file since, or its import has overwritten (UpdateType Overwrite)"
    " what this one was for"
)
"""What is to do about a request that a newer import has settled."""

SETTLED_BY_HAND = "nothing: an operator has said that it is dealt with"
"""What is to do about a request that an operator has settled."""

REPLAYED = "look at request {} in its place: it replays this one"
"""What is to do about a request whose replay has not come to nothing."""

NEWER = (
    "look whether rows of this file are missing, and let the sender send them again: a newer file of its name was"
    " imported since, and nothing proves that it had the same rows; a replay imports what lies there under the name now"
)
"""What is to do about a request when another one has imported other content under the name of its file."""


def _with_reason(view: RequestView, data: Mapping[str, Any]) -> RequestView:
    code = None if data.get("code") is None else str(data["code"])
    said = {"why_ended": shortened(", ".join(facts(data)))}
    if view.is_settled:
        return view.model_copy(update=said | {"advice": SETTLED if view.settled_by else SETTLED_BY_HAND})
    is_imported = view.newer_import is not None
    advice = NEWER if is_imported else advice_for_end(view.state, code)
    if view.is_replayed and not is_imported:
        advice = REPLAYED.format(view.replayed_by)
    gone_on = {"is_imported": is_imported, "is_replayed": view.is_replayed}
    todo = {"advice": advice, "next": list(actions(view.state, code, **gone_on))}
    return view.model_copy(update=said | todo)


def shortened(text: str | None) -> str | None:
    """Give a text without secrets for a list; None for an empty one."""
    if not text:
        return None
    whole = hidden(text)
    return whole if len(whole) <= MAX_WHY else f"{whole[:MAX_WHY]}…"


def followed(access: ReadAccess, limit: int = 20) -> list[RequestView]:
    """Give the requests whose run is followed, those polled next first."""
    with redis_errors():
        client: Any = access.client
        ids = client.zrange(access.keys.follows, 0, limit - 1)
    return read_views(access, [name.decode() for name in ids])


def unfinished(access: ReadAccess, limit: int = 20) -> list[RequestView]:
    """Give the requests that are due next."""
    with redis_errors():
        client: Any = access.client
        ids = client.zrange(access.keys.due, 0, limit - 1)
    return read_views(access, [name.decode() for name in ids])


def whole(access: ReadAccess, view: RequestView) -> LifeView:
    """Give a request with its whole life, and with what is wrong around its file."""
    events = list(life(access, view))
    return LifeView(**view.model_dump(), events=events, in_the_way=around_file(access, view))


def life(access: ReadAccess, request: RequestView) -> Iterator[Event]:
    """Yield the events of a request that the stream still has, oldest first, each with its `stream_id`.

    Of very many the first and the newest.
    """
    return ({"stream_id": position, **hidden_in(event)} for position, event in entries_of(access, request))


def entries_of(access: ReadAccess, request: RequestView) -> Iterator[Entry]:
    """Yield the same with the id of each in the stream."""
    places = access.reader.places(request.request_id)
    with redis_errors():
        yield from access.stream.at(places) if places else _entries_near(access, request)


def _entries_near(access: ReadAccess, request: RequestView) -> Iterator[Entry]:
    """Yield what stands soon after the arrival of a request of which no places are noted."""
    begin = "0-0" if request.accepted_at is None else just_before(request.accepted_at.timestamp())
    for entry, _ in zip(access.stream.after(begin), range(LOOKED_AT), strict=False):
        if entry[1]["data"].get("request_id") == request.request_id:
            yield entry


def read_views(access: ReadAccess, request_ids: Sequence[str]) -> list[RequestView]:
    """Read records in one round trip; those that are gone are left out."""
    views = with_taken_places(access, _read_views(access, request_ids), _read_views)
    return with_awaited(access, views, _read_views)


def _read_views(access: ReadAccess, request_ids: Sequence[str]) -> list[RequestView]:
    keys: Keys = access.keys
    with redis_errors(), access.client.pipeline(transaction=False) as pipe:
        for request_id in request_ids:
            pipe.hgetall(keys.request(request_id))
            pipe.zscore(keys.due, request_id)
        answers = pipe.execute()
    rows = zip(request_ids, answers[::2], answers[1::2], strict=True)
    read = [(request_id, REQUEST.read(record), due) for request_id, record, due in rows if b"state" in record]
    found = _with_replays(access, read)
    held = pausing.holders(access, [record for _, record, _ in found])
    views = [_view(*row, pause) for row, pause in zip(found, held, strict=True)]
    views = with_workers(access, views, [(record, due) for _, record, due in found])
    views = with_calls_that_work(access, _confirmed_first(access, views))
    views = with_ends_of_budgets(views, access.settings.time_zone)
    said = said_of_processes(access, _with_advice(access, views))
    return with_reasons(access, [with_pause(each) for each in said])


def _with_replays(access: ReadAccess, rows: Sequence[Row]) -> list[Row]:
    """Add to each record the state of its newest replay; None where there is none, or it is gone."""
    ids = list({record["replayed_by"] for _, record, _ in rows if record.get("replayed_by")})
    if not ids:
        return list(rows)
    with redis_errors(), access.client.pipeline(transaction=False) as pipe:
        for request_id in ids:
            pipe.hget(access.keys.request(request_id), "state")
        states = [None if state is None else state.decode() for state in pipe.execute()]
    known = dict(zip(ids, states, strict=True))
    return [(name, {**record, "replay_state": known.get(record.get("replayed_by"))}, due) for name, record, due in rows]


def _confirmed_first(access: ReadAccess, views: Sequence[RequestView]) -> list[RequestView]:
    """Do not say of a start that it was sent where Redis must confirm it before, and may not have done so."""
    if access.settings.durability == "none":
        return list(views)
    return [_unsent_perhaps(each) for each in views]


def _unsent_perhaps(view: RequestView) -> RequestView:
    attempt = view.attempting
    if attempt is None or attempt.text != SENT:
        return view
    return view.model_copy(update={"attempting": attempt.model_copy(update={"text": CONFIRMED_FIRST})})


def _with_advice(access: ReadAccess, views: Sequence[RequestView]) -> list[RequestView]:
    login = login_of(access.settings)
    return [*with_cause(access, [advised(each, login) for each in views])]


def advised(view: RequestView, login: Login) -> RequestView:
    """Add what somebody should do about what keeps a request waiting, or failed before the attempt under way."""
    now = view.waiting or view.attempting
    if now is None:
        return view
    reason, error = "" if view.waiting is None else view.waiting.reason, now.last_error
    code = None if error is None or error.is_past else error.code
    advice = advice_for_wait(code, view.import_status, login, reason)
    return view if advice is None else view.model_copy(update={"advice": advice})


def _view(request_id: str, record: Mapping[str, Any], due: float | None, pause: PauseView | None) -> RequestView:
    return request_view(request_id, record, waiting_of(record, None if due is None else due / 1000), pause)
