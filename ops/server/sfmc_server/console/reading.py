"""The pages that show something: overview, requests, definitions, files without a definition, dead letters."""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sfmc_transport.dead_letters as letters
from sfmc_import.operations import actions, in_doubt, listing, requests, stale_lists, usage
from sfmc_import.operations.activity import DefinitionDay
from sfmc_import.operations.errors import InvalidError, NotFoundError
from sfmc_import.operations.in_the_way import around_file, in_the_way, unread, unread_sentence
from sfmc_import.operations.overview import overview as read_overview
from sfmc_import.operations.queued import look, queued_text
from sfmc_import.operations.status import FILES_OF
from sfmc_import.operations.troubles import troubles_of
from sfmc_import.operations.unmatched import LOOKED_AT
from sfmc_import.operations.views import PauseView, RequestView, time_of
from sfmc_import.request import fold_key
from sfmc_import.states import TERMINAL, UNFINISHED
from sfmc_server.console import mistakes
from sfmc_server.console.acting import offered
from sfmc_server.console.asking import Ask, Moved, Shown
from sfmc_server.console.life import steps
from sfmc_server.console.mistakes import Wrong
from sfmc_server.console.paths import request_path
from sfmc_server.console.rendering import age, moment

ROWS = 20
MAX_EVENTS = 500
"""Events of one request that its page shows."""

LINES = 40
"""Definitions that the first page shows."""

PAGE = 50

_WIDTHS = ("all", "mid", "key")


def overview(ask: Ask) -> Shown:
    """Show the whole: what needs a person first."""
    found = read_overview(ask.access, ROWS)
    now = found.now.timestamp()
    activity = ask.feed.activity
    day, lines = activity.day(now), activity.definitions(now, LINES)
    shares = (("half", "run", 0.5), ("95 %", "warn", 0.95))
    waits = [(word, tone, [hour.quantile(share) for hour in day.hours]) for word, tone, share in shares]
    values = {"found": found, "day": day, "lines": lines, "is_counted": ask.feed.is_whole, "offered": offered}
    values["is_paused"] = _judge_of(found.paused)
    values["paused"] = sorted(found.paused, key=lambda pause: _WIDTHS.index(pause.scope.partition(":")[0]))
    values["alarms"] = [each for each in found.folders if each.is_trouble]
    values["waits"], values["calls"], values["unmatched"] = waits, usage.calls(ask.access), ask.feed.strays.count
    return Shown("overview.html", values)


def request_list(ask: Ask) -> Shown:
    """List requests in pages; the filters stand in the address."""
    names = ("state", "mid", "customer_key", "file", "waiting")
    given = {name: ask.given(name) for name in names}
    among = ask.given("list")
    wrong: Wrong = {}
    try:
        page = listing.requests(ask.access, listing.Filter(**given, among=among), ask.given("cursor"), PAGE)
    except InvalidError as error:
        if error.field not in names:
            raise
        page, wrong = listing.RequestPage(items=[], next=None), mistakes.of_error(error)
    kept = {name: value for name, value in {**given, "list": among}.items() if value}
    values: dict[str, Any] = {"items": page.items, "next": page.next, "hint": page.hint, "given": given, "kept": kept}
    values |= {"now": _now(ask), "offered": offered, "list": among or "", "wrong": wrong}
    return Shown("requests.html", values | {"states": (*UNFINISHED, *TERMINAL)}, 422 if wrong else 200)


def request(ask: Ask) -> Shown:
    """Show one request: where it stands, why it waits, its whole life."""
    view = requests.show(ask.access, ask.given("id") or "")
    events = [event for event, _ in zip(requests.life(ask.access, view), range(MAX_EVENTS), strict=False)]
    now = _now(ask)
    life = steps(events, now, is_over=view.is_finished and view.state != "start_unknown")
    parts = [(f"{each.between}: {age(each.seconds)}", each.tone, each.seconds) for each in life if each.seconds]
    values = {"view": view, "life": life, "now": now, "parts_of_life": parts, "facts": _facts(view), "offered": offered}
    values["in_the_way"] = around_file(ask.access, view)
    return Shown("request.html", values | {"paused": _pauses_of(ask, view)})


def _judge_of(pauses: Sequence[PauseView]) -> Callable[[DefinitionDay], bool]:
    """Give what tells of a definition whether it, its business unit or everything is paused."""
    scopes = {fold_key(each.scope) for each in pauses}

    def is_paused(line: DefinitionDay) -> bool:
        return not scopes.isdisjoint({"all", f"mid:{line.mid}", fold_key(f"key:{line.mid}:{line.customer_key}")})

    return is_paused


def _pauses_of(ask: Ask, view: RequestView) -> list[PauseView]:
    """Give what pauses a request: words and end are those of the operator."""
    if view.waiting is None or (view.waiting.reason != "paused" and view.waiting.pause is None):
        return []
    scopes = {actions.scope_of(*names) for names in ((None, None), (view.mid, None), (view.mid, view.customer_key))}
    return [each for each in actions.pauses(ask.access) if each.scope in scopes]


