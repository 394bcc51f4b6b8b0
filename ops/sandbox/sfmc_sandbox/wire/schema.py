"""The types of the service, read from its schema files: as tables, as its WSDL, and as a check of replies."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from lxml import etree

from sfmc_sandbox.wire.vocabulary import (
    API_FAULT,
    OPERATIONS,
    PARTNER,
    PLATFORM_FLAG,
    XSD,
    Operation,
    local_name,
    local_value,
)

_HERE = Path(__file__).parent
_PARTS = ("messages.xsd", "objects.xsd", "imports.xsd", "elements.xsd")
FAULT_SCHEMA = "ETFrameworkFault.xsd"

_DOCUMENT = """<?xml version="1.0" encoding="utf-8"?>
<definitions name="PartnerAPI" targetNamespace="{partner}" xmlns="http://schemas.xmlsoap.org/wsdl/" \
xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:tns="{partner}" xmlns:xs="{xsd}">
  <types>
    <xs:schema targetNamespace="{partner}" elementFormDefault="qualified" version="1.0">
      <xs:import namespace="{fault}" schemaLocation="{base}/{fault_schema}"/>
{types}
    </xs:schema>
  </types>
{messages}
  <portType name="Soap">
{port_operations}
  </portType>
  <binding name="SoapBinding" type="tns:Soap">
    <soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
{bound_operations}
  </binding>
  <service name="PartnerAPI">
    <port name="Soap" binding="tns:SoapBinding"><soap:address location="{base}/Service.asmx"/></port>
  </service>
</definitions>
"""
_MESSAGE = '  <message name="{name}"><part name="parameters" element="tns:{name}"/></message>'
_PORT = (
    '    <operation name="{o.action}"><input message="tns:{o.request}"/>'
    '<output message="tns:{o.response}"/></operation>'
)
_BOUND = (
    '    <operation name="{o.action}"><soap:operation soapAction="{o.action}"/>'
    '<input><soap:body use="literal"/></input><output><soap:body use="literal"/></output></operation>'
)


@cache
def declarations() -> tuple[etree._Element, ...]:
    """Every top-level declaration of the service's schema, in file order."""
    roots = [etree.parse(_HERE / part).getroot() for part in _PARTS]
    return tuple(child for root in roots for child in root if child.tag != f"{{{XSD}}}annotation")


def wsdl(base: str) -> bytes:
    """The WSDL of the service at `base` (scheme, host and port, no trailing slash)."""
    operations = list(OPERATIONS.values())
    text = _DOCUMENT.format(
        partner=PARTNER, xsd=XSD, fault=API_FAULT, fault_schema=FAULT_SCHEMA, base=base,
        types=_types(),
        messages="\n".join(_MESSAGE.format(name=name) for o in operations for name in (o.request, o.response)),
        port_operations=_per_operation(_PORT, operations),
        bound_operations=_per_operation(_BOUND, operations),
    )  # fmt: skip
    return text.encode()


def fault_schema() -> bytes:
    """The schema of the `apifault` element that fault details carry."""
    return (_HERE / FAULT_SCHEMA).read_bytes()


def last_modified() -> float:
    """When the newest part of the WSDL changed, as seconds since 1970."""
    return max((_HERE / name).stat().st_mtime for name in (*_PARTS, FAULT_SCHEMA))


def _types() -> str:
    texts = [etree.tostring(declaration, encoding="unicode", with_tail=False) for declaration in declarations()]
    scopes = (f' xmlns:xs="{XSD}"', f' xmlns:tns="{PARTNER}"')
    return "\n".join(f"      {text.replace(scopes[0], '').replace(scopes[1], '')}" for text in texts)


def _per_operation(pattern: str, operations: list[Operation]) -> str:
    return "\n".join(pattern.format(o=operation) for operation in operations)


_X = f"{{{XSD}}}"


@dataclass(frozen=True)
class Member:
    """One child element of a type. `item` is set if the child only wraps a list of items."""

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


def problems_of(reply: bytes) -> list[str]:
    """What the schema finds wrong with a reply envelope; empty when it is valid.

    `IsPlatformObject` is passed over: the live service sends it though no WSDL declares it.
    """
    root = etree.fromstring(reply)
    for flag in list(root.iter(f"{{{PARTNER}}}{PLATFORM_FLAG}")):
        parent = flag.getparent()
        if parent is not None:
            parent.remove(flag)
    body = next(part for part in root if local_name(part.tag) == "Body")
    return [problem for payload in body for problem in _check(payload)]


def _check(payload: etree._Element) -> list[str]:
    if local_name(payload.tag) == "Fault":
        faults = list(payload.iter(f"{{{API_FAULT}}}apifault"))
        return [problem for fault in faults for problem in _errors(_fault_validator(), fault)]
    return _errors(_validator(), payload)


def _errors(validator: etree.XMLSchema, element: etree._Element) -> list[str]:
    # A copy: the schema must see the element as a document of its own.
    document = etree.fromstring(etree.tostring(element))
    try:
        validator.assertValid(document)
    except etree.DocumentInvalid as problem:
        return [str(problem)]
    return []


@cache
def _validator() -> etree.XMLSchema:
    scopes = {"xs": XSD, "tns": PARTNER}
    root = etree.Element(f"{{{XSD}}}schema", nsmap=scopes, targetNamespace=PARTNER, elementFormDefault="qualified")
    root.extend([etree.fromstring(etree.tostring(declaration)) for declaration in declarations()])
    return etree.XMLSchema(etree.fromstring(etree.tostring(root)))


@cache
def _fault_validator() -> etree.XMLSchema:
    return etree.XMLSchema(etree.fromstring(fault_schema()))
