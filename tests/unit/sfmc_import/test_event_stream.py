"""Reading the stream: what another program has put into it is passed over."""

from collections.abc import Iterator

import fakeredis
import orjson
import pytest

from sfmc_import.events import EventStream

EVENT = {"type": "sfmc.import.accepted", "subject": "k", "time": "2026-03-01T06:00:00Z", "data": {"request_id": "1"}}
FOREIGN = [
    {"event": b"no json"},
    {"event": b"\xff\xfe"},
    {"event": b"[1]"},
    {"event": b'{"type": 5}'},
    {"event": orjson.dumps(EVENT | {"data": []})},
    {"event": b'{"a":' * 1100 + b"1" + b"}" * 1100},
    {"other": b"field"},
]


@pytest.fixture
def stream() -> Iterator[EventStream]:
    with fakeredis.FakeRedis() as redis:
        for fields in FOREIGN:
            redis.xadd("events", fields)
            redis.xadd("events", {"event": orjson.dumps(EVENT)})
        yield EventStream(redis, "events")


def test_foreign_entries_are_passed_over_however_the_stream_is_read(stream: EventStream) -> None:
    assert [event for _, event in stream.after("0-0")] == [EVENT] * len(FOREIGN)
    assert [event for _, event in stream.last(50, lambda _: True, stream.newest())] == [EVENT] * len(FOREIGN)
    live = stream.live("0-0", on_outage=str)
    assert [next(live)[1] for _ in FOREIGN] == [EVENT] * len(FOREIGN)