def _facts(view: RequestView) -> list[tuple[str, Any]]:
    """Give what is recorded of a request, with a word for each; what is not there is left out."""
    file = view.file
    pairs = [
        ("CustomerKey as asked for", view.asked_key),
        ("ObjectID", view.object_id),
        ("Recorded", moment(view.accepted_at)),
        ("Folder", file and file.location),
        ("Name at arrival", file and file.arrived_as),
        ("Size", file and file.size is not None and f"{file.size:,} bytes"),
        ("Version of the file", file and file.version),
        ("Modified", file and file.modified_at and moment(file.modified_at)),
        ("Source", view.source),
        ("Event of the source", view.event_id),
        ("Reason", view.reason),
        ("Not before", view.not_before and moment(view.not_before)),
        ("Deadline of the sender", view.expires and moment(view.expires)),
        ("Attempts", view.attempt),
        ("Task.ID", view.task_id),
        ("Status of the run", view.import_status),
        ("RequestID of Marketing Cloud", view.soap_request_id),
        ("Does not wait for the window", "yes" if view.force else None),
    ]
    return [(word, value) for word, value in pairs if value]


def definitions(ask: Ask) -> Shown:
    """List definitions: with `all` those that the ledger knows, else those of the last 24 hours."""
    now = _now(ask)
    if ask.given("list") == "all":
        page = listing.definitions(ask.access, ask.given("cursor"))
        return Shown("definitions_all.html", {"items": page.items, "next": page.next, "now": now})
    seconds = now.timestamp()
    day, lines = ask.feed.activity.day(seconds), ask.feed.activity.definitions(seconds, 500)
    values = {"day": day, "lines": lines, "now": now, "is_counted": ask.feed.is_whole}
    values["is_paused"] = _judge_of(actions.pauses(ask.access))
    return Shown("definitions.html", values)


def definition(ask: Ask) -> Shown:
    """Show one definition: who holds it, its window, what waits, what pauses it, its last 24 hours and requests."""
    mid, key = ask.given("mid") or "", ask.given("customer_key") or ""
    now = _now(ask)
    day = ask.feed.activity.definition(mid, ask.access.reader.spelled(mid, key), now.timestamp())
    view = _view_of(ask, mid, key, is_in_events=bool(day.newest))
    follow_ups = requests.read_views(ask.access, view.follow_ups)
    newest = requests.read_views(ask.access, day.newest)
    values = {"view": view, "now": now, "day": day, "follow_ups": follow_ups, "newest": newest}
    values["troubles"] = troubles_of(ask.access, mid)
    missing = in_the_way(ask.access, ask.access.reader.recent(mid, view.customer_key, FILES_OF))
    queued = queued_text(view.queued, view.queued_unseen)
    return Shown("definition.html", values | {"offered": offered, "queued": queued, "missing": missing})


def _view_of(ask: Ask, mid: str, key: str, *, is_in_events: bool) -> listing.DefinitionView:
    """Give a definition; of one that only refused requests named nothing is known but those."""
    try:
        return listing.definition(ask.access, mid, key)
    except NotFoundError:
        if not is_in_events:
            raise
    empty: dict[str, Any] = dict.fromkeys(("holder", "window_until", "window_by", "last_rows", "pause"))
    empty |= look(ask.access).of(mid, key)
    return listing.DefinitionView(mid=mid, customer_key=key, consecutive_errors=0, follow_ups=[], **empty)


def unmatched(ask: Ask) -> Shown:
    """List files that start nothing."""
    found = ask.feed.strays.read(ask.access.stream)
    values = {"found": found[: PAGE * 10], "count": ask.feed.strays.count, "looked_at": LOOKED_AT}
    values["old"] = stale_lists.lists_that_may_be_old(ask.access, (each.mid for each in found))
    return Shown("unmatched.html", values)


def dead_letters(ask: Ask) -> Shown:
    """List messages that no worker could handle."""
    page = listing.dead_letters(ask.access, ask.given("cursor"), PAGE)
    return Shown("dead_letters.html", {"items": page.items, "next": page.next, "now": _now(ask)})


def dead_letter(ask: Ask) -> Shown:
    """Show one of them with what can be read of it."""
    view = listing.dead_letter(ask.access, ask.path["letter_id"])
    raw = base64.b64decode(view.entry_base64 or "")
    return Shown("dead_letter.html", {"view": view, "parts_of_message": _parts(raw), "now": _now(ask)})


def _parts(raw: bytes) -> Mapping[str, Any] | str:
    """Give headers, properties and body of a message, or its text where it is none."""
    try:
        return letters.read_parts(raw)
    except (ValueError, LookupError, TypeError, AttributeError):
        return raw.decode("utf-8", "replace")


def search(ask: Ask) -> Shown | Moved:
    """Find a request by id, Task.ID or file name, or a definition by key; the only one that is found is shown."""
    text = ask.given("q")
    if text is None:
        return Moved("/requests")
    mid = ask.access.mid(ask.given("mid"))
    found = _found(ask, text, mid)
    waiting = in_doubt.folders(ask.access, text)
    if len(found) == 1 and not waiting:
        return Moved(request_path(found[0].request_id))
    keys = ask.feed.activity.definitions_like(text, PAGE)
    known = _known_definition(ask, mid, text)
    values = {"text": text, "items": found, "keys": keys, "known": known, "now": _now(ask), "offered": offered}
    values |= {"waiting": waiting, "unread": [unread_sentence(each) for each in unread(ask.access) if each.is_trouble]}
    return Shown("search.html", values, 200 if found or keys or known or waiting else 404)


def _found(ask: Ask, text: str, mid: str) -> list[RequestView]:
    try:
        return requests.find(ask.access, text, mid)
    except NotFoundError:
        return []


def _known_definition(ask: Ask, mid: str, key: str) -> listing.DefinitionView | None:
    try:
        return listing.definition(ask.access, mid, key)
    except NotFoundError:
        return None


def _now(ask: Ask) -> Any:
    return time_of(ask.access.reader.now())
