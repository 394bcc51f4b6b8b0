"""Reads bodies within a size, a time and a budget of memory, and unpacks them within a size."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from sfmc_server.answers import RefusedError, later, problem, too_large

WORKING_BYTES = 256 * 1_048_576
"""Bytes of bodies that are held at a time, of all senders together."""


class Budget:
    """Memory for bodies. Used by the event loop alone."""

    def __init__(self, most: int = WORKING_BYTES) -> None:
        self._left = most

    @contextmanager
    def share(self) -> Iterator["Share"]:
        """Lend memory for one body until the block ends."""
        share = Share(self)
        try:
            yield share
        finally:
            self._left += share.taken

    def take(self, size: int) -> None:
        """Take a part; raises RefusedError when nothing is left."""
        if size > self._left:
            raise RefusedError(later(1.0))
        self._left -= size


class Share:
    """What one body has taken."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.taken = 0

    def add(self, size: int) -> None:
        """Take more; raises RefusedError when nothing is left."""
        self._budget.take(size)
        self.taken += size


async def read_body(
    chunks: AsyncIterator[bytes], declared: str | None, limit: int, seconds: float, share: Share
) -> bytes:
    """Read a body as it is sent; raises RefusedError as soon as it is too large or too slow."""
    if declared is not None and declared.isdigit() and int(declared[:20]) > limit:
        raise RefusedError(too_large(f"a body may have {limit} bytes"))
    try:
        async with asyncio.timeout(seconds):
            return await _joined(chunks, limit, share)
    except TimeoutError:
        raise RefusedError(problem(408, "the body did not arrive in time", Connection="close")) from None


async def _joined(chunks: AsyncIterator[bytes], limit: int, share: Share) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise RefusedError(too_large(f"a body may have {limit} bytes"))
        share.add(len(chunk))
        parts.append(chunk)
    return b"".join(parts)


def unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo Content-Encoding, never beyond `limit` bytes; raises RefusedError."""
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return body
    if name not in {"gzip", "x-gzip", "deflate"}:
        raise RefusedError(problem(415, "Content-Encoding: gzip and deflate are read, alone"))
    # 32 more than the window size: zlib recognises both forms by their beginning.
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        whole = unpack.decompress(body, limit + 1)
    except zlib.error:
        raise RefusedError(problem(400, "the body cannot be unpacked")) from None
    if len(whole) > limit:
        raise RefusedError(too_large(f"an unpacked body may have {limit} bytes"))
    if not unpack.eof or unpack.unused_data:
        raise RefusedError(problem(400, "the body cannot be unpacked"))
    return whole
