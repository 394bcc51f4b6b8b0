"""Where a message is in Redis at each step of its delivery, seen through kombu in this process."""

import json
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import kombu.transport
import pytest
import redis
from celery import Celery
from kombu import Connection, Consumer, Queue
from kombu.transport import redis as stock

from sfmc_transport import Keys, celery_settings, connect
from sfmc_transport.channel import SentinelTransport, Transport
from sfmc_transport.delivery import Delivery, Limits
from tests.integration.transport.conftest import KEYS

ENTRY = json.dumps(
    {
        "body": "e30=",
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": "imports.start", "id": "1"},
        "properties": {"body_encoding": "base64", "delivery_tag": "t", "delivery_info": {}},
    }
).encode()


class Inbox:
    """A consumer of some queues; `received` has its unacknowledged messages."""

    def __init__(self, connection: Connection, *queues: str, no_ack: bool = False, prefetch: int = 0) -> None:
        self.connection = connection
        self.channel: Any = connection.channel()
        self.received: list[Any] = []
        self.consumer = Consumer(
            self.channel,
            [Queue(queue) for queue in queues],
            on_message=self.received.append,
            no_ack=no_ack,
            accept=["json"],
        )
        self.consumer.qos(prefetch_count=prefetch)
        self.consumer.consume()

    def drain(self, expected: int = 1) -> list[Any]:
        """Poll until `expected` messages more came, or long enough to say that none will."""
        wanted = len(self.received) + expected
        for _ in range(400 if expected else 4):
            with suppress(socket.timeout):
                self.connection.drain_events(timeout=0.05)
            if expected and len(self.received) >= wanted:
                break
        return self.received


@pytest.fixture
def inbox(connect_reliably: Callable[..., Connection]) -> Inbox:
    return Inbox(connect_reliably(), "imports")


@pytest.fixture
def patient(connect_reliably: Callable[..., Connection]) -> Inbox:
    """A consumer whose pop is under way, for longer than any test takes."""
    inbox = Inbox(connect_reliably(polling_interval=2, sfmc_look_every=60), "imports")
    inbox.drain(expected=0)  # the look into all lists; after it a pop waits
    inbox.connection.transport.cycle.on_poll_start()
    return inbox


@pytest.fixture
def delivery(raw: redis.Redis) -> Delivery:
    """The hold of some other consumer, for whom everybody but itself is dead."""
    return Delivery(raw.connection_pool, KEYS, "other", Limits(dead_after=0.0, dead_letters=10))


def publish(connection: Connection, queue: str, *bodies: object, **options: Any) -> None:
    with connection.Producer() as producer:
        for body in bodies:
            producer.publish(body, routing_key=queue, declare=[Queue(queue)], **options)


def in_flight(raw: redis.Redis) -> list[bytes]:
    return [entry for key in raw.scan_iter(f"{KEYS.in_flight_prefix}*") for entry in raw.lrange(key, 0, -1)]


def places(raw: redis.Redis) -> dict[str, int]:
    return {
        "queue": raw.llen("imports"),
        "in flight": len(in_flight(raw)),
        "unacked": raw.hlen("unacked"),
        "index": raw.zcard("unacked_index"),
        "dead": raw.xlen(KEYS.dead_letters),
    }


def only(**expected: int) -> dict[str, int]:
    nowhere = {"queue": 0, "in flight": 0, "unacked": 0, "index": 0, "dead": 0}
    return nowhere | {name.replace("_", " "): count for name, count in expected.items()}


def test_a_delivered_message_is_held_as_unacknowledged_until_it_is_acknowledged(inbox, raw):
    publish(inbox.connection, "imports", {"n": 1})

    (message,) = inbox.drain()

    assert message.payload == {"n": 1}
    assert places(raw) == only(unacked=1, index=1)
    message.ack()
    assert places(raw) == only()


