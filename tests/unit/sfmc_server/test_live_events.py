"""Readers of events: one whose token was revoked gets no more."""

import asyncio

import fakeredis
import orjson
import pytest

from sfmc_import.events import EventStream
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
