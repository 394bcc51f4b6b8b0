"""A signed webhook: a CloudEvent in a POST, signed as Standard Webhooks says."""

import base64
import binascii
import hmac
import time
from collections.abc import Callable, Sequence

import orjson

from sfmc_import.notifications.messages import Message
from sfmc_import.notifications.posting import Poster
from sfmc_import.notifications.sending import NotSent, Sent

PREFIX = "whsec_"
MIN_BYTES, MAX_BYTES = 24, 64
"""Bytes of a secret, as the specification asks."""


class Webhook:
    """Sends to one address. With several secrets there is a signature of each, so that they can be changed."""

    def __init__(self, poster: Poster, keys: Sequence[bytes], now: Callable[[], float] = time.time) -> None:
        self._poster, self._keys, self._now = poster, keys, now

    def send(self, message: Message) -> Sent | NotSent:
        """Post the event; the id and the time of sending are signed with it."""
        body = orjson.dumps(message.cloud_event)
        stamp = str(int(self._now()))
        signed = f"{message.id}.{stamp}.".encode() + body
        headers = {
            "Content-Type": "application/cloudevents+json; charset=utf-8",
            "webhook-id": message.id,
            "webhook-timestamp": stamp,
            "webhook-signature": " ".join(signature(key, signed) for key in self._keys),
        }
        return self._poster.send(body, headers)


def signature(key: bytes, signed: bytes) -> str:
    """Sign with one key."""
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def read_key(secret: str) -> bytes:
    """Read `whsec_…`; raises ValueError, whose text does not show it."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not whsec_ and base64") from None
    if not secret.startswith(PREFIX) or not MIN_BYTES <= len(key) <= MAX_BYTES:
        raise ValueError(f"must be whsec_ and the base64 of {MIN_BYTES} to {MAX_BYTES} bytes")
    return key
