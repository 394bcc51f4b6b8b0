"""The control API below `/_sandbox/`: applied starts, faults, clock, shortcuts and reset, as JSON."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import orjson
from lxml import etree
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from sfmc_sandbox.account import Sandbox
from sfmc_sandbox.connection import limited_body
from sfmc_sandbox.fault_catalogue import CATALOGUE
from sfmc_sandbox.faults import RuleError
from sfmc_sandbox.importing import Field
from sfmc_sandbox.limits import TooMuchError
from sfmc_sandbox.objects.kind import IMPORT_DEFINITION, new_object_id
from sfmc_sandbox.runs import Run
from sfmc_sandbox.settings import ALL_PERMISSIONS, LONGEST_TOKEN, SHORTEST_TOKEN, Principal
from sfmc_sandbox.wire.codec import children, decode_object, encode_message, key_of
from sfmc_sandbox.wire.schema import service_schema

_LARGEST = 1024 * 1024
_AT_ONCE = 500
_NO_TASK_ID = 2**63 - 1


class ControlError(ValueError):
    """A control request that is not valid; answered with HTTP 400 and the text."""


CONTROL_ERRORS = (ControlError, RuleError, TooMuchError)
_MOST_CALLERS = 1000


async def refuse(request: Request, problem: Exception) -> Response:
    """Turn one of CONTROL_ERRORS into its answer."""
    del request
    return JSONResponse({"error": str(problem)}, 400)


async def json_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object. Raises ControlError."""
    try:
        body = orjson.loads(await limited_body(request, _LARGEST) or b"{}")
    except ValueError as problem:
        raise ControlError("the body must be a JSON object") from problem
    if not isinstance(body, dict):
        raise ControlError("the body must be a JSON object")
    return body


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
    fold, asked = sandbox.store.fold, request.query_params.get("customer_key")
    wanted = None if asked is None else fold(asked)
    now = sandbox.clock.timestamp()
    found = (_shown(run, now) for run in sandbox.runs.all() if wanted in {None, fold(run.customer_key)})
    return StreamingResponse(_listed(found), media_type="application/json")


def _listed(items: Iterator[Mapping[str, Any]]) -> Iterator[bytes]:
    """A JSON array in parts, so that a long one needs no memory."""
    yield b"["
    for number, part in enumerate(_batched(items, _AT_ONCE)):
        yield (b"," if number else b"") + orjson.dumps(part)[1:-1]
    yield b"]"


def _batched(items: Iterator[Mapping[str, Any]], size: int) -> Iterator[list[Mapping[str, Any]]]:
    """The items in lists of `size`."""
    while some := list(islice(items, size)):
        yield some


async def bad_rows(request: Request) -> Response:
    """`GET /_sandbox/performs/{task_id}/bad-rows`: rows of a run that were not imported, with reasons."""
    sandbox: Sandbox = request.app.state.sandbox
    number = min(request.path_params["task_id"], _NO_TASK_ID)
    found = sandbox.rows.bad_rows(number, limit=1000)
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


async def limits(request: Request) -> Response:
    """`GET /_sandbox/limits`: how much is kept at most, and of objects and runs how many there are now."""
    sandbox: Sandbox = request.app.state.sandbox
    kept = {"objects": sandbox.store.count(), "runs": sandbox.runs.count()}
    return JSONResponse({"limits": asdict(sandbox.limits), "kept": kept})


async def reset(request: Request) -> Response:
    """`POST /_sandbox/reset`: as if just started; files and issued tokens stay."""
    sandbox: Sandbox = request.app.state.sandbox
    sandbox.reset()
    return JSONResponse({"status": "ok"})


async def tokens(request: Request) -> Response:
    """`DELETE /_sandbox/tokens`: every token issued so far is expired; `POST`: set the `length` of new ones."""
    sandbox: Sandbox = request.app.state.sandbox
    if request.method == "POST":
        sandbox.tokens.length = _token_length((await json_object(request)).get("length"))
        return JSONResponse({"length": sandbox.tokens.length})
    return JSONResponse({"expired": sandbox.tokens.expire_all()})


def _token_length(asked: Any) -> int:
    if isinstance(asked, bool) or not isinstance(asked, int) or not SHORTEST_TOKEN <= asked <= LONGEST_TOKEN:
        raise ControlError(f"length is {asked!r}: it must be between {SHORTEST_TOKEN} and {LONGEST_TOKEN}")
    return asked


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
        {
            "fault": kind.name,
            "strikes": kind.stage.value,  # codespell:ignore strikes
            "meaning": kind.meaning,
            "parameters": dict(kind.parameters),
        }
        for kind in CATALOGUE.values()
    ]


