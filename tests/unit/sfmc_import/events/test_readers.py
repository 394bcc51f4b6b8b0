"""Typed readers of the stream: from a position or as a group, with threads and with asyncio."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import fakeredis
import orjson
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.events import AsyncEventGroup, AsyncEventReader, EventGroup, EventReader, Gap, ImportEvent
from sfmc_import.events.asking import Position, aside_of, stream_of
from sfmc_import.events.readers import run
from sfmc_import.ledger.keys import Keys

URL = "redis://127.0.0.1:1/0"
STREAM = "sfmc-import:events"
FILE = {"location": "/in", "name": "a.csv", "size": 3, "modified_ns": "1772345678000000001", "fingerprint": "f"}


def cloud_event(number: int, name: str = "started", **data: Any) -> dict[str, Any]:
    fields = {"request_id": f"r{number}", "mid": "7", "attempt": 1, "file": FILE, "task_id": "99", **data}
    return {
        "id": f"r{number}/1/{name}",
        "type": f"sfmc.import.{name}",
        "subject": "daily",
        "time": "2026-03-01T06:00:00.250Z",
        "data": fields,
    }


class Cut:
    """A client whose connection breaks before the commands with these numbers."""

    def __init__(self, client: Any, *broken: int) -> None:
        self._client, self._broken, self._count = client, broken, 0

    def execute_command(self, *command: Any, **options: Any) -> Any:
        self._count += 1
        if self._count in self._broken:
            raise RedisConnectionError("cut")
        return self._client.execute_command(*command, **options)

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def redis() -> Iterator[Any]:
    with fakeredis.FakeRedis() as client:
        yield client


def add(redis: Any, *numbers: int, name: str = "started") -> None:
    for number in numbers:
        redis.xadd(STREAM, {"event": orjson.dumps(cloud_event(number, name))}, id=f"{number}-0")


def reader(redis: Any) -> EventReader:
    return EventReader(URL, client=redis)


def group(redis: Any, **options: Any) -> EventGroup:
    return EventGroup(URL, "test", client=redis, **{"start": "0", **options})


def ids(found: Any) -> list[str]:
    return [each.request_id if isinstance(each, ImportEvent) else "gap" for each in found]


def test_an_event_has_its_fields_with_their_types(redis: Any) -> None:
    add(redis, 1, name="completed")

    (event,) = reader(redis).read("0", follow=False)

    assert isinstance(event, ImportEvent)
    assert (event.name, event.customer_key, event.mid, event.task_id) == ("completed", "daily", "7", "99")
    assert event.time == datetime(2026, 3, 1, 6, 0, 0, 250_000, UTC)
    assert event.file is not None
    assert (event.file.location, event.file.modified_ns) == ("/in", 1772345678000000001)
    assert event.is_end
    assert (event.position, event.id) == ("1-0", "r1/1/completed")


@pytest.mark.parametrize("data", [{"file": None, "task_id": 5, "attempt": "x"}, {"file": {"name": 7}}])
def test_an_event_with_odd_data_is_read_as_far_as_it_goes(redis: Any, data: dict[str, Any]) -> None:
    redis.xadd(STREAM, {"event": orjson.dumps(cloud_event(1, **data))})
    redis.xadd(STREAM, {"event": orjson.dumps(cloud_event(2) | {"time": "yesterday"})})

    (event,) = reader(redis).read("0", follow=False)

    assert isinstance(event, ImportEvent)
    assert event.file is None


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("0", ["r1000", "r2000", "r3000"]),
        ("1000", ["r2000", "r3000"]),
        ("2000-0", ["r3000"]),
        (datetime.fromtimestamp(2, UTC), ["r2000", "r3000"]),
        ("$", []),
    ],
)
def test_a_reader_begins_where_it_should(redis: Any, start: str | datetime, expected: list[str]) -> None:
    add(redis, 1000, 2000, 3000)

    assert ids(reader(redis).read(start, follow=False)) == expected


@pytest.mark.parametrize("start", ["$", "0"])
def test_a_reader_goes_on_after_the_server_lost_what_was_read(redis: Any, start: str) -> None:
    at = Position(STREAM, start)
    add(redis, 1000)
    run(redis, at.next(None))
    add(redis, 5000)
    assert ids(run(redis, at.next(None))) == ["r5000"]
    redis.delete(STREAM)
    add(redis, 1000)

    assert run(redis, at.next(None)) == []
    add(redis, 1001)
    assert ids(run(redis, at.next(None))) == ["r1001"]


def test_a_reader_that_begins_ahead_of_the_stream_waits_for_it(redis: Any) -> None:
    at = Position(STREAM, "5000-0")
    add(redis, 1000, 2000)

    assert run(redis, at.next(None)) == []
    add(redis, 3000, 6000)
    assert ids(run(redis, at.next(None))) == ["r6000"]


@pytest.mark.parametrize("start", ["now", "5-", "-", "(5", "1" * 30])
def test_a_start_that_is_none_is_refused(redis: Any, start: str) -> None:
    with pytest.raises(ValueError, match="start must be"):
        next(reader(redis).read(start))


def test_a_reader_that_follows_gives_what_comes_and_says_where_it_stands(redis: Any) -> None:
    add(redis, 1)
    following = reader(redis)
    found = following.read("0")

    assert ids([next(found)]) == ["r1"]
    add(redis, 2)
    assert ids([next(found)]) == ["r2"]
    assert following.position == "2-0"


def test_a_reader_that_follows_ends_when_it_should(redis: Any) -> None:
    add(redis, 1, 2)
    asked = iter([False, True])

    assert ids(reader(redis).read("0", until=lambda: next(asked, True))) == []
    assert ids(reader(redis).read("0", until=iter([False, False, True]).__next__)) == ["r1", "r2"]


def test_a_reader_slower_than_the_stream_learns_of_the_gap_once(redis: Any) -> None:
    add(redis, 1, 2)
    found = reader(redis).read("1-0")
    assert ids([next(found)]) == ["r2"]
    add(redis, 3, 4, 5)
    redis.xtrim(STREAM, maxlen=1, approximate=False)

    gap = next(found)

    assert gap == Gap(after="2-0", before="5-0")
    assert ids([next(found)]) == ["r5"]
    add(redis, 6)
    assert ids([next(found)]) == ["r6"]


def test_a_reader_that_begins_with_the_first_event_has_no_gap(redis: Any) -> None:
    add(redis, 1, 2, 3)
    redis.xtrim(STREAM, maxlen=1, approximate=False)

    assert ids(reader(redis).read("0", follow=False)) == ["r3"]


def test_a_gap_is_given_although_the_connection_broke_when_it_was_noticed(redis: Any) -> None:
    add(redis, 1, 2, 3)
    redis.xtrim(STREAM, maxlen=1, approximate=False)
    # First, trimmed?, then the entries: cut.
    cut = EventReader(URL, client=Cut(redis, 3))  # type: ignore[arg-type]

    found = cut.read("1-0")

    assert ids([next(found), next(found)]) == ["gap", "r3"]


def test_a_reader_waits_for_a_redis_that_is_away_and_goes_on(redis: Any) -> None:
    add(redis, 1)
    cut = EventReader(URL, client=Cut(redis, 1, 2))  # type: ignore[arg-type]

    assert ids([next(cut.read("0"))]) == ["r1"]


def test_a_reader_that_does_not_follow_says_that_redis_is_away(redis: Any) -> None:
    cut = EventReader(URL, client=Cut(redis, 1))  # type: ignore[arg-type]

    with pytest.raises(ServiceUnavailableError, match="does not answer"):
        list(cut.read("0", follow=False))


def test_a_reader_does_not_wait_for_a_server_that_refuses_it() -> None:
    class Refusing:
        def execute_command(self, *_: Any, **__: Any) -> Any:
            raise RedisConnectionError("WRONGPASS invalid username-password pair")

    with pytest.raises(ServiceUnavailableError, match="refuses the login"):
        next(EventReader(URL, client=Refusing()).read("0"))  # type: ignore[arg-type]


def test_a_group_gives_an_event_again_until_it_is_acknowledged(redis: Any) -> None:
    add(redis, 1, 2)
    first = group(redis)
    found = first.receive()

    assert ids(found) == ["r1", "r2"]
    first.acknowledge(found[0])
    again = group(redis, claim_after=0).receive(block_ms=None)
    assert ids(again) == ["r2"]
    assert isinstance(again[0], ImportEvent)
    assert again[0].deliveries == 2


def test_what_was_kept_is_not_given_to_another_consumer(redis: Any) -> None:
    add(redis, 1)
    first = group(redis)
    found = first.receive()
    first.keep(*found)

    assert group(redis, claim_after=30).receive(block_ms=None) == []
    first.acknowledge(*found)
    assert redis.xpending(STREAM, "test")["pending"] == 0


def test_an_event_that_came_too_often_is_set_aside_whatever_else_its_consumer_holds(redis: Any) -> None:
    add(redis, *range(1, 604))
    member = group(redis, claim_after=60, max_deliveries=2)
    member.receive(603, block_ms=None)
    for left in ("1-0", "603-0"):
        redis.xclaim(STREAM, "test", "gone", 0, [left], idle=90_000, retrycount=2, justid=True)

    assert member.receive(block_ms=None) == []
    assert redis.xlen(aside_of(STREAM, "test")) == 2


def test_an_event_is_acknowledged_when_the_next_one_is_asked_for(redis: Any) -> None:
    add(redis, 1, 2)
    found = group(redis).read()

    assert ids([next(found)]) == ["r1"]
    assert redis.xpending(STREAM, "test")["pending"] == 1
    assert ids([next(found)]) == ["r2"]
    assert redis.xpending(STREAM, "test")["pending"] == 1


def test_an_event_that_was_delivered_too_often_is_set_aside(redis: Any) -> None:
    add(redis, 1, 2)
    for _ in range(3):
        group(redis, claim_after=0, max_deliveries=3).receive(1, block_ms=None)

    assert ids(group(redis, claim_after=0, max_deliveries=3).receive(block_ms=None)) == ["r2"]
    ((_, aside),) = redis.xrange(aside_of(STREAM, "test"))
    assert orjson.loads(aside[b"event"])["id"] == "r1/1/started"
    assert aside[b"reason"] == b"delivered 4 times"
    assert redis.pttl(aside_of(STREAM, "test")) > 0


def test_a_group_passes_over_what_is_no_event_and_does_not_keep_it(redis: Any) -> None:
    redis.xadd(STREAM, {"event": b"no json"}, id="1-0")
    add(redis, 2)
    member = group(redis)

    found = member.receive()

    assert ids(found) == ["r2"]
    assert redis.xpending(STREAM, "test")["pending"] == 1


def test_a_group_slower_than_the_stream_learns_of_the_gap(redis: Any) -> None:
    add(redis, 1)
    member = group(redis)
    member.acknowledge(*member.receive())
    add(redis, 2, 3, 4)
    redis.xtrim(STREAM, maxlen=1, approximate=False)

    assert member.receive() == [Gap(after="1-0", before="4-0"), *reader(redis).read("0", follow=False)]


def test_a_group_whose_server_was_emptied_is_made_again_where_it_stood(redis: Any) -> None:
    add(redis, 1)
    member = group(redis)
    member.acknowledge(*member.receive())
    redis.flushall()
    add(redis, 2)

    assert member.receive(block_ms=None) == []
    assert ids(member.receive(block_ms=None)) == ["r2"]


def test_a_new_group_begins_now_unless_it_is_asked_otherwise(redis: Any) -> None:
    add(redis, 1)
    member = EventGroup(URL, "late", client=redis)
    member.join()
    add(redis, 2)

    assert ids(member.receive()) == ["r2"]


def test_a_group_is_left_by_a_consumer_that_holds_nothing(redis: Any) -> None:
    with group(redis) as member:
        member.join()
        assert member.receive(block_ms=1) == []
        add(redis, 1)
        member.acknowledge(*member.receive())

    assert redis.xinfo_consumers(STREAM, "test") == []


@pytest.mark.parametrize(("name", "start"), [("a b", "0"), ("", "0"), ("g", "soon")])
def test_a_group_with_a_name_or_start_that_is_none_is_refused(redis: Any, name: str, start: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        EventGroup(URL, name, start=start, client=redis)


def test_the_names_of_the_readers_are_those_of_the_ledger() -> None:
    assert stream_of("acme:") == Keys("acme:").stream
    assert aside_of(stream_of(), "g").startswith(Keys().tag)


def asyncio_client() -> Any:
    return fakeredis.FakeAsyncRedis()


async def collect(found: AsyncIterator[Any], count: int) -> list[Any]:
    return [await anext(found) for _ in range(count)]


def test_a_reader_of_asyncio_gives_the_same_events_and_gaps() -> None:
    async def scenario() -> None:
        client = asyncio_client()
        for number in (1, 2, 3):
            await client.xadd(STREAM, {"event": orjson.dumps(cloud_event(number))}, id=f"{number}-0")
        async with AsyncEventReader(URL, client=client) as made:
            assert ids([each async for each in made.read("1-0", follow=False)]) == ["r2", "r3"]
            await client.xtrim(STREAM, maxlen=1, approximate=False)
            assert ids(await collect(made.read("1-0"), 2)) == ["gap", "r3"]
            assert made.position == "3-0"

    asyncio.run(scenario())


def test_a_group_of_asyncio_gives_events_again_and_sets_them_aside() -> None:
    async def scenario() -> None:
        client = asyncio_client()
        for number in (1, 2):
            await client.xadd(STREAM, {"event": orjson.dumps(cloud_event(number))}, id=f"{number}-0")
        made = AsyncEventGroup(URL, "test", start="0", claim_after=0, client=client)
        found = made.read()
        assert ids(await collect(found, 2)) == ["r1", "r2"]
        assert (await client.xpending(STREAM, "test"))["pending"] == 1
        (again,) = await made.receive(block_ms=None)
        await made.keep(again)
        assert isinstance(again, ImportEvent)
        await made.set_aside(again, "no use")
        assert (await client.xpending(STREAM, "test"))["pending"] == 0
        assert await client.xlen(aside_of(STREAM, "test")) == 1
        await made.acknowledge(again)
        await made.close()

    asyncio.run(scenario())
