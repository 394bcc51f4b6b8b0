"""The HTTP API under /v1: requests, definitions, pauses, dead letters and events, over the operations."""

import hashlib
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from redis.exceptions import RedisError
from starlette.responses import Response, StreamingResponse

import sfmc_transport.dead_letters as letters
from sfmc_import.access import ReadAccess
from sfmc_import.client import Client
from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.ledger.calling import is_defect
from sfmc_import.operations import actions, listing, replaying, resolving, tokens
from sfmc_import.operations import requests as questions
from sfmc_import.operations.errors import ConflictError, InvalidError, NotFoundError, OperationError
from sfmc_import.operations.views import (
    ActionView,
    DoneView,
    LifeView,
    PauseView,
    ReplaysView,
    RequestView,
    ResumedView,
)
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.request import BadRequestError, IdTakenError
from sfmc_server import asking, producing
from sfmc_server.answers import Answer, later, problem, response
from sfmc_server.authentication import bearer_token
from sfmc_server.body_limit import BodyLimit
from sfmc_server.callers import (
    PROBLEMS,
    RESPONSES,
    Access,
    Caller,
    Cursor,
    ForbiddenError,
    Id,
    IdempotencyKey,
    Key,
    Limit,
    Mid,
    Operates,
    Reads,
    Shows,
    Submits,
    Submitter,
    UnauthorizedError,
    Why,
    inner,
    is_own,
    request_id_of,
    source_of,
)
from sfmc_server.explaining import Explainer
from sfmc_server.given import ForceGiven, PauseGiven, Reason, ReplayGiven, ReplaysGiven, RequestGiven, ResolveGiven
from sfmc_server.live_events import LiveEvents

MAX_WAIT = 30.0
"""The longest `Prefer: wait`, in seconds: below what proxies bear."""

POLL_SECONDS = 0.25
WAITERS = threading.BoundedSemaphore(16)
"""Each that waits has a thread of this server: with more of them the others are answered at once."""

_STATUS = {NotFoundError: 404, ConflictError: 409, InvalidError: 422}

api = APIRouter(
    prefix="/v1",
    dependencies=[Depends(HTTPBearer(auto_error=False, scheme_name="bearer"))],
    responses=RESPONSES,
)
api.include_router(asking.router)
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
    idempotency_key: IdempotencyKey = None,
    prefer: Annotated[str | None, Header(max_length=200)] = None,
) -> RequestView:
    """Ask for one start. Answers 202 once the ledger has the request, with its address in Location.

    The same Idempotency-Key from the same token is one request, for as long as the ledger keeps it; with another body
    it is 422. `Prefer: wait=N` waits up to N seconds, 30 at most, for the end and answers 200 when it has come.
    """
    fields = given.model_dump(exclude_none=True) | source_of(caller, given.source)
    key = None if idempotency_key is None else inner(idempotency_key)
    fields |= {} if key is None else {"request_id": request_id_of(caller, key)}
    done = client.submit(**fields)
    answer.headers["Location"] = f"/v1/requests/{done.request_id}"
    if not done.is_new:
        answer.headers["Idempotency-Replayed"] = "true"
    view = _waited(access, done.request_id, _seconds_to_wait(prefer))
    if prefer is not None and _seconds_to_wait(prefer):
        answer.headers["Preference-Applied"] = f"wait={_seconds_to_wait(prefer):.0f}"
        answer.status_code = 200 if view.is_finished else 202
    return view


_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,9})(?:[,;\s]|$)")


def _seconds_to_wait(prefer: str | None) -> float:
    found = None if prefer is None else _WAIT.search(prefer)
    return 0.0 if found is None else min(float(found[1]), MAX_WAIT)


def _waited(access: ReadAccess, request_id: str, seconds: float) -> RequestView:
    is_waiting = seconds > 0 and WAITERS.acquire(blocking=False)
    try:
        return _wait(access, request_id, seconds if is_waiting else 0.0)
    finally:
        if is_waiting:
            WAITERS.release()


def _wait(access: ReadAccess, request_id: str, seconds: float) -> RequestView:
    deadline = time.monotonic() + seconds
    while not (view := questions.show(access, request_id)).is_finished and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return view


