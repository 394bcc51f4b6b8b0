"""The readers of events over a real server: its answers, its restart, and the examples of the page."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from sfmc_import.client import Client
from sfmc_import.events import AsyncEventGroup, AsyncEventReader, EventGroup, EventReader, Gap, ImportEvent
from sfmc_import.events.asking import aside_of, stream_of
from sfmc_local.redis_server import Valkey

PAGE = (Path(__file__).parents[3] / "ops/docs/events.md").read_text()
EXAMPLES = [each for each in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "sfmc_import.events" in each]
STREAM = stream_of()


@pytest.fixture
def url(redis_server: Valkey, redis: redis_py.Redis) -> str:
    return redis_server.url


def submit(url: str, *keys: str) -> None:
    with Client(url, mid="7") as client:
        for key in keys:
            client.submit(customer_key=key, file={"name": "a.csv", "size": 3})


def keys_of(found: Any) -> list[str]:
    return [each.customer_key if isinstance(each, ImportEvent) else "gap" for each in found]


def test_a_reader_gives_events_past_and_new_and_tells_of_a_gap(url: str, redis: redis_py.Redis) -> None:
    submit(url, "a", "b")
    with EventReader(url) as reader:
        found = reader.read("0")
        assert keys_of([next(found), next(found)]) == ["a", "b"]
        submit(url, "c")
        assert keys_of([next(found)]) == ["c"]
        submit(url, "d", "e", "f")
        redis.xtrim(STREAM, maxlen=1, approximate=False)
        assert keys_of([next(found), next(found)]) == ["gap", "f"]


def test_a_stream_that_lost_nothing_has_no_gap_before_its_first_event(url: str) -> None:
    submit(url, "a")
    with EventReader(url) as reader:
        assert keys_of(reader.read("5-0", follow=False)) == ["a"]


def test_a_group_gives_what_a_consumer_left_and_sets_aside_what_comes_too_often(
    url: str, redis: redis_py.Redis
) -> None:
    submit(url, "a", "b")
    made = [EventGroup(url, "g", start="0", claim_after=0, max_deliveries=2) for _ in range(3)]
    assert keys_of(made[0].receive(1)) == ["a"]
    (again,) = made[1].receive(1)
    assert isinstance(again, ImportEvent)
    assert again.deliveries == 2
    assert keys_of(made[2].receive(1, block_ms=None)) == ["b"]
    assert redis.xlen(aside_of(STREAM, "g")) == 1
    made[1].keep(again)
    for each in made:
        each.close()


def leave(redis: redis_py.Redis, position: bytes) -> None:
    redis.xclaim(STREAM, "g", "gone", 0, [position], idle=90_000, justid=True)


def test_what_a_living_reader_holds_hides_nothing_that_a_dead_one_left(url: str, redis: redis_py.Redis) -> None:
    submit(url, *(f"k{number}" for number in range(150)))
    ids = [each for each, _ in redis.xrange(STREAM)]
    with EventGroup(url, "g", start="0") as living, EventGroup(url, "g") as member:
        living.receive()
        leave(redis, ids[60])
        # One look with this count sees ten pending entries, a call a hundred.
        assert keys_of(member.receive(1, block_ms=None)) == ["k60"]
        assert member.receive(1, block_ms=None) == []
        leave(redis, ids[149])
        # It begins anew, and goes on where the last call ended.
        assert member.receive(1, block_ms=None) == []
        leave(redis, ids[0])
        assert keys_of([*member.receive(1, block_ms=None), *member.receive(1, block_ms=None)]) == ["k149", "k0"]


def test_what_was_trimmed_while_it_was_pending_is_a_gap(url: str, redis: redis_py.Redis) -> None:
    submit(url, "a", "b")
    with EventGroup(url, "g", start="0", claim_after=0) as group:
        first, _ = group.receive()
        redis.xtrim(STREAM, maxlen=1, approximate=False)
        gap, left = group.receive()
        assert isinstance(gap, Gap)
        assert isinstance(first, ImportEvent)
        assert (gap.count, gap.before) == (1, first.position)
        group.acknowledge(left)
        assert redis.xpending(STREAM, "g")["pending"] == 0


def test_readers_of_asyncio_read_a_real_server(url: str) -> None:
    submit(url, "a", "b")

    async def scenario() -> list[str]:
        async with AsyncEventReader(url) as reader, AsyncEventGroup(url, "g", start="0") as group:
            found = [each async for each in reader.read("0", follow=False)]
            taken = await group.receive()
            await group.acknowledge(*taken)
            waiting = await group.receive(block_ms=1)
            return keys_of([*found, *taken, *waiting])

    assert asyncio.run(scenario()) == ["a", "b", "a", "b"]


def test_a_reader_and_a_group_go_on_after_a_restart_of_redis(own_valkey: Valkey) -> None:
    submit(own_valkey.url, "a")
    with EventReader(own_valkey.url) as reader, EventGroup(own_valkey.url, "g", start="0") as group:
        found, taken = reader.read("0"), group.read()
        assert keys_of([next(found), next(taken)]) == ["a", "a"]
        own_valkey.kill()
        own_valkey.start()
        submit(own_valkey.url, "b")
        assert keys_of([next(found), next(taken)]) == ["b", "b"]


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_examples_of_the_page_run(url: str, number: int, capsys: pytest.CaptureFixture[str]) -> None:
    submit(url, "a")
    with Client(url, mid="7") as client:
        client.reject(customer_key="b", request_id="r1", code="preflight", text="no")
    booked: list[Any] = []
    # The page follows for ever, from now on; here it ends at the newest event.
    text = EXAMPLES[number].replace("redis://127.0.0.1:6379/0", url)
    text = text.replace('read(start="$")', 'read(start="0", follow=False)').replace(
        "group.read()", "group.receive(block_ms=None)"
    )

    exec(text, {"book": booked.append})

    assert capsys.readouterr().out == ("b rejected None None\n" if "print(event" in text else "")
