"""Reads SOAP 1.1 and 1.2 envelopes from bytes, safely; knows neither operations' meaning nor accounts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lxml import etree

from ops.sandbox.wire.faults import BadRequestError, SoapFaultError
from ops.sandbox.wire.vocabulary import OPERATIONS, SOAP_11, SOAP_12, local_name

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
    """Read an envelope; header and body may stand in any order.

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