def test_messages_come_on_when_the_server_has_forgotten_its_scripts(connect_reliably, raw):
    inbox = Inbox(connect_reliably(), "imports", "imports.upkeep")
    publish(inbox.connection, "imports", {"n": 1}, {"n": 2})
    inbox.drain(2)
    raw.script_flush()
    publish(inbox.connection, "imports", {"n": 3})

    assert [message.payload["n"] for message in inbox.drain()] == [1, 2, 3]


@pytest.mark.parametrize("last", ["imports", "imports.upkeep"])
def test_an_idle_consumer_waits_at_its_first_queue_wherever_the_last_message_came_from(connect_reliably, raw, last):
    inbox = Inbox(connect_reliably(polling_interval=2, sfmc_look_every=60), "imports", "imports.upkeep")
    publish(inbox.connection, last, {"n": 1})
    inbox.drain()
    inbox.drain(expected=0)  # a look that finds nothing; after it a pop waits
    inbox.connection.transport.cycle.on_poll_start()

    raw.lpush("imports", ENTRY)

    assert in_flight(raw) == [ENTRY]


def test_a_message_popped_while_no_one_reads_stays_in_flight(patient, raw):
    raw.lpush("imports", ENTRY)

    assert in_flight(raw) == [ENTRY]


def test_what_a_silent_consumer_left_in_flight_goes_back_to_its_queue(patient, raw, delivery):
    raw.lpush("imports", ENTRY)

    returned = delivery.heartbeat(["imports"])

    assert list(returned.values()) == [1]
    assert raw.lrange("imports", 0, -1) == [ENTRY]


def test_a_message_that_others_took_back_is_not_delivered_twice(patient, raw, delivery):
    raw.lpush("imports", ENTRY)
    delivery.heartbeat(["imports"])

    patient.drain()
    patient.drain(expected=0)

    assert len(patient.received) == 1
    assert places(raw) == only(unacked=1, index=1)


def test_a_message_that_arrived_for_a_dead_connection_is_found_by_its_own_consumer(connect_reliably, raw):
    inbox = Inbox(connect_reliably(sfmc_beat_every=0.0), "imports")
    inbox.drain(expected=0)
    (member,) = raw.zrange(KEYS.consumers, 0, -1)
    raw.lpush(KEYS.in_flight(member.decode()), ENTRY)

    inbox.drain()

    assert places(raw) == only(unacked=1, index=1)


def test_several_messages_left_in_flight_return_in_the_order_of_their_arrival(raw, delivery):
    command = delivery.pop_command("imports", 1)
    raw.lpush("imports", b"first", b"second", b"third")
    for _ in range(2):
        raw.execute_command(*command)

    delivery.heartbeat(["imports"])

    assert [raw.rpop("imports") for _ in range(3)] == [b"first", b"second", b"third"]


def test_a_closed_channel_gives_back_what_it_holds_and_leaves_the_registry(inbox, raw):
    publish(inbox.connection, "imports", {"n": 1}, {"n": 2})
    inbox.drain(expected=1)
    inbox.connection.release()

    assert places(raw) == only(queue=2)
    assert not raw.exists(KEYS.consumers)


def test_a_cancelled_consumer_gives_back_what_was_still_popped_for_it(patient, raw):
    raw.lpush("imports", ENTRY)
    patient.consumer.cancel()

    patient.channel._brpop_read()

    assert raw.lrange("imports", 0, -1) == [ENTRY]
    assert places(raw) == only(queue=1)


@pytest.mark.parametrize("queues", [("imports", "imports.low"), ("imports.low", "imports")])
def test_every_queue_is_served_while_another_is_full(connect_reliably, queues):
    inbox = Inbox(connect_reliably(), *queues)
    publish(inbox.connection, "imports", *range(10))
    publish(inbox.connection, "imports.low", *range(10, 20))

    inbox.drain(expected=6)

    first = [message.payload for message in inbox.received[:6]]
    assert min(first) < 10 <= max(first)
    inbox.drain(expected=14)
    assert sorted(message.payload for message in inbox.received) == list(range(20))
    inbox.consumer.cancel()
    for message in inbox.received:
        message.ack()


