"""Messages with a Celery priority: every list that a sender may write is read, in order, and counted."""

from collections.abc import Callable

import pytest
import redis
from celery import Celery
from kombu import Connection

from sfmc_local.redis_server import Valkey
from sfmc_transport import queues
from tests.integration.transport.conftest import KEYS
from tests.integration.transport.test_channel import ENTRY, Inbox, in_flight, only, places, publish
from tests.support.waiting import eventually

PRIORITIES = range(10)


@pytest.fixture
def inbox(connect_reliably: Callable[..., Connection]) -> Inbox:
    return Inbox(connect_reliably(), "imports")


def named(inbox: Inbox) -> list[int]:
    return [message.payload["n"] for message in inbox.received]


def test_a_message_of_a_stock_sender_with_any_priority_is_read(inbox, raw, redis_server):
    with Celery(broker=redis_server.celery_url) as host, host.connection_for_write() as connection:
        for priority in PRIORITIES:
            publish(connection, "imports", {"n": priority}, priority=priority)

    assert queues.length(raw, "imports") == 10
    inbox.drain(10)

    assert sorted(named(inbox)) == list(PRIORITIES)
    assert queues.length(raw, "imports") == 0
    assert places(raw) == only(unacked=10, index=10)


@pytest.mark.parametrize("steps", [[0, 5], list(range(10)), [3, 6, 9], [9]], ids=str)
def test_a_sender_with_other_priority_steps_is_read_too(inbox, redis_server, steps):
    with Connection(redis_server.celery_url, transport_options={"priority_steps": steps}) as connection:
        for priority in PRIORITIES:
            publish(connection, "imports", {"n": priority}, priority=priority)

    inbox.drain(10)

    assert sorted(named(inbox)) == list(PRIORITIES)


def test_a_sender_with_the_separator_of_celerys_manual_is_read_too(inbox, raw, redis_server):
    with Connection(redis_server.celery_url, transport_options={"sep": ":"}) as connection:
        for priority in PRIORITIES:
            publish(connection, "imports", {"n": priority}, priority=priority)
    assert queues.length(raw, "imports") == 10

    inbox.drain(10)

    assert sorted(named(inbox)) == list(PRIORITIES)
    assert places(raw) == only(unacked=10, index=10)


def test_lists_with_that_separator_are_looked_for_while_others_are_filled_again_and_again(inbox, redis_server):
    with Connection(redis_server.celery_url, transport_options={"sep": ":"}) as connection:
        inbox.drain(expected=0)
        publish(connection, "imports", {"n": 9}, priority=9)

        def next_message_finds_it() -> bool:
            publish(connection, "imports", {"n": 0})
            inbox.drain(expected=0)
            return 9 in named(inbox)

        eventually(next_message_finds_it, 10, "the message with a priority is read between the others")


def test_a_sender_with_another_separator_is_noticed(raw, redis_server):
    raw.hset("imports/5", "somebody", "else")
    with Connection(redis_server.celery_url, transport_options={"sep": "-"}) as connection:
        publish(connection, "imports", {"n": 3}, priority=3)

    found = queues.unread(raw, "imports")

    raw.delete("imports-3", "imports/5")
    assert found == {"imports-3": 1}


def test_what_is_sent_stands_in_a_list_that_a_stock_worker_reads(raw, connect_reliably):
    connection = connect_reliably()
    for priority in PRIORITIES:
        publish(connection, "theirs", {"n": priority}, priority=priority)

    found = {key: count for key in queues.lists_of("theirs") if (count := raw.llen(key))}
    raw.delete(*queues.lists_of("theirs"))
    assert found == {"theirs": 3, "theirs\x06\x163": 3, "theirs\x06\x166": 3, "theirs\x06\x169": 1}


def test_messages_are_read_in_order_of_priority(connect_reliably, redis_server):
    with Connection(redis_server.celery_url) as connection:
        for priority in (9, 3, 0, 6, 3, 0):
            publish(connection, "imports", {"n": priority}, priority=priority)

    inbox = Inbox(connect_reliably(), "imports")
    inbox.drain(6)

    assert named(inbox) == [0, 0, 3, 3, 6, 9]


def test_a_message_with_a_priority_does_not_wait_until_the_first_list_is_silent_for_long(inbox, redis_server):
    """A beat fills the first list each second: a worker that waited there for silence would read no other."""
    with Connection(redis_server.celery_url) as connection:
        inbox.drain(expected=0)
        publish(connection, "imports", {"n": 9}, priority=9)

        def next_tick_finds_it() -> bool:
            publish(connection, "imports", {"n": 0})
            inbox.drain(expected=0)
            return 9 in named(inbox)

        eventually(next_tick_finds_it, 10, "the message with a priority is read between the others")


def test_what_a_killed_consumer_popped_from_a_list_of_a_priority_goes_back_to_that_list(raw, connect_reliably):
    source = "imports" + queues.endings([9])[0]
    raw.lpush(source, ENTRY)
    dying = Inbox(connect_reliably(sfmc_dead_after=0.1), "imports")
    dying.connection.transport.cycle.on_poll_start()  # the pop is sent, its answer is never read
    assert eventually(lambda: in_flight(raw), 10, "it is in the in-flight list") == [ENTRY]

    living = Inbox(connect_reliably(sfmc_dead_after=0.1, sfmc_beat_every=0.1), "imports")
    living.drain(1)

    assert [message.source for message in living.received] == [source]
    assert places(raw) == only(unacked=1, index=1)


def test_a_consumer_that_leaves_leaves_nothing_in_the_registry(inbox, raw, redis_server):
    with Connection(redis_server.celery_url) as connection:
        publish(connection, "imports", {"n": 9}, priority=9)
    inbox.drain(1)
    assert raw.zcard(KEYS.consumers) == 2

    inbox.channel.close()

    assert raw.zcard(KEYS.consumers) == 0


def test_a_worker_runs_messages_of_every_priority(start_worker, own_valkey: Valkey, valkey_client: redis.Redis, notes):
    with Celery(broker=own_valkey.celery_url) as app:
        for priority in PRIORITIES:
            app.send_task("probe.note", [f"p{priority}"], queue="imports", priority=priority)

    start_worker(own_valkey.celery_url).ready()

    eventually(lambda: notes.read_text().count("\np") == 10, 30, "all ran")
    eventually(lambda: not valkey_client.hlen("unacked"), 30, "all are acknowledged")
