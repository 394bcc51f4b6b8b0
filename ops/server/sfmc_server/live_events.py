"""Sends events to any number of readers as server-sent events; one thread reads the stream for all of them."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable

import orjson
import structlog
from redis.exceptions import RedisError

from sfmc_import.events import Entry, EventStream, kind
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.redaction import hidden_in
from sfmc_import.request import fold_key

BUFFER = 1000
"""Events that wait for one reader; one that is slower is cut, and goes on from its last id."""

TICK_SECONDS = 5.0
"""How often a reader without events gets a comment, so that proxies keep the connection."""

CATCH_UP = 500
CHECK_SECONDS = 5.0
"""How long a token that was revoked may still get events."""

log = structlog.get_logger("sfmc_server.live_events")


class LiveEvents:
    """The newest events for readers of this process; `is_ending` says that the server ends.

    `counts` says whether a token still counts; it is asked in a thread, at most once in CHECK_SECONDS for each token.
    """

    def __init__(
        self, stream: EventStream, is_ending: Callable[[], bool], counts: Callable[[str], bool] = lambda _: True
    ) -> None:
        self._stream = stream
        self._is_ending = is_ending
        self._counts = counts
        self._checked: dict[str, tuple[float, bool]] = {}
        self._readers: set[asyncio.Queue[Entry | None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._placed = asyncio.Event()
        """Set once it is known from where on the thread reads."""

    async def follow(self, after: str | None, key: str | None = None, token: str = "") -> AsyncIterator[bytes]:
        """Yield events after an id, or from now on, as lines of an event stream.

        It ends when the reader is too slow, when the server ends, and soon after its token was revoked.
        """
        queue: asyncio.Queue[Entry | None] = asyncio.Queue(BUFFER + 1)
        self._begin(queue)
        try:
            begin = await asyncio.to_thread(self._stream.newest) if after is None else after
            # The place comes first: who is cut before the first event misses none.
            yield b"retry: 2000\nid: %b\n\n" % begin.encode()
            seen = begin
            gap = None if after is None else await asyncio.to_thread(self._stream.gap_after, after)
            if gap is not None:
                yield b"event: gap\ndata: %b\n\n" % orjson.dumps({"after": begin, "before": gap})
            # What comes before that place is read here, so this reading may not end before the place is known.
            await self._placed.wait()
            async for position, line in self._missed(begin, key):
                seen = position
                yield line
                if not await self._may_go_on(token):
                    return
            async for line in self._new(queue, seen, key):
                yield line
                if not await self._may_go_on(token):
                    return
        finally:
            self._readers.discard(queue)

    async def _may_go_on(self, token: str) -> bool:
        """Tell whether the token counts; while Redis does not say it, what was known last."""
        checked_at, counts = self._checked.get(token, (float("-inf"), True))
        now = time.monotonic()
        if now - checked_at < CHECK_SECONDS:
            return counts
        self._checked = {each: known for each, known in self._checked.items() if now - known[0] < 2 * CHECK_SECONDS}
        self._checked[token] = (now, counts)
        try:
            counts = await asyncio.to_thread(self._counts, token)
        except (LedgerUnavailableError, RedisError):
            return counts
        self._checked[token] = (now, counts)
        return counts

    async def _missed(self, position: str, key: str | None) -> AsyncIterator[tuple[str, bytes]]:
        while found := await asyncio.to_thread(self._some_after, position):
            for entry in found:
                position = entry[0]
                yield position, _line(entry, key)

    def _some_after(self, position: str) -> list[Entry]:
        entries = self._stream.after(position)
        return [entry for entry, _ in zip(entries, range(CATCH_UP), strict=False)]

    async def _new(self, queue: asyncio.Queue[Entry | None], position: str, key: str | None) -> AsyncIterator[bytes]:
        while not self._is_ending():
            try:
                entry = await asyncio.wait_for(queue.get(), TICK_SECONDS)
            except TimeoutError:
                yield b": nothing new\n\n"
                continue
            if entry is None:
                return
            if _order(entry[0]) > _order(position):
                yield _line(entry, key)

    def _begin(self, queue: asyncio.Queue[Entry | None]) -> None:
        self._readers.add(queue)
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._placed = asyncio.Event()
            threading.Thread(target=self._read, name="sfmc-live-events", daemon=True).start()

    def _read(self) -> None:
        """Read the stream for all readers until the server ends; an outage is waited for."""
        assert self._loop is not None
        try:
            place = self._stream.newest()
            self._loop.call_soon_threadsafe(self._placed.set)
            live = self._stream.live(place, on_outage=_log_outage, over=self._is_ending)
            for entry in live:
                self._loop.call_soon_threadsafe(self._give, entry)
        except Exception:
            # The edge of this thread: readers are cut, and come again.
            log.exception("live_events_ended")
            self._loop.call_soon_threadsafe(self._cut_all)

    def _give(self, entry: Entry) -> None:
        for queue in tuple(self._readers):
            if queue.qsize() < BUFFER:
                queue.put_nowait(entry)
            else:
                self._cut(queue)

    def _cut(self, queue: asyncio.Queue[Entry | None]) -> None:
        self._readers.discard(queue)
        queue.put_nowait(None)

    def _cut_all(self) -> None:
        self._loop = None
        self._placed.set()
        for queue in tuple(self._readers):
            if queue.qsize() <= BUFFER:
                self._cut(queue)


def _line(entry: Entry, key: str | None) -> bytes:
    """Write one event; of another definition only its id, so that the reader can go on from there."""
    position, event = entry
    if key is not None and fold_key(str(event["subject"])) != fold_key(key):
        return b"id: %b\n\n" % position.encode()
    data = orjson.dumps({"stream_id": position, **hidden_in(event)})
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (position.encode(), kind(event).encode(), data)


def _order(position: str) -> tuple[int, ...]:
    return tuple(map(int, position.split("-")))


def _log_outage(reason: str) -> None:
    log.warning("redis_unreachable", error=reason, action="waiting")
