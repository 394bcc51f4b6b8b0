"""Tells open pages that something is new, as server-sent events; what is new they read by asking for the page again."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable

from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from sfmc_import.ports import LedgerUnavailableError
from sfmc_server.console.feed import Feed
from sfmc_server.console.login import COOKIE, Login, Visitor

TICK_SECONDS = 1.0
QUIET_SECONDS = 15.0
"""How often a page without news gets a comment."""

LOGIN_SECONDS = 15.0
"""How often the login of a page is looked at again."""

_POSITION = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")


class Changes:
    """One small message each second at most, whatever happened: the position of the newest event is its id."""

    def __init__(self, feed: Feed, login: Login, is_ending: Callable[[], bool]) -> None:
        self._feed, self._login, self._is_ending = feed, login, is_ending

    def answer(self, visitor: Visitor, last: str | None) -> Response:
        """Begin a stream for one page; `last` is what it knows: events after it are news."""
        known = last if last is not None and _POSITION.fullmatch(last) else None
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self.follow(visitor, known), headers=headers, media_type="text/event-stream")

    async def follow(self, visitor: Visitor, known: str | None) -> AsyncIterator[bytes]:
        """Yield messages until the login or the server ends."""
        # A page that comes back during an outage learns of it: it may have been opened before.
        seen = (known or self._feed.position, False)
        spoken = looked = time.monotonic()
        yield b"retry: 2000\n\n"
        while not self._is_ending():
            if time.monotonic() - looked > LOGIN_SECONDS:
                looked = time.monotonic()
                if not await self._is_logged_in(visitor):
                    yield b"event: ended\ndata: {}\n\n"
                    return
            now = (self._feed.position, self._feed.is_away)
            if now != seen and (self._feed.is_whole or self._feed.is_away):
                seen, spoken = now, time.monotonic()
                yield _message(*now)
            elif time.monotonic() - spoken > QUIET_SECONDS:
                spoken = time.monotonic()
                yield b": nothing new\n\n"
            await asyncio.sleep(TICK_SECONDS)

    async def _is_logged_in(self, visitor: Visitor) -> bool:
        try:
            return await run_in_threadpool(self._login.visitor, {COOKIE: visitor.session}) is not None
        except (RedisError, LedgerUnavailableError):
            # It is not known now; the page says that Redis is away.
            return True


def _message(position: str, is_away: bool) -> bytes:
    name = b"away" if is_away else b"change"
    return b"id: %b\nevent: %b\ndata: {}\n\n" % (position.encode(), name)
