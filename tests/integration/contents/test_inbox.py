"""What was posted stays in the inbox of its source until it is handled, and no longer; a full one takes nothing."""

import json
from collections.abc import Iterator
from contextlib import closing

import pytest
import redis as redis_py

from sfmc_import.ledger.keys import Keys
from sfmc_import.redis_address import parse_redis_url
from sfmc_producers.notifications import Wakeup
from sfmc_producers.push.cloudevents import FORM
from sfmc_producers.push.inbox import MOST_BYTES, Inbox
from sfmc_producers.push.posts import PLACE
from sfmc_producers.push.source import InboxMailbox, parse
from sfmc_producers.sources.arrivals import Unreadable
from sfmc_producers.sources.stream import StreamOptions
from sfmc_producers.submitter import InvalidRequest
from tests.support import posts
from tests.support.push_servers import pushing
from tests.support.queue_sources import STEPS, KilledError, Life, accepted_files, queue_sources, running
from tests.support.waiting import eventually


@pytest.fixture
def redis(redis_server) -> Iterator[redis_py.Redis]:
    with redis_py.Redis.from_url(redis_server.url, socket_timeout=10) as client:
        yield client


def mailbox(url: str, inbox: Inbox, claim_after: float = 0.75) -> InboxMailbox:
    lines = {"key": inbox.key, "group": "sfmc-import", "claim_after": claim_after}
    return InboxMailbox(parse_redis_url(url), StreamOptions.model_validate(lines))


def event(name: str) -> bytes:
    return json.dumps(posts.cloudevent(name, id=name)).encode()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_producer_that_dies_at_any_step_loses_nothing_and_leaves_nothing(redis_server, redis, step, moment) -> None:
    inbox = Inbox(redis, Keys(), "drop")
    names = [f"{number}.csv" for number in range(3)]
    assert inbox.add([event(name) for name in [*names, names[0]]]) == [True] * 4

    def read(body: bytes):
        return parse(FORM, PLACE, body)

    with queue_sources(redis_server.url, read, lambda: mailbox(redis_server.url, inbox)) as sources:
        life = Life(step, moment)
        dying = sources.receiver(life)
        with pytest.raises(KilledError):
            dying.run(Wakeup())
        with running(sources.receiver()):
            eventually(lambda: redis.xlen(inbox.key) == 0, 10, "all are handled and removed")
    assert sorted(each["name"] for each in accepted_files(redis)) == names


def test_an_event_is_removed_only_where_its_request_is(redis_server, redis) -> None:
    keys = Keys()
    inbox = Inbox(redis, keys, "drop")
    assert inbox.add([event("a.csv")]) == [True]
    lines = {"key": inbox.key, "group": "sfmc-import", "claim_after": 60.0}
    options = StreamOptions.model_validate(lines)
    with closing(InboxMailbox(parse_redis_url(redis_server.url), options, keys)) as mine:
        messages = mine.receive()
        assert (mine.acknowledge_recorded(messages, ["r1"]), redis.xlen(inbox.key)) == (False, 1)
        redis.hset(keys.request("r1"), "state", "accepted")
        redis.expire(keys.request("r1"), 60)
        assert (mine.acknowledge_recorded(messages, ["r1"]), redis.xlen(inbox.key)) == (True, 0)


def test_what_a_producer_gives_back_is_taken_up_at_once_and_not_counted_as_a_delivery(redis_server, redis) -> None:
    inbox = Inbox(redis, Keys(), "drop")
    inbox.add([event("1.csv"), event("2.csv")])
    for _ in range(3):
        box = mailbox(redis_server.url, inbox, claim_after=60)
        found = box.receive()
        assert [each.deliveries for each in found] == [1, 1]
        box.give_back(found)
        box.close()
    killed = mailbox(redis_server.url, inbox, claim_after=60)
    assert len(killed.receive()) == 2
    redis.xgroup_createconsumer(inbox.key, "sfmc-import", "other")
    redis.xclaim(inbox.key, "sfmc-import", "other", 0, [each.id for each in found], idle=60_000, justid=True)
    assert [each.deliveries for each in mailbox(redis_server.url, inbox, claim_after=60).receive()] == [2, 2]


def test_a_full_inbox_takes_nothing_and_forgets_nothing(redis) -> None:
    inbox = Inbox(redis, Keys(), "drop", most=3)
    assert inbox.add([event("1.csv"), event("2.csv")]) == [True, True]
    assert inbox.add([event("3.csv"), event("4.csv")]) == [False, False]
    assert inbox.add([event("3.csv")]) == [True]
    assert redis.xlen(inbox.key) == 3


def test_an_event_that_is_far_too_long_for_a_name_of_a_file_is_refused_alone(redis) -> None:
    inbox = Inbox(redis, Keys(), "drop")
    short, long = inbox.add([event("1.csv"), b"x" * (MOST_BYTES + 1)])
    assert short is True
    assert isinstance(long, InvalidRequest)


def test_without_redis_nothing_is_taken(redis_server) -> None:
    with redis_py.Redis(port=9, socket_timeout=1) as nowhere:
        assert Inbox(nowhere, Keys(), "drop").add([event("1.csv")]) == [False]
        assert Inbox(nowhere, Keys(), "drop").unread_seconds() is None


def test_it_is_known_for_how_long_no_producer_took_an_event_up(redis_server, redis) -> None:
    inbox = Inbox(redis, Keys(), "drop")
    assert inbox.unread_seconds() is None
    inbox.add([event("1.csv")])
    waited = inbox.unread_seconds()
    assert waited is not None
    assert 0 <= waited < 60
    box = mailbox(redis_server.url, inbox)
    assert len(box.receive()) == 1
    assert inbox.unread_seconds() is None
    box.close()


def test_what_a_producer_took_up_that_asks_no_more_waits_for_another_one(redis_server, redis) -> None:
    inbox = Inbox(redis, Keys(), "drop")
    inbox.add([event("1.csv")])
    box = mailbox(redis_server.url, inbox)
    assert len(box.receive()) == 1

    assert Inbox(redis, Keys(), "drop", alive=0.0).unread_seconds() is not None
    box.close()


def test_the_server_keeps_what_names_a_file_and_answers_as_before_for_the_rest(redis) -> None:
    inbox = Inbox(redis, Keys(), "drop")
    with pushing(inbox=inbox) as push:
        batch = [posts.cloudevent("1.csv"), {"specversion": "0.3"}]
        answer = push.post(batch, content_type="application/cloudevents-batch+json")
        assert answer.json() == {"taken": 1, "ignored": 0, "set_aside": 1}
        assert push.client.started == []
        [(_, fields)] = redis.xrange(inbox.key)
        assert json.loads(fields[b"event"]) == batch[0]


def test_a_server_whose_inbox_is_full_asks_to_come_later(redis) -> None:
    with pushing(inbox=Inbox(redis, Keys(), "drop", most=0)) as push:
        answer = push.post(posts.cloudevent("1.csv"))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1


def test_an_entry_that_is_no_json_is_unreadable() -> None:
    [found] = parse(FORM, PLACE, b"{")
    assert isinstance(found, Unreadable)
