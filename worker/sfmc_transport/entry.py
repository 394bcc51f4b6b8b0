"""What an entry of a queue must be to be delivered, and what is added to it when it goes back; no I/O."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from kombu.utils.json import dumps, loads

Built = TypeVar("Built")

Payload = dict[str, Any]
"""A message as kombu writes it: body, content-type, content-encoding, headers, properties."""

RETURNS_HEADER = "sfmc_returns"
"""Message header that counts how often a worker died or stalled with this message."""


class UndecodableEntryError(Exception):
    """An entry that kombu could not deliver, or could not put back later; the text says why."""


def read_entry(raw: bytes) -> Payload:
    """Return the message in `raw`, checked for everything that kombu takes for granted later.

    Raises:
        UndecodableEntryError: no worker could handle these bytes.
    """
    return _checked(_parsed(raw))


def read_unacked(value: bytes) -> tuple[Payload, str, str]:
    """Return message, exchange and routing key from a value of kombu's `unacked` hash.

    Raises:
        UndecodableEntryError: a worker with the stock transport may have taken such a message.
    """
    held = _parsed(value)
    _require(isinstance(held, list) and len(held) == 3, "not message, exchange and routing key")
    payload, exchange, routing_key = held
    return _checked(payload), str(exchange or ""), str(routing_key or "")


def decode(build: Callable[[], Built]) -> Built:
    """Return what `build` makes of a message, an undecodable body being an `UndecodableEntryError`."""
    try:
        message = build()
    except Exception as problem:
        raise UndecodableEntryError(f"the body cannot be decoded: {problem!r}") from problem
    errors = getattr(message, "errors", None)
    if errors:
        raise UndecodableEntryError(f"the body cannot be decoded: {errors[0][1]!r}")
    return message


def count_return(payload: Payload) -> int:
    """Mark `payload` as given back by a worker that died or stalled; returns how often that happened."""
    headers = payload.setdefault("headers", {})
    count = headers.get(RETURNS_HEADER, 0)
    headers[RETURNS_HEADER] = count + 1 if isinstance(count, int) else 1
    return int(headers[RETURNS_HEADER])


def mark_redelivered(payload: Payload) -> Payload:
    """Set what Celery reads as `redelivered`, as kombu does."""
    payload.setdefault("headers", {})["redelivered"] = True
    payload["properties"].setdefault("delivery_info", {})["redelivered"] = True
    return payload


def without_count(raw: bytes) -> bytes:
    """The entry with the count of returns taken off, for a replay; anything unreadable stays as it is."""
    try:
        payload = read_entry(raw)
    except UndecodableEntryError:
        return raw
    if payload.get("headers", {}).pop(RETURNS_HEADER, None) is None:
        return raw
    return bytes(dumps(payload), "utf-8")


def _parsed(raw: bytes) -> Any:
    try:
        return loads(raw)
    except Exception as problem:  # foreign bytes: json, the type hooks of kombu and recursion all may raise
        raise UndecodableEntryError(f"not JSON: {problem!r}") from problem


def _checked(payload: Any) -> Payload:
    if not isinstance(payload, dict):
        raise UndecodableEntryError("not a JSON object")
    _require(isinstance(payload.get("headers", {}), dict), "headers are not an object")
    _require(isinstance(payload.get("body", ""), str), "the body is not a string")
    _check_properties(payload.get("properties"))
    return payload


def _check_properties(properties: object) -> None:
    if not isinstance(properties, Mapping):
        raise UndecodableEntryError("no properties")
    _require(isinstance(properties.get("delivery_info", {}), dict), "delivery_info is not an object")
    encoding = properties.get("body_encoding")
    _require(encoding is None or isinstance(encoding, str), "body_encoding is not a string")
    priority = properties.get("priority", 0)
    # int(Infinity) would fail when the message is put back, and kombu drops what it cannot put back
    _require(priority not in (float("inf"), float("-inf")), "the priority is not a number")


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise UndecodableEntryError(otherwise)
