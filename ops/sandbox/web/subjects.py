"""What a call is about, so that fault rules can name it: object type and keys; reads nothing else."""

from lxml import etree

from ops.sandbox.core import Sandbox
from ops.sandbox.wire.decode import children
from ops.sandbox.wire.vocabulary import XSI_TYPE, local_name, local_value

_OBJECTS = (("Definitions", "Definition"), ("Objects",), ("DescribeRequests", "ObjectDefinitionRequest"))


def subjects_of(sandbox: Sandbox, payload: etree._Element) -> tuple[str, list[str]]:
    """The object type and all keys a call mentions; an ObjectID stands also for the key it belongs to."""
    objects = [element for path in _OBJECTS for element in children(payload, *path)]
    request = children(payload, "RetrieveRequest")
    if request:
        kind = "".join(_texts(children(request[0], "ObjectType"))).partition("[")[0]
        return kind, _with_keys(sandbox, _filter_values(request[0]))
    types = [local_value(element.get(XSI_TYPE, "")) for element in objects]
    names = [text for one in objects for name in ("CustomerKey", "ObjectID") for text in _texts(children(one, name))]
    return (types[0] if types else ""), _with_keys(sandbox, names)


def _filter_values(request: etree._Element) -> list[str]:
    parts = children(request, "Filter")
    return _texts([node for part in parts for node in part.iter() if local_name(node.tag) == "Value"])


def _texts(elements: list[etree._Element]) -> list[str]:
    return [(element.text or "").strip() for element in elements]


def _with_keys(sandbox: Sandbox, names: list[str]) -> list[str]:
    return [*names, *(key for name in names for key in sandbox.keys_of(name))]
