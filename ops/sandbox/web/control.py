"""The control API below `/_sandbox/`: what was applied, faults, clock, reset and shortcuts; JSON only."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ops.sandbox.core import Sandbox
from ops.sandbox.faults import CATALOGUE, RuleError
from ops.sandbox.importing import Field
from ops.sandbox.objects.kind import new_object_id
from ops.sandbox.runs import Run
from ops.sandbox.settings import ALL_PERMISSIONS, Principal
from ops.sandbox.web.body import limited_body
from ops.sandbox.wire.faults import BadRequestError
from ops.sandbox.wire.schema import service_schema

_LARGEST = 1024 * 1024


class ControlError(ValueError):
    """A control request that makes no sense; answered with HTTP 400 and the text."""


async def refuse(request: Request, problem: Exception) -> Response:
    """Turn a ControlError or RuleError into its answer."""
    del request
    return JSONResponse({"error": str(problem)}, 400)


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
        return JSONResponse(sandbox.faults.add(await _object(request)).shown(), 201)
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
        _turn(sandbox, await _object(request))
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


async def definitions(request: Request) -> Response:
    """`POST /_sandbox/definitions`: store an ImportDefinition (JSON with wire names) without asking any rule.

    `mid` chooses the business unit. Without a DestinationObject a data extension of the same key is made, with
    the one field `key`.
    """
    sandbox: Sandbox = request.app.state.sandbox
    wish = await _object(request)
    mid, key = int(wish.pop("mid", sandbox.settings.mids[0])), str(wish.get("CustomerKey", ""))
    if not key or mid not in sandbox.settings.mids:
        raise ControlError("CustomerKey is required, and mid must be a business unit of this sandbox")
    if "DestinationObject" not in wish:
        _make_destination(sandbox, mid, key)
        wish["DestinationObject"] = {"xsi:type": "DataExtension", "CustomerKey": key}
    made = sandbox.definitions.put(mid, key, wish)
    return JSONResponse({"customer_key": key, "object_id": made.object_id, "mid": mid}, 201)


async def callers(request: Request) -> Response:
    """`POST /_sandbox/callers`: add an API client (`client_id`, `client_secret`) or a user (`username`, `password`).

    `permissions` is a list of the three roles, default all; `mids` the business units it may act in, default all.
    """
    sandbox: Sandbox = request.app.state.sandbox
    wish = await _object(request)
    for group, name, secret in (
        (sandbox.clients, "client_id", "client_secret"),
        (sandbox.users, "username", "password"),
    ):
        if name in wish:
            principal = _principal(str(wish[name]), str(wish.get(secret, "")), wish)
            group[:] = [*(one for one in group if one.name != principal.name), principal]
            return JSONResponse({"name": principal.name, "permissions": sorted(principal.permissions)}, 201)
    raise ControlError("client_id and client_secret, or username and password, are required")


async def system_status(request: Request) -> Response:
    """`POST /_sandbox/system-status`: what GetSystemStatus answers from now on."""
    sandbox: Sandbox = request.app.state.sandbox
    status = (await _object(request)).get("status")
    allowed = service_schema().enums["SystemStatusType"]
    if status not in allowed:
        raise ControlError(f"status is {status!r}: it must be one of {', '.join(allowed)}")
    sandbox.system_status = str(status)
    return JSONResponse({"status": status})


def _principal(name: str, secret: str, wish: Mapping[str, Any]) -> Principal:
    permissions = frozenset(map(str, wish.get("permissions", ALL_PERMISSIONS)))
    strange = permissions - ALL_PERMISSIONS
    if strange:
        known = ", ".join(sorted(ALL_PERMISSIONS))
        raise ControlError(f"permissions has {', '.join(sorted(strange))}: known are {known}")
    mids = wish.get("mids")
    return Principal(name, secret, permissions, None if mids is None else frozenset(map(int, mids)))


def _make_destination(sandbox: Sandbox, mid: int, key: str) -> None:
    if sandbox.rows.data_extension(str(mid), key) is None:
        fields = [Field("key", is_primary_key=True)]
        sandbox.rows.create_data_extension(str(mid), key, new_object_id(), key, fields)


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
        sandbox.clock.set(_moment(wish["set"]))
    if "advance" in wish:
        seconds = wish["advance"]
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
            raise ControlError(f"advance is {seconds!r}: it must be a number of seconds")
        sandbox.clock.advance(seconds)
    if "freeze" in wish:
        (sandbox.clock.freeze if wish["freeze"] else sandbox.clock.run)()


def _moment(text: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError as problem:
        raise ControlError(f"set is {text!r}: it must be a time such as 2026-01-31T12:00:00Z") from problem
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


async def _object(request: Request) -> dict[str, Any]:
    try:
        body = orjson.loads(await limited_body(request, _LARGEST) or b"{}")
    except (BadRequestError, ValueError) as problem:
        raise ControlError("the body must be a JSON object") from problem
    if not isinstance(body, dict):
        raise ControlError("the body must be a JSON object")
    return body


CONTROL_ERRORS = (ControlError, RuleError)
