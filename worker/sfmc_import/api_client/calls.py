"""The calls of the API, one function for each; both clients send them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

from sfmc_import.api_client.wire import Answer, Call, Submitted, key_header
from sfmc_import.client import Rejection
from sfmc_import.operations.forgetting import ForgottenView
from sfmc_import.operations.listing import DeadLetterPage, DeadLetterView, DefinitionPage, EventPage, RequestPage
from sfmc_import.operations.refreshing import RefreshedView
from sfmc_import.operations.runs import RunPage
from sfmc_import.operations.status import RunningView, StandingView, StatusView, UnmatchedView
from sfmc_import.operations.usage import UsageView
from sfmc_import.operations.views import (
    ActionView,
    DoneView,
    ExplainedView,
    FolderView,
    LifeView,
    PauseView,
    ReplaysView,
    RequestView,
    ResumedView,
    View,
)

V = TypeVar("V", bound=View)


def _as(view: type[V]) -> Any:
    return lambda answer: view.model_validate(answer.json)


def _list_of(view: type[V]) -> Any:
    return lambda answer: [view.model_validate(each) for each in answer.json]


def _nothing(_: Answer) -> None:
    return None


def _id(text: str) -> str:
    """Give a name as one step of an address: a point alone, or two, would name a step of the way there."""
    return text.replace(".", "%2E") if text in {".", ".."} else quote(text, safe="")


def _get(path: str, read: Any, **query: Any) -> Call[Any]:
    return Call(method="GET", path=path, read=read, query=query, is_safe=True)


def _post(path: str, read: Any, body: Mapping[str, Any], key: str | None = None, *, is_safe: bool = False) -> Call[Any]:
    headers = key_header(key)
    given = {name: value for name, value in body.items() if value is not None}
    return Call(method="POST", path=path, read=read, body=given, headers=headers, is_safe=is_safe or key is not None)


def submit(key: str | None, fields: Mapping[str, Any], wait: float) -> Call[Submitted]:
    """Ask for one start."""
    call = _post("/requests", _submitted, fields, key)
    prefer = {"prefer": f"wait={wait:.0f}"} if wait else {}
    return Call(**{**_parts(call), "headers": {**call.headers, **prefer}, "wait": wait})


def _submitted(answer: Answer) -> Submitted:
    return Submitted(RequestView.model_validate(answer.json), answer.headers.get("idempotency-replayed") != "true")


def _parts(call: Call[Any]) -> dict[str, Any]:
    return {name: getattr(call, name) for name in ("method", "path", "read", "query", "body", "headers", "is_safe")}


def reject(key: str, fields: Mapping[str, Any]) -> Call[Rejection]:
    """Record a request that must not be started."""
    return _post("/rejections", lambda answer: Rejection(**answer.json), fields, key)


def report(fields: Mapping[str, Any]) -> Call[bool]:
    """Publish that a file starts nothing; the ledger does it once."""
    return _post("/arrivals", lambda answer: bool(answer.json["is_new"]), fields, is_safe=True)


def set_aside(fields: Mapping[str, Any]) -> Call[None]:
    """Keep a record that cannot be read as a dead letter; it is done once for each `record_id`."""
    return _post("/set-aside", _nothing, fields, is_safe=True)


def note_folders(watcher: str, folders: Sequence[Mapping[str, Any]] | None, clock: float | None = None) -> Call[None]:
    """Say what a watcher knows of its folders, and of its clock."""
    path, said = f"/watchers/{_id(watcher)}", {} if clock is None else {"clock": clock}
    return Call(method="PUT", path=path, read=_nothing, body={"folders": folders} | said, is_safe=True)


def show(request_id: str, wait: float) -> Call[LifeView]:
    """Show a request with its life."""
    headers = {"prefer": f"wait={wait:.0f}"} if wait else {}
    path = f"/requests/{_id(request_id)}"
    return Call(method="GET", path=path, read=_as(LifeView), headers=headers, is_safe=True, wait=wait)


def requests(**query: Any) -> Call[RequestPage]:
    """List requests."""
    return _get("/requests", _as(RequestPage), **query)


def failures(limit: int) -> Call[list[RequestView]]:
    """List the newest failures."""
    return _get("/failures", _list_of(RequestView), limit=limit)


def search(text: str, mid: str | None) -> Call[list[RequestView]]:
    """Find requests by id, Task.ID or file name."""
    return _get("/search", _list_of(RequestView), text=text, mid=mid or None)


def act(request_id: str, action: str, body: Mapping[str, Any], key: str | None = None) -> Call[ActionView]:
    """Cancel, force, settle, resolve, replay or follow; all but resolve and replay may be repeated."""
    is_safe = action in {"cancel", "force", "settle", "follow"}
    return _post(f"/requests/{_id(request_id)}/{action}", _as(ActionView), body, key, is_safe=is_safe)


def replay_many(body: Mapping[str, Any], key: str) -> Call[ReplaysView]:
    """Replay many requests, or count them."""
    return _post("/replays", _as(ReplaysView), body, key)


def status() -> Call[StatusView]:
    """Show the whole."""
    return _get("/status", _as(StatusView))


def now() -> Call[float]:
    """Ask for the time of Redis."""
    return _get("/running", lambda answer: RunningView.model_validate(answer.json).now.timestamp())


def running() -> Call[RunningView]:
    """Count workers and beats."""
    return _get("/running", _as(RunningView))


def standing(customer_key: str, mid: str | None, last: int) -> Call[StandingView]:
    """Show one definition."""
    return _get("/standing", _as(StandingView), customer_key=customer_key, mid=mid or None, last=last)


def unmatched(last: int, mid: str | None) -> Call[UnmatchedView]:
    """List files that start nothing."""
    return _get("/unmatched", _as(UnmatchedView), last=last, mid=mid)


def definitions(cursor: str | None) -> Call[DefinitionPage]:
    """List definitions."""
    return _get("/definitions", _as(DefinitionPage), cursor=cursor)


def usage() -> Call[UsageView]:
    """Show how many calls the account has made."""
    return _get("/usage", _as(UsageView))


def refresh(customer_key: str | None, mid: str | None) -> Call[RefreshedView]:
    """Let definitions be read again; it may be repeated."""
    body = {"customer_key": customer_key, "mid": mid or None}
    return _post("/definitions/refresh", _as(RefreshedView), body, is_safe=True)


def folders(file: str | None) -> Call[list[FolderView]]:
    """List the folders that are watched, or were."""
    return _get("/folders", _list_of(FolderView), file=file)


def forget_folder(name: str) -> Call[ForgottenView]:
    """Forget a folder."""
    return _post("/folders/forget", _as(ForgottenView), {"name": name})


def pauses() -> Call[list[PauseView]]:
    """List what is paused."""
    return _get("/pauses", _list_of(PauseView))


def pause(scope: str, reason: str, until: datetime | None) -> Call[PauseView]:
    """Pause a scope."""
    body = {"reason": reason} | ({} if until is None else {"until": until.isoformat()})
    return Call(method="PUT", path=_pause_path(scope), read=_as(PauseView), body=body, is_safe=True)


def resume(scope: str, reason: str | None) -> Call[ResumedView]:
    """End a pause."""
    return Call(method="DELETE", path=_pause_path(scope), read=_as(ResumedView), query={"reason": reason})


def _pause_path(scope: str) -> str:
    kind, _, rest = scope.partition(":")
    mid, _, key = rest.partition(":")
    if kind == "all":
        return "/pauses/all"
    return f"/pauses/units/{_id(mid)}" if kind == "mid" else f"/definitions/{_id(mid)}/{_id(key)}/pause"


def dead_letters(cursor: str | None, limit: int) -> Call[DeadLetterPage]:
    """List dead letters."""
    return _get("/dead-letters", _as(DeadLetterPage), cursor=cursor, limit=limit)


def dead_letter(letter_id: str) -> Call[DeadLetterView]:
    """Show a dead letter."""
    return _get(f"/dead-letters/{_id(letter_id)}", _as(DeadLetterView))


def replay_dead_letter(letter_id: str, queue: str | None) -> Call[DoneView]:
    """Put a dead letter back into its queue."""
    path = f"/dead-letters/{_id(letter_id)}/replay"
    return Call(method="POST", path=path, read=_as(DoneView), query={"queue": queue})


def delete_dead_letter(letter_id: str) -> Call[DoneView]:
    """Delete a dead letter."""
    return Call(method="DELETE", path=f"/dead-letters/{_id(letter_id)}", read=_as(DoneView))


def events(after: str, limit: int, customer_key: str | None, types: Sequence[str]) -> Call[EventPage]:
    """Give events after a position."""
    query = {"after": after, "limit": limit, "customer_key": customer_key, "type": list(types) or None}
    return _get("/events", _as(EventPage), **query)


def newest_events(limit: int, customer_key: str | None, types: Sequence[str]) -> Call[EventPage]:
    """Give the newest events, oldest first."""
    query = {"limit": limit, "customer_key": customer_key, "type": list(types) or None}
    return _get("/events/newest", _as(EventPage), **query)


def runs(since: datetime | None, cursor: str | None, limit: int) -> Call[RunPage]:
    """List the runs that have ended."""
    return _get("/runs", _as(RunPage), since=None if since is None else since.isoformat(), cursor=cursor, limit=limit)


def explain(body: Mapping[str, Any]) -> Call[list[ExplainedView]]:
    """Say what a file or an event would start."""
    return _post("/explain", _list_of(ExplainedView), body, is_safe=True)