def test_priorities_of_kombu_are_kept_when_they_are_switched_on(connect_reliably, raw):
    inbox = Inbox(connect_reliably(priority_steps=[0, 5]), "imports", prefetch=1)
    publish(inbox.connection, "imports", ["later"], priority=9)
    publish(inbox.connection, "imports", ["sooner"], priority=0)

    seen = []
    for _ in range(2):
        message = inbox.drain()[-1]
        seen.append(message.payload)
        message.ack()

    assert seen == [["sooner"], ["later"]]
    assert raw.hlen("unacked") == 0


def test_a_prefix_of_kombu_stands_before_every_key(connect_reliably, raw):
    inbox = Inbox(connect_reliably(global_keyprefix="{sfmc-import}:kombu:"), "imports")
    keys = Keys(kombu_prefix="{sfmc-import}:kombu:")
    publish(inbox.connection, "imports", {"n": 1})
    message = inbox.drain()[0]

    assert raw.hlen(keys.unacked_key) == 1
    assert raw.zcard(keys.consumers) == 1
    message.reject(requeue=True)
    assert raw.llen("{sfmc-import}:kombu:imports") == 1
    raw.flushall()


def test_messages_that_need_no_acknowledgement_leave_nothing_behind(connect_reliably, raw):
    connection = connect_reliably()
    inbox = Inbox(connection, "imports", no_ack=True)
    publish(connection, "imports", {"n": 1})

    assert len(inbox.drain()) == 1
    assert places(raw) == only()


def test_a_rejected_message_returns_as_redelivered(inbox, raw):
    publish(inbox.connection, "imports", {"n": 1})
    inbox.drain()[0].reject(requeue=True)

    message = inbox.drain()[-1]

    assert message.payload == {"n": 1}
    assert message.headers["redelivered"]


def test_a_message_returns_although_the_binding_table_is_gone(inbox, raw):
    publish(inbox.connection, "imports", {"n": 1})
    message = inbox.drain()[0]
    raw.delete("_kombu.binding.imports")

    message.reject(requeue=True)

    assert places(raw) == only(queue=1)


def test_the_acknowledgement_of_one_copy_leaves_the_other_copy_held(inbox, raw):
    raw.lpush("imports", ENTRY, ENTRY)
    first, _ = inbox.drain(expected=2)

    first.ack()

    assert places(raw) == only(unacked=1, index=1)


def test_an_overdue_message_returns_by_the_clock_of_the_server(connect_reliably, raw):
    inbox = Inbox(connect_reliably(visibility_timeout=100), "imports")
    publish(inbox.connection, "imports", "old", "fresh")
    old, _ = inbox.drain(expected=2)
    seconds, _ = raw.time()
    raw.zadd("unacked_index", {old.delivery_tag: seconds - 101})

    inbox.channel.qos.restore_visible(interval=1)

    assert places(raw) == only(queue=1, unacked=1, index=1)


def test_while_the_server_takes_no_writes_an_overdue_message_waits_without_an_error(connect_reliably, raw):
    inbox = Inbox(connect_reliably(visibility_timeout=100), "imports")
    publish(inbox.connection, "imports", "old")
    (old,) = inbox.drain()
    raw.zadd("unacked_index", {old.delivery_tag: 0})
    raw.config_set("min-replicas-to-write", 1)
    try:
        inbox.channel.qos.restore_visible(interval=1)
    finally:
        raw.config_set("min-replicas-to-write", 0)
    assert places(raw) == only(unacked=1, index=1)

    inbox.channel.qos.restore_visible(interval=1)
    assert places(raw) == only(queue=1)


def test_a_message_whose_workers_keep_dying_is_dead_letter(connect_reliably, raw):
    inbox = Inbox(connect_reliably(visibility_timeout=100, sfmc_max_returns=3), "imports")
    publish(inbox.connection, "imports", "killer")
    for delivered in (1, 2, 3):
        tag = inbox.drain()[delivered - 1].delivery_tag
        raw.zadd("unacked_index", {tag: 0})
        inbox.channel.qos.restore_visible(interval=1)

    assert places(raw) == only(dead=1)
    ((_, letter),) = raw.xrange(KEYS.dead_letters)
    assert letter[b"reason"] == b"returned_too_often"


