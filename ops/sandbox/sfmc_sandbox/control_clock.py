"""The clock below `/_sandbox/`: set, advance, freeze, another zone, just before midnight."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sfmc_sandbox.account import Sandbox
from sfmc_sandbox.control import ControlError, json_object

# The clock stays so far from both ends of time that runs can still begin and end.
_MARGIN = timedelta(days=3660)


async def clock(request: Request) -> Response:
    """`GET /_sandbox/clock`; `POST` with any of `reset`, `zone`, `set`, `advance`, `before_midnight`, `freeze`.

    `zone` is the IANA name of the zone in which the dates of FileSpec are read. `set` is an ISO time, `advance` a
    number of seconds, `before_midnight` the seconds that are left of the present day in the zone.
    """
    sandbox: Sandbox = request.app.state.sandbox
    if request.method == "POST":
        _turn(sandbox, await json_object(request))
    clock = sandbox.clock
    return JSONResponse({"time": clock.now().isoformat(), "zone": clock.zone, "local": clock.local().isoformat()})


def _turn(sandbox: Sandbox, fields: Mapping[str, Any]) -> None:
    clock = sandbox.clock
    if fields.get("reset"):
        clock.reset()
    if "zone" in fields:
        clock.zone = _zone(fields["zone"])
    if "set" in fields:
        clock.set(_reachable("set", fields["set"], _moment(fields["set"]).timestamp()))
    if "advance" in fields:
        seconds = _seconds(fields, "advance")
        _reachable("advance", seconds, clock.timestamp() + seconds)
        clock.advance(seconds)
    if "before_midnight" in fields:
        left = _seconds(fields, "before_midnight")
        clock.set(_reachable("before_midnight", left, clock.next_midnight().timestamp() - left))
    if "freeze" in fields:
        (clock.freeze if fields["freeze"] else clock.resume)()


def _seconds(fields: Mapping[str, Any], name: str) -> float:
    seconds = fields[name]
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        raise ControlError(f"{name} is {seconds!r}: it must be a number of seconds")
    return float(seconds)


def _zone(name: Any) -> str:
    try:
        return ZoneInfo(str(name)).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as problem:
        raise ControlError(f"zone is {name!r}: it must be the name of a time zone") from problem


def _reachable(name: str, asked: Any, timestamp: float) -> datetime:
    """The moment, if dates some years before and after it can be computed. Raises ControlError."""
    try:
        moment = datetime.fromtimestamp(timestamp, UTC)
        _ = moment - _MARGIN, moment + _MARGIN
    except (ValueError, OverflowError, OSError) as problem:
        raise ControlError(f"{name} is {asked!r}: no date is that far away") from problem
    return moment


def _moment(text: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError as problem:
        raise ControlError(f"set is {text!r}: it must be a time such as 2026-01-31T12:00:00Z") from problem
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
