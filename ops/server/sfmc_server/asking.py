"""Routes of the API that answer what commands ask: status, search, one definition, unmatched files, runs, explain."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime

from sfmc_import.operations import forgetting, in_doubt, listing, refreshing, resuming, runs, status
from sfmc_import.operations import requests as questions
from sfmc_import.operations.views import ActionView, ExplainedView, FolderView, RequestView
from sfmc_server.callers import Access, Cursor, Limit, Operates, Reads, RequestId, Shows
from sfmc_server.explaining import Explainer
from sfmc_server.given import ExplainGiven, FolderNameGiven, OptionalNothing, RefreshGiven

router = APIRouter()
OptionalMid = Annotated[str | None, Query(pattern=r"^[0-9]{1,19}$")]
Last = Annotated[int, Query(ge=0, le=500)]


@router.get("/status", tags=["status"])
def show_status(_: Reads, access: Access) -> status.StatusView:
    """Show the whole: numbers, what is paused, the newest failures, what is due next, what folder watchers say."""
    return status.status(access)


@router.get("/running", tags=["status"])
def show_running(_: Shows, access: Access) -> status.RunningView:
    """Count the workers and beats that live."""
    return status.running(access)


@router.get("/standing", tags=["definitions"])
def show_standing(
    _: Reads,
    access: Access,
    customer_key: Annotated[str, Query(min_length=1, max_length=256)],
    mid: OptionalMid = None,
    last: Last = 10,
) -> status.StandingView:
    """Show one definition with its follow-ups and its newest events."""
    return status.standing(access, customer_key, access.mid(mid), last)


@router.post("/definitions/refresh", tags=["definitions"])
def refresh_definitions(given: RefreshGiven, caller: Operates, access: Access) -> refreshing.RefreshedView:
    """Let every process read a definition again, or without a key all of a business unit."""
    return refreshing.refresh(access, access.mid(given.mid), given.customer_key, caller.name)


@router.get("/unmatched", tags=["status"])
def list_unmatched(_: Reads, access: Access, last: Last = 10, mid: OptionalMid = None) -> status.UnmatchedView:
    """List files that start nothing, because no definition or several definitions match; the newest first."""
    return status.unmatched(access, last, mid)


@router.get("/folders", tags=["status"])
def list_folders(
    _: Reads, access: Access, file: Annotated[str | None, Query(min_length=1, max_length=1024)] = None
) -> list[FolderView]:
    """List the folders that are watched, or were, those in trouble first.

    With `file` those in which a file of this name waits, and these files alone.
    """
    return list(in_doubt.folders(access, file))


@router.post("/folders/forget", tags=["status"])
def forget_folder(given: FolderNameGiven, caller: Operates, access: Access) -> forgetting.ForgottenView:
    """Forget a folder, by its location or its path, until a watcher reads it again."""
    return forgetting.forget_folder(access, given.name, caller.name)


@router.get("/search", tags=["requests"])
def search(
    _: Reads, access: Access, text: Annotated[str, Query(min_length=1, max_length=1024)], mid: OptionalMid = None
) -> list[RequestView]:
    """Find requests by request id, Task.ID or file name; the newest first."""
    return questions.find(access, text, access.mid(mid))


@router.post("/requests/{request_id:path}/follow", tags=["requests"])
def follow(request_id: RequestId, _given: OptionalNothing, caller: Operates, access: Access) -> ActionView:
    """Let the workers follow a run again whose following had timed out."""
    resuming.follow_again(access, request_id)
    return ActionView(request_id=request_id, state=questions.show(access, request_id).state, operator=caller.name)


@router.get("/runs", tags=["runs"])
def list_runs(
    _: Reads, access: Access, since: AwareDatetime | None = None, cursor: Cursor = None, limit: Limit = 50
) -> runs.RunPage:
    """List the runs that have ended since a time, oldest first, as far as the stream of events goes back."""
    return runs.page(access, None if since is None else since.timestamp(), cursor, limit)


@router.post("/explain", tags=["requests"], response_model_exclude_unset=True)
def explain(given: ExplainGiven, request: Request, _: Reads) -> list[ExplainedView]:
    """Say what a file or an event would start, and why; nothing is done. One answer for each file of the event."""
    explainer: Explainer = request.app.state.explainer
    return explainer.explain(given)


@router.get("/events/newest", tags=["events"])
def newest_events(
    _: Reads,
    access: Access,
    limit: Annotated[int, Query(ge=0, le=listing.MAX_NEWEST)] = 50,
    customer_key: Annotated[str | None, Query(max_length=256)] = None,
    type: Annotated[list[str] | None, Query(max_length=40)] = None,  # noqa: A002 - the name of the parameter
) -> listing.EventPage:
    """Give the newest events, oldest first, found among the newest 50,000; `next` is the position to go on from."""
    return listing.newest_events(access, limit, key=customer_key, types=type or ())
