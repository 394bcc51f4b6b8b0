"""Writes plain mappings as elements in the order and with the wrappers of the schema; knows no operation."""

import re
from collections.abc import Mapping
from typing import Any

from lxml import etree

from ops.sandbox.wire.schema import ComplexType, Member, service_schema
from ops.sandbox.wire.vocabulary import PARTNER, XSI_NIL, XSI_TYPE

_UNPREFIXED: Any = {None: PARTNER}
PLATFORM_FLAG = "IsPlatformObject"
# Characters that XML 1.0 cannot carry at all.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FLAG_FOLLOWS = "ObjectState"


def encode_message(parent: etree._Element, name: str, values: Mapping[str, Any]) -> etree._Element:
    """Append the message `name` with `values` to `parent`, with the partner namespace as the default one."""
    element = etree.SubElement(parent, f"{{{PARTNER}}}{name}", nsmap=_UNPREFIXED)
    _fill(element, service_schema().messages[name], values)
    return element


def _fill(element: etree._Element, of: ComplexType, values: Mapping[str, Any]) -> None:
    chosen = _chosen(of, values)
    for member in of.members:
        if member.choice and member.name != chosen:
            continue
        if member.name in values:
            _append(element, member, values[member.name])
        elif member.required or member.choice:
            _append(element, member, _empty(member))
        # The live service writes this flag, which no WSDL declares, after the last member every object has.
        if member.name == _FLAG_FOLLOWS and PLATFORM_FLAG in values:
            etree.SubElement(element, f"{{{PARTNER}}}{PLATFORM_FLAG}").text = _text(values[PLATFORM_FLAG])


def _chosen(of: ComplexType, values: Mapping[str, Any]) -> str:
    """Of alternatives exactly one may be written: the one that has a value, else the first."""
    return next((name for name in of.choices if values.get(name) is not None), of.choices[0] if of.choices else "")


def _empty(member: Member) -> Any:
    """What stands where the schema demands an element and nobody gave a value."""
    if not member.built_in:
        allowed = service_schema().enums.get(member.type)
        return allowed[0] if allowed else {}
    return {"string": "", "boolean": False}.get(member.type, 0)


def _append(parent: etree._Element, member: Member, value: Any) -> None:
    if member.item is not None:
        wrapper = etree.SubElement(parent, member.tag)
        for item in value or ():
            _one(wrapper, member.item, item)
    elif member.repeated:
        for item in value or ():
            _one(parent, member, item)
    else:
        _one(parent, member, value)


def _one(parent: etree._Element, member: Member, value: Any) -> None:
    if value is None and not member.nillable:
        return
    element = etree.SubElement(parent, member.tag)
    if value is None:
        element.set(XSI_NIL, "true")
    elif isinstance(value, Mapping):
        _object(element, member, value)
    else:
        element.text = _text(value)


def _object(element: etree._Element, member: Member, value: Mapping[str, Any]) -> None:
    types = service_schema().types
    actual = types.get(str(value.get("xsi:type", member.type)))
    if actual is None or not actual.is_a(member.type):
        actual = types[member.type]
    elif "xsi:type" in value:
        element.set(XSI_TYPE, actual.name)
    _fill(element, actual, value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _NOT_XML.sub("\ufffd", str(value))
