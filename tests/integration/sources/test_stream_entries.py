"""The source `stream` over a Redis of its own and a real ledger: whatever dies, each file is one request."""

import json
import random
from collections.abc import Iterator
from contextlib import closing
from itertools import product
from typing import Any

import pytest
import redis as redis_py

from sfmc_import.client import Client
from sfmc_import.ledger.keys import Keys
from sfmc_import.redis_address import parse_redis_url
from sfmc_import.request import FileInfo
from sfmc_import.states import Reported
from sfmc_local.redis_server import Valkey
from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.stream import StreamMailbox, StreamOptions, parse
from tests.support.queue_sources import STEPS, KilledError, Life, QueueSources, accepted_files, queue_sources, running
from tests.support.waiting import eventually

KEY, GROUP = "drop:arrivals", "sfmc-import"
NIGHTLY = {"take": "before", "acknowledge": "after", "receive": "before after"}
MOMENTS = [
    pytest.param(step, moment, marks=[pytest.mark.nightly] if moment in NIGHTLY[step] else [])
    for step, moment in product(STEPS, ("before", "after"))
]
ODD = ["a b.csv", "ü.csv", "x\ny.csv", "-rf", "..", "..c.csv", "'; DROP.csv", " "]


@pytest.fixture
def stream(own_valkey: Valkey) -> Iterator["redis_py.Redis"]:
    with redis_py.Redis.from_url(own_valkey.url, decode_responses=True, socket_timeout=10) as client:
        client.xgroup_create(KEY, GROUP, id="0", mkstream=True)
        yield client


def mailbox(server: Valkey) -> StreamMailbox:
    # A second, so that what somebody dead holds comes soon.
    return StreamMailbox(parse_redis_url(server.url), StreamOptions(key=KEY, claim_after=1.0))


@pytest.fixture
def sources(own_valkey: Valkey, redis_server: Valkey, redis) -> Iterator[QueueSources]:
    with queue_sources(redis_server.url, parse, lambda: mailbox(own_valkey)) as made:
        yield made


def event(name: str, version: str = "v1", **more: Any) -> str:
    return json.dumps({"file": {"location": "/in", "name": name, "size": 20, "version": version, **more}})


def send(stream: Any, text: str) -> None:
    stream.xadd(KEY, {"event": text})


def is_done(stream: Any) -> bool:
    [group] = stream.xinfo_groups(KEY)
    return (group["pending"], group["lag"]) == (0, 0)


def names(redis: Any) -> list[str]:
    return sorted(file["name"] for file in accepted_files(redis))


def test_entries_that_a_living_producer_holds_hide_none_that_a_dead_one_left(stream, own_valkey) -> None:
    for number in range(1200):
        send(stream, event(f"held_{number}.csv"))
    stream.xreadgroup(GROUP, "living", {KEY: ">"}, count=1200)
    send(stream, event("left.csv"))
    [(_, [(left, _)])] = stream.xreadgroup(GROUP, "dead", {KEY: ">"})
    stream.xclaim(KEY, GROUP, "dead", 0, [left], idle=90_000, justid=True)
    with closing(StreamMailbox(parse_redis_url(own_valkey.url), StreamOptions(key=KEY, claim_after=60.0))) as other:
        assert [message.id for message in other.receive()] == [left]


def test_an_entry_has_its_deliveries_whatever_else_its_consumer_holds(stream, own_valkey) -> None:
    for number in range(203):
        send(stream, event(f"a_{number}.csv"))
    with closing(StreamMailbox(parse_redis_url(own_valkey.url), StreamOptions(key=KEY, claim_after=60.0))) as held:
        ids = [message.id for _ in range(3) for message in held.receive()]
        for left in (ids[0], ids[-1]):
            stream.xclaim(KEY, GROUP, "dead", 0, [left], idle=90_000, retrycount=7, justid=True)
        found = {message.id: message.deliveries for message in held.receive()}
    assert found == {ids[0]: 8, ids[-1]: 8}


def test_entries_stay_while_the_redis_of_stream_and_ledger_lacks_one_of_their_requests(stream, own_valkey) -> None:
    keys = Keys()
    for name in ("a.csv", "b.csv"):
        send(stream, event(name))
    stream.hset(keys.request("r1"), "state", "accepted")
    options = StreamOptions(key=KEY, claim_after=60.0)
    with closing(StreamMailbox(parse_redis_url(own_valkey.url), options, keys)) as mine:
        messages = mine.receive()
        assert mine.acknowledge_recorded(messages, ["r1", "r2"]) is False
        assert stream.xpending(KEY, GROUP)["pending"] == 2
        stream.hset(keys.request("r2"), "state", "accepted")
        assert mine.acknowledge_recorded(messages, ["r1", "r2"]) is True
    assert is_done(stream)


