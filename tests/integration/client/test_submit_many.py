"""Many requests in few round trips: each is taken or refused as if it came alone, whatever breaks in between."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest
import redis as redis_py

from sfmc_import.client import Client, ServiceUnavailableError, Submission, SubmitResult
from sfmc_import.request import BadRequestError, FileInfo, IdTakenError
from sfmc_local.redis_server import Valkey

pytestmark = pytest.mark.timeout(120)
DUE = "{sfmc-import:events}:due"


@pytest.fixture
def client(redis: redis_py.Redis, redis_server: Valkey) -> Iterator[Client]:
    with Client(redis_server.url, mid="42") as made:
        yield made


def submissions(count: int) -> list[Submission]:
    return [{"request_id": f"r{number}", "customer_key": "k", "source": str(number)} for number in range(count)]


def accepted(redis: Any) -> list[str]:
    return [json.loads(fields["event"])["data"]["request_id"] for _, fields in redis.xrange("sfmc-import:events")]


def sent(redis: Any) -> list[str]:
    return [json.loads(entry)["headers"]["id"] for entry in redis.lrange("imports", 0, -1)][::-1]


def test_each_is_recorded_and_sent_once_in_the_order_given(client: Client, redis: redis_py.Redis) -> None:
    results = client.submit_many(submissions(1200))

    names = [f"r{number}" for number in range(1200)]
    assert results == [SubmitResult(request_id=name, is_new=True) for name in names]
    assert accepted(redis) == sent(redis) == names


def test_what_was_submitted_before_is_not_new_and_its_message_is_not_sent_again(
    client: Client, redis: redis_py.Redis
) -> None:
    client.submit(customer_key="k", source="0", request_id="r0")

    results = client.submit_many([*submissions(2), *submissions(2)])

    assert [getattr(each, "is_new", None) for each in results] == [False, True, False, False]
    assert accepted(redis) == sent(redis) == ["r0", "r1"]


def test_one_that_cannot_be_taken_costs_no_other(client: Client, redis: redis_py.Redis) -> None:
    client.submit(customer_key="other", request_id="r1")
    bad: list[Any] = [{"customer_key": ""}, {"customer_key": "k", "colour": "red"}]
    bad.append({"customer_key": "k", "file": {"name": "a", "colour": "red"}})

    results = client.submit_many([*bad, *submissions(3)])

    assert [type(each) for each in results[:3]] == [BadRequestError] * 3
    assert [str(each) for each in results[1:3]] == ["a request has no field colour", "a file has no field colour"]
    assert [type(each) for each in results[3:]] == [SubmitResult, IdTakenError, SubmitResult]
    assert sent(redis) == ["r1", "r0", "r2"]


def test_a_request_without_an_id_is_new_each_time(client: Client, redis: redis_py.Redis) -> None:
    client.submit_many([{"customer_key": "k"}, {"customer_key": "k"}])

    assert len(set(accepted(redis))) == 2


def test_none_at_all_is_no_round_trip() -> None:
    with Client("redis://127.0.0.1:1/0", mid="42") as client:
        assert client.submit_many([]) == []


def test_a_server_that_lost_its_scripts_is_given_them_again(client: Client, redis: redis_py.Redis) -> None:
    for number in range(2):
        redis.script_flush()
        client.submit_many([{"customer_key": "k", "request_id": f"{number}/{each}"} for each in range(3)])

    assert len(accepted(redis)) == len(sent(redis)) == 6


def test_the_messages_are_byte_by_byte_those_of_single_submits(client: Client, redis: redis_py.Redis) -> None:
    file = FileInfo(location="/in/d'été", name='it"s.csv', size=3, modified_ns=7, version="v1")
    given: Submission = {"customer_key": "k", "file": file, "event_id": "e", "force": True, "reason": "a\nb"}
    client.submit_many([{**given, "request_id": "a"}, {**given, "request_id": "b"}])
    together = redis.lrange("imports", 0, -1)
    redis.flushdb()
    for name in ("a", "b"):
        client.submit(**given, request_id=name)
    alone = redis.lrange("imports", 0, -1)

    assert [plain(each) for each in together] == [plain(each) for each in alone]


def test_each_message_has_its_own_priority_and_an_impossible_one_costs_no_other(
    client: Client, redis: redis_py.Redis
) -> None:
    with_priority: list[Any] = [{"customer_key": "k", "request_id": str(each), "priority": each} for each in (9, 10, 0)]

    results = client.submit_many(with_priority)

    assert [type(each) for each in results] == [SubmitResult, BadRequestError, SubmitResult]
    assert [redis.llen("imports"), redis.llen("imports\x06\x169")] == [1, 1]


def plain(entry: Any) -> str:
    """Give a message without the one thing that is another each time: the tag of its delivery."""
    tag = json.loads(entry)["properties"]["delivery_tag"]
    return str(entry).replace(tag, "TAG")


def test_while_the_broker_takes_nothing_all_are_recorded_and_the_sweep_has_them(
    redis: redis_py.Redis, redis_server: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    with Client(redis_server.url, broker_url="redis://127.0.0.1:1/0", mid="42") as client:
        results = client.submit_many(submissions(3))

    assert all(isinstance(each, SubmitResult) and each.is_new for each in results)
    assert redis.zcard(DUE) == 3
    said = [each for each in caplog.records if each.name == "sfmc_import.client"]
    assert [(each.event, each.request_id) for each in said] == [("message_not_sent", f"r{n}") for n in range(3)]  # type: ignore[attr-defined]


def test_a_broker_that_refuses_is_named_as_for_a_single_message(
    client: Client, redis: redis_py.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    redis.set("imports", "no list")

    client.submit_many(submissions(2))

    assert redis.zcard(DUE) == 2
    assert all("WRONGTYPE" in each.message for each in caplog.records if each.name == "sfmc_import.client")


def test_a_ledger_that_cannot_be_reached_is_said_for_each() -> None:
    with Client("redis://127.0.0.1:1/0", mid="42") as client:
        results = client.submit_many([*submissions(2), {"customer_key": ""}])

    assert [isinstance(each, ServiceUnavailableError) for each in results] == [True, True, False]
    assert isinstance(results[2], BadRequestError)
    assert "Redis at redis://127.0.0.1:1/0 does not answer" in str(results[0])


class Cut:
    """Passes bytes on to a server, until so many have gone there: then every connection breaks, until it is fixed."""

    def __init__(self, path: str, after: int) -> None:
        self._path, self._left = path, after
        self.is_fixed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        # Closing alone would leave a thread that waits for a connection.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._path)
                threading.Thread(target=self._pass_on, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(server, client, False), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket, counts: bool) -> None:
        with one, ExitStack() as ending:
            for each in (one, other):
                # The thread of the other direction waits for what comes from there.
                ending.enter_context(suppress(OSError))
                ending.callback(each.shutdown, socket.SHUT_RDWR)
            while data := one.recv(4096):
                if counts and not self.is_fixed:
                    data = data[: self._left]
                    self._left -= len(data)
                other.sendall(data)
                if not (self._left or self.is_fixed):
                    return


@contextmanager
def cut(server: Valkey, after: int) -> Iterator[Cut]:
    made = Cut(str(server.socket_path), after)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("after", [100, 60_000, 250_000])
def test_when_redis_is_cut_in_the_middle_each_is_said_to_be_unavailable_and_the_next_time_all_are_there_once(
    after: int, redis: redis_py.Redis, redis_server: Valkey
) -> None:
    with cut(redis_server, after) as line, Client(f"redis://127.0.0.1:{line.port}/0", mid="42") as client:
        first = client.submit_many(submissions(1000))
        recorded = len(accepted(redis))
        line.is_fixed = True
        second = client.submit_many(submissions(1000))

    assert any(isinstance(each, ServiceUnavailableError) for each in first)
    assert recorded < 1000
    assert all(isinstance(each, SubmitResult) for each in second)
    assert sorted(accepted(redis)) == sorted(f"r{number}" for number in range(1000))
    assert redis.zcard(DUE) == 1000, "the sweep wakes those whose message was not sent"


PROGRAM = """
import sys
from sfmc_import.client import Client
Client(sys.argv[1], broker_url=sys.argv[2], mid="42").submit_many(
    [{"request_id": f"r{number}", "customer_key": "k", "source": str(number)} for number in range(300)]
)
"""


def test_a_program_that_is_killed_between_record_and_send_loses_nothing(
    client: Client, redis: redis_py.Redis, redis_server: Valkey
) -> None:
    with ExitStack() as stack:
        broker = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        broker.settimeout(30)
        address = f"redis://127.0.0.1:{broker.getsockname()[1]}/0"
        child = stack.enter_context(subprocess.Popen([sys.executable, "-c", PROGRAM, redis_server.url, address]))
        # It turns to the broker when all is recorded, and gets no answer.
        stack.enter_context(broker.accept()[0])
        child.kill()

    assert (len(accepted(redis)), redis.zcard(DUE), redis.llen("imports")) == (300, 300, 0)
    results = client.submit_many(submissions(300))
    assert [getattr(each, "is_new", None) for each in results] == [False] * 300
    assert len(accepted(redis)) == 300
