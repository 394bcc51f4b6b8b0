"""Checks what a test left in Redis: every key of the ledger is described and nothing grows without limit."""

import re
from collections.abc import Iterator
from typing import Any

import redis

from sfmc_import.ledger.key_kinds import ANY, Key
from sfmc_import.ledger.keys import Keys

LEDGER = Keys()
BOUNDED_KEYS = tuple(
    re.compile(pattern)
    for pattern in (
        r"\A_kombu\.binding(_permanent)?\.",  # the broker's lists of queues
        r"\Aimports\Z|\Aimports[\x06:.]",  # the queue and the transport's lists beside it
        r"\A(imports\.)?unacked(_index|_mutex)?\Z",  # deliveries in flight
        # the transport
        (
            r"\A\{sfmc-import(:events)?\}:transport:"
            r"(consumers\Z|dead_letters\Z|unreported\Z|newest\Z|waiting:|inflight:|set-aside:|letter:)"
        ),
    )
)
"""Keys outside the ledger that may live without a time to live, because something else bounds them."""


def keys_without_end(client: redis.Redis) -> list[str]:
    """Return the keys that would stay for ever: no time to live, and neither the schema nor a list bounds them."""
    return sorted(name for name in permanent_keys(client) if not is_bounded(name))


def permanent_keys(client: redis.Redis) -> Iterator[str]:
    """Yield the names of keys without a time to live, as text."""
    names = _names(client)
    for name, life in zip(names, _ask(client, "TTL", names), strict=True):
        if life == -1:
            yield name


def is_bounded(name: str) -> bool:
    """Tell whether a key may live without a time to live."""
    key = LEDGER.describe(name)
    if key is not None:
        return not key.ttl
    return any(pattern.search(name) for pattern in BOUNDED_KEYS)


def undescribed(client: redis.Redis) -> list[str]:
    """Return the keys and fields of the ledger that its schema does not have, and keys of another type."""
    names = [name for name in _names(client) if name.startswith(LEDGER.tag.rstrip(":"))]
    types = [_text(kind) for kind in _ask(client, "TYPE", names)]
    hashes = [name for name, kind in zip(names, types, strict=True) if kind == "hash"]
    fields = dict(zip(hashes, _ask(client, "HKEYS", hashes), strict=True))
    found = zip(names, types, strict=True)
    return sorted(problem for name, kind in found for problem in _differences(name, kind, fields.get(name, [])))


def _differences(name: str, kind: str, fields: list[bytes | str]) -> Iterator[str]:
    key = LEDGER.describe(name)
    if key is None:
        if not any(pattern.search(name) for pattern in BOUNDED_KEYS):
            yield f"{name} is not described"
    elif kind not in {key.redis_type, "none"}:
        yield f"{name} is a {kind}"
    else:
        yield from (f"{name} has {field}" for field in map(_text, fields) if not _has(key, field))


def _has(key: Key, name: str) -> bool:
    return any(field.name in {name, ANY} for field in key.fields)


def _names(client: Any) -> list[str]:
    return [_text(name) for name in client.scan_iter(count=1000)]


def _ask(client: Any, command: str, names: list[str]) -> list[Any]:
    """One command for each key, in one round trip."""
    with client.pipeline(transaction=False) as asked:
        for name in names:
            asked.execute_command(command, name)
        return asked.execute()


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
