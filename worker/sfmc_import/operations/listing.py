"""Lists that are read in pages: requests, definitions, events, dead letters. A page reads a bounded part of Redis."""

import base64
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sfmc_transport.dead_letters as letters
from sfmc_import.access import ReadAccess
from sfmc_import.advice import with_command
from sfmc_import.events import Event, kind
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.ledger.operator_keys import FAILURES
from sfmc_import.ledger.reading import Pauses
from sfmc_import.ledger.schema import DEFINITION, DEFINITIONS
from sfmc_import.operations import knowing, queued, unknown
from sfmc_import.operations import message_texts as messages
from sfmc_import.operations.errors import InvalidError, NotFoundError
from sfmc_import.operations.limits import MAX_TEXT
from sfmc_import.operations.pausing import holder
from sfmc_import.operations.requests import read_views
from sfmc_import.operations.suggesting import suggestion
from sfmc_import.operations.views import DoneView, PauseView, RequestView, Time, View, time_of
from sfmc_import.redaction import hidden, hidden_in
from sfmc_import.request import QUEUE, UPKEEP_QUEUE, fold_key, is_mid
from sfmc_import.states import LETTER_EVENTS, NOT_STARTED, REPORTS, TERMINAL, TRANSITIONS, UNFINISHED
from sfmc_import.waiting import REASONS

MAX_LIMIT = 500
LOOKED_AT = 5000
"""How many entries one page looks at, at most: with rare matches a page may have few, and the cursor goes on."""

CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which requests are listed; what is None does not matter. `waiting` is a reason to wait, `among` one of LISTS."""

    state: str | None = None
    mid: str | None = None
    customer_key: str | None = None
    file: str | None = None
    waiting: str | None = None
    among: str | None = None

    def accepts(self, view: RequestView) -> bool:
        """Tell whether a request is one of them."""
        return (
            self.state in {None, view.state}
            and self.mid in {None, view.mid}
            and (self.customer_key is None or fold_key(self.customer_key) == fold_key(view.customer_key))
            and self.file in {None, view.file and view.file.name}
            and self.waiting in {None, view.waiting and view.waiting.reason}
        )

    @property
    def is_about_unfinished(self) -> bool:
        """Whether only unfinished requests can be listed."""
        return self.among == "unfinished" or self.waiting is not None or self.state in UNFINISHED


LISTS = ("failures", "unfinished")
"""What ended badly, did not go on and was not replayed since; and what has not ended."""

STATES = (*UNFINISHED, *TERMINAL, NOT_STARTED)
EVENT_TYPES = tuple(dict.fromkeys((*(each.event for each in TRANSITIONS), *REPORTS)))


def check_word(name: str, word: str | None, known: Collection[str], field: str = "") -> None:
    """Raise InvalidError for a word that a filter does not have, naming the nearest ones, or all."""
    if word is not None and word not in known:
        fix = suggestion(word, known) or _choice(known)
        raise InvalidError(f"{name} {word} is unknown", fix, field=field)


def _choice(known: Collection[str]) -> str:
    return f"use one of {', '.join(sorted(known))}" if known else "there is none here"


class RequestPage(View):
    """Some requests; `next` is the cursor of the page that follows, null at the end.

    `hint` says why there is none, where the filter names a business unit or a definition that is not known here.
    """

    items: list[RequestView]
    next: str | None
    hint: str | None = None


class EventPage(View):
    """Some events as CloudEvents, oldest first; `next` is the position to go on from.

    With `missed` events after the position that was given are gone: the stream keeps the newest.
    """

    items: list[dict[str, Any]]
    next: str
    missed: bool = False


class DefinitionView(View):
    """A definition: who holds it, its window, what waits, what pauses it.

    `follow_ups` wait behind the holder. `queued` requests wait for a worker, and `queued_unseen` messages that
    no worker has taken may hold more; null: the queue does not answer.
    """

    mid: str
    customer_key: str
    holder: str | None
    window_until: Time | None
    window_by: str | None
    consecutive_errors: int
    last_rows: int | None
    follow_ups: list[str]
    pause: PauseView | None
    queued: int = 0
    queued_unseen: int | None = 0


class DefinitionPage(View):
    """Some definitions, in no order; `next` is the cursor of the page that follows, null at the end."""

    items: list[DefinitionView]
    next: str | None


MAX_NEWEST = 5000
"""How many of the newest events one answer has at most."""

LIST_THEM = with_command("list them with", "dead-letters")


class DeadLetterView(View):
    """A message that no worker could handle: the task and the body that it names, where they can be read.

    `entry` is the message as text and `entry_base64` its bytes, where one is asked for.
    """

    id: str
    at: Time
    queue: str
    reason: str
    detail: str
    task: str | None
    body: str | None
    size: int
    entry: str | None = None
    entry_base64: str | None = None


class DeadLetterPage(View):
    """Some dead letters, oldest first; `next` is the cursor of the page that follows, null at the end."""

    items: list[DeadLetterView]
    next: str | None


def requests(access: ReadAccess, wanted: Filter, cursor: str | None = None, limit: int = 50) -> RequestPage:
    """List requests: the unfinished ones by their next time, others newest first.

    Raises InvalidError for a cursor, a list, a state or a reason to wait that there is not.
    """
    check_word("the list", wanted.among, LISTS)
    check_word("the state", wanted.state, STATES, "state")
    check_word("the reason to wait", wanted.waiting, REASONS, "waiting")
    _check_mid(wanted.mid)
    page = _page(access, wanted, cursor, max(1, min(limit, MAX_LIMIT)))
    is_empty = not page.items and cursor is None and page.next is None
    mid = access.mid(wanted.mid) if wanted.customer_key is not None else wanted.mid
    hint = knowing.hint(access, mid, wanted.customer_key) if is_empty and mid else None
    return page if hint is None else page.model_copy(update={"hint": hint})


def _page(access: ReadAccess, wanted: Filter, cursor: str | None, limit: int) -> RequestPage:
    if wanted.among == "failures":
        return _by_end(access, wanted, _read_cursor(cursor, "end", r"\d{1,15}"), limit)
    if wanted.is_about_unfinished:
        return _by_due(access, wanted, _read_cursor(cursor, "due", r"\d{1,15}"), limit)
    return _by_events(access, wanted, _read_cursor(cursor, "event", r"\d{1,19}-\d{1,19}"), limit)


def _check_mid(mid: str | None) -> None:
    if mid is not None and not is_mid(mid):
        fix = "an MID is a whole number without leading zeros"
        raise InvalidError(f"{mid} is no business unit", fix, field="mid")


def _by_due(access: ReadAccess, wanted: Filter, begin: str | None, limit: int) -> RequestPage:
    at, found = int(begin or 0), list[RequestView]()
    client: Any = access.client
    end = at + LOOKED_AT
    while at < end:
        with redis_errors():
            ids = [name.decode() for name in client.zrange(access.keys.due, at, at + CHUNK - 1)]
        if not ids:
            return RequestPage(items=found, next=None)
        views = {view.request_id: view for view in read_views(access, _likely(access, ids, wanted))}
        for request_id in ids:
            at += 1
            found += [view] if (view := views.get(request_id)) and wanted.accepts(view) else []
            if len(found) == limit:
                return RequestPage(items=found, next=_cursor("due", str(at)))
    return RequestPage(items=found, next=_cursor("due", str(at)))


def _by_end(access: ReadAccess, wanted: Filter, begin: str | None, limit: int) -> RequestPage:
    """List failures, the newest first; there are 1,000 at most."""
    at, found = int(begin or 0), list[RequestView]()
    client: Any = access.client
    while True:
        with redis_errors():
            ids = client.zrange(access.keys.name_of(FAILURES), -(at + CHUNK), -(at + 1))
        if not ids:
            return RequestPage(items=found, next=None)
        views = {view.request_id: view for view in read_views(access, [name.decode() for name in ids])}
        for name in reversed(ids):
            at += 1
            found += [view] if (view := views.get(name.decode())) and wanted.accepts(view) else []
            if len(found) == limit:
                return RequestPage(items=found, next=_cursor("end", str(at)))


def _likely(access: ReadAccess, ids: Sequence[str], wanted: Filter) -> list[str]:
    """Give those that may be wanted, by the few fields that tell it: a whole record takes five times as long."""
    with redis_errors(), access.client.pipeline(transaction=False) as pipe:
        for request_id in ids:
            pipe.hmget(access.keys.request(request_id), *_TELLING)
        answers = pipe.execute()
    asked = (wanted.state, wanted.mid, wanted.waiting, wanted.customer_key and fold_key(wanted.customer_key))
    return [request_id for request_id, found in zip(ids, answers, strict=True) if _agree(asked, found)]


_TELLING = ("state", "mid", "wait", "key")


def _agree(asked: Sequence[str | None], found: Sequence[bytes | None]) -> bool:
    state, mid, waiting, key = ((each or b"").decode() for each in found)
    return all(
        word is None or word == is_so for word, is_so in zip(asked, (state, mid, waiting, fold_key(key)), strict=True)
    )


def _by_events(access: ReadAccess, wanted: Filter, begin: str | None, limit: int) -> RequestPage:
    found: list[RequestView] = []
    looked, last = 0, begin
    for looked, (position, view) in enumerate(_backwards(access, begin, wanted), 1):
        last = position
        if view is not None and wanted.accepts(view):
            found.append(view)
        if len(found) == limit or looked == LOOKED_AT:
            break
    is_over = len(found) < limit and looked < LOOKED_AT
    return RequestPage(items=found, next=None if is_over or last is None else _cursor("event", last))


def _backwards(access: ReadAccess, begin: str | None, wanted: Filter) -> Iterator[tuple[str, RequestView | None]]:
    border = f"({begin}" if begin else "+"
    while entries := access.stream.before(border, CHUNK):
        yield from _newest_of_each(access, entries, wanted)
        border = f"({entries[-1][0]}"


def _newest_of_each(
    access: ReadAccess, entries: Sequence[tuple[str, Event]], wanted: Filter
) -> Iterator[tuple[str, RequestView | None]]:
    """Yield each entry with its request, if it is the newest event of that: so each request comes once.

    The newest event of a request that has ended has the name of its state, and each names the definition: others need
    not be read.
    """
    key = wanted.customer_key and fold_key(wanted.customer_key)
    likely = (
        event["data"]
        for _, event in entries
        if wanted.state in {None, kind(event)} and key in {None, fold_key(str(event["subject"]))}
    )
    ids = list({str(data["request_id"]): None for data in likely if data.get("request_id")})
    counts = dict(zip(ids, _counts(access, ids), strict=True))
    views = {view.request_id: view for view in read_views(access, ids)}
    for position, event in entries:
        request_id = str(event["data"].get("request_id"))
        is_newest = event.get("id", "").startswith(f"{request_id}/{counts.get(request_id)}/")
        yield position, views.get(request_id) if is_newest else None


def _counts(access: ReadAccess, ids: Sequence[str]) -> list[str]:
    with redis_errors(), access.client.pipeline(transaction=False) as pipe:
        for request_id in ids:
            pipe.hget(access.keys.request(request_id), "n")
        return [(answer or b"").decode() for answer in pipe.execute()]


def _cursor(about: str, place: str) -> str:
    return base64.urlsafe_b64encode(f"{about}:{place}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str | None, about: str, form: str) -> str | None:
    if cursor is None:
        return None
    try:
        text = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode()
    except ValueError:
        text = ""
    name, _, place = text.partition(":")
    if name != about or not re.fullmatch(form, place, re.ASCII) or len(place) > 40:
        raise InvalidError("the cursor is not one of this list", "begin without a cursor")
    return place


# --- Definitions.


def definition(access: ReadAccess, mid: str, customer_key: str) -> DefinitionView:
    """Give one definition; raises NotFoundError where the ledger does not know it."""
    key = access.reader.spelled(mid, customer_key)
    found = _definitions(access, [(mid, key)])
    if not found:
        text = f"the ledger knows no definition {customer_key} of business unit {mid}"
        raise NotFoundError(text, unknown.advice(access, mid, customer_key))
    return found[0]


def definitions(access: ReadAccess, cursor: str | None = None) -> DefinitionPage:
    """List the definitions that requests were for; a page has about as many as Redis finds in one look."""
    place = int(_read_cursor(cursor, "scan", r"\d{1,19}") or 0)
    client: Any = access.client
    with redis_errors():
        place, found = client.hscan(access.keys.name_of(DEFINITIONS), place, count=CHUNK)
    pairs = [(name.decode().partition(":")[0], key.decode()) for name, key in found.items()]
    return DefinitionPage(items=_definitions(access, pairs), next=_cursor("scan", str(place)) if place else None)


def _definitions(access: ReadAccess, pairs: Sequence[tuple[str, str]]) -> list[DefinitionView]:
    homes = access.reader.homes(pairs)
    with redis_errors(), access.client.pipeline(transaction=False) as pipe:
        for (mid, _), home in zip(pairs, homes, strict=True):
            pipe.hgetall(access.keys.definition(mid, home))
            pipe.zrange(access.keys.follow_ups(mid, home), 0, 99)
        answers = pipe.execute()
    paused = access.reader.pauses()
    now, in_queue = access.reader.now(), queued.look(access)
    rows = zip(pairs, homes, answers[::2], answers[1::2], strict=True)
    found = ((*row, in_queue.of(row[0][0], row[1])) for row in rows)
    return [
        _definition(*pair, home, DEFINITION.read(record), ids, paused, now).model_copy(update=waits)
        for pair, home, record, ids, waits in found
        if record or ids or waits["queued"]
    ]


def _definition(
    mid: str,
    key: str,
    home: str,
    record: Mapping[str, Any],
    ids: Sequence[bytes],
    paused: Pauses,
    now: float,
) -> DefinitionView:
    window = record.get("window_until", 0.0)
    return DefinitionView(
        mid=mid,
        customer_key=key,
        holder=record.get("holder"),
        window_until=time_of(window) if window > now else None,
        window_by=record.get("window_by") or None,
        consecutive_errors=record.get("consecutive_errors", 0),
        last_rows=None if "last_rows" not in record else int(record["last_rows"]),
        follow_ups=[request_id.decode() for request_id in ids],
        pause=holder(paused, mid, key, home),
    )


# --- Events and dead letters.


def events(
    access: ReadAccess, after: str = "0-0", limit: int = 50, *, key: str | None = None, types: Sequence[str] = ()
) -> EventPage:
    """Give the events after a position of the stream, each with its `stream_id`; InvalidError for an unknown type."""
    _check_types(types)
    found: list[dict[str, Any]] = []
    position = after
    with redis_errors():
        missed = access.stream.gap_after(after) is not None
    for looked, (position, event) in enumerate(access.stream.after(after), 1):
        own = key is None or fold_key(str(event["subject"])) == fold_key(key)
        if own and (not types or kind(event) in types):
            found.append({"stream_id": position, **hidden_in(event)})
        if len(found) >= max(1, min(limit, MAX_LIMIT)) or looked >= LOOKED_AT:
            break
    return EventPage(items=found, next=position, missed=missed)


def _check_types(types: Sequence[str]) -> None:
    for each in types:
        check_word("the type of event", each, EVENT_TYPES)


def newest_events(
    access: ReadAccess, limit: int = 50, *, key: str | None = None, types: Sequence[str] = ()
) -> EventPage:
    """Give the newest events that are wanted, oldest first, each with its `stream_id`; InvalidError as `events`."""
    _check_types(types)

    def wanted(event: Event) -> bool:
        own = key is None or fold_key(str(event["subject"])) == fold_key(key)
        return own and (not types or kind(event) in types)

    with redis_errors():
        newest = access.stream.newest()
        found = access.stream.last(min(limit, MAX_NEWEST), wanted, newest)
        return EventPage(items=[{"stream_id": position, **hidden_in(event)} for position, event in found], next=newest)


def dead_letters(access: ReadAccess, after: str | None = None, limit: int = 50) -> DeadLetterPage:
    """Give dead letters after an id, oldest first."""
    if after is not None and not re.fullmatch(r"\d{1,19}-\d{1,19}", after, re.ASCII):
        raise InvalidError("the cursor is not one of this list", "begin without a cursor")
    count = max(1, min(limit, MAX_LIMIT))
    with redis_errors():
        found = letters.page(access.broker, access.broker_keys, after, count)
    items = [_letter(each) for each in found]
    return DeadLetterPage(items=items, next=items[-1].id if len(items) == count else None)


def dead_letter(access: ReadAccess, letter_id: str, *, says: bool = False) -> DeadLetterView:
    """Give one dead letter with its bytes; raises NotFoundError."""
    with _letter_errors(access, letter_id, says=says):
        found = letters.read(access.broker, access.broker_keys, letter_id)
    entry = messages.text_of(found.entry)
    whole = {"entry": entry and hidden(entry), "entry_base64": base64.b64encode(found.entry).decode()}
    return _letter(found).model_copy(update=whole)


def replay_dead_letter(access: ReadAccess, letter_id: str, operator: str, queue: str | None = None) -> DoneView:
    """Put a message back at the end of its queue, or of another of the workers; raises NotFoundError, InvalidError."""
    view = dead_letter(access, letter_id, says=True)
    if queue is not None:
        check_word("the queue", queue, {QUEUE, UPKEEP_QUEUE, view.queue} - {""})
    # The queue of a letter is a whole key already, and what a source set aside goes back to it with its id.
    target = None if queue in {None, view.queue} else access.broker_keys.queue(str(queue))
    said = messages.doing("replayed", operator[:MAX_TEXT], view, queue or view.queue)
    with _letter_errors(access, letter_id, says=True):
        letters.replay(access.broker, access.broker_keys, letter_id, target, said)
    return _done(access, said)


def delete_dead_letter(access: ReadAccess, letter_id: str, operator: str) -> DoneView:
    """Delete a message for ever; raises NotFoundError."""
    view = dead_letter(access, letter_id, says=True)
    said = messages.doing("deleted", operator[:MAX_TEXT], view, view.queue)
    with _letter_errors(access, letter_id, says=True):
        letters.delete(access.broker, access.broker_keys, letter_id, said)
    return _done(access, said)


@contextmanager
def _letter_errors(access: ReadAccess, letter_id: str, *, says: bool = False) -> Iterator[None]:
    """Say what became of a letter that is gone; if whoever did it died before its event, that comes where it `says`."""
    try:
        with redis_errors():
            yield
    except letters.NoQueueError as error:
        raise InvalidError(str(error)) from error
    except letters.DeadLetterNotFoundError as error:
        with redis_errors():
            said = letters.became(access.broker, access.broker_keys, letter_id)
        if said and says:
            _done(access, said)
        raise NotFoundError(f"{error}{messages.done_with(said)}", LIST_THEM) from error


def _done(access: ReadAccess, said: Mapping[str, str]) -> DoneView:
    """Say in an event who did it; an id of a letter comes once, so there is one event for it."""
    data, letter_id = {name: text for name, text in said.items() if name != "done"}, said["dead_letter"]
    mid, event = access.settings.account_id or "", LETTER_EVENTS[said["done"]]
    access.ledger().report(f"dead-letter/{letter_id}", event, mid, letter_id, data)
    return DoneView(id=letter_id, done=said["done"], queue=said["queue"])


def _letter(letter: letters.DeadLetter) -> DeadLetterView:
    task, body = messages.task_and_body(letter.entry)
    return DeadLetterView(
        task=task,
        body=body and hidden(body),
        id=letter.id,
        at=letter.at,
        queue=letter.queue,
        reason=letter.reason,
        detail=hidden(letter.detail),
        size=len(letter.entry),
    )
