"""Passes over what a server refuses while it takes no writes: its disk or memory is full, say, or it is a replica."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import redis

_NO_WRITES = re.compile(r"\b(MISCONF|OOM|READONLY|NOREPLICAS)\b")


@contextmanager
def refused_writes_wait() -> Iterator[None]:
    """End the block where a write is refused; that Redis takes none is said where something is to be written."""
    try:
        yield
    except (redis.exceptions.ReadOnlyError, redis.exceptions.OutOfMemoryError):
        return
    except redis.ResponseError as error:
        if not _NO_WRITES.search(str(error)):
            raise
