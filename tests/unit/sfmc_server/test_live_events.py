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