async def definitions(request: Request) -> Response:
    """`POST /_sandbox/definitions`: store an ImportDefinition (JSON with wire names) without checks of rules.

    `mid` chooses the business unit. Without a DestinationObject the sandbox creates a data extension of
    the same key, with one field `key`.
    """
    sandbox: Sandbox = request.app.state.sandbox
    fields = await json_object(request)
    mid = _business_unit(sandbox, fields.pop("mid", None))
    values = _readable(fields)
    key = key_of(values)
    if not key:
        raise ControlError("CustomerKey is required")
    sandbox.check_room(key, mid)
    if "DestinationObject" not in values:
        _make_destination(sandbox, mid, key)
        values["DestinationObject"] = {"xsi:type": "DataExtension", "CustomerKey": key}
    made = sandbox.definitions.put(mid, key, values)
    return JSONResponse({"customer_key": key, "object_id": made.object_id, "mid": mid}, 201)


async def definition(request: Request) -> Response:
    """`GET /_sandbox/definitions/{customer_key}[?mid=…]`: a definition with all its properties."""
    sandbox: Sandbox = request.app.state.sandbox
    mid = _business_unit(sandbox, request.query_params.get("mid"))
    found = sandbox.store.by_key("ImportDefinition", mid, request.path_params["customer_key"])
    if found is None:
        return JSONResponse({"error": "there is no such definition"}, 404)
    return JSONResponse(found.document)


async def callers(request: Request) -> Response:
    """`POST /_sandbox/callers`: add an API client (`client_id`, `client_secret`) or a user (`username`, `password`).

    `permissions` is a list of the three roles, default all; `mids` the business units it may act in, default all.
    """
    sandbox: Sandbox = request.app.state.sandbox
    fields = await json_object(request)
    for group, name, secret in (
        (sandbox.clients, "client_id", "client_secret"),
        (sandbox.users, "username", "password"),
    ):
        if name in fields:
            principal = _principal(str(fields[name]), str(fields.get(secret, "")), fields)
            others = [one for one in group if one.name != principal.name]
            group[:] = [*others[-_MOST_CALLERS:], principal]
            return JSONResponse({"name": principal.name, "permissions": sorted(principal.permissions)}, 201)
    raise ControlError("client_id and client_secret, or username and password, are required")


async def system_status(request: Request) -> Response:
    """`POST /_sandbox/system-status`: what GetSystemStatus answers from now on."""
    sandbox: Sandbox = request.app.state.sandbox
    status = (await json_object(request)).get("status")
    allowed = service_schema().enums["SystemStatusType"]
    if status not in allowed:
        raise ControlError(f"status is {status!r}: it must be one of {', '.join(allowed)}")
    sandbox.system_status = str(status)
    return JSONResponse({"status": status})


def _principal(name: str, secret: str, fields: Mapping[str, Any]) -> Principal:
    permissions = frozenset(map(str, _items(fields, "permissions", ALL_PERMISSIONS)))
    unknown = permissions - ALL_PERMISSIONS
    if unknown:
        known = ", ".join(sorted(ALL_PERMISSIONS))
        raise ControlError(f"permissions has {', '.join(sorted(unknown))}: known are {known}")
    mids = _items(fields, "mids", None)
    if mids is not None and not all(isinstance(mid, int) for mid in mids):
        raise ControlError(f"mids is {mids!r}: it must be a list of numbers")
    return Principal(name, secret, permissions, None if mids is None else frozenset(mids))


def _items(fields: Mapping[str, Any], name: str, default: Any) -> Any:
    if name in fields and not isinstance(fields[name], list):
        raise ControlError(f"{name} is {fields[name]!r}: it must be a list")
    return fields.get(name, default)


def _business_unit(sandbox: Sandbox, asked: Any) -> int:
    known = {str(mid): mid for mid in sandbox.settings.mids}
    mid = known.get(str(sandbox.settings.mids[0] if asked is None else asked))
    if mid is None:
        raise ControlError(f"mid is {asked!r}: it must be one of {', '.join(known)}")
    return mid


def _readable(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The properties, read in the same way as from SOAP, so that a wrong type is refused."""
    try:
        sent = encode_message(
            etree.Element("sent"), "CreateRequest", {"Objects": [{**fields, "xsi:type": IMPORT_DEFINITION}]}
        )
    except (TypeError, AttributeError, ValueError, KeyError) as problem:
        raise ControlError(f"a property has the wrong shape: {problem}") from problem
    read = decode_object(children(sent, "Objects")[0])
    unknown = sorted(set(fields) - set(service_schema().types[IMPORT_DEFINITION].by_name))
    if read.problems or unknown:
        raise ControlError("; ".join([*read.problems, *(f"there is no property {name}" for name in unknown)]))
    return read.values


def _make_destination(sandbox: Sandbox, mid: int, key: str) -> None:
    if sandbox.rows.data_extension(str(mid), key) is None:
        fields = [Field("key", is_primary_key=True)]
        sandbox.rows.create_data_extension(str(mid), key, new_object_id(), key, fields)
