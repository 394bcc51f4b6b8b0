"""What an operator does: cancel, replay, pause, resume. Each says who and why in an event."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from uuid_utils import uuid7

from sfmc_import.access import ReadAccess
from sfmc_import.advice import FORCE, REASON, Advice, with_command
from sfmc_import.display import in_calendar, is_blank
from sfmc_import.events import follow_command, kind, resolve_command
from sfmc_import.operations import knowing, pausing
from sfmc_import.operations.errors import ConflictError, InvalidError, NotFoundError, PreconditionError
from sfmc_import.operations.limits import MAX_TEXT, check_key, check_reason
from sfmc_import.operations.pausing import pauses
from sfmc_import.operations.requests import life, no_request, read_views
from sfmc_import.operations.views import ActionView, PauseView, ResumedView, scope_of, time_of
from sfmc_import.request import GoneOnError, StartRequest, id_problem
from sfmc_import.states import AS_EXPECTED, NOT_IN_VAIN, UNFINISHED, Seen

__all__ = ["MAX_TEXT", "cancel", "force", "pause", "pauses", "replay", "resume", "scope_of", "settle"]


def cancel(access: ReadAccess, request_id: str, operator: str, reason: str | None = None) -> ActionView:
    """End a request before its start; its file counts as handled.

    Raises NotFoundError, and ConflictError where it is being started, runs or has ended, or somebody else was first.
    """
    check_reason(reason)
    ledger = access.ledger()
    state = ledger.cancel(request_id, operator[:MAX_TEXT], reason)
    if state is None:
        raise no_request(access, request_id)
    if state not in {"cancelled", "start_unknown"}:
        raise ConflictError(f"request {request_id} is {state}: {_why_not_cancelled(state)}", state=state)
    _check_first(access, request_id, state, state, operator)
    ledger.confirm([])
    return ActionView(request_id=request_id, state=state, operator=operator)


def _why_not_cancelled(state: str) -> str:
    if state == "started":
        return "Marketing Cloud runs it, and an import cannot be stopped there"
    if state in UNFINISHED:
        return "its start may have been sent"
    return "it has ended"


def force(access: ReadAccess, request_id: str, operator: str, reason: str) -> ActionView:
    """Let a request start as soon as its definition is free: without the window, its order (`after`) and its turn.

    Raises InvalidError without a reason, NotFoundError, and ConflictError where it does not wait, or somebody else was
    first.
    """
    if is_blank(reason):
        why = Advice(("give ", REASON, ": why the window does not count"))
        raise InvalidError("force needs a reason", why, field="reason")
    check_reason(reason)
    ledger = access.ledger()
    state = ledger.force(request_id, operator[:MAX_TEXT], reason)
    if state is None:
        raise no_request(access, request_id)
    is_forced = bool((access.reader.request(request_id) or {}).get("force"))
    if state not in {"accepted", "deferred"} and not (state == "retrying" and is_forced):
        raise ConflictError(f"request {request_id} is {state}: it does not wait for the window", state=state)
    _check_first(access, request_id, state, "operator.forced", operator)
    ledger.confirm([])
    return ActionView(request_id=request_id, state=state, operator=operator)


def _check_first(access: ReadAccess, request_id: str, state: str, name: str, operator: str) -> None:
    """Raise ConflictError where another operator did the same before; the same one may have lost the answer."""
    views = read_views(access, [request_id])
    said = [event["data"].get("operator") for each in views for event in life(access, each) if kind(event) == name]
    if said and name == "start_unknown" and said[-1] != operator[:MAX_TEXT]:
        text = f"request {request_id} is start_unknown already: it may have been started"
        raise ConflictError(text, _resolve_it(request_id), state)
    if said and said[-1] not in {None, operator[:MAX_TEXT]}:
        word = name.rpartition(".")[2]
        raise ConflictError(f"request {request_id} was {word} by {said[-1]} already; nothing was done", state=state)


def replay(
    access: ReadAccess,
    request_id: str,
    operator: str,
    reason: str | None = None,
    *,
    force: bool = False,
    new_id: str | None = None,
    confirms: bool = True,
) -> ActionView:
    """Submit what a request asked for again, as a new request that names it; the same `new_id` is one request.

    Who does not let it be confirmed, as SFMC_DURABILITY asks, does so for many. Raises NotFoundError; InvalidError;
    ConflictError where it has not ended, its start is unknown, or without `force` where it, or its replay, may import.
    """
    _check_id(new_id)
    known = None if new_id is None else access.reader.request(new_id)
    _check_force(reason, force=force and known is None)
    old = access.ledger().load(request_id)
    if old is None:
        raise no_request(access, request_id)
    done = ActionView(request_id=request_id, state="accepted", operator=operator, new_request_id=new_id or str(uuid7()))
    if known is None:
        seen = _check_replay(access, request_id, force=force)
        _record(access, _again(old, str(done.new_request_id), operator, reason, force=force), seen, confirms=confirms)
        return done
    _require_replay(known, request_id)
    if confirms:
        access.ledger().confirm([str(new_id)])
    return done


def _check_id(new_id: str | None) -> None:
    if new_id is not None and (problem := id_problem(new_id)):
        raise InvalidError(problem, "give another id", field="request_id")


def _require_replay(known: Mapping[str, Any], request_id: str) -> None:
    if known.get("replays") != request_id:
        text = f"request {known['request_id']} does not replay {request_id}: the id is that of another request"
        raise ConflictError(text, "give each replay an id of its own", str(known["state"]))


def _record(access: ReadAccess, request: StartRequest, seen: Seen, *, confirms: bool) -> None:
    """Record a replay, unless somebody has changed or replayed what it replays since it was `seen`."""
    from sfmc_import.client import Client  # noqa: PLC0415 - kombu, which what only reads does not need

    with Client.from_settings(access.settings, confirms_each=confirms) as client:
        try:
            client.record(request, seen=seen)
        except GoneOnError as error:
            now = _check_replay(access, str(request.replays), force=request.force)
            raise ConflictError(str(error), "look at it again", now.state) from error


def _check_force(reason: str | None, *, force: bool) -> None:
    if force and is_blank(reason):
        why = Advice(("give ", REASON, ": why it is started although it was imported"))
        raise InvalidError("force needs a reason", why, field="reason")
    check_reason(reason)


def _again(old: StartRequest, new_id: str, operator: str, reason: str | None, *, force: bool) -> StartRequest:
    return replace(
        old,
        request_id=new_id,
        event_id=None,
        source=f"replay by {operator}"[:MAX_TEXT],
        force=force,
        reason=reason,
        replays=old.request_id,
        is_resolved=False,
        attempt=0,
    )


def _check_replay(access: ReadAccess, request_id: str, *, force: bool) -> Seen:
    """Give how a request is that may be replayed; raises ConflictError."""
    record = access.reader.request(request_id) or {}
    state, again = str(record.get("state")), str(record.get("replayed_by") or "")
    if not force:
        _check_gone_on(access, request_id, record, again)
    if state in UNFINISHED:
        raise ConflictError(f"request {request_id} is {state}: it has not ended", state=state)
    if state == "start_unknown":
        text = f"request {request_id} is start_unknown: it may have been started"
        raise ConflictError(text, _resolve_it(request_id), state)
    if state == "follow_timed_out" and not force:
        follow = Advice(
            ("follow it",), follow_command(*_run_of(access, request_id)), action="follow", request_id=request_id
        )
        raise ConflictError(f"request {request_id} is follow_timed_out: its import may still run", follow, state)
    if state == "duplicate" and not force:
        text = _why_duplicate(access, request_id)
        raise ConflictError(text, _by_force("imports its file all the same", request_id), state)
    if state in {*AS_EXPECTED, "completed_suspicious"} and not force:
        text = f"request {request_id} is {state}: its file was imported"
        raise ConflictError(text, _by_force("imports it again", request_id), state)
    return Seen(state, again)


def _check_gone_on(access: ReadAccess, request_id: str, record: Mapping[str, Any], again: str) -> None:
    """Raise ConflictError where something has come of a request since its end: `again` is its newest replay."""
    came = (access.reader.request(again) or {}).get("state") if again else None
    if record.get("settled_by"):
        text = f"is settled: request {record['settled_by']} has imported its file since"
        advice = _by_force("imports once more what lies there under its name", request_id)
    elif record.get("settled_operator"):
        text = f"is settled: {record['settled_operator']} has said that it is dealt with"
        advice = _by_force("imports its file all the same", request_id)
    elif newer := record.get("newer_import"):
        text = f"has an older file: request {newer} has imported a newer file of its name since"
        advice = _by_force("imports what lies there under this name now", request_id)
    elif came in NOT_IN_VAIN:
        text = f"was replayed as request {again}, which is {came}"
        advice = _by_force("replays it once more", request_id)
    else:
        return
    raise ConflictError(f"request {request_id} {text}", advice, str(record.get("state")))


def _resolve_it(request_id: str) -> Advice:
    find_out = ("find out whether it ran, then resolve it",)
    return Advice(find_out, resolve_command(request_id), action="resolve", request_id=request_id)


def _by_force(what: str, request_id: str) -> Advice:
    return Advice((FORCE, f" {what}"), action="replay", request_id=request_id)


def _run_of(access: ReadAccess, request_id: str) -> tuple[str, str]:
    record = access.reader.request(request_id) or {}
    return str(record.get("task_id")), str(record.get("mid"))


def _why_duplicate(access: ReadAccess, request_id: str) -> str:
    views = read_views(access, [request_id])
    ends = [event["data"] for each in views for event in life(access, each) if kind(event) == "duplicate"]
    newer = ends[-1].get("superseded_by") if ends else None
    if newer:
        return f"request {request_id} is duplicate: request {newer} for a newer file of its name stands in its place"
    handled = f"request {views[0].held_by}" if views and views[0].held_by else "an earlier request"
    return f"request {request_id} is duplicate: {handled} handled its file"


# --- Settling.


def settle(access: ReadAccess, request_id: str, operator: str, reason: str) -> ActionView:
    """Say that the bad end of a request is dealt with: it leaves the lists of what a person must look at.

    Raises InvalidError without a reason, NotFoundError, and ConflictError where it has not ended badly, its start is
    unknown, or it is settled already.
    """
    if is_blank(reason):
        why = Advice(("give ", REASON, ": what was done about it"))
        raise InvalidError("settle needs a reason", why, field="reason")
    check_reason(reason)
    ledger = access.ledger()
    state = ledger.settle(request_id, operator[:MAX_TEXT], reason)
    if state is None:
        raise no_request(access, request_id)
    if state == "start_unknown":
        text = f"request {request_id} is start_unknown: it may have been started"
        raise ConflictError(text, _resolve_it(request_id), state)
    record = access.reader.request(request_id) or {}
    if record.get("settled_by"):
        raise ConflictError(
            f"request {request_id} is settled: request {record['settled_by']} was imported", state=state
        )
    by = record.get("settled_operator")
    if by is None:
        why_not = "it has not ended" if state in UNFINISHED else "such an end needs no person"
        raise ConflictError(f"request {request_id} is {state}: {why_not}", state=state)
    if by != operator[:MAX_TEXT]:
        raise ConflictError(f"request {request_id} was settled by {by} already; nothing was done", state=state)
    ledger.confirm([])
    return ActionView(request_id=request_id, state=state, operator=operator)


# --- Pauses.


def pause(
    access: ReadAccess,
    scope: str,
    operator: str,
    reason: str,
    until: datetime | None = None,
    *,
    expects: str | None = None,
) -> PauseView:
    """Let the starts of a scope wait; a pause that is there has its words and its end replaced.

    With `expects` only while the pause is as `as_written` gave it. Raises InvalidError without a reason, or for an end
    that has passed, and PreconditionError.
    """
    _check_pause(access, scope, reason, until)
    end = None if until is None else in_calendar(until.timestamp())
    hint = knowing.hint_of_scope(access, scope)
    ledger = access.ledger()
    if not ledger.pause(scope, operator[:MAX_TEXT], reason, end, expects):
        raise PreconditionError(f"the pause of {scope} has changed meanwhile", "look at it again")
    ledger.confirm([])
    view = pausing.as_written(access, scope)[1]
    if view is None:
        # Another operator has ended it since, or its time is over: it was there all the same.
        since = time_of(access.reader.now())
        assert since is not None
        view = PauseView(scope=scope, operator=operator[:MAX_TEXT], reason=reason, since=since, until=time_of(end))
    return view.model_copy(update={"hint": hint})


def _check_pause(access: ReadAccess, scope: str, reason: str, until: datetime | None) -> None:
    if is_blank(reason):
        why = Advice(("give ", REASON, ": who finds it in three weeks must know why"))
        raise InvalidError("a pause needs a reason", why, field="reason")
    check_reason(reason)
    if scope.startswith("key:"):
        check_key(scope.split(":", 2)[2])
    if until is not None and until.timestamp() <= access.reader.now():
        raise InvalidError(f"the pause would end at {until:%Y-%m-%d %H:%M:%S %Z}, which has passed", field="until")


def resume(
    access: ReadAccess, scope: str, operator: str, reason: str | None = None, *, expects: str | None = None
) -> ResumedView:
    """End a pause; what waits for it is decided anew, the oldest first. One that had ended is said to have.

    With `expects` only while the pause is as `as_written` gave it. Raises NotFoundError where there is none, and
    PreconditionError.
    """
    check_reason(reason)
    ledger = access.ledger()
    lifted = ledger.lift_pause(scope, operator[:MAX_TEXT], reason, expects)
    if lifted is None:
        raise PreconditionError(f"the pause of {scope} has changed meanwhile", "look at it again")
    if not lifted:
        raise NotFoundError(f"{scope} is not paused", with_command("see", "pause", "--list"))
    if lifted is True:
        ledger.confirm([])
    return ResumedView(scope=scope, had_ended=None if lifted is True else time_of(lifted))
