"""Reads bodies up to a limit, and resets or cuts connections as broken networks do."""

import asyncio
import contextlib
import socket
import struct
import zlib
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_MOST_DIGITS = 15
_TURNS = 5
_EXTENSION = "sandbox.connection"


class ReachableConnection(HttpToolsProtocol):
    """uvicorn's protocol, which also hands the application the connection itself."""

    def on_message_begin(self) -> None:
        """Called by the parser at the start of each request."""
        super().on_message_begin()
        extensions: dict[str, Any] = {_EXTENSION: self.transport}
        self.scope["extensions"] = extensions


class QuietEnd:
    """Resets the connections of calls that still hang when the server ends, which would log a traceback for each."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise
            _abort(Request(scope, receive))
            for _ in range(_TURNS):  # until the server knows that the connection is gone
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0)


async def reset(request: Request) -> None:
    """Reset the connection of `request` at once: the caller sees neither an answer nor a clean end."""
    _abort(request)
    await until_closed(request)


def _abort(request: Request) -> None:
    transport = request.scope["extensions"][_EXTENSION]
    connection = transport.get_extra_info("socket")
    if connection is not None:
        # Lingering for zero seconds turns the close into a reset (RST).
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def until_closed(request: Request) -> None:
    """Wait until the caller closes the connection of `request`."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def write_slowly(request: Request, pieces: AsyncIterator[bytes]) -> None:
    """Write raw bytes as they come, then close; a caller that closes first ends it."""
    transport = request.scope["extensions"][_EXTENSION]
    async for piece in pieces:
        if transport.is_closing():
            break
        transport.write(piece)
    transport.close()
    await until_closed(request)


async def cut_short(request: Request, sent: bytes) -> None:
    """Write raw bytes and close: the caller gets the beginning of an answer."""
    transport = request.scope["extensions"][_EXTENSION]
    transport.write(sent)
    transport.close()
    await until_closed(request)


class BodyRefusedError(Exception):
    """The body is not read: the status and the text that say why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


async def limited_body(request: Request, limit: int) -> bytes:
    """The whole body, decompressed if it says so.

    Raises BodyRefusedError as soon as it is known to be longer than `limit` bytes, before or after decompression, or
    to be compressed in a way that is not known or not right.
    """
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and (len(declared) > _MOST_DIGITS or int(declared) > limit):
        raise _too_long(limit)
    unpack = _unpacker(request.headers.get("content-encoding", "identity"))
    parts, size, sent = [], 0, 0
    async for part in request.stream():
        sent += len(part)
        unpacked = _unpacked(unpack, part, limit - size + 1) if unpack else part
        size += len(unpacked)
        if size > limit or sent > limit:
            raise _too_long(limit)
        parts.append(unpacked)
    if unpack and not unpack.eof:
        raise _not_compressed()
    return b"".join(parts)


def _too_long(limit: int) -> BodyRefusedError:
    return BodyRefusedError(413, f"the request is longer than {limit} bytes")


def _unpacker(named: str) -> Any:
    encoding = named.strip().lower()
    if encoding in {"", "identity"}:
        return None
    if encoding not in {"gzip", "deflate"}:
        raise BodyRefusedError(415, f"Content-Encoding {named[:40]!r} is not known: send gzip, deflate or nothing")
    return zlib.decompressobj(zlib.MAX_WBITS | 32)


def _unpacked(unpack: Any, part: bytes, most: int) -> bytes:
    try:
        return bytes(unpack.decompress(part, max(most, 1)))
    except zlib.error as problem:
        raise _not_compressed() from problem


def _not_compressed() -> BodyRefusedError:
    return BodyRefusedError(400, "the body is not compressed as Content-Encoding says")
