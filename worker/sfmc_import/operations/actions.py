"""What an operator does: cancel, replay, pause, resume. Each says who and why in an event."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson
from uuid_utils import uuid7

from sfmc_import.access import ReadAccess
from sfmc_import.client import Client
from sfmc_import.ledger import RedisLedger
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.ledger.opening import open_ledger
from sfmc_import.ledger.schema import PAUSES
from sfmc_import.operations.errors import ConflictError, InvalidError, NotFoundError
from sfmc_import.operations.views import ActionView, PauseView, scope_of, time_of
from sfmc_import.request import StartRequest
from sfmc_import.states import AS_EXPECTED, UNFINISHED

MAX_TEXT = 1024
__all__ = ["MAX_TEXT", "cancel", "force", "pause", "pauses", "replay", "resume", "scope_of"]
"""The longest reason and name of an operator."""


def _ledger(access: ReadAccess) -> RedisLedger:
    return open_ledger(access.settings)


def cancel(access: ReadAccess, request_id: str, operator: str, reason: str | None = None) -> ActionView:
    """End a request before its start; its file counts as handled.

    Raises NotFoundError, and ConflictError where it is being started, runs or has ended.
    """
    state = _ledger(access).cancel(request_id, operator[:MAX_TEXT], reason and reason[:MAX_TEXT])
    if state is None:
        raise NotFoundError(f"there is no request {request_id}")
    if state not in {"cancelled", "start_unknown"}:
        raise ConflictError(f"request {request_id} is {state}: {_why_not_cancelled(state)}", state=state)
    return ActionView(request_id=request_id, state=state, operator=operator)


def _why_not_cancelled(state: str) -> str:
    if state == "started":
        return "Marketing Cloud runs it, and an import cannot be stopped there"
    if state in UNFINISHED:
        return "its start may have been sent"
    return "it has ended"


def force(access: ReadAccess, request_id: str, operator: str, reason: str) -> ActionView:
    """Let a request start as soon as its definition is free: without the window, its order (`after`) and its turn.

    Raises InvalidError without a reason, NotFoundError, and ConflictError where it does not wait.
    """
    if not reason.strip():
        raise InvalidError("force needs a reason", "give --reason TEXT: why the window does not count")
    state = _ledger(access).force(request_id, operator[:MAX_TEXT], reason[:MAX_TEXT])
    if state is None:
        raise NotFoundError(f"there is no request {request_id}")
    if state not in {"accepted", "deferred"}:
        raise ConflictError(f"request {request_id} is {state}: it does not wait for the window", state=state)
    return ActionView(request_id=request_id, state=state, operator=operator)


def replay(
    access: ReadAccess,
    request_id: str,
    operator: str,
    reason: str | None = None,
    *,
    force: bool = False,
    new_id: str | None = None,
) -> ActionView:
    """Submit what a request asked for again, as a new request that names it; the same `new_id` is one request.

    Raises NotFoundError; ConflictError where it has not ended, its start is unknown, or it was imported and `force` is
    not given; InvalidError for `force` without a reason.
    """
    if force and not (reason or "").strip():
        raise InvalidError("force needs a reason", "give --reason TEXT: why it is started although it was imported")
    old = _ledger(access).load(request_id)
    if old is None:
        raise NotFoundError(f"there is no request {request_id}")
    done = ActionView(request_id=request_id, state="accepted", operator=operator, new_request_id=new_id or str(uuid7()))
    if new_id is not None and access.reader.request(new_id) is not None:
        return done
    _check_replay(access, request_id, force=force)
    again = _again(old, str(done.new_request_id), operator, reason and reason[:MAX_TEXT], force=force)
    with Client.from_settings(access.settings) as client:
        client.record(again)
    return done


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


def _check_replay(access: ReadAccess, request_id: str, *, force: bool) -> None:
    state = str((access.reader.request(request_id) or {}).get("state"))
    if state in UNFINISHED:
        raise ConflictError(f"request {request_id} is {state}: it has not ended", state=state)
    if state == "start_unknown":
        fix = f"find out whether it ran, then: sfmc-import resolve {request_id} --task-id N (or --not-started)"
        raise ConflictError(f"request {request_id} is start_unknown: it may have been started", fix, state=state)
    if state == "follow_timed_out" and not force:
        raise ConflictError(
            f"request {request_id} is follow_timed_out: its import may still run",
            "follow it: sfmc-import follow",
            state,
        )
    if state in {*AS_EXPECTED, "completed_suspicious", "duplicate"} and not force:
        raise ConflictError(
            f"request {request_id} is {state}: its file was imported", "--force --reason TEXT imports it again", state
        )


# --- Pauses.


def pause(access: ReadAccess, scope: str, operator: str, reason: str, until: datetime | None = None) -> PauseView:
    """Let the starts of a scope wait; a pause that is there has its words and its end replaced.

    Raises InvalidError without a reason, or for an end that has passed.
    """
    if not reason.strip():
        raise InvalidError("a pause needs a reason", "give --reason TEXT: who finds it in three weeks must know why")
    if until is not None and until.timestamp() <= access.reader.now():
        raise InvalidError(f"the pause would end at {until:%Y-%m-%d %H:%M:%S %Z}, which has passed")
    end = None if until is None else until.timestamp()
    _ledger(access).pause(scope, operator[:MAX_TEXT], reason[:MAX_TEXT], end)
    return next(each for each in pauses(access) if each.scope == scope)


def resume(access: ReadAccess, scope: str, operator: str, reason: str | None = None) -> None:
    """End a pause; what waits for it is decided anew, the oldest first. Raises NotFoundError where there is none."""
    if not _ledger(access).lift_pause(scope, operator[:MAX_TEXT], reason and reason[:MAX_TEXT]):
        raise NotFoundError(f"{scope} is not paused", "see: sfmc-import pause --list")


def pauses(access: ReadAccess) -> list[PauseView]:
    """Give the pauses that hold now, everything first."""
    now = access.reader.now()
    with redis_errors():
        client: Any = access.client
        found = client.hgetall(access.keys.name_of(PAUSES))
    read = [_pause_view(scope.decode(), orjson.loads(text)) for scope, text in sorted(found.items())]
    return [each for each in read if each.until is None or each.until.timestamp() > now]


def _pause_view(scope: str, said: dict[str, Any]) -> PauseView:
    since, until = time_of(said["since"] / 1000), said.get("until")
    assert since is not None
    return PauseView(
        scope=scope,
        operator=said["operator"],
        reason=said["reason"],
        since=since,
        until=None if until is None else time_of(until / 1000),
    )
