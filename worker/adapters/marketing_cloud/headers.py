"""The header blocks of an envelope, with slots where each call differs: WS-Addressing and who is asking.

The shapes are those of the vendor's sample envelope (Marketing Cloud docs, "Start an Import Definition").
"""

import base64
import os
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lxml import etree

from worker.adapters.marketing_cloud.config import MarketingCloudConfig

WSA = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
ANONYMOUS = f"{WSA}/role/anonymous"
_OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
WSSE = f"{_OASIS}-wssecurity-secext-1.0.xsd"
WSU = f"{_OASIS}-wssecurity-utility-1.0.xsd"
PASSWORD_TEXT = f"{_OASIS}-username-token-profile-1.0#PasswordText"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
# Not the namespace of the messages (Marketing Cloud docs, "OAuth token in SOAP calls").
FUEL = "http://exacttarget.com"


def slot(name: str) -> str:
    """Mark a place in an envelope that is filled in for each call."""
    return f"--slot:{name}--"


def header_blocks(config: MarketingCloudConfig, operation: str) -> list[etree._Element]:
    """Make the header blocks of one operation."""
    asking = _token_block() if config.uses_tokens else _user_block()
    return [*_addressing(operation, config.soap_address), asking]


def user_credentials(config: MarketingCloudConfig) -> Mapping[str, str]:
    """Fill the slots of the UsernameToken for one call: user, password, a fresh nonce and the time."""
    return {
        "username": config.username,
        "password": config.password.get_secret_value(),
        "nonce": base64.b64encode(os.urandom(16)).decode(),
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "token_id": f"SecurityToken-{uuid.uuid4()}",
    }


def _addressing(operation: str, address: str) -> list[etree._Element]:
    nsmap = {"wsa": WSA}
    return [
        _element(WSA, "Action", operation, nsmap=nsmap),
        _element(WSA, "MessageID", f"urn:uuid:{slot('message_id')}", nsmap=nsmap),
        _element(WSA, "ReplyTo", _element(WSA, "Address", ANONYMOUS, nsmap=nsmap), nsmap=nsmap),
        _element(WSA, "To", address, nsmap=nsmap),
    ]


def _token_block() -> etree._Element:
    nsmap: Any = {None: FUEL}
    return _element(FUEL, "fueloauth", slot("token"), nsmap=nsmap)


def _user_block() -> etree._Element:
    password = _element(WSSE, "Password", slot("password"))
    password.set("Type", PASSWORD_TEXT)
    user = _element(
        WSSE,
        "UsernameToken",
        _element(WSSE, "Username", slot("username")),
        password,
        _element(WSSE, "Nonce", slot("nonce")),
        _element(WSU, "Created", slot("created")),
    )
    user.set(f"{{{WSU}}}Id", slot("token_id"))
    security = _element(WSSE, "Security", user, nsmap={"wsse": WSSE, "wsu": WSU})
    security.set(f"{{{SOAP}}}mustUnderstand", "1")
    return security


def _element(
    namespace: str, name: str, *content: str | etree._Element, nsmap: dict[str, str] | None = None
) -> etree._Element:
    element = etree.Element(f"{{{namespace}}}{name}", nsmap=nsmap)
    for piece in content:
        if isinstance(piece, str):
            element.text = piece
        else:
            element.append(piece)
    return element
