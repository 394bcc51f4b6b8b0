"""Reads elements into plain mappings, liberally, and writes mappings as elements in the order of the schema."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from sfmc_sandbox.wire.schema import ComplexType, Member, Schema, service_schema
from sfmc_sandbox.wire.vocabulary import PARTNER, PLATFORM_FLAG, XSI_NIL, XSI_TYPE, local_name, local_value

_TRUE, _FALSE = {"true", "1"}, {"false", "0"}
_RANGES = {"int": 2**31, "long": 2**63, "byte": 2**7}
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_DATE_TIME = re.compile(
    r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3])(:[0-5][0-9]){2}(\.[0-9]+)?"
    r"(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])?"
)
_DEEPEST = 64
_UNREADABLE = object()


@dataclass
class Decoded:
    """An object as sent: its type's local name, its values by wire name, and what could not be read."""

    type: str
    values: dict[str, Any]
    problems: list[str] = field(default_factory=list)


def decode_object(element: etree._Element, declared: str = "APIObject") -> Decoded:
    """Read `element` as the type its `xsi:type` names, else as `declared`."""
    reader = _Reader(service_schema())
    type_name = local_value(element.get(XSI_TYPE, declared))
    values = reader.complex(element, declared, 0)
    return Decoded(type_name, values, reader.problems)


def decode_message(element: etree._Element, name: str) -> Decoded:
    """Read the payload of a body as the message `name` of the schema."""
    reader = _Reader(service_schema())
    return Decoded(name, reader.members(element, service_schema().messages[name], 0), reader.problems)


class _Reader:
    """Walks elements along the schema and collects what does not fit as sentences."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self.problems: list[str] = []

    def complex(self, element: etree._Element, declared: str, depth: int) -> dict[str, Any]:
        """The values of `element`, with `xsi:type` if it was given."""
        sent = local_value(element.get(XSI_TYPE, ""))
        actual = self._schema.types.get(sent)
        if actual is None or not actual.is_a(declared):
            actual = self._schema.types[declared]
        values = self.members(element, actual, depth)
        return {"xsi:type": sent, **values} if sent else values

    def members(self, element: etree._Element, of: ComplexType, depth: int) -> dict[str, Any]:
        """The values of all children that `of` knows."""
        values: dict[str, Any] = {}
        if depth > _DEEPEST:
            self.problems.append(f"{of.name} is nested too deeply")
            return values
        for child in element:
            member = of.by_name.get(local_name(child.tag))
            if member is not None:
                self._put(values, member, child, depth)
        return values

    def _put(self, values: dict[str, Any], member: Member, child: etree._Element, depth: int) -> None:
        if member.item is not None:
            values[member.name] = self._items(child, member.item, depth)
            return
        value = self._value(child, member, depth)
        if member.repeated:
            values.setdefault(member.name, []).extend(_given(value))
        elif value is not _UNREADABLE:
            values[member.name] = value

    def _items(self, wrapper: etree._Element, item: Member, depth: int) -> list[Any]:
        found = (self._value(child, item, depth) for child in wrapper if local_name(child.tag) == item.name)
        return [value for one in found for value in _given(one)]

    def _value(self, element: etree._Element, member: Member, depth: int) -> Any:
        if element.get(XSI_NIL, "").strip() in _TRUE:
            return None
        if member.type in self._schema.types:
            return self.complex(element, member.type, depth + 1)
        text = element.text or "" if len(element) == 0 else "".join(map(str, element.itertext()))
        return self._enum(text, member) if not member.built_in else self._scalar(text, member)

    def _enum(self, text: str, member: Member) -> Any:
        allowed = self._schema.enums[member.type]
        if allowed and text.strip() not in allowed:
            return self._refuse(text, member)
        return text.strip()

    def _scalar(self, text: str, member: Member) -> Any:
        if member.type == "boolean":
            word = text.strip().lower()
            return word in _TRUE if word in _TRUE | _FALSE else self._refuse(text, member)
        if member.type in _RANGES:
            return self._integer(text, member)
        if member.type == "dateTime" and not _DATE_TIME.fullmatch(text.strip()):
            return self._refuse(text, member)
        return text

    def _integer(self, text: str, member: Member) -> Any:
        limit = _RANGES[member.type]
        if not _INTEGER.fullmatch(text.strip()) or not -limit <= int(text) < limit:
            return self._refuse(text, member)
        return int(text)

    def _refuse(self, text: str, member: Member) -> object:
        self.problems.append(f"'{text.strip()[:60]}' is not a valid {member.type} value for {member.name}")
        return _UNREADABLE


def _given(item: Any) -> list[Any]:
    """An item of a list, or nothing if it is nil or could not be read."""
    return [] if item is None or item is _UNREADABLE else [item]


def text_of(values: Mapping[str, Any], name: str) -> str:
    """A string value without surrounding white space; empty when absent or nil."""
    value = values.get(name)
    return value.strip() if isinstance(value, str) else ""


def key_of(values: Mapping[str, Any]) -> str:
    """The CustomerKey as it was sent, with its blanks; empty when absent, nil or blank."""
    value = values.get("CustomerKey")
    return value if isinstance(value, str) and value.strip() else ""


def children(element: etree._Element, *path: str) -> list[etree._Element]:
    """The elements at `path` below `element`, by local names; every step may match several elements."""
    found = [element]
    for name in path:
        found = [child for parent in found for child in parent if local_name(child.tag) == name]
    return found


_UNPREFIXED: Any = {None: PARTNER}
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
    """The value of an element that the schema requires when there is none."""
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
