"""Perform: starts import definitions; queues the runs and waits for none."""

import uuid
from collections.abc import Mapping
from typing import Any

from lxml import etree

from ops.sandbox.core import Sandbox
from ops.sandbox.objects.refusal import (
    CONVERSATION_USED,
    NOTHING_GIVEN,
    OBJECT_NOT_SUPPORTED,
    VALIDATION_ERROR,
    RefusalError,
)
from ops.sandbox.operations.call import Call, caller_for, echo, overall, refused
from ops.sandbox.store import StoredObject
from ops.sandbox.wire.decode import Decoded, children, decode_message, decode_object, text_of

_HOUR = 3600
_WRONG_ACTION = "{action} is not an action that can be Performed on a InteractionDefinition. ErrorID = {number}"


def perform(sandbox: Sandbox, call: Call) -> dict[str, Any]:
    """The values of a PerformResponseMsg; each definition gets its own result."""
    message = decode_message(call.payload, "PerformRequestMsg")
    definitions = children(call.payload, "Definitions", "Definition")
    if not definitions:
        results = [_nothing_given()]
    else:
        results = [_one(sandbox, call, message.values, element) for element in definitions]
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


def _one(sandbox: Sandbox, call: Call, message: Mapping[str, Any], element: etree._Element) -> dict[str, Any]:
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
    sandbox.conversations.add(conversation)


def _started(sandbox: Sandbox, call: Call, sent: Decoded, definition: StoredObject) -> dict[str, Any]:
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
        "Object": _object(sandbox, sent, definition),
        "Task": {
            "StatusCode": "OK",
            "StatusMessage": "OK",
            "ID": str(run.task_id),
            "InteractionObjectID": str(uuid.uuid4()),
        },
    }


def _object(sandbox: Sandbox, sent: Decoded, definition: StoredObject) -> dict[str, Any]:
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
