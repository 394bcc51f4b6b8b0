"""Builds reply envelopes in Marketing Cloud's layout, for answers and for faults; decides no content."""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from lxml import etree

from ops.sandbox.wire.encode import encode_message
from ops.sandbox.wire.faults import SoapFaultError
from ops.sandbox.wire.vocabulary import API_FAULT, OPERATIONS, SOAP_11, WSA, WSSE, WSU, XSD, XSI

_DECLARATION = b'<?xml version="1.0" encoding="utf-8"?>'
_FAULT_ACTION = f"{WSA}/fault"
_ANONYMOUS = f"{WSA}/role/anonymous"
_UNPREFIXED: Any = {None: API_FAULT}
_VALID_FOR = timedelta(minutes=5)
_SECURITY_PREFIX = "q0"
_SOAP_12_KINDS = {"Client": "Sender", "Server": "Receiver"}


def answer(soap: str, action: str, relates_to: str, now: datetime, values: Mapping[str, Any]) -> bytes:
    """The reply to `action` as UTF-8 bytes; `now` is in UTC and goes into the security timestamp."""
    operation = OPERATIONS[action]
    envelope = _envelope(soap, operation.reply_action, relates_to, now)
    encode_message(_body(envelope, soap), operation.response, values)
    return _bytes(envelope)


def fault(soap: str, relates_to: str, now: datetime, problem: SoapFaultError, actor: str) -> bytes:
    """A fault reply; `actor` is the address of the service, which security faults name."""
    envelope = _envelope(soap, _FAULT_ACTION, relates_to, now)
    element = etree.SubElement(_body(envelope, soap), f"{{{soap}}}Fault")
    if soap == SOAP_11:
        _fault_11(element, problem, actor)
    else:
        _fault_12(element, soap, problem, actor)
    return _bytes(envelope)


def _envelope(soap: str, action: str, relates_to: str, now: datetime) -> etree._Element:
    # Clients look for the literal names soap:Envelope, soap:Body and soap:Fault, in both SOAP versions.
    scopes = {"soap": soap, "xsi": XSI, "xsd": XSD, "wsa": WSA, "wsse": WSSE, "wsu": WSU}
    envelope = etree.Element(f"{{{soap}}}Envelope", nsmap=scopes)
    header = etree.SubElement(envelope, f"{{{soap}}}Header")
    _child(header, WSA, "Action", action)
    _child(header, WSA, "MessageID", f"urn:uuid:{uuid.uuid4()}")
    _child(header, WSA, "RelatesTo", relates_to or f"urn:uuid:{uuid.uuid4()}")
    _child(header, WSA, "To", _ANONYMOUS)
    stamp = etree.SubElement(etree.SubElement(header, f"{{{WSSE}}}Security"), f"{{{WSU}}}Timestamp")
    stamp.set(f"{{{WSU}}}Id", f"Timestamp-{uuid.uuid4()}")
    _child(stamp, WSU, "Created", f"{now:%Y-%m-%dT%H:%M:%SZ}")
    _child(stamp, WSU, "Expires", f"{now + _VALID_FOR:%Y-%m-%dT%H:%M:%SZ}")
    return envelope


def _body(envelope: etree._Element, soap: str) -> etree._Element:
    return etree.SubElement(envelope, f"{{{soap}}}Body")


def _fault_11(element: etree._Element, problem: SoapFaultError, actor: str) -> None:
    if problem.kind == "Security":
        code = etree.SubElement(element, "faultcode", nsmap={_SECURITY_PREFIX: WSSE})
        code.text = f"{_SECURITY_PREFIX}:Security"
    else:
        etree.SubElement(element, "faultcode").text = f"soap:{problem.kind}"
    etree.SubElement(element, "faultstring").text = problem.text
    if problem.kind == "Security":
        etree.SubElement(element, "faultactor").text = actor
    if problem.code is not None or problem.empty_detail:
        _detail(etree.SubElement(element, "detail"), problem)


def _fault_12(element: etree._Element, soap: str, problem: SoapFaultError, actor: str) -> None:
    code = etree.SubElement(element, f"{{{soap}}}Code")
    _child(code, soap, "Value", f"soap:{_SOAP_12_KINDS.get(problem.kind, 'Sender')}")
    if problem.kind == "Security":
        subcode = etree.SubElement(code, f"{{{soap}}}Subcode")
        value = etree.SubElement(subcode, f"{{{soap}}}Value", nsmap={_SECURITY_PREFIX: WSSE})
        value.text = f"{_SECURITY_PREFIX}:Security"
    text = _child(etree.SubElement(element, f"{{{soap}}}Reason"), soap, "Text", problem.text)
    text.set("{http://www.w3.org/XML/1998/namespace}lang", "en")
    if problem.kind == "Security":
        _child(element, soap, "Node", actor)
    if problem.code is not None or problem.empty_detail:
        _detail(etree.SubElement(element, f"{{{soap}}}Detail"), problem)


def _detail(detail: etree._Element, problem: SoapFaultError) -> None:
    if problem.code is None:
        return
    reason = etree.SubElement(detail, f"{{{API_FAULT}}}apifault", nsmap=_UNPREFIXED)
    _child(reason, API_FAULT, "Code", str(problem.code))
    _child(reason, API_FAULT, "Message", problem.text)
    _child(reason, API_FAULT, "LogID", "0")
    etree.SubElement(reason, f"{{{API_FAULT}}}Params")


def _child(parent: etree._Element, namespace: str, name: str, text: str) -> etree._Element:
    element = etree.SubElement(parent, f"{{{namespace}}}{name}")
    element.text = text
    return element


def _bytes(envelope: etree._Element) -> bytes:
    return _DECLARATION + etree.tostring(envelope, encoding="utf-8", xml_declaration=False)
