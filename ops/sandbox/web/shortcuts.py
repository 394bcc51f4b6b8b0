"""Shortcuts below `/_sandbox/` that set up what tests need: definitions, callers, system status; JSON only."""

from collections.abc import Mapping
from typing import Any

from lxml import etree
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ops.sandbox.core import Sandbox
from ops.sandbox.importing import Field
from ops.sandbox.objects.kind import new_object_id
from ops.sandbox.objects.properties import IMPORT_DEFINITION
from ops.sandbox.settings import ALL_PERMISSIONS, Principal
from ops.sandbox.web.asked import ControlError, json_object
from ops.sandbox.wire.decode import children, decode_object, text_of
from ops.sandbox.wire.encode import encode_message
from ops.sandbox.wire.schema import service_schema


async def definitions(request: Request) -> Response:
    """`POST /_sandbox/definitions`: store an ImportDefinition (JSON with wire names) without asking any rule.

    `mid` chooses the business unit. Without a DestinationObject a data extension of the same key is made, with
    the one field `key`.
    """
    sandbox: Sandbox = request.app.state.sandbox
    wish = await json_object(request)
    mid = _business_unit(sandbox, wish.pop("mid", None))
    values = _readable(wish)
    key = text_of(values, "CustomerKey")
    if not key:
        raise ControlError("CustomerKey is required")
    if "DestinationObject" not in values:
        _make_destination(sandbox, mid, key)
        values["DestinationObject"] = {"xsi:type": "DataExtension", "CustomerKey": key}
    made = sandbox.definitions.put(mid, key, values)
    return JSONResponse({"customer_key": key, "object_id": made.object_id, "mid": mid}, 201)


async def definition(request: Request) -> Response:
    """`GET /_sandbox/definitions/{customer_key}[?mid=…]`: a definition as it is kept, with everything in it."""
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
    wish = await json_object(request)
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
    status = (await json_object(request)).get("status")
    allowed = service_schema().enums["SystemStatusType"]
    if status not in allowed:
        raise ControlError(f"status is {status!r}: it must be one of {', '.join(allowed)}")
    sandbox.system_status = str(status)
    return JSONResponse({"status": status})


def _principal(name: str, secret: str, wish: Mapping[str, Any]) -> Principal:
    permissions = frozenset(map(str, _items(wish, "permissions", ALL_PERMISSIONS)))
    strange = permissions - ALL_PERMISSIONS
    if strange:
        known = ", ".join(sorted(ALL_PERMISSIONS))
        raise ControlError(f"permissions has {', '.join(sorted(strange))}: known are {known}")
    mids = _items(wish, "mids", None)
    if mids is not None and not all(isinstance(mid, int) for mid in mids):
        raise ControlError(f"mids is {mids!r}: it must be a list of numbers")
    return Principal(name, secret, permissions, None if mids is None else frozenset(mids))


def _items(wish: Mapping[str, Any], name: str, default: Any) -> Any:
    if name in wish and not isinstance(wish[name], list):
        raise ControlError(f"{name} is {wish[name]!r}: it must be a list")
    return wish.get(name, default)


def _business_unit(sandbox: Sandbox, asked: Any) -> int:
    known = {str(mid): mid for mid in sandbox.settings.mids}
    mid = known.get(str(sandbox.settings.mids[0] if asked is None else asked))
    if mid is None:
        raise ControlError(f"mid is {asked!r}: it must be one of {', '.join(known)}")
    return mid


def _readable(wish: Mapping[str, Any]) -> dict[str, Any]:
    """The properties as they would be read from SOAP, so that nothing of a wrong type is ever stored."""
    try:
        sent = encode_message(
            etree.Element("sent"), "CreateRequest", {"Objects": [{**wish, "xsi:type": IMPORT_DEFINITION}]}
        )
    except (TypeError, AttributeError, ValueError, KeyError) as problem:
        raise ControlError(f"a property has the wrong shape: {problem}") from problem
    read = decode_object(children(sent, "Objects")[0])
    strange = sorted(set(wish) - set(service_schema().types[IMPORT_DEFINITION].by_name))
    if read.problems or strange:
        raise ControlError("; ".join([*read.problems, *(f"there is no property {name}" for name in strange)]))
    return read.values


def _make_destination(sandbox: Sandbox, mid: int, key: str) -> None:
    if sandbox.rows.data_extension(str(mid), key) is None:
        fields = [Field("key", is_primary_key=True)]
        sandbox.rows.create_data_extension(str(mid), key, new_object_id(), key, fields)
