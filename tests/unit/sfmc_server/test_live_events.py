"""Readers of events: one whose token was revoked gets no more."""

import asyncio
import threading
from collections.abc import Iterator

import fakeredis
import orjson
import pytest

from sfmc_import.events import Entry, EventStream
from sfmc_server import live_events
from sfmc_server.live_events import LiveEvents

EVENT = {"type": "sfmc.import.accepted", "subject": "k", "time": "2026-03-01T06:00:00Z", "data": {"request_id": "1"}}


@pytest.mark.parametrize(("counts", "events"), [(True, 3), (False, 1)])
def test_a_reader_whose_token_counts_no_more_is_ended(
    monkeypatch: pytest.MonkeyPatch, counts: bool, events: int
) -> None:
    monkeypatch.setattr(live_events, "CHECK_SECONDS", 0.0)
    redis = fakeredis.FakeRedis()
    for _ in range(3):
        redis.xadd("events", {"event": orjson.dumps(EVENT)})
    live = LiveEvents(EventStream(redis, "events"), lambda: True, lambda _: counts)

    async def read() -> int:
        return len([line async for line in live.follow("0-0", None, "t") if line.startswith(b"id: ")])

    assert asyncio.run(read()) == events


@pytest.mark.parametrize(("kept", "gaps"), [(3, []), (1, [b'event: gap\ndata: {"after":"1-0","before":"3-0"}\n\n'])])
def test_a_reader_learns_that_events_after_its_position_are_gone(kept: int, gaps: list[bytes]) -> None:
    redis = fakeredis.FakeRedis()
    for number in (1, 2, 3):
        redis.xadd("events", {"event": orjson.dumps(EVENT)}, id=f"{number}-0")
    redis.xtrim("events", maxlen=kept, approximate=False)
    live = LiveEvents(EventStream(redis, "events"), lambda: True)

    async def read() -> list[bytes]:
        return [line async for line in live.follow("1-0") if line.startswith(b"event: gap")]

    assert asyncio.run(read()) == gaps


class LateStream(EventStream):
    """The first question of the thread is answered after the reader has caught up, or would have."""

    def __init__(self, redis: fakeredis.FakeRedis) -> None:
        super().__init__(redis, "events")
        self.redis, self.has_caught_up = redis, threading.Event()

    def newest(self) -> str:
        if threading.current_thread().name == "sfmc-live-events":
            self.has_caught_up.wait(0.3)
            self.redis.xadd("events", {"event": orjson.dumps(EVENT)}, id="2-0")
        return super().newest()

    def after(self, position: str) -> Iterator[Entry]:
        found = list(super().after(position))
        if not found:
            self.has_caught_up.set()
        return iter(found)


def test_a_first_reader_misses_nothing_when_the_thread_learns_its_place_late() -> None:
    redis, ended = fakeredis.FakeRedis(), threading.Event()
    redis.xadd("events", {"event": orjson.dumps(EVENT)}, id="1-0")
    live = LiveEvents(LateStream(redis), ended.is_set)

    async def read() -> list[bytes]:
        found: list[bytes] = []
        async for line in live.follow("0-0"):
            found += [line.split(b"\n")[0]] if b"event: accepted" in line else []
            if len(found) == 2:
                break
        return found

    try:
        assert asyncio.run(asyncio.wait_for(read(), 5)) == [b"id: 1-0", b"id: 2-0"]
    finally:
        ended.set()
