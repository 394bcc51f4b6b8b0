"""Reads bodies up to a limit, and resets or cuts connections as broken networks do."""

import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sfmc_sandbox.wire.envelope import BadRequestError

_EXTENSION = "sandbox.connection"


class ReachableConnection(HttpToolsProtocol):
    """uvicorn's protocol, which also hands the application the connection itself."""

    def on_message_begin(self) -> None:
        """Called by the parser at the start of each request."""
        super().on_message_begin()
        extensions: dict[str, Any] = {_EXTENSION: self.transport}
        self.scope["extensions"] = extensions


async def reset(request: Request) -> None:
    """Reset the connection of `request` at once: the caller sees neither an answer nor a clean end."""
    transport = request.scope["extensions"][_EXTENSION]
    connection = transport.get_extra_info("socket")
    if connection is not None:
        # Lingering for zero seconds turns the close into a reset (RST).
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await until_closed(request)


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


async def limited_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises BadRequestError as soon as it is known to be longer than `limit` bytes."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit:
        raise BadRequestError
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise BadRequestError
        parts.append(part)
    return b"".join(parts)
