"""Checks what a test left in Redis: every key of the ledger is described and nothing grows without limit."""

import re
from collections.abc import Iterator
from typing import Any

import redis

from sfmc_import.ledger.schema import ANY, Key, Keys

LEDGER = Keys()
BOUNDED_KEYS = tuple(
    re.compile(pattern)
    for pattern in (
        r"\A_kombu\.binding(_permanent)?\.",  # the broker's lists of queues
        r"\Aimports\Z|\Aimports[\x06:.]",  # the queue and the transport's lists beside it
        r"\Aunacked(_index|_mutex)?\Z",  # deliveries in flight
        r"\A\{sfmc-import(:events)?\}:transport:(consumers\Z|dead_letters\Z|inflight:)",  # the transport
    )
)
"""Keys outside the ledger that may live without a time to live, because something else bounds them."""


def keys_without_end(client: redis.Redis) -> list[str]:
    """Return the keys that would stay for ever: no time to live, and neither the schema nor a list bounds them."""
    return sorted(name for name in permanent_keys(client) if not is_bounded(name))


def permanent_keys(client: redis.Redis) -> Iterator[str]:
    """Yield the names of keys without a time to live, as text."""
    for name in _names(client):
        if client.ttl(name) == -1:
            yield name


def is_bounded(name: str) -> bool:
    """Tell whether a key may live without a time to live."""
    key = LEDGER.describe(name)
    if key is not None:
        return not key.ttl
    return any(pattern.search(name) for pattern in BOUNDED_KEYS)


def undescribed(client: redis.Redis) -> list[str]:
    """Return the keys and fields of the ledger that its schema does not have, and keys of another type."""
    return sorted(
        problem for name in _names(client) if name.startswith(LEDGER.tag) for problem in _differences(client, name)
    )


def _differences(client: Any, name: str) -> Iterator[str]:
    key = LEDGER.describe(name)
    if key is None:
        if not any(pattern.search(name) for pattern in BOUNDED_KEYS):
            yield f"{name} is not described"
        return
    kind = _text(client.type(name))
    if kind not in {key.redis_type, "none"}:
        yield f"{name} is a {kind}"
    elif kind == "hash":
        yield from (f"{name} has {field}" for field in map(_text, client.hkeys(name)) if not _has(key, field))


def _has(key: Key, name: str) -> bool:
    return any(field.name in {name, ANY} for field in key.fields)


def _names(client: Any) -> Iterator[str]:
    return map(_text, client.scan_iter(count=1000))


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
