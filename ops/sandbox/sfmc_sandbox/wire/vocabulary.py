"""Namespaces, names and the table of operations.

Source: Marketing Cloud WSDL (names, SOAPAction values) and captured replies (`wsa:Action`).
"""

from dataclasses import dataclass

PARTNER = "http://exacttarget.com/wsdl/partnerAPI"
API_FAULT = "urn:fault.partner.exacttarget.com"
SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
XSD = "http://www.w3.org/2001/XMLSchema"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
WSA = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"

XSI_TYPE = f"{{{XSI}}}type"
XSI_NIL = f"{{{XSI}}}nil"
PLATFORM_FLAG = "IsPlatformObject"


@dataclass(frozen=True)
class Operation:
    """One operation of the service: its SOAPAction, the elements of its messages and the action of its reply."""

    action: str
    request: str
    response: str
    reply_action: str


OPERATIONS = {
    operation.action: operation
    for operation in (
        Operation("Create", "CreateRequest", "CreateResponse", "CreateResponse"),
        Operation("Retrieve", "RetrieveRequestMsg", "RetrieveResponseMsg", "RetrieveResponse"),
        Operation("Update", "UpdateRequest", "UpdateResponse", "UpdateResponse"),
        Operation("Delete", "DeleteRequest", "DeleteResponse", "DeleteResponse"),
        Operation("Describe", "DefinitionRequestMsg", "DefinitionResponseMsg", "DescribeResponse"),
        Operation("Perform", "PerformRequestMsg", "PerformResponseMsg", "PerformResponse"),
        Operation("VersionInfo", "VersionInfoRequestMsg", "VersionInfoResponseMsg", "VersionInfoResponse"),
        Operation("GetSystemStatus", "SystemStatusRequestMsg", "SystemStatusResponseMsg", "GetSystemStatusResponse"),
    )
}


def local_name(tag: object) -> str:
    """The name of an element or attribute without its namespace; empty for comments and instructions."""
    return tag.rsplit("}", 1)[-1] if isinstance(tag, str) else ""


def local_value(value: str) -> str:
    """A qualified name written in a value (`tns:ImportDefinition`) without its prefix."""
    return value.strip().rsplit(":", 1)[-1]