def test_a_message_that_is_kept_for_want_of_its_record_is_not_taken_for_one_whose_workers_die(connect_reliably, raw):
    inbox = Inbox(connect_reliably(visibility_timeout=100, sfmc_max_returns=3), "imports")
    publish(inbox.connection, "imports", "kept")
    for delivered in range(5):
        message = inbox.drain()[delivered]
        message.record = "record"
        message.ack()
        for tag in raw.zrange("unacked_index", 0, -1):
            raw.zadd("unacked_index", {tag: 0})
        inbox.channel.qos.restore_visible(interval=1)
        assert places(raw) == only(queue=1)

    raw.set("record", "1", ex=60)
    message = inbox.drain()[5]
    message.record = "record"
    message.ack()
    assert places(raw) == only()


def test_a_message_is_kept_once_however_full_redis_is(delivery, raw):
    raw.hset("unacked", "tag", b"[]")
    raw.zadd("unacked_index", {"tag": 7})
    raw.config_set("maxmemory", 1)
    try:
        assert [delivery.acknowledge("tag", "record") for _ in range(2)] == [False, False]
    finally:
        raw.config_set("maxmemory", 0)

    assert (raw.hlen("unacked"), raw.zrange("unacked_index", 0, -1, withscores=True)) == (1, [(b"kept-tag", 7.0)])


def test_a_message_that_a_stock_worker_held_is_returned_too(inbox, raw):
    publish(inbox.connection, "imports", "mine")
    inbox.drain()
    stock = json.dumps([json.loads(ENTRY), "", "imports"])
    raw.hset("unacked", "foreign", stock)
    raw.zadd("unacked_index", {"foreign": 0})

    inbox.channel.qos.restore_visible(interval=1)

    assert places(raw) == only(queue=1, unacked=1, index=1)


def test_a_connection_closed_during_clean_up_is_an_error_that_celery_recovers_from(connect_reliably):
    connection = connect_reliably()
    channel = connection.channel()
    transport = connection.transport
    transport.client = None

    with pytest.raises(redis.ConnectionError):
        channel.qos.restore_by_tag("any")
    with pytest.raises(redis.ConnectionError), channel.conn_or_acquire():
        pass
    transport.client = connection


def test_a_claim_whose_reply_was_lost_may_be_asked_for_again(raw, delivery):
    raw.lpush("imports", ENTRY)
    raw.execute_command(*delivery.pop_command("imports", 1))

    assert delivery.claim("imports", ENTRY, "tag", "imports")
    assert delivery.claim("imports", ENTRY, "tag", "imports")
    assert places(raw) == only(unacked=1, index=1)


SENTINEL = "sentinel://127.0.0.1:26379/0"


@pytest.mark.parametrize(
    ("address", "transport"),
    [
        ("redis://127.0.0.1:6379/0", Transport),
        ("rediss://127.0.0.1:6379/0", Transport),
        ("redis+socket:///tmp/v.sock?virtual_host=0", Transport),
        (f"{SENTINEL};{SENTINEL}", SentinelTransport),
    ],
)
def test_one_app_is_served_by_this_transport_and_every_other_app_by_kombus(address: str, transport: type) -> None:
    with Celery("ours", broker=address, set_as_current=False) as ours:
        connect(ours)
        with Celery("theirs", broker=address, set_as_current=False) as theirs:
            chosen = [type(app.connection_for_write().transport) for app in (ours, theirs)]

    assert chosen[0] is transport
    assert issubclass(chosen[1], stock.Transport)
    assert chosen[1].__module__ == stock.__name__


def test_kombus_table_of_transports_keeps_its_names() -> None:
    celery_settings("redis+socket:///tmp/v.sock")

    before = {"redis": "kombu.transport.redis:Transport", "sentinel": "kombu.transport.redis:SentinelTransport"}
    assert {name: kombu.transport.TRANSPORT_ALIASES[name] for name in before} == before
    assert kombu.transport.get_transport_cls("redis") is stock.Transport
