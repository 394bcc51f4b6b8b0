"""Seals texts with a key of the settings, so that who finds one in Redis can neither read nor change it."""

import base64
import hmac
from secrets import token_bytes

from sfmc_import.errors import extra_needed

NONCE_BYTES = 12
FORM = "1."
"""Begins every sealed text; another beginning is one of another version."""


class Seal:
    """AES-256-GCM under a key. `about` says what a text is about: with another one it cannot be opened."""

    def __init__(self, key: bytes) -> None:
        with extra_needed("SFMC_TOKEN_KEY", "tokens"):
            # It takes 0.05 s to import, and only who has a key needs it.
            from cryptography.exceptions import InvalidTag  # noqa: PLC0415
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        # Two uses of one key: each has its own, made of it.
        self._cipher = AESGCM(hmac.digest(key, b"sfmc-import seal", "sha256"))
        self._naming = hmac.digest(key, b"sfmc-import name", "sha256")
        self._not_ours = InvalidTag

    def close(self, text: bytes, about: bytes) -> str:
        """Seal a text."""
        nonce = token_bytes(NONCE_BYTES)
        return FORM + base64.urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, text, about)).decode()

    def open(self, sealed: str, about: bytes) -> bytes | None:
        """Give a text that was sealed with this key, about the same; None for anything else."""
        try:
            held = base64.b64decode(sealed.removeprefix(FORM), altchars=b"-_", validate=True)
            is_ours = sealed.startswith(FORM) and len(held) > NONCE_BYTES
            return self._cipher.decrypt(held[:NONCE_BYTES], held[NONCE_BYTES:], about) if is_ours else None
        except (ValueError, self._not_ours):
            return None

    def name(self, about: bytes) -> str:
        """Give a name for what something is about, which says nothing about it without the key."""
        return hmac.digest(self._naming, about, "sha256").hex()[:32]
