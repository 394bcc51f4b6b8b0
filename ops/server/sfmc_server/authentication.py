"""Tells whether a POST is from its sender: signatures, tokens. Comparisons take the same time for any wrong value."""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sfmc_import.errors import SettingsError
from sfmc_server.webhook_keys import WebhookKey, webhook_key

MIN_SECRET = 16
"""Characters of a token, at least."""

MAX_SIGNATURES = 16
"""Signatures of one POST that are looked at; senders that change their secret send two."""


@dataclass(frozen=True, slots=True)
class Received:
    """A POST as it came: header names in lower case, the query, the body before it is unpacked."""

    headers: Mapping[str, str]
    query: Mapping[str, str]
    raw: bytes


class Verifier(Protocol):
    """Knows the senders of one source."""

    def accepts(self, received: Received) -> bool:
        """Tell whether a POST is from one of them; raises NotNowError when that cannot be found out now."""
        ...


class NotNowError(Exception):
    """Whose a POST is cannot be found out now: keys or certificates cannot be fetched."""


class Everybody:
    """`auth = "none"`."""

    def accepts(self, received: Received) -> bool:
        """Say yes."""
        del received
        return True


def bearer_token(headers: Mapping[str, str]) -> str:
    """Give the token of `Authorization: Bearer`; empty without one."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


class BearerTokens:
    """One of several tokens, in the header or, where that is allowed, as `access_token` of the query."""

    def __init__(self, secrets: Sequence[str], *, in_query: bool) -> None:
        self._secrets = [each.encode() for each in secrets]
        self._in_query = in_query

    def accepts(self, received: Received) -> bool:
        """Compare with all of them."""
        token = bearer_token(received.headers)
        if not token and self._in_query:
            token = received.query.get("access_token", "")
        return _is_one_of(token.encode("utf-8", "surrogateescape"), self._secrets)


class HmacSignatures:
    """HMAC-SHA256 of the raw body in a header, as hex digits after a prefix."""

    def __init__(self, secrets: Sequence[str], header: str, prefix: str) -> None:
        self._secrets = [each.encode() for each in secrets]
        self._header, self._prefix = header, prefix

    def accepts(self, received: Received) -> bool:
        """Compare with the signature under each secret."""
        given = received.headers.get(self._header, "")
        if not given.startswith(self._prefix):
            return False
        expected = [hmac.new(key, received.raw, hashlib.sha256).hexdigest().encode() for key in self._secrets]
        return _is_one_of(given[len(self._prefix) :].lower().encode("utf-8", "surrogateescape"), expected)


class StandardWebhooks:
    """Signs id, time and raw body; the time must be near ours, so that no POST can be kept for later."""

    def __init__(self, keys: Sequence[WebhookKey], tolerance: float, now: Callable[[], float]) -> None:
        self._keys, self._tolerance, self._now = keys, tolerance, now

    def accepts(self, received: Received) -> bool:
        """Look for a signature of one of the keys."""
        message_id, time = (received.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp"))
        if not message_id or not self._is_near(time):
            return False
        signed = f"{message_id}.{time}.".encode("latin-1", "replace") + received.raw
        given = received.headers.get("webhook-signature", "").split()[:MAX_SIGNATURES]
        # A list: all keys are asked, so the time says nothing about which one was near.
        return True in [key.made_one_of(given, signed) for key in self._keys]

    def _is_near(self, time: str) -> bool:
        if not (time.isascii() and time.isdigit() and len(time) <= 12):
            return False
        return abs(self._now() - int(time)) <= self._tolerance


def read_secrets(source: str, text: str, *, webhooks: bool) -> list[str]:
    """Give the secrets of a source, written with blanks or line ends between them; raises SettingsError."""
    name = f"SFMC_SOURCE_{source.upper().replace('-', '_')}_SECRET"
    secrets = text.split()
    if not secrets:
        raise SettingsError([f"{name}: missing; give the secret of the sender, or two while it changes"])
    for each in secrets:
        if webhooks:
            try:
                webhook_key(each)
            except ValueError as error:
                raise SettingsError([f"{name}: {error}; give whsec_… or whpk_… as the sender shows it"]) from None
        elif len(each) < MIN_SECRET:
            raise SettingsError([f"{name}: a secret has fewer than {MIN_SECRET} characters; give a longer one"])
    return secrets


def _is_one_of(value: bytes, expected: Sequence[bytes]) -> bool:
    # A list: all are compared, so the time says nothing about which one was near.
    return True in [hmac.compare_digest(value, each) for each in expected]
