"""Reads SOAP 1.1 and 1.2 envelopes from bytes, safely, and writes replies and faults."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lxml import etree

from sfmc_sandbox.wire.codec import encode_message
from sfmc_sandbox.wire.vocabulary import API_FAULT, OPERATIONS, SOAP_11, SOAP_12, WSA, WSSE, WSU, XSD, XSI, local_name


class BadRequestError(Exception):
    """The bytes are no SOAP request; Marketing Cloud answers HTTP 400 with the text `Bad Request`."""


class SoapFaultError(Exception):
    """A SOAP fault, sent with HTTP 500.

    `kind` is Client, Server or Security. `code` is the number in `apifault`, which only faults of the framework
    carry (Marketing Cloud docs, "SOAP faults").
    """

    def __init__(self, kind: str, text: str, *, code: int | None = None, empty_detail: bool = False) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text
        self.code = code
        self.empty_detail = empty_detail


# What may stand before a document type: white space, the declaration, instructions and comments.
_DOCUMENT_TYPE = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s++|<\?.*?\?>|<!--.*?-->)*+<!DOCTYPE", re.DOTALL)


@dataclass(frozen=True)
class Envelope:
    """One request: SOAP namespace (version), header blocks, payload of the body, action and message id."""

    soap: str
    header: etree._Element | None
    payload: etree._Element
    message_id: str


def parse_envelope(body: bytes) -> Envelope:
    """Read an envelope; header and body may be in any order.

    Raises BadRequestError for anything that is not a well-formed envelope, or that declares a document type.
    """
    root = _parse(body)
    namespace = etree.QName(root).namespace
    if local_name(root.tag) != "Envelope" or namespace not in (SOAP_11, SOAP_12):
        raise BadRequestError
    parts = {local_name(part.tag): part for part in reversed(root)}
    payload = next((child for child in parts.get("Body", ())), None)
    if payload is None:
        raise BadRequestError
    return Envelope(namespace, parts.get("Header"), payload, _header_text(parts.get("Header"), "MessageID"))


def action_of(envelope: Envelope, headers: Mapping[str, str]) -> str:
    """The operation asked for: SOAPAction (quoted or not), SOAP 1.2's action parameter, or `wsa:Action`.

    Raises SoapFaultError (Client) with Marketing Cloud's text when it names none of the operations.
    """
    sent = headers.get("soapaction", "").strip().strip("\"'") or _action_parameter(headers.get("content-type", ""))
    action = sent or _header_text(envelope.header, "Action")
    operation = OPERATIONS.get(action)
    if operation is None or local_name(envelope.payload.tag) != operation.request:
        text = f"Server did not recognize the value of HTTP Header SOAPAction: {action}."
        raise SoapFaultError("Client", text, empty_detail=True)
    return action


def header_block(envelope: Envelope, name: str) -> etree._Element | None:
    """The first header block with the local name `name`, whatever its namespace."""
    if envelope.header is None:
        return None
    return next((block for block in envelope.header if local_name(block.tag) == name), None)


def _parser() -> etree.XMLParser:
    # libxml2 itself refuses texts over 10 MB and more than 256 levels, since huge_tree stays off.
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


def _parse(body: bytes) -> etree._Element:
    if _DOCUMENT_TYPE.match(body):
        raise BadRequestError
    try:
        root = etree.fromstring(body.lstrip(), _parser())
    except (etree.XMLSyntaxError, ValueError) as problem:
        raise BadRequestError from problem
    # A document type in UTF-16 is not seen by the pattern above.
    tree: Any = root.getroottree()
    if tree.docinfo.doctype:
        raise BadRequestError
    return root


def _header_text(header: etree._Element | None, name: str) -> str:
    if header is None:
        return ""
    return next(((block.text or "").strip() for block in header if local_name(block.tag) == name), "")


def _action_parameter(content_type: str) -> str:
    parameters = (part.strip().partition("=") for part in content_type.split(";")[1:])
    return next((value.strip("\"' ") for name, _, value in parameters if name.lower() == "action"), "")


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
