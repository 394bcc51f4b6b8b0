"""A client that keeps its connections: the same answers, and the same repetitions when a connection breaks."""

import os
from collections.abc import Iterator
from threading import Barrier, Thread
from typing import Any

import pytest
import redis
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from sfmc_import.redis_address import parse_redis_url
from sfmc_import.redis_client import CommandClient, connect
from sfmc_local.redis_server import Valkey


@pytest.fixture
def client(own_valkey: Valkey) -> Iterator[Any]:
    """Under test."""
    with connect(parse_redis_url(own_valkey.url), answer_seconds=0.5) as made:
        assert isinstance(made, CommandClient)
        made.keeps_connections = True
        yield made


@pytest.fixture
def other(own_valkey: Valkey) -> Iterator[redis.Redis]:
    """Another client of the same server."""
    with redis.Redis.from_url(own_valkey.url) as made:
        yield made


def connections(other: redis.Redis) -> int:
    """Count the connections that the server has had."""
    return int(other.info("stats")["total_connections_received"])


def test_commands_one_after_another_go_over_one_connection(client, other):
    client.ping()
    before = connections(other)
    client.hset("a", mapping={"x": "1"})

    assert client.hgetall("a") == {b"x": b"1"}
    assert client.together([("TIME",), ("HMGET", "a", "x", "y")])[1] == [b"1", None]
    assert connections(other) == before


def test_a_connection_that_the_server_has_ended_is_made_anew_within_the_command(client, other):
    other.client_kill_filter(_id=str(client.client_id()))
    assert client.ping()

    other.client_kill_filter(_id=str(client.client_id()))
    assert client.together([("ECHO", "x")]) == [b"x"]


def test_an_error_is_raised_and_the_next_command_gets_its_own_answer(client):
    client.set("text", "a")
    for ask in (lambda: client.incr("text"), lambda: client.together([("INCR", "text"), ("GET", "text")])):
        with pytest.raises(ResponseError):
            ask()

        assert client.echo("mine") == b"mine"


def test_a_silent_server_is_an_error_and_its_late_answer_is_not_that_of_the_next(client, other):
    client.ping()
    other.execute_command("CLIENT", "PAUSE", "800", "ALL")

    with pytest.raises(RedisTimeoutError):
        client.echo("late")
    other.ping()

    assert client.echo("mine") == b"mine"


def test_threads_that_ask_at_once_get_their_own_answers(client):
    together, wrong = Barrier(8), []

    def ask(name: str) -> None:
        together.wait(10)
        wrong.extend(number for number in range(200) if client.echo(f"{name}{number}") != f"{name}{number}".encode())

    threads = [Thread(target=ask, args=(name,)) for name in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert wrong == []


def test_a_forked_child_has_connections_of_its_own(client):
    mine = client.client_id()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, str(client.client_id()).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)

    assert int(os.read(reading, 100)) != mine
    assert client.client_id() == mine
    os.close(reading)
    os.close(writing)
