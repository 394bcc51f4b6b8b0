"""The types of the service as plain tables, read from its own schema files; reads and writes no messages."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

from lxml import etree

from sfmc_sandbox.wire.vocabulary import PARTNER, XSD, local_value
from sfmc_sandbox.wire.wsdl import declarations

_X = f"{{{XSD}}}"


@dataclass(frozen=True)
class Member:
    """One child element of a type. `item` is set where the child only wraps a list of items."""

    name: str
    type: str
    built_in: bool
    required: bool
    repeated: bool
    nillable: bool
    choice: bool = False
    item: "Member | None" = None

    @cached_property
    def tag(self) -> str:
        """The qualified name of the element."""
        return f"{{{PARTNER}}}{self.name}"


@dataclass(frozen=True)
class ComplexType:
    """A type with its members in wire order, those of its ancestors first."""

    name: str
    ancestors: tuple[str, ...]
    members: tuple[Member, ...]

    @cached_property
    def by_name(self) -> Mapping[str, Member]:
        """The members by their element name."""
        return {member.name: member for member in self.members}

    @cached_property
    def choices(self) -> tuple[str, ...]:
        """The members of which exactly one is written."""
        return tuple(member.name for member in self.members if member.choice)

    def is_a(self, name: str) -> bool:
        """Whether this type is `name` or derived from it."""
        return name == self.name or name in self.ancestors


@dataclass(frozen=True)
class Schema:
    """All named types, the values of all enumerations and the type of every message element."""

    types: Mapping[str, ComplexType]
    enums: Mapping[str, tuple[str, ...]]
    messages: Mapping[str, ComplexType]


@cache
def service_schema() -> Schema:
    """The schema of the sandbox's own WSDL."""
    named = {str(node.get("name")): node for node in declarations() if node.tag == f"{_X}complexType"}
    return Schema(
        types={name: _complex(name, node, named) for name, node in named.items()},
        enums={str(node.get("name")): _values(node) for node in declarations() if node.tag == f"{_X}simpleType"},
        messages={
            str(node.get("name")): _complex(str(node.get("name")), node[0], named)
            for node in declarations()
            if node.tag == f"{_X}element"
        },
    )


def _complex(name: str, node: etree._Element, named: Mapping[str, etree._Element]) -> ComplexType:
    extension = node.find(f"{_X}complexContent/{_X}extension")
    if extension is None:
        return ComplexType(name, (), tuple(_members(node)))
    parent_name = local_value(str(extension.get("base")))
    parent = _complex(parent_name, named[parent_name], named)
    return ComplexType(name, (parent_name, *parent.ancestors), (*parent.members, *_members(extension)))


def _members(node: etree._Element) -> Iterator[Member]:
    for sequence in node.findall(f"{_X}sequence"):
        for child in sequence:
            if child.tag == f"{_X}choice":
                yield from (_member(option, choice=True) for option in child)
            else:
                yield _member(child)


def _member(node: etree._Element, *, choice: bool = False) -> Member:
    wrapped = node.find(f"{_X}complexType/{_X}sequence/{_X}element")
    declared = str(node.get("type", ""))
    return Member(
        name=str(node.get("name")),
        type=local_value(declared),
        built_in=declared.startswith("xs:"),
        required=not choice and node.get("minOccurs") != "0",
        repeated=node.get("maxOccurs") == "unbounded",
        nillable=node.get("nillable") == "true",
        choice=choice,
        item=None if wrapped is None else _member(wrapped),
    )


def _values(node: etree._Element) -> tuple[str, ...]:
    return tuple(str(value.get("value")) for value in node.iter(f"{_X}enumeration"))
