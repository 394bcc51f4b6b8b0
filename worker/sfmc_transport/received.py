"""A message as it was taken from a queue, unpacked and read by us and not by kombu."""

import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from kombu import serialization
from kombu.transport import virtual

from sfmc_transport.delivery import NO_NAMES, Payload
from sfmc_transport.unpacking import read_json, unpacked

JSON = "application/json"

BINARY = frozenset({"binary", "ascii-8bit"})
"""Content encodings under which kombu leaves bytes as they are."""


class Received(virtual.Message):
    """A message with the bytes and the queue key it came from; without them it was claimed by kombu's means.

    Its body is unpacked here and not by kombu, which would unpack it whatever its size.
    """

    errors: list[Any] | None
    body: Any
    content_type: str | None
    content_encoding: str | None

    entry = b""
    source = ""
    names = NO_NAMES
    worker_died = False
    """Set when the pool process that ran it died: the message may be the reason."""
    record = ""
    """The key that its task leaves in the Redis of the broker: a server without it may not forget the message."""
    refusal = ("refused_by_task", "see its log")
    """Reason and detail of its dead letter, when its task refuses it."""

    def __init__(self, payload: Payload, channel: Any = None, **options: Any) -> None:
        headers = payload.get("headers") or {}
        try:
            plain = _with_plain_body(payload, headers, channel)
        except Exception:  # noqa: BLE001 - whatever a decoder says; kombu too keeps it for who reads the message
            plain, self.errors = payload, [sys.exc_info()]
        super().__init__(plain, channel=channel, **options)
        self.headers = headers

    def _decode(self) -> Any:
        if self.content_type == JSON and JSON in (self.accept or ()):
            # What is wrong with it is said below, as kombu says it.
            with suppress(Exception):
                return read_json(self.body)
        # Content that is no JSON is text or bytes for kombu, and its content-encoding the name of any codec of Python:
        # also of one that unpacks without a limit (zlib), or takes minutes (punycode).
        encoding = self.content_encoding if self.content_encoding in BINARY else "utf-8"
        content_type: Any = self.content_type
        return serialization.loads(self.body, content_type, encoding, accept=self.accept)


def _with_plain_body(payload: Payload, headers: Mapping[str, Any], channel: Any) -> Payload:
    if not headers.get("compression"):
        return payload
    properties = payload["properties"]
    body = channel.decode_body(payload.get("body") or "", properties.get("body_encoding"))
    plain = {name: value for name, value in headers.items() if name != "compression"}
    encodings = {**properties, "body_encoding": None}
    return {**payload, "body": unpacked(body, headers["compression"]), "headers": plain, "properties": encodings}
