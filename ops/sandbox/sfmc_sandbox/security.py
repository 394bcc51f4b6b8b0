"""Who is calling: reads the credentials of a SOAP header and refuses as Marketing Cloud does; stores nothing."""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from lxml import etree

from sfmc_sandbox.settings import Principal
from sfmc_sandbox.tokens import Tokens
from sfmc_sandbox.wire.envelope import Envelope, SoapFaultError, header_block
from sfmc_sandbox.wire.vocabulary import local_name

LOGIN_FAILED = "Login Failed"
TOKEN_EXPIRED = "Token Expired"  # noqa: S105  the vendor's fault text


@dataclass(frozen=True)
class Caller:
    """A principal acting in one business unit."""

    principal: Principal
    mid: int


def match(principals: Iterable[Principal], name: str, secret: str) -> Principal | None:
    """The principal with this name and secret, or None."""
    found = next((principal for principal in principals if principal.name == name), None)
    if found is None or not hmac.compare_digest(found.secret.encode(), secret.encode()):
        return None
    return found


def authenticate(envelope: Envelope, users: Iterable[Principal], mids: Iterable[int], tokens: Tokens) -> Caller:
    """The caller, by `fueloauth`, legacy `oAuthToken` or UsernameToken; element namespaces do not matter.

    `users` may log in with a password, into the first of `mids` they may act in.
    Raises SoapFaultError (Security): `Token Expired`, or `Login Failed` for everything else that is wrong.
    """
    token = _token(envelope)
    if token:
        return _by_token(token, tokens)
    name, password = _username_token(envelope)
    user = match(users, name, password)
    mid = next((mid for mid in mids if user is not None and user.may_act_in(mid)), None)
    if user is None or mid is None:
        raise SoapFaultError("Security", LOGIN_FAILED)
    return Caller(user, mid)


def _by_token(token: str, tokens: Tokens) -> Caller:
    grant = tokens.find(token)
    if grant is None:
        raise SoapFaultError("Security", LOGIN_FAILED)
    if tokens.is_expired(grant):
        raise SoapFaultError("Security", TOKEN_EXPIRED)
    return Caller(grant.principal, grant.mid)


def _token(envelope: Envelope) -> str:
    modern = header_block(envelope, "fueloauth")
    if modern is not None:
        return (modern.text or "").strip() or "-"
    legacy = header_block(envelope, "oAuth")
    return "" if legacy is None else _text_below(legacy, "oAuthToken") or "-"


def _username_token(envelope: Envelope) -> tuple[str, str]:
    block = header_block(envelope, "Security")
    if block is None:
        return "", ""
    return _text_below(block, "Username"), _text_below(block, "Password")


def _text_below(element: etree._Element, name: str) -> str:
    return next(((node.text or "").strip() for node in element.iter() if local_name(node.tag) == name), "")
