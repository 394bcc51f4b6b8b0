"""Answers of a good call that come slowly, cut or far too large."""

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import Response, StreamingResponse

_PER_SECOND = 20
_MIB = 1024 * 1024
_BLANKS = b" " * _MIB
# A gzip file begins so: deflate, no name, no time, unknown system.
_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


def changed(name: str, parameters: Mapping[str, Any], response: Response) -> Response | None:
    """The response as slow_drip, trickle, gzip_bomb and padded send it; None for all other faults."""
    body = bytes(response.body)
    if name == "slow_drip":
        return _streamed(response, pieces(body, len(body) / max(parameters["seconds"], 0.001)))
    if name == "trickle":
        return _streamed(response, pieces(body, parameters["bytes_per_second"]))
    if name == "padded":
        return _streamed(response, _padded(body, int(parameters["megabytes"])))
    if name == "gzip_bomb":
        return _streamed(response, _bomb(body, int(parameters["megabytes"])), {"Content-Encoding": "gzip"})
    return None


def _streamed(response: Response, content: AsyncIterator[bytes], more: Mapping[str, str] | None = None) -> Response:
    kind = response.headers["content-type"]
    return StreamingResponse(content, response.status_code, media_type=kind, headers=more)


async def pieces(content: bytes, bytes_per_second: float) -> AsyncIterator[bytes]:
    """The content at this speed, byte by byte if it is slow."""
    size = max(int(bytes_per_second / _PER_SECOND), 1)
    for place in range(0, len(content), size):
        piece = content[place : place + size]
        yield piece
        await asyncio.sleep(len(piece) / bytes_per_second)


def as_sent(response: Response) -> bytes:
    """The response as bytes on the wire, with its length."""
    phrase = HTTPStatus(response.status_code).phrase
    body = bytes(response.body)
    head = f"HTTP/1.1 {response.status_code} {phrase}\r\nContent-Type: {response.headers['content-type']}\r\n"
    return head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


def half(response: Response) -> bytes:
    """The response as bytes on the wire, without the second half of its body."""
    whole = as_sent(response)
    return whole[: len(whole) - (len(response.body) + 1) // 2]


async def _padded(body: bytes, megabytes: int) -> AsyncIterator[bytes]:
    yield body
    for _ in range(megabytes):
        await asyncio.sleep(0)
        yield _BLANKS


async def _bomb(body: bytes, megabytes: int) -> AsyncIterator[bytes]:
    """Gzip of the body and blanks: the blanks are compressed once and sent again and again, so it costs no memory."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    yield _GZIP_HEAD + packer.compress(body) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(_BLANKS) + packer.flush(zlib.Z_FULL_FLUSH)
    check = zlib.crc32(body)
    for _ in range(megabytes):
        await asyncio.sleep(0)  # other calls go on
        check = zlib.crc32(_BLANKS, check)
        yield block
    size = (len(body) + megabytes * _MIB) % 2**32
    yield packer.flush() + struct.pack("<II", check, size)
