"""Tells by a hash whether a file has other content than before; of a large file it reads evenly spread parts."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

WHOLE_UP_TO = 16 * 1024 * 1024
PARTS = 64
PART_BYTES = 64 * 1024
"""A file above 16 MiB costs 4 MiB: its size and time say most already, and a mount may be slow."""

HASH_LENGTH = 16
"""Hexadecimal digits: enough to tell versions of one file apart, short enough to be kept with every request."""


def content_hash(handle: int, size: int) -> str:
    """Give the hash of an open file of `size` bytes; raises OSError when it cannot be read."""
    found = hashlib.sha256()
    for offset, length in _parts(size):
        found.update(os.pread(handle, length, offset))
    return found.hexdigest()[:HASH_LENGTH]


def content_hash_at(path: Path, size: int) -> str | None:
    """Give the hash of the file at `path`; None when it cannot be read."""
    with suppress(OSError), path.open("rb", buffering=0) as file:
        return content_hash(file.fileno(), size)
    return None


def _parts(size: int) -> Iterator[tuple[int, int]]:
    if size <= WHOLE_UP_TO:
        yield from ((offset, PART_BYTES) for offset in range(0, size, PART_BYTES))
        return
    last = size - PART_BYTES
    yield from ((last * number // (PARTS - 1), PART_BYTES) for number in range(PARTS))