def test_an_entry_stays_while_the_redis_lacks_the_event_that_its_file_starts_nothing(stream, own_valkey) -> None:
    send(stream, event("b.csv"))
    file = FileInfo(location="drop", name="b.csv", version="1")
    said = Reported(file.fingerprint, "unrouted")
    with closing(StreamMailbox(parse_redis_url(own_valkey.url), StreamOptions(key=KEY), Keys())) as mine:
        messages = mine.receive()
        assert mine.acknowledge_recorded(messages, [said]) is False
        with Client(own_valkey.url, mid="510001234") as client:
            client.report("unrouted", file=file, detail={"text": "none"})
        assert mine.acknowledge_recorded(messages, [said]) is True
    assert is_done(stream)


@pytest.mark.parametrize(("step", "moment"), MOMENTS)
def test_whoever_dies_at_whichever_step_each_entry_is_one_request(step, moment, stream, sources, redis) -> None:
    for number in range(3):
        send(stream, event(f"orders_{number}.csv"))
    with pytest.raises(KilledError):
        sources.receiver(Life(step, moment)).run(Wakeup())
    with running(sources.receiver()):
        eventually(lambda: is_done(stream), 30, "all entries are acknowledged")
    assert names(redis) == [f"orders_{number}.csv" for number in range(3)]


def test_each_event_three_times_out_of_order_and_two_producers_are_one_request_for_each_content(
    stream, sources, redis
) -> None:
    events = [event(f"orders_{number}.csv", tag) for number in range(5) for tag in ("a", "b")] * 3
    random.Random(7).shuffle(events)
    for each in events:
        send(stream, each)
    with running(sources.receiver(), sources.receiver()):
        eventually(lambda: is_done(stream), 30, "all entries are acknowledged")
    found = sorted((file["name"], file["version"]) for file in accepted_files(redis))
    assert found == [(f"orders_{number}.csv", tag) for number in range(5) for tag in ("a", "b")]


def test_odd_names_are_data_and_a_file_without_a_byte_is_a_file(stream, sources, redis) -> None:
    for name in ODD:
        send(stream, event(name))
    send(stream, event("empty.csv", size=0))
    with running(sources.receiver()):
        eventually(lambda: is_done(stream), 30, "all entries are acknowledged")
    assert names(redis) == sorted([*ODD, "empty.csv"])


def test_garbage_is_set_aside_and_the_good_entries_beside_it_are_taken(stream, sources, redis) -> None:
    send(stream, "no JSON")
    stream.xadd(KEY, {"other": "field"})
    send(stream, event("a.csv"))
    send(stream, json.dumps({"file": {"name": "x" * 5000}}))
    send(stream, event("b.csv"))
    with running(sources.receiver()):
        eventually(lambda: is_done(stream), 30, "all entries are acknowledged")
    assert names(redis) == ["a.csv", "b.csv"]
    assert redis.xlen("{sfmc-import:events}:transport:dead_letters") == 3


def test_while_the_stream_is_cut_it_is_waited_for_and_each_entry_is_one_request(stream, sources, redis) -> None:
    with running(sources.receiver()):
        send(stream, event("before.csv"))
        eventually(lambda: names(redis) == ["before.csv"], 30, "the first is taken")
        stream.client_kill_filter(_type="normal", skipme=True)
        send(stream, event("after.csv"))
        send(stream, event("before.csv"))
        stream.client_kill_filter(_type="normal", skipme=True)
        eventually(lambda: is_done(stream), 60, "all entries are acknowledged")
    assert names(redis) == ["after.csv", "before.csv"]


def test_while_the_ledger_is_away_longer_than_entries_are_left_alone_no_other_gets_them(
    redis_server: Valkey, own_valkey: Valkey
) -> None:
    with redis_py.Redis.from_url(redis_server.url, decode_responses=True, socket_timeout=10) as stream:
        stream.xgroup_create(KEY, GROUP, id="0", mkstream=True)
        send(stream, event("orders.csv"))
        other = mailbox(redis_server)
        with queue_sources(own_valkey.url, parse, lambda: mailbox(redis_server)) as sources:
            own_valkey.kill()
            with running(sources.receiver()):
                eventually(lambda: stream.xpending(KEY, GROUP)["pending"] == 1, 10, "the entry is in its hands")
                # Each look waits a third of a second: together longer than entries are left alone.
                seen = [found for _ in range(6) if (found := other.receive())]
                own_valkey.restart()
                eventually(lambda: is_done(stream), 30, "it is taken and acknowledged")
        other.close()
        stream.delete(KEY)
    with redis_py.Redis.from_url(own_valkey.url, decode_responses=True) as client:
        assert names(client) == ["orders.csv"]
    assert seen == []
