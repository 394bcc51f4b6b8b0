"""Commands on a connection that stays taken: their answers, and what becomes of them when it breaks."""

from collections.abc import Iterator
from threading import Event, Thread

import pytest
import redis

from sfmc_transport.delivery import Delivery, Keys, Limits
from sfmc_transport.kept_connection import KeptConnection


@pytest.fixture
def pool(raw: redis.Redis) -> Iterator[redis.ConnectionPool]:
    """A pool of connections to the same database as `raw`."""
    made = redis.ConnectionPool(raw.connection_pool.connection_class, **raw.connection_pool.connection_kwargs)
    yield made
    made.disconnect()


@pytest.fixture
def kept(pool: redis.ConnectionPool) -> KeptConnection:
    """Under test."""
    return KeptConnection(pool)


def cut(raw: redis.Redis, kept: KeptConnection) -> None:
    """Let the server end the connection."""
    answers = kept.ask(("CLIENT", "ID"))
    assert answers is not None
    raw.client_kill_filter(_id=str(answers[0]))


def test_the_answers_come_in_the_order_of_the_commands(kept):
    assert kept.ask(("SETEX", "one", 60, b"1"), ("GET", "one"), ("GET", "absent")) == [b"OK", b"1", None]


def test_an_error_among_the_answers_is_raised_and_the_next_command_gets_its_own_answer(kept):
    with pytest.raises(redis.ResponseError):
        kept.ask(("SETEX", "text", 60, "a"), ("INCR", "text"), ("GET", "text"))

    assert kept.ask(("GET", "text")) == [b"a"]


def test_a_script_that_the_server_does_not_know_is_left_to_others(kept):
    assert kept.ask(("EVALSHA", "0" * 40, 0)) is None


def test_a_connection_that_the_server_has_ended_is_made_anew_for_the_next_command(kept, raw):
    cut(raw, kept)

    assert kept.ask(("PING",)) is None
    assert kept.ask(("PING",)) == [b"PONG"]


def test_a_second_thread_asks_by_other_means(kept):
    answered, waiting = Event(), Event()

    def wait() -> None:
        waiting.set()
        kept.ask(("BLPOP", "nothing", 5))
        answered.set()

    thread = Thread(target=wait)
    thread.start()
    waiting.wait(5)
    while kept.ask(("LLEN", "nothing")) is not None:
        pass
    assert not answered.is_set()
    other = redis.Redis(connection_pool=kept._pool)
    other.rpush("nothing", "now")
    thread.join(5)

    assert answered.is_set()
    other.close()


def test_logins_that_change_are_left_to_the_pool(pool):
    pool.connection_kwargs["credential_provider"] = redis.UsernamePasswordCredentialProvider()

    assert KeptConnection(pool).ask(("PING",)) is None


def test_a_message_is_acknowledged_although_the_kept_connection_was_cut(pool, raw):
    delivery = Delivery(pool, Keys(), "me", Limits(6.0, 100))
    raw.hset("unacked", "tag", b"[]")
    raw.zadd("unacked_index", {"tag": 1})
    cut(raw, delivery._kept)

    delivery.acknowledge("tag")

    assert (raw.exists("unacked"), raw.exists("unacked_index")) == (0, 0)


def test_a_message_is_forgotten_only_where_its_record_is(pool, raw):
    delivery = Delivery(pool, Keys(), "me", Limits(6.0, 100))
    raw.hset("unacked", "tag", b"[]")
    raw.zadd("unacked_index", {"tag": 1})

    assert delivery.acknowledge("tag", "record") is False
    assert (raw.exists("unacked"), raw.exists("unacked_index")) == (1, 1)
    raw.hset("record", "state", "accepted")
    raw.expire("record", 60)
    assert delivery.acknowledge("kept-tag", "record") is True
    assert (raw.exists("unacked"), raw.exists("unacked_index")) == (0, 0)


def test_no_connection_is_taken_for_each_command(pool, raw):
    delivery = Delivery(pool, Keys(), "me", Limits(6.0, 100))
    raw.lpush(delivery.in_flight("queue"), b"{}")
    delivery.claim("queue", b"{}", "first", "queue")
    before = raw.info("stats")["total_connections_received"]
    for number in range(20):
        raw.lpush(delivery.in_flight("queue"), b"{}")
        assert delivery.claim("queue", b"{}", str(number), "queue")
        delivery.acknowledge(str(number))

    assert raw.info("stats")["total_connections_received"] == before
    assert raw.hkeys("unacked") == [b"first"]
