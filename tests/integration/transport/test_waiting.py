"""A sweep that waits is replaced, a wake-up that waits is not sent again: neither piles up."""

from collections.abc import Callable
from typing import Any

import redis
from kombu import Connection, Producer, Queue

from sfmc_transport import NEWEST_HEADER, ONCE_HEADER, Keys
from tests.support.waiting import eventually

KEYS = Keys()
Connect = Callable[..., Connection]


class Sender:
    """Sends messages as Celery does: to a queue by its name, with headers."""

    def __init__(self, connection: Connection) -> None:
        self.producer = Producer(connection.channel(), serializer="json", auto_declare=False)

    def send(self, body: str, queue: str = "imports", **headers: Any) -> None:
        self.producer.publish(body, routing_key=queue, exchange="", headers=headers)

    def sweep(self, number: int) -> None:
        self.send(f"sweep {number}", **{NEWEST_HEADER: "sweep"})

    def wake(self, *names: str) -> None:
        self.send(f"wake {' '.join(names)}", **{ONCE_HEADER: list(names)})


def bodies(connection: Connection, count: int) -> list[str]:
    """What a consumer gets, in order; each is acknowledged."""
    found: list[str] = []

    def note(body: str, message: Any) -> None:
        found.append(body)
        message.ack()

    with connection.Consumer(Queue("imports"), callbacks=[note], auto_declare=False):

        def look() -> bool:
            connection.drain_events(timeout=10)
            return len(found) >= count

        eventually(look, 30, f"{count} messages are delivered")
    return found


def test_of_all_sweeps_that_no_worker_takes_the_newest_waits_alone(raw: redis.Redis, connect_reliably: Connect):
    sender = Sender(connect_reliably())
    for number in range(300):
        sender.sweep(number)

    assert raw.llen("imports") == 1
    assert bodies(connect_reliably(), 1) == ["sweep 299"]


def test_a_sweep_is_the_first_in_line_and_the_next_follows_when_it_was_taken(
    raw: redis.Redis, connect_reliably: Connect
):
    sender, consumer = Sender(connect_reliably()), connect_reliably()
    sender.send("start a")
    sender.sweep(1)
    sender.send("start b")
    sender.sweep(2)

    assert bodies(consumer, 3) == ["sweep 2", "start a", "start b"]
    assert raw.hlen(KEYS.newest) == 0
    sender.sweep(3)
    assert bodies(consumer, 1) == ["sweep 3"]


def test_a_wake_up_waits_once_until_it_is_taken(raw: redis.Redis, connect_reliably: Connect):
    sender, consumer = Sender(connect_reliably()), connect_reliably()
    sender.wake("a")
    for _ in range(50):
        sender.wake("a")
        sender.wake("b", "c")
        sender.wake("c")
    sender.wake("c", "d")

    assert bodies(consumer, 3) == ["wake a", "wake b c", "wake c d"]
    assert raw.hlen(KEYS.waiting("imports")) == 0
    sender.wake("a")
    assert bodies(consumer, 1) == ["wake a"]


def test_what_waits_in_an_empty_queue_makes_no_wake_up_of_another_queue_wait_twice(
    raw: redis.Redis, connect_reliably: Connect
):
    sender = Sender(connect_reliably())
    sender.wake("a")
    sender.send("follow b", "imports.upkeep", **{ONCE_HEADER: ["b"]})
    sender.wake("a")

    assert (raw.llen("imports"), raw.llen("imports.upkeep")) == (1, 1)


def test_a_wake_up_that_somebody_deleted_is_sent_again(raw: redis.Redis, connect_reliably: Connect):
    sender = Sender(connect_reliably())
    sender.wake("a")
    raw.delete("imports")
    sender.wake("a")

    assert raw.llen("imports") == 1


def test_a_wake_up_that_waits_for_very_long_is_sent_again(raw: redis.Redis, connect_reliably: Connect):
    sender = Sender(connect_reliably())
    sender.wake("a")
    raw.hset(KEYS.waiting("imports"), "a", 1)
    sender.wake("a")

    assert raw.llen("imports") == 2


def test_a_server_without_memory_takes_what_waits_once_and_gives_what_it_has(
    raw: redis.Redis, connect_reliably: Connect
):
    sender, consumer = Sender(connect_reliably()), connect_reliably()
    sender.send("start a")
    raw.config_set("maxmemory", 1)
    try:
        sender.sweep(1)
        sender.wake("a")
        found = bodies(consumer, 3)
    finally:
        raw.config_set("maxmemory", 0)

    assert found == ["sweep 1", "start a", "wake a"]
    assert raw.hlen("unacked") == 0
