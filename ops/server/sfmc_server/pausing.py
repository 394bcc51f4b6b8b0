"""Routes of the API about pauses: of everything, of a business unit, of a definition."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from sfmc_import.access import ReadAccess
from sfmc_import.operations import actions, knowing, pausing
from sfmc_import.operations.errors import NotFoundError
from sfmc_import.operations.views import PauseView, ResumedView
from sfmc_server.callers import Access, Caller, Key, Mid, Operates, Reads, Why
from sfmc_server.conditions import Conditional, Conditions, tag_of
from sfmc_server.description import described_problem
from sfmc_server.given import PauseGiven

router = APIRouter(tags=["pauses"])
_CHANGED: dict[int | str, dict[str, Any]] = {412: described_problem("It is not as the caller saw it.")}
_UNIT, _FULL, _SHORT = (
    "/pauses/units/{mid}",
    "/definitions/{mid}/{customer_key:path}/pause",
    "/definitions/{customer_key}/pause",
)
ShortKey = Annotated[str, Path(min_length=1, max_length=256, description="a CustomerKey without a slash")]
UnitGiven = Annotated[
    str | None,
    Query(alias="mid", pattern=r"^[0-9]{1,19}$", description="if it is not the one of the account"),
]


@router.get("/pauses")
def list_pauses(_: Reads, access: Access) -> list[PauseView]:
    """List what is paused."""
    return actions.pauses(access)


# --- Look at a pause.


@router.get("/pauses/all")
def show_pause_of_all(_: Reads, access: Access, answer: Response) -> PauseView:
    """Show the pause of everything; 404 where there is none."""
    return shown(access, actions.scope_of(None, None), answer)


@router.get(_UNIT)
def show_pause_of_unit(mid: Mid, _: Reads, access: Access, answer: Response) -> PauseView:
    """Show the pause of a business unit; 404 where there is none of its own."""
    return shown(access, actions.scope_of(mid, None), answer)


@router.get(_SHORT)
def show_pause_by_key(
    customer_key: ShortKey, _: Reads, access: Access, answer: Response, unit: UnitGiven = None
) -> PauseView:
    """Show the pause of a definition; 404 where it has none of its own."""
    return shown(access, scope_of(access, unit, customer_key), answer)


@router.get(_FULL)
def show_pause_of_definition(mid: Mid, customer_key: Key, _: Reads, access: Access, answer: Response) -> PauseView:
    """Show the pause of a definition; 404 where it has none of its own."""
    return shown(access, scope_of(access, mid, customer_key), answer)


def scope_of(access: ReadAccess, mid: str | None, customer_key: str) -> str:
    """Name a definition as the ledger spells it; without `mid` one of the account."""
    mid = access.mid(mid)
    return actions.scope_of(mid, access.reader.spelled(mid, customer_key))


def shown(access: ReadAccess, scope: str, answer: Response) -> PauseView:
    """Give a pause with its ETag; raises NotFoundError where there is none."""
    text, view = pausing.as_written(access, scope)
    if view is None:
        raise NotFoundError(f"{scope} is not paused")
    answer.headers.update({"ETag": tag_of(text), "Cache-Control": "no-cache"})
    return view.model_copy(update={"hint": knowing.hint_of_scope(access, scope)})


# --- Pause.


@router.put("/pauses/all", responses=_CHANGED)
def pause_all(given: PauseGiven, caller: Operates, access: Access, answer: Response, only: Conditional) -> PauseView:
    """Let all starts wait; with If-Match or If-None-Match only while the pause is as it was seen."""
    return paused(access, actions.scope_of(None, None), caller, given, only, answer)


@router.put(_UNIT, responses=_CHANGED)
def pause_unit(
    mid: Mid, given: PauseGiven, caller: Operates, access: Access, answer: Response, only: Conditional
) -> PauseView:
    """Let the starts of a business unit wait; conditions as for everything."""
    return paused(access, actions.scope_of(mid, None), caller, given, only, answer)


@router.put(_SHORT, responses=_CHANGED)
def pause_by_key(
    customer_key: ShortKey,
    given: PauseGiven,
    caller: Operates,
    access: Access,
    answer: Response,
    only: Conditional,
    unit: UnitGiven = None,
) -> PauseView:
    """Let the starts of a definition wait; conditions as for everything, or on the ETag of the definition."""
    return paused(access, scope_of(access, unit, customer_key), caller, given, only, answer)


@router.put(_FULL, responses=_CHANGED)
def pause_definition(
    mid: Mid,
    customer_key: Key,
    given: PauseGiven,
    caller: Operates,
    access: Access,
    answer: Response,
    only: Conditional,
) -> PauseView:
    """Let the starts of a definition wait; conditions as for everything, or on the ETag of the definition."""
    return paused(access, scope_of(access, mid, customer_key), caller, given, only, answer)


def paused(
    access: ReadAccess, scope: str, caller: Caller, given: PauseGiven, only: Conditions, answer: Response
) -> PauseView:
    """Pause a scope, and give the ETag of its pause; raises PreconditionError."""
    expects = only.expected(access, scope)
    view = actions.pause(access, scope, caller.name, given.reason, given.until, expects=expects)
    answer.headers["ETag"] = tag_of(pausing.as_written(access, scope)[0])
    return view


# --- Resume.


@router.delete("/pauses/all", responses=_CHANGED)
def resume_all(caller: Operates, access: Access, only: Conditional, reason: Why = None) -> ResumedView:
    """End the pause of everything; others stay."""
    return resumed(access, actions.scope_of(None, None), caller, reason, only)


@router.delete(_UNIT, responses=_CHANGED)
def resume_unit(mid: Mid, caller: Operates, access: Access, only: Conditional, reason: Why = None) -> ResumedView:
    """End the pause of a business unit."""
    return resumed(access, actions.scope_of(mid, None), caller, reason, only)


@router.delete(_SHORT, responses=_CHANGED)
def resume_by_key(
    customer_key: ShortKey,
    caller: Operates,
    access: Access,
    only: Conditional,
    reason: Why = None,
    unit: UnitGiven = None,
) -> ResumedView:
    """End the pause of a definition."""
    return resumed(access, scope_of(access, unit, customer_key), caller, reason, only)


@router.delete(_FULL, responses=_CHANGED)
def resume_definition(
    mid: Mid, customer_key: Key, caller: Operates, access: Access, only: Conditional, reason: Why = None
) -> ResumedView:
    """End the pause of a definition."""
    return resumed(access, scope_of(access, mid, customer_key), caller, reason, only)


def resumed(access: ReadAccess, scope: str, caller: Caller, reason: str | None, only: Conditions) -> ResumedView:
    """End a pause and say so; raises NotFoundError where there is none, and PreconditionError."""
    return actions.resume(access, scope, caller.name, reason, expects=only.expected(access, scope))
