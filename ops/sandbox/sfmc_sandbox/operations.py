"""The operations Create, Update, Delete, Describe, Perform, GetSystemStatus and VersionInfo of one call."""

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from sfmc_sandbox.account import Sandbox
from sfmc_sandbox.clock import server_date_time
from sfmc_sandbox.limits import TooMuchError
from sfmc_sandbox.login import Caller
from sfmc_sandbox.objects.kind import (
    CONVERSATION_USED,
    NO_ACCESS,
    NOTHING_GIVEN,
    OBJECT_NOT_SUPPORTED,
    VALIDATION_ERROR,
    WRONG_OBJECT_TYPE,
    Created,
    Property,
    RefusalError,
    Writable,
    properties_of_type,
)
from sfmc_sandbox.settings import SandboxSettings
from sfmc_sandbox.store import StoredObject
from sfmc_sandbox.wire.codec import Decoded, children, decode_message, decode_object, text_of
from sfmc_sandbox.wire.envelope import SoapFaultError
from sfmc_sandbox.wire.schema import last_modified, service_schema


@dataclass(frozen=True)
class Call:
    """Who calls, with which payload; `request_id` goes into the answer, `effects` change the runs it starts."""

    caller: Caller
    payload: etree._Element
    request_id: str
    effects: dict[str, Any] = field(default_factory=dict)


def caller_for(caller: Caller, client: Any, settings: SandboxSettings) -> Caller:
    """The caller in the business unit that a ClientID names, or unchanged when it names none.

    Raises RefusalError 4 for a business unit that does not exist or that this principal may not use.
    """
    mid = (client or {}).get("ID") or (client or {}).get("ClientID")
    if not mid or mid == caller.mid:
        return caller
    if mid not in settings.mids or not caller.principal.may_act_in(mid):
        raise RefusalError(NO_ACCESS, f"No access to the account {mid}.")
    return Caller(caller.principal, mid)


def echo(sent: Decoded, **identities: Any) -> dict[str, Any]:
    """An object as results repeat it: PartnerKey and ObjectID nil unless known, the rest as it was sent."""
    return {"PartnerKey": None, "ObjectID": None, **sent.values, "xsi:type": sent.type, **identities}


def refused(refusal: RefusalError) -> dict[str, Any]:
    """The fields of a result that says no."""
    fields: dict[str, Any] = {"StatusCode": "Error", "StatusMessage": refusal.message}
    if refusal.code is not None:
        fields["ErrorCode"] = refusal.code
    return fields


def overall(results: list[dict[str, Any]]) -> str:
    """OverallStatus of Perform, Create, Update and Delete: `OK`, `Error`, or `Has Errors` when only some failed."""
    failed = sum(result["StatusCode"] != "OK" for result in results)
    if not failed:
        return "OK"
    return "Error" if failed == len(results) else "Has Errors"


_DONE = {"create": "{kind} created.", "update": "{kind} updated", "delete": "{kind} deleted"}
_DONE_OF = {
    "DataExtension": {
        "create": "Data Extension created.",
        "update": "Data Extension updated.",
        "delete": "Data Extension deleted.",
    }
}
"""Texts of the live service, as its own SDKs' tests and captures show them."""
_LONGEST_OBJECT = 256 * 1024
_MOST_OBJECTS, _MOST_TYPES = 2000, 50
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
    objects = _not_too_many(children(call.payload, "Objects"))
    results = [_change_one(sandbox, call, method, step, element) for element in objects] or [_nothing()]
    numbered = [{**result, "OrdinalID": place} for place, result in enumerate(results)]
    return {"Results": numbered, "RequestID": call.request_id, "OverallStatus": overall(numbered)}


def _change_one(sandbox: Sandbox, call: Call, method: str, step: _Step, element: etree._Element) -> dict[str, Any]:
    sent = decode_object(element)
    try:
        kind = _kind(sandbox, method, sent)
        _check_size(sandbox, method, element)
        caller = caller_for(call.caller, sent.values.get("Client"), sandbox.settings)
        done = step(kind, caller, sent)
    except RefusalError as refusal:
        return {**refused(refusal), "NewID": 0, "Object": echo(sent)}
    if sandbox.settings.is_platform_object and sent.type == "ImportDefinition":
        done["Object"]["IsPlatformObject"] = False
    return {"StatusCode": "OK", "StatusMessage": _DONE_OF.get(sent.type, _DONE)[method].format(kind=sent.type), **done}