@api.get("/requests", tags=["requests"])
def list_requests(
    _: Reads,
    access: Access,
    state: Annotated[str | None, Query(max_length=40)] = None,
    mid: Annotated[str | None, Query(max_length=32)] = None,
    customer_key: Annotated[str | None, Query(max_length=256)] = None,
    file: Annotated[str | None, Query(max_length=1024)] = None,
    waiting: Annotated[str | None, Query(max_length=40)] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> listing.RequestPage:
    """List requests, the newest first; those of an unfinished state, or that wait, by their next time."""
    wanted = listing.Filter(state=state, mid=mid, customer_key=customer_key, file=file, waiting=waiting)
    return listing.requests(access, wanted, cursor, limit)


@api.get("/failures", tags=["requests"])
def list_failures(_: Reads, access: Access, limit: Limit = 50) -> list[RequestView]:
    """List the newest requests that ended badly and did not go on since."""
    return questions.failures(access, limit)


@api.get("/requests/{request_id}", tags=["requests"])
def show(
    request_id: Id, caller: Shows, access: Access, prefer: Annotated[str | None, Header(max_length=200)] = None
) -> LifeView:
    """Show a request with its whole life. `Prefer: wait=N` waits up to N seconds, 30 at most, for its end.

    A token of the role `source` sees the requests that were submitted with it; others are not there for it.
    """
    if not is_own(caller, questions.show(access, request_id)):
        raise NotFoundError(f"there is no request {request_id}", questions.UNKNOWN)
    view = _waited(access, request_id, _seconds_to_wait(prefer))
    return LifeView(**view.model_dump(), events=list(questions.life(access, view)))


@api.post("/requests/{request_id}/cancel", tags=["requests"])
def cancel(request_id: Id, given: Reason, caller: Operates, access: Access) -> ActionView:
    """End a request before its start; its file counts as handled."""
    return actions.cancel(access, request_id, caller.name, given.reason)


@api.post("/requests/{request_id}/force", tags=["requests"])
def force(request_id: Id, given: ForceGiven, caller: Operates, access: Access) -> ActionView:
    """Let a request start as soon as its definition is free: without the window, its order (`after`) and its turn."""
    return actions.force(access, request_id, caller.name, given.reason)


@api.post("/requests/{request_id}/resolve", tags=["requests"])
def resolve(request_id: Id, given: ResolveGiven, caller: Operates, access: Access) -> ActionView:
    """Record what became of a start that is unknown: the run `task_id`, checked with Marketing Cloud, or none."""
    ask = None if given.unchecked else resolving.ask_marketing_cloud
    return resolving.resolve(access, request_id, given.task_id, caller.name, given.reason, ask=ask)


@api.post("/requests/{request_id}/replay", status_code=202, tags=["requests"])
def replay(
    request_id: Id, given: ReplayGiven, caller: Operates, access: Access, idempotency_key: IdempotencyKey = None
) -> ActionView:
    """Submit what a request asked for again, as a new request that names it; the same Idempotency-Key does it once."""
    new_id = None if idempotency_key is None else replaying.id_of(caller.name, inner(idempotency_key), request_id)
    return actions.replay(access, request_id, caller.name, given.reason, force=given.force, new_id=new_id)


@api.post("/replays", tags=["requests"])
def replay_many(
    given: ReplaysGiven, caller: Operates, access: Access, idempotency_key: IdempotencyKey = None
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
    return replaying.replay_many(access, wanted, given.limit, call)


# --- Definitions and pauses.


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
    if_none_match: Annotated[str | None, Header(max_length=200)] = None,
) -> Any:
    """Show a definition: who holds it, its window, what waits, what pauses it; 304 while its ETag is the same."""
    view = listing.definition(access, mid, customer_key)
    tag = f'"{hashlib.sha256(view.model_dump_json().encode()).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if if_none_match is not None and tag in [each.strip() for each in if_none_match.split(",")]:
        return Response(status_code=304, headers=headers)
    answer.headers.update(headers)
    return view


@api.get("/pauses", tags=["pauses"])
def list_pauses(_: Reads, access: Access) -> list[PauseView]:
    """List what is paused."""
    return actions.pauses(access)


@api.put("/pauses/all", tags=["pauses"])
def pause_all(given: PauseGiven, caller: Operates, access: Access) -> PauseView:
    """Let all starts wait."""
    return actions.pause(access, actions.scope_of(None, None), caller.name, given.reason, given.until)


@api.put("/pauses/units/{mid}", tags=["pauses"])
def pause_unit(mid: Mid, given: PauseGiven, caller: Operates, access: Access) -> PauseView:
    """Let the starts of a business unit wait."""
    return actions.pause(access, actions.scope_of(mid, None), caller.name, given.reason, given.until)


@api.put("/pauses/definitions/{mid}/{customer_key:path}", tags=["pauses"])
def pause_definition(mid: Mid, customer_key: Key, given: PauseGiven, caller: Operates, access: Access) -> PauseView:
    """Let the starts of a definition wait."""
    scope = actions.scope_of(mid, access.reader.spelled(mid, customer_key))
    return actions.pause(access, scope, caller.name, given.reason, given.until)


@api.delete("/pauses/all", tags=["pauses"])
def resume_all(caller: Operates, access: Access, reason: Why = None) -> ResumedView:
    """End the pause of everything; others stay."""
    return resumed(access, actions.scope_of(None, None), caller, reason)


@api.delete("/pauses/units/{mid}", tags=["pauses"])
def resume_unit(mid: Mid, caller: Operates, access: Access, reason: Why = None) -> ResumedView:
    """End the pause of a business unit."""
    return resumed(access, actions.scope_of(mid, None), caller, reason)


@api.delete("/pauses/definitions/{mid}/{customer_key:path}", tags=["pauses"])
def resume_definition(mid: Mid, customer_key: Key, caller: Operates, access: Access, reason: Why = None) -> ResumedView:
    """End the pause of a definition."""
    return resumed(access, actions.scope_of(mid, access.reader.spelled(mid, customer_key)), caller, reason)


def resumed(access: ReadAccess, scope: str, caller: Caller, reason: str | None) -> ResumedView:
    """End a pause and say so; raises NotFoundError where there is none."""
    actions.resume(access, scope, caller.name, reason)
    return ResumedView(scope=scope)


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
    letter_id: Id, _: Operates, access: Access, queue: Annotated[str | None, Query(min_length=1, max_length=128)] = None
) -> DoneView:
    """Put a message back at the end of the queue it came from, or of another one."""
    return listing.replay_dead_letter(access, letter_id, queue)


