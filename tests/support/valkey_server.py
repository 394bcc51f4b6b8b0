"""The real server of the tests and the check that nothing in it grows for ever; no test lives here."""

import re
from collections.abc import Iterator

import redis

BOUNDED_KEYS = tuple(
    re.compile(pattern)
    for pattern in (
        r"\Asfmc-import:events\Z",  # the event stream, bounded by MAXLEN
        r"\A\{sfmc-import:events\}:due\Z",  # one entry for each unfinished request
        r"\A_kombu\.binding(_permanent)?\.",  # the broker's lists of queues
        r"\Aimports\Z|\Aimports[\x06:.]",  # the queue and the transport's lists beside it
        r"\Aunacked(_index|_mutex)?\Z",  # deliveries in flight
        r"\A\{sfmc-import(:events)?\}:transport:(consumers\Z|dead_letters\Z|inflight:)",  # the transport
    )
)
"""Keys that may live without a time to live, because something else bounds them."""


def keys_without_end(client: redis.Redis) -> list[str]:
    """Return the keys that would stay for ever: no time to live and on no list of bounded keys."""
    return sorted(name for name in permanent_keys(client) if not is_bounded(name))


def permanent_keys(client: redis.Redis) -> Iterator[str]:
    """Yield the names of keys without a time to live, as text."""
    names: list[bytes | str] = list(client.scan_iter(count=1000))
    with client.pipeline(transaction=False) as asked:
        for name in names:
            asked.ttl(name)
        lives = asked.execute()
    for name, life in zip(names, lives, strict=True):
        if life == -1:
            yield name.decode(errors="replace") if isinstance(name, bytes) else name


def is_bounded(name: str) -> bool:
    """Tell whether a key is on the list of bounded keys."""
    return any(pattern.search(name) for pattern in BOUNDED_KEYS)
