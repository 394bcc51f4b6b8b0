"""Describe: which properties an object has and what may be done with each."""

from collections.abc import Iterable, Mapping
from typing import Any

from ops.sandbox.core import Sandbox
from ops.sandbox.objects.properties import Property, properties_of_type
from ops.sandbox.operations.call import Call
from ops.sandbox.wire.decode import decode_message, text_of
from ops.sandbox.wire.schema import service_schema


def describe(sandbox: Sandbox, call: Call) -> dict[str, Any]:
    """The values of a DefinitionResponseMsg; an unknown type is answered with its name and no properties."""
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
