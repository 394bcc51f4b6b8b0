"""The control API below `/_sandbox/`: what was applied, faults, clock and reset; JSON only."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ops.sandbox.core import Sandbox
from ops.sandbox.faults import CATALOGUE
from ops.sandbox.runs import Run
from ops.sandbox.web.asked import ControlError, json_object

# The clock stays so far from both ends of time that runs can still begin and end.
_MARGIN = timedelta(days=3660)


async def health(request: Request) -> Response:
    """`GET /_sandbox/health`: whether it serves, and counts that show what happened."""
    sandbox: Sandbox = request.app.state.sandbox
    return JSONResponse(
        {
            "status": "ok",
            "time": sandbox.clock.now().isoformat(),
            "runs": sandbox.runs.count(),
            "waiting": sandbox.executor.waiting(),
            "faults": len(sandbox.faults.shown()),
            "invalid_replies": len(sandbox.invalid_replies),
        }
    )


async def performs(request: Request) -> Response:
    """`GET /_sandbox/performs[?customer_key=…]`: every applied start, oldest first."""
    sandbox: Sandbox = request.app.state.sandbox
    wanted = request.query_params.get("customer_key")
    now = sandbox.clock.timestamp()
    shown = [_shown(run, now) for run in sandbox.runs.all() if wanted in {None, run.customer_key}]
    return JSONResponse(shown)


async def bad_rows(request: Request) -> Response:
    """`GET /_sandbox/performs/{task_id}/bad-rows`: rows of a run that were not imported, with reasons."""
    sandbox: Sandbox = request.app.state.sandbox
    found = sandbox.rows.bad_rows(request.path_params["task_id"], limit=1000)
    return JSONResponse([asdict(row) for row in found])


async def faults(request: Request) -> Response:
    """`GET /_sandbox/faults`: active rules; `POST` adds one; `DELETE` ends all."""
    sandbox: Sandbox = request.app.state.sandbox
    if request.method == "POST":
        return JSONResponse(sandbox.faults.add(await json_object(request)).shown(), 201)
    if request.method == "DELETE":
        sandbox.faults.clear()
    return JSONResponse(sandbox.faults.shown())


async def catalogue(request: Request) -> Response:
    """`GET /_sandbox/catalogue`: every fault there is, with its meaning and parameters."""
    del request
    return JSONResponse(catalogue_entries())


async def fault(request: Request) -> Response:
    """`DELETE /_sandbox/faults/{id}`: end one rule."""
    sandbox: Sandbox = request.app.state.sandbox
    if not sandbox.faults.remove(request.path_params["number"]):
        return JSONResponse({"error": "there is no rule with this id"}, 404)
    return JSONResponse(sandbox.faults.shown())


async def clock(request: Request) -> Response:
    """`GET /_sandbox/clock`; `POST` with any of `set` (ISO time), `advance` (seconds), `freeze`, `reset`."""
    sandbox: Sandbox = request.app.state.sandbox
    if request.method == "POST":
        _turn(sandbox, await json_object(request))
    return JSONResponse({"time": sandbox.clock.now().isoformat()})


async def reset(request: Request) -> Response:
    """`POST /_sandbox/reset`: as if just started; files and issued tokens stay."""
    sandbox: Sandbox = request.app.state.sandbox
    sandbox.reset()
    return JSONResponse({"status": "ok"})


async def tokens(request: Request) -> Response:
    """`DELETE /_sandbox/tokens`: every token issued so far is expired from now on."""
    sandbox: Sandbox = request.app.state.sandbox
    return JSONResponse({"expired": sandbox.tokens.expire_all()})


def _shown(run: Run, now: float) -> dict[str, Any]:
    return {
        "task_id": str(run.task_id),
        "customer_key": run.customer_key,
        "mid": run.mid,
        "time": datetime.fromtimestamp(run.started, UTC).isoformat(),
        "status": run.status_at(now),
        "result": run.outcome,
    }


def catalogue_entries() -> list[dict[str, Any]]:
    """Every fault as JSON."""
    return [
        {"fault": kind.name, "strikes": kind.stage.value, "meaning": kind.meaning, "parameters": dict(kind.parameters)}
        for kind in CATALOGUE.values()
    ]


def _turn(sandbox: Sandbox, wish: Mapping[str, Any]) -> None:
    if wish.get("reset"):
        sandbox.clock.reset()
    if "set" in wish:
        sandbox.clock.set(_reachable("set", wish["set"], _moment(wish["set"]).timestamp()))
    if "advance" in wish:
        seconds = wish["advance"]
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
            raise ControlError(f"advance is {seconds!r}: it must be a number of seconds")
        _reachable("advance", seconds, sandbox.clock.timestamp() + seconds)
        sandbox.clock.advance(seconds)
    if "freeze" in wish:
        (sandbox.clock.freeze if wish["freeze"] else sandbox.clock.run)()


def _reachable(name: str, asked: Any, timestamp: float) -> datetime:
    """The moment, where dates are still numbers a while before and after it. Raises ControlError."""
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
