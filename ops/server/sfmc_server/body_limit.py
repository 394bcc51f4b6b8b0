"""Bounds the bodies that clients of the API send, in size and in time, before anything of them is read."""

import asyncio
import time
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sfmc_server.answers import Answer, problem, response, too_large

MAX_BYTES = 256 * 1024
"""A request for a start has a few kilobytes; a record that is set aside up to 200, as MAX_RECORD of the client says."""

LARGE_BYTES = 256 * 1024
LARGE = ("/v1/set-aside", "/v1/watchers/", "/v1/explain")
"""Where a body has a record of a source as base64, many files of folders, or an event."""

BODY_SECONDS = 10.0


class BodyLimit:
    """Answers 413 for a body that is too large and 408 for one that does not arrive, under these paths."""

    def __init__(self, app: ASGIApp, begin: str = "/v1/", most: int = MAX_BYTES, seconds: float = BODY_SECONDS) -> None:
        self._app, self._begin, self._most, self._seconds = app, begin, most, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not scope["path"].startswith(self._begin):
            await self._app(scope, receive, send)
            return
        most = max(self._most, LARGE_BYTES) if scope["path"].startswith(LARGE) else self._most
        if _declared(scope) > most:
            await response(_too_large(most))(scope, receive, send)
            return
        body = _Body(receive, send, most, self._seconds)
        try:
            await self._app(scope, body.receive, body.send)
        except ClientDisconnect:
            if not body.flaw:
                raise
        if body.flaw:
            await response(_too_large(most) if body.flaw == "large" else _SLOW)(scope, receive, send)


def _too_large(most: int) -> Answer:
    return too_large(f"a body may have {most} bytes")


_SLOW = problem(408, "the body did not arrive in time", Connection="close")


def _declared(scope: Scope) -> int:
    value = dict(scope["headers"]).get(b"content-length", b"")
    return int(value[:20]) if value.isdigit() else 0


class _Body:
    """One body on its way; what the application answers to one that is cut is dropped."""

    def __init__(self, receive: Receive, send: Send, most: int, seconds: float) -> None:
        self._receive, self._send, self._left = receive, send, most
        self._until = time.monotonic() + seconds
        self._is_whole = False
        self.flaw = ""

    async def receive(self) -> Message:
        if self._is_whole:
            return await self._receive()
        try:
            message: Any = await asyncio.wait_for(self._receive(), max(0.0, self._until - time.monotonic()))
        except TimeoutError:
            return self._cut("slow")
        self._left -= len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        return self._cut("large") if self._left < 0 else message

    def _cut(self, flaw: str) -> Message:
        self.flaw, self._is_whole = flaw, True
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if not self.flaw:
            await self._send(message)