def _not_too_many(elements: list[etree._Element], most: int = _MOST_OBJECTS) -> list[etree._Element]:
    """The objects of one call. Raises SoapFaultError (Client) for so many that other calls would wait for long."""
    if len(elements) > most:
        raise SoapFaultError("Client", f"A call may have {most} objects at most.")
    return elements


def _check_size(sandbox: Sandbox, method: str, element: etree._Element) -> None:
    if sum(len(text) for text in element.itertext()) > _LONGEST_OBJECT:
        raise RefusalError(VALIDATION_ERROR, f"An object may hold {_LONGEST_OBJECT} characters at most.")
    if method == "create":
        _room(sandbox.check_room)


def _room(check: Callable[[], None]) -> None:
    try:
        check()
    except TooMuchError as problem:
        raise RefusalError(VALIDATION_ERROR, str(problem)) from problem


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


def describe(sandbox: Sandbox, call: Call) -> dict[str, Any]:
    """The values of a DefinitionResponseMsg; an unknown type is answered with its name and no properties."""
    _not_too_many(children(call.payload, "DescribeRequests", "ObjectDefinitionRequest"), _MOST_TYPES)
    message = decode_message(call.payload, "DefinitionRequestMsg")
    asked = (message.values.get("DescribeRequests") or {}).get("ObjectDefinitionRequest") or []
    names = [text_of(request, "ObjectType") for request in asked if request]
    return {"ObjectDefinition": [_object(sandbox, name) for name in names], "RequestID": call.request_id}


def _object(sandbox: Sandbox, name: str) -> Mapping[str, Any]:
    readable = sandbox.readable.get(name)
    if readable is None or name not in service_schema().types:
        return {"ObjectType": name}
    properties = properties_of_type(name, readable.retrievable)
    return {
        "ObjectType": name,
        "IsCreatable": name in sandbox.writable,
        "IsUpdatable": name in sandbox.writable,
        "IsRetrievable": True,
        "Properties": list(_definitions(properties)),
    }


def _definitions(properties: Iterable[Property]) -> Iterable[Mapping[str, Any]]:
    for one in properties:
        yield {
            "PartnerKey": None,
            "ObjectID": None,
            "Name": one.name,
            "DataType": one.data_type,
            "IsUpdatable": one.updatable,
            "IsRetrievable": one.retrievable,
        }


_HOUR = 3600
_CONVERSATIONS = 100_000
_WRONG_ACTION = "{action} is not an action that can be Performed on a InteractionDefinition. ErrorID = {number}"


def perform(sandbox: Sandbox, call: Call) -> dict[str, Any]:
    """The values of a PerformResponseMsg; each definition gets its own result."""
    message = decode_message(call.payload, "PerformRequestMsg")
    definitions = _not_too_many(children(call.payload, "Definitions", "Definition"))
    if not definitions:
        results = [_nothing_given()]
    else:
        results = [_perform_one(sandbox, call, message.values, element) for element in definitions]
    if len(results) > 1:
        results = [{**result, "OrdinalID": place} for place, result in enumerate(results)]
    status = overall(results)
    message_text = next((r["StatusMessage"] for r in results if r["StatusCode"] != "OK"), "")
    return {
        "Results": results,
        "OverallStatus": status,
        "OverallStatusMessage": message_text or sandbox.settings.overall_status_message,
        "RequestID": call.request_id,
    }


def _perform_one(sandbox: Sandbox, call: Call, message: Mapping[str, Any], element: etree._Element) -> dict[str, Any]:
    sent = decode_object(element)
    try:
        _check(sandbox, message, sent)
        caller = caller_for(call.caller, sent.values.get("Client"), sandbox.settings)
        definition = sandbox.definitions.find(caller.mid, sent.values)
        return _started(sandbox, call, sent, definition)
    except RefusalError as refusal:
        failed = refused(refusal)
        return {**failed, "Object": echo(sent), "Task": {"StatusCode": "Error", "StatusMessage": refusal.message}}