@api.delete("/dead-letters/{letter_id}", tags=["dead letters"])
def delete_dead_letter(letter_id: Id, _: Operates, access: Access) -> DoneView:
    """Delete a message for ever; a request in the ledger does not need it."""
    return listing.delete_dead_letter(access, letter_id)


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
    after: Annotated[str, Query(pattern=r"^[0-9]{1,19}(-[0-9]{1,19})?$")] = "0-0",
    limit: Limit = 50,
    customer_key: Annotated[str | None, Query(max_length=256)] = None,
    type: Annotated[list[str] | None, Query(max_length=40)] = None,  # noqa: A002 - the name of the parameter
    last_event_id: Annotated[str | None, Header(max_length=40)] = None,
) -> Any:
    """Give events after a position, oldest first; `next` is the position to go on from.

    With `Accept: text/event-stream` events come as they happen, after `Last-Event-ID` or from now on.
    """
    if "text/event-stream" in request.headers.get("accept", ""):
        live: LiveEvents = request.app.state.live
        token = bearer_token(request.headers)
        begin = None if last_event_id is None else checked_position(last_event_id)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(
            live.follow(begin, customer_key, token), headers=headers, media_type="text/event-stream"
        )
    return listing.events(access, after, limit, key=customer_key, types=type or ())


_POSITION = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")


def checked_position(given: str) -> str:
    """Give a position of the stream; raises InvalidError for what is none."""
    if not _POSITION.fullmatch(given):
        raise InvalidError("Last-Event-ID is no id of an event of this stream")
    return given


# --- Errors.


def add_to(app: FastAPI, access: ReadAccess, client: Client, is_ending: Callable[[], bool]) -> None:
    """Add the API to an application; `is_ending` says that the server ends."""
    app.state.access, app.state.client = access, client
    app.state.explainer = Explainer(access.settings)
    app.state.live = LiveEvents(access.stream, is_ending, lambda token: tokens.known(access, token) is not None)
    app.include_router(api)
    app.add_middleware(BodyLimit)
    handlers: Mapping[type[Exception], Callable[[Exception], Answer]] = {
        OperationError: _of_operation,
        letters.DeadLetterNotFoundError: lambda error: named("not_found", 404, str(error)),
        IdTakenError: lambda error: named("idempotency_key_reused", 422, str(error)),
        BadRequestError: lambda error: named("invalid", 422, "; ".join(getattr(error, "problems", [str(error)]))),
        RequestValidationError: _of_validation,
        UnauthorizedError: lambda _: _typed("unauthorized", problem(401, "give a token", WWW_Authenticate="Bearer")),
        ForbiddenError: lambda _: named("forbidden", 403, "the role of this token does not allow it"),
        ServiceUnavailableError: lambda _: _typed("unavailable", later(1.0)),
        LedgerUnavailableError: lambda _: _typed("unavailable", later(1.0)),
        RedisError: _of_redis,
    }
    for kind, answer in handlers.items():
        app.add_exception_handler(kind, _handler(answer))


def _handler(answer: Callable[[Exception], Answer]) -> Any:
    async def handle(_: Request, error: Exception) -> Response:
        return response(answer(error))

    return handle


def _of_operation(error: Exception) -> Answer:
    assert isinstance(error, OperationError)
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 400)
    return named(error.kind, status, f"{error}{f'; {error.fix}' if error.fix else ''}")


def _of_validation(error: Exception) -> Answer:
    assert isinstance(error, RequestValidationError)
    found = [{"pointer": "/".join(("#", *map(str, each["loc"]))), "detail": each["msg"]} for each in error.errors()]
    answer = named("invalid", 422, "the request is not valid")
    return Answer(answer.status, {**answer.body, "errors": found}, answer.headers)


def _of_redis(error: Exception) -> Answer:
    assert isinstance(error, RedisError)
    return named("internal", 500, "") if is_defect(error) else _typed("unavailable", later(1.0))


def named(kind: str, status: int, detail: str) -> Answer:
    """Give a problem with its stable type."""
    return _typed(kind, problem(status, detail))


def _typed(kind: str, answer: Answer) -> Answer:
    return Answer(answer.status, {**answer.body, "type": PROBLEMS + kind}, answer.headers)
