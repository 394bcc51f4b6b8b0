"""Puts the WSDL together from its schema files for one address; holds no types itself."""

from functools import cache
from pathlib import Path

from lxml import etree

from sfmc_sandbox.wire.vocabulary import API_FAULT, OPERATIONS, PARTNER, XSD, Operation

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