def _check(sandbox: Sandbox, message: Mapping[str, Any], sent: Decoded) -> None:
    if sent.type != "ImportDefinition":
        raise RefusalError(OBJECT_NOT_SUPPORTED, "Object Not Supported")
    action = text_of(message, "Action")
    if action.lower() != "start":
        raise RefusalError(None, _WRONG_ACTION.format(action=action, number=uuid.uuid4().int % 10**9))
    if sent.problems:
        raise RefusalError(VALIDATION_ERROR, f"Validation Error: {sent.problems[0]}")
    _guard_replay(sandbox, message)


def _guard_replay(sandbox: Sandbox, message: Mapping[str, Any]) -> None:
    conversation = text_of(message.get("Options") or {}, "ConversationID")
    if not conversation or sandbox.settings.conversation_ids == "ignore":
        return
    if conversation in sandbox.conversations:
        raise RefusalError(CONVERSATION_USED, "The ConversationID has already been used.")
    sandbox.conversations[conversation] = None
    if len(sandbox.conversations) > _CONVERSATIONS:
        del sandbox.conversations[next(iter(sandbox.conversations))]


def _started(sandbox: Sandbox, call: Call, sent: Decoded, definition: StoredObject) -> dict[str, Any]:
    _room(sandbox.check_room_for_run)
    effects = {**call.effects, **_frequency(sandbox, definition)}
    settings = sandbox.settings
    visible_after = float(effects.get("late", settings.row_delay))
    shown_after = float(effects.get("slow", settings.slowdown))
    run = sandbox.runs.add(
        definition.mid, definition.customer_key, definition.document, (visible_after, shown_after), effects
    )
    sandbox.executor.submit(run)
    return {
        "StatusCode": "OK",
        "StatusMessage": f"ImportDefinition performed AsyncID:{run.task_id}",
        "Object": _performed_object(sandbox, sent, definition),
        "Task": {
            "StatusCode": "OK",
            "StatusMessage": "OK",
            "ID": str(run.task_id),
            "InteractionObjectID": str(uuid.uuid4()),
        },
    }


def _performed_object(sandbox: Sandbox, sent: Decoded, definition: StoredObject) -> dict[str, Any]:
    shown = echo(sent, CustomerKey=definition.customer_key)
    if sandbox.settings.is_platform_object:
        shown["IsPlatformObject"] = False
    return shown


def _frequency(sandbox: Sandbox, definition: StoredObject) -> dict[str, Any]:
    """What MaxImportFrequency does to a direct start: nothing, an Error run, or RefusalError 43060, by setting."""
    hours = int(definition.document.get("MaxImportFrequency") or 0)
    if not hours or sandbox.settings.inside_window == "accept":
        return {}
    last = sandbox.runs.last_start(definition.mid, definition.customer_key)
    if last is None or sandbox.clock.timestamp() - last >= hours * _HOUR:
        return {}
    reason = f"MaxImportFrequency: the last import was started less than {hours} hours ago"
    if sandbox.settings.inside_window == "refuse":
        raise RefusalError(VALIDATION_ERROR, reason)
    return {"refused": reason}


def _nothing_given() -> dict[str, Any]:
    refusal = RefusalError(NOTHING_GIVEN, "No object specified at 0-based index 0")
    task = {"StatusCode": "Error", "StatusMessage": refusal.message}
    return {**refused(refusal), "Object": {"PartnerKey": None, "ObjectID": None}, "Task": task}


_VERSION = "sandbox.1.0"


def system_status(sandbox: Sandbox, call: Call) -> dict[str, Any]:
    """The values of a SystemStatusResponseMsg; `SystemStatus` can be set through the control API."""
    result = {"StatusCode": "OK", "StatusMessage": "System Status Retrieved", "SystemStatus": sandbox.system_status}
    return {
        "Results": [result],
        "OverallStatus": "OK",
        "OverallStatusMessage": "",
        "RequestID": call.request_id,
    }


def version_info(sandbox: Sandbox, call: Call) -> dict[str, Any]:
    """The values of a VersionInfoResponseMsg, with a history of one entry if it is requested."""
    del sandbox
    version = {"Version": _VERSION, "VersionDate": server_date_time(last_modified()), "Notes": ""}
    message = decode_message(call.payload, "VersionInfoRequestMsg")
    history = [dict(version)] if message.values.get("IncludeVersionHistory") else []
    return {"VersionInfo": {**version, "VersionHistory": history}, "RequestID": call.request_id}
