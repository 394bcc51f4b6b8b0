"""The keys of Standard Webhooks: a secret that both sides have, or the public key of the sender."""

import base64
import binascii
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SECRET, PUBLIC, PRIVATE = "whsec_", "whpk_", "whsk_"
MIN_BYTES = 16
PUBLIC_BYTES = 32


class WebhookKey(Protocol):
    """Knows the signatures of one key."""

    def made_one_of(self, signatures: Sequence[str], signed: bytes) -> bool:
        """Tell whether one of the signatures, written as `VERSION,BASE64`, is that of this key over `signed`."""
        ...


@dataclass(frozen=True, repr=False)
class SharedKey:
    """HMAC-SHA256, written `v1,…`."""

    key: bytes

    def made_one_of(self, signatures: Sequence[str], signed: bytes) -> bool:
        """Compare with all of them, in the same time for any wrong one."""
        expected = base64.b64encode(hmac.digest(self.key, signed, "sha256"))
        given = [each.encode("utf-8", "replace") for each in _of_version("v1,", signatures)]
        return True in [hmac.compare_digest(each, expected) for each in given]


@dataclass(frozen=True)
class PublicKey:
    """Ed25519, written `v1a,…`: only the sender can sign."""

    key: Ed25519PublicKey

    def made_one_of(self, signatures: Sequence[str], signed: bytes) -> bool:
        """Verify one after the other."""
        return any(self._is_signed(each, signed) for each in _of_version("v1a,", signatures))

    def _is_signed(self, signature: str, signed: bytes) -> bool:
        try:
            self.key.verify(base64.b64decode(signature, validate=True), signed)
        except (InvalidSignature, ValueError):
            return False
        return True


def _of_version(version: str, signatures: Sequence[str]) -> list[str]:
    return [each.removeprefix(version) for each in signatures if each.startswith(version)]


def webhook_key(text: str) -> WebhookKey:
    """Read `whsec_…`, the secret of both sides, or `whpk_…`, the public key of the sender. Raises ValueError."""
    if text.startswith(PRIVATE):
        raise ValueError("is the private key of the sender")
    if not text.startswith(PUBLIC):
        key = _decoded(text.removeprefix(SECRET))
        if len(key) < MIN_BYTES:
            raise ValueError(f"has {len(key)} bytes, at least {MIN_BYTES} are needed")
        return SharedKey(key)
    key = _decoded(text.removeprefix(PUBLIC))
    if len(key) != PUBLIC_BYTES:
        raise ValueError(f"has {len(key)} bytes, a public key has {PUBLIC_BYTES}")
    return PublicKey(Ed25519PublicKey.from_public_bytes(key))


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not whsec_ or whpk_ and base64") from None
