"""The HTTP API under /v1: requests, definitions, pauses, dead letters and events, over the operations."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request
from fastapi.security import HTTPBearer
from starlette.responses import Response, StreamingResponse

from sfmc_import.access import ReadAccess
from sfmc_import.client import Client, Submission
from sfmc_import.operations import actions, listing, replaying, resolving, tokens, usage
from sfmc_import.operations import requests as questions
from sfmc_import.operations.errors import InvalidError, NotFoundError
from sfmc_import.operations.views import (
    ActionView,
    DoneView,
    LifeView,
    ReplaysView,
    RequestView,
)
from sfmc_server import asking, pausing, producing, refusing
from sfmc_server.authentication import bearer_token
from sfmc_server.body_limit import BodyLimit
from sfmc_server.callers import (
    RESPONSES,
    Access,
    Cursor,
    ForbiddenError,
    Id,
    IdempotencyKey,
    Key,
    Limit,
    Mid,
    Operates,
    Reads,
    RequestId,
    Shows,
    Submits,
    Submitter,
    inner,
    is_own,
    request_id_of,
    source_of,
)
from sfmc_server.conditions import Condition, is_known, tag_of_definition
from sfmc_server.explaining import Explainer
from sfmc_server.given import (
    ForceGiven,
    OptionalReason,
    OptionalReplay,
    ReplaysGiven,
    RequestGiven,
    ResolveGiven,
    SettleGiven,
)
from sfmc_server.live_events import LiveEvents
from sfmc_server.preferring import Seconds, Waiters, Waiting

api = APIRouter(
    prefix="/v1",
    dependencies=[Depends(HTTPBearer(auto_error=False, scheme_name="bearer"))],
    responses=RESPONSES,
)
api.include_router(asking.router)
api.include_router(pausing.router)
api.include_router(producing.router)


# --- Requests.


@api.post(
    "/requests",
    status_code=202,
    tags=["requests"],
    responses={200: {"model": RequestView, "description": "It has ended."}},
)
def submit(
    given: RequestGiven,
    caller: Submits,
    access: Access,
    client: Submitter,
    answer: Response,
    wait: Seconds,
    waiting: Waiting,
    idempotency_key: IdempotencyKey = None,
) -> RequestView:
    """Ask for one start. Answers 202 once the ledger has the request, with its address in Location.

    The same Idempotency-Key from the same token is one request, for as long as the ledger keeps it; with another body
    it is 422. `Prefer: wait=N` waits up to N seconds, 30 at most, for the end and answers 200 when it has come.
    """
    if given.force and caller.role == "source":
        raise ForbiddenError("a token of the role source may not force a start")
    fields = given.model_dump(exclude_none=True) | source_of(caller, given.source)
    if idempotency_key is not None:
        fields |= {"request_id": request_id_of(caller, inner(idempotency_key))}
        _check_same(access, client, fields)
    done = client.submit(**fields)
    answer.headers["Location"] = f"/v1/requests/{quote(done.request_id, safe='')}"
    if not done.is_new:
        answer.headers["Idempotency-Replayed"] = "true"
    view = waiting.wait(access, done.request_id, wait)
    if wait:
        answer.headers["Preference-Applied"] = f"wait={wait:.0f}"
        answer.status_code = 200 if view.is_finished else 202
    return view


def _check_same(access: ReadAccess, client: Client, fields: Mapping[str, Any]) -> None:
    """Raise KeyReusedError where the key had another body, and what `submit` raises before the key is used up."""
    client.state_of(Submission(**fields))  # type: ignore[typeddict-item]
    try:
        replaying.note(access, "submit", fields["request_id"], fields)
    except replaying.KeyReusedError as error:
        # The ledger has no other start under this id: the sender may take it for its own.
        error.request_id = fields["request_id"]
        raise


@api.get("/requests", tags=["requests"])
def list_requests(
    _: Reads,
    access: Access,
    state: Annotated[str | None, Query(max_length=40)] = None,
    mid: Annotated[str | None, Query(max_length=32)] = None,
    customer_key: Annotated[str | None, Query(max_length=256)] = None,
    file: Annotated[str | None, Query(max_length=1024)] = None,
    waiting: Annotated[str | None, Query(max_length=40)] = None,
    among: Annotated[str | None, Query(alias="list", max_length=40, description="failures or unfinished")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> listing.RequestPage:
    """List requests, the newest first; those of an unfinished state, or that wait, by their next time.

    `list=failures` has those that ended badly, did not go on and were not replayed since; `list=unfinished` all others
    that somebody may wait for.
    """
    wanted = listing.Filter(state=state, mid=mid, customer_key=customer_key, file=file, waiting=waiting, among=among)
    return listing.requests(access, wanted, cursor, limit)


@api.get("/failures", tags=["requests"])
def list_failures(_: Reads, access: Access, limit: Limit = 50) -> list[RequestView]:
    """List the newest requests that ended badly, did not go on and were not replayed since."""
    return questions.failures(access, limit)


@api.get("/requests/{request_id:path}", tags=["requests"])
def show(
    request_id: RequestId, caller: Shows, access: Access, answer: Response, wait: Seconds, waiting: Waiting
) -> LifeView:
    """Show a request with its whole life. `Prefer: wait=N` waits up to N seconds, 30 at most, for its end.

    A token of the role `source` sees the requests that were submitted with it; others are not there for it.
    """
    if not is_own(caller, questions.show(access, request_id)):
        raise NotFoundError(f"there is no request {request_id}", questions.UNKNOWN)
    view = waiting.wait(access, request_id, wait)
    if wait:
        answer.headers["Preference-Applied"] = f"wait={wait:.0f}"
    return questions.whole(access, view)


@api.post("/requests/{request_id:path}/cancel", tags=["requests"])
def cancel(request_id: RequestId, given: OptionalReason, caller: Operates, access: Access) -> ActionView:
    """End a request before its start; its file counts as handled."""
    return actions.cancel(access, request_id, caller.name, given.reason)


@api.post("/requests/{request_id:path}/force", tags=["requests"])
def force(request_id: RequestId, given: ForceGiven, caller: Operates, access: Access) -> ActionView:
    """Let a request start as soon as its definition is free: without the window, its order (`after`) and its turn."""
    return actions.force(access, request_id, caller.name, given.reason)


@api.post("/requests/{request_id:path}/settle", tags=["requests"])
def settle(request_id: RequestId, given: SettleGiven, caller: Operates, access: Access) -> ActionView:
    """Say that the bad end of a request is dealt with: it leaves the lists of what a person must look at."""
    return actions.settle(access, request_id, caller.name, given.reason)


@api.post("/requests/{request_id:path}/resolve", tags=["requests"])
def resolve(request_id: RequestId, given: ResolveGiven, caller: Operates, access: Access) -> ActionView:
    """Record what became of a start that is unknown: the run `task_id`, checked with Marketing Cloud, or none."""
    ask = None if given.unchecked else resolving.ask_marketing_cloud
    by, reason = caller.name, given.reason
    return resolving.resolve(access, request_id, given.task_id, by, reason, force=given.force, ask=ask)


@api.post("/requests/{request_id:path}/replay", status_code=202, tags=["requests"])
def replay(
    request_id: RequestId,
    given: OptionalReplay,
    caller: Operates,
    access: Access,
    answer: Response,
    idempotency_key: IdempotencyKey = None,
) -> ActionView:
    """Submit what a request asked for again, as a new request that names it; the same Idempotency-Key does it once."""
    new_id = None if idempotency_key is None else replaying.id_of(caller.name, inner(idempotency_key), request_id)
    if new_id is not None:
        was_there = access.reader.request(new_id) is not None
        replaying.note(access, "replay", new_id, given.model_dump())
        answer.headers.update({"Idempotency-Replayed": "true"} if was_there else {})
    return actions.replay(access, request_id, caller.name, given.reason, force=given.force, new_id=new_id)


@api.post("/replays", tags=["requests"])
def replay_many(
    given: ReplaysGiven, caller: Operates, access: Access, answer: Response, idempotency_key: IdempotencyKey = None
) -> ReplaysView:
    """Replay the newest requests of a state, each as a new request with an event; a dry run counts them first.

    What is no dry run needs an Idempotency-Key: the same one replays the same requests, each once, also after a cut.
    """
    wanted = listing.Filter(state=given.state, mid=given.mid, customer_key=given.customer_key)
    if given.dry_run:
        return replaying.counted(access, wanted, given.limit)
    if idempotency_key is None:
        raise InvalidError("a replay of many needs an Idempotency-Key: the same call again must replay nothing twice")
    call = replaying.Call(caller.name, inner(idempotency_key), given.reason)
    answer.headers.update({"Idempotency-Replayed": "true"} if replaying.is_noted(access, call) else {})
    return replaying.replay_many(access, wanted, given.limit, call)


# --- Definitions.


@api.get("/definitions", tags=["definitions"])
def list_definitions(_: Reads, access: Access, cursor: Cursor = None) -> listing.DefinitionPage:
    """List the definitions that the ledger knows, in no order."""
    return listing.definitions(access, cursor)


@api.get(
    "/definitions/{mid}/{customer_key:path}",
    tags=["definitions"],
    response_model=listing.DefinitionView,
    responses={304: {"description": "It has not changed."}},
)
def show_definition(
    mid: Mid,
    customer_key: Key,
    _: Reads,
    access: Access,
    answer: Response,
    if_none_match: Condition = None,
) -> Any:
    """Show a definition: who holds it, its window, what waits, what pauses it; 304 while its ETag is the same."""
    view = listing.definition(access, mid, customer_key)
    headers = {"ETag": tag_of_definition(view), "Cache-Control": "no-cache"}
    if is_known(headers["ETag"], if_none_match):
        return Response(status_code=304, headers=headers)
    answer.headers.update(headers)
    return view


@api.get("/usage", tags=["system"])
def show_usage(_: Reads, access: Access) -> usage.UsageView:
    """Show how many calls to Marketing Cloud the account has made today, this month and this year."""
    return usage.usage(access)


# --- Dead letters and events.


@api.get("/dead-letters", tags=["dead letters"])
def list_dead_letters(_: Reads, access: Access, cursor: Cursor = None, limit: Limit = 50) -> listing.DeadLetterPage:
    """List dead letters, oldest first."""
    return listing.dead_letters(access, cursor, limit)


@api.get("/dead-letters/{letter_id}", tags=["dead letters"])
def show_dead_letter(letter_id: Id, _: Reads, access: Access) -> listing.DeadLetterView:
    """Show a dead letter with its bytes."""
    return listing.dead_letter(access, letter_id)


@api.post("/dead-letters/{letter_id}/replay", status_code=202, tags=["dead letters"])
def replay_dead_letter(
    letter_id: Id,
    caller: Operates,
    access: Access,
    queue: Annotated[str | None, Query(min_length=1, max_length=128)] = None,
) -> DoneView:
    """Put a message back at the end of the queue it came from, or of another one."""
    return listing.replay_dead_letter(access, letter_id, caller.name, queue)


@api.delete("/dead-letters/{letter_id}", tags=["dead letters"])
def delete_dead_letter(letter_id: Id, caller: Operates, access: Access) -> DoneView:
    """Delete a message for ever; a request in the ledger does not need it."""
    return listing.delete_dead_letter(access, letter_id, caller.name)


@api.get(
    "/events",
    tags=["events"],
    response_model=listing.EventPage,
    responses={200: {"content": {"text/event-stream": {}}}},
)
def list_events(
    request: Request,
    _: Reads,
    access: Access,
    after: Annotated[str | None, Query(pattern=r"^[0-9]{1,19}(-[0-9]{1,19})?$")] = None,
    limit: Limit = 50,
    customer_key: Annotated[str | None, Query(max_length=256)] = None,
    type: Annotated[list[str] | None, Query(max_length=40)] = None,  # noqa: A002 - the name of the parameter
    last_event_id: Annotated[str | None, Header(max_length=40)] = None,
) -> Any:
    """Give events after a position, or from the oldest on, oldest first; `next` is the position to go on from.

    With `Accept: text/event-stream` events come as they happen: after `Last-Event-ID`, without it after `after`,
    without both from now on.
    """
    if "text/event-stream" in request.headers.get("accept", ""):
        live: LiveEvents = request.app.state.live
        token = bearer_token(request.headers)
        begin = _whole(after) if last_event_id is None else checked_position(last_event_id)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(
            live.follow(begin, customer_key, token), headers=headers, media_type="text/event-stream"
        )
    return listing.events(access, after or "0-0", limit, key=customer_key, types=type or ())


def _whole(after: str | None) -> str | None:
    return after if after is None or "-" in after else f"{after}-0"


_POSITION = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")


def checked_position(given: str) -> str:
    """Give a position of the stream; raises InvalidError for what is none."""
    if not _POSITION.fullmatch(given):
        raise InvalidError("Last-Event-ID is no id of an event of this stream")
    return given


def add_to(app: FastAPI, access: ReadAccess, client: Client, is_ending: Callable[[], bool]) -> None:
    """Add the API to an application; `is_ending` says that the server ends."""
    app.state.access, app.state.client = access, client
    app.state.waiters = Waiters(is_ending)
    app.state.explainer = Explainer(access.settings)
    app.state.live = LiveEvents(access.stream, is_ending, lambda token: tokens.known(access, token) is not None)
    app.include_router(api)
    app.add_middleware(BodyLimit)
    refusing.add_to(app)
