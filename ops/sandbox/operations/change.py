"""Create, Update and Delete: one result per object; knows no rule of any kind of object."""

from collections.abc import Callable
from typing import Any

from lxml import etree

from ops.sandbox.core import Sandbox
from ops.sandbox.objects.kind import Created, Writable
from ops.sandbox.objects.refusal import NOTHING_GIVEN, VALIDATION_ERROR, WRONG_OBJECT_TYPE, RefusalError
from ops.sandbox.operations.call import Call, caller_for, echo, overall, refused
from ops.sandbox.security import Caller
from ops.sandbox.wire.decode import Decoded, children, decode_object

_DONE = {"create": "{kind} created.", "update": "{kind} updated", "delete": "{kind} deleted"}
_DONE_OF = {
    "DataExtension": {
        "create": "Data Extension created.",
        "update": "Data Extension updated.",
        "delete": "Data Extension deleted.",
    }
}
"""Texts of the live service, as its own SDKs' tests and captures show them."""
_Step = Callable[[Writable, Caller, Decoded], dict[str, Any]]


def create(sandbox: Sandbox, call: Call) -> dict[str, Any]:
    """The values of a CreateResponse."""
    return _answer(sandbox, call, "create", _create)


def update(sandbox: Sandbox, call: Call) -> dict[str, Any]:
    """The values of an UpdateResponse."""
    return _answer(sandbox, call, "update", _update)


def delete(sandbox: Sandbox, call: Call) -> dict[str, Any]:
    """The values of a DeleteResponse."""
    return _answer(sandbox, call, "delete", _delete)


def _create(kind: Writable, caller: Caller, sent: Decoded) -> dict[str, Any]:
    made: Created = kind.create(caller, sent.values)
    identities: dict[str, Any] = {"ObjectID": made.object_id}
    if made.number:
        identities["ID"] = made.number
    return {"NewID": made.number, "NewObjectID": made.object_id, "Object": echo(sent, **identities)}


def _update(kind: Writable, caller: Caller, sent: Decoded) -> dict[str, Any]:
    return {"Object": echo(sent, ObjectID=kind.update(caller, sent.values))}


def _delete(kind: Writable, caller: Caller, sent: Decoded) -> dict[str, Any]:
    return {"Object": echo(sent, ObjectID=kind.delete(caller, sent.values))}


def _answer(sandbox: Sandbox, call: Call, method: str, step: _Step) -> dict[str, Any]:
    objects = children(call.payload, "Objects")
    results = [_one(sandbox, call, method, step, element) for element in objects] or [_nothing()]
    numbered = [{**result, "OrdinalID": place} for place, result in enumerate(results)]
    return {"Results": numbered, "RequestID": call.request_id, "OverallStatus": overall(numbered)}


def _one(sandbox: Sandbox, call: Call, method: str, step: _Step, element: etree._Element) -> dict[str, Any]:
    sent = decode_object(element)
    try:
        kind = _kind(sandbox, method, sent)
        caller = caller_for(call.caller, sent.values.get("Client"), sandbox.settings)
        done = step(kind, caller, sent)
    except RefusalError as refusal:
        return {**refused(refusal), "NewID": 0, "Object": echo(sent)}
    if sandbox.settings.is_platform_object and sent.type == "ImportDefinition":
        done["Object"]["IsPlatformObject"] = False
    return {"StatusCode": "OK", "StatusMessage": _DONE_OF.get(sent.type, _DONE)[method].format(kind=sent.type), **done}


def _kind(sandbox: Sandbox, method: str, sent: Decoded) -> Writable:
    kind = sandbox.writable.get(sent.type)
    if kind is None:
        raise RefusalError(WRONG_OBJECT_TYPE, f"Cannot perform {method.title()} on objects of type {sent.type}")
    if sent.problems:
        raise RefusalError(VALIDATION_ERROR, f"Validation Error: {sent.problems[0]}")
    return kind


def _nothing() -> dict[str, Any]:
    refusal = RefusalError(NOTHING_GIVEN, "No object specified at 0-based index 0")
    return {**refused(refusal), "NewID": 0, "Object": {"PartnerKey": None, "ObjectID": None}}
