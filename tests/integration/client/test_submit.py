"""What `Client` takes, refuses and tells, over a real server."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace

import pytest
import redis as redis_py

from sfmc_import.client import Client
from sfmc_import.faults import Rejected
from sfmc_import.ledger import LedgerSettings, RedisLedger
from sfmc_import.policy import Policy
from sfmc_import.request import BadRequestError, FileInfo, IdTakenError, request_id_of
from sfmc_local.redis_server import Valkey

FILE = FileInfo(location="/in", name="a.csv", size=3, modified_ns=7)


@pytest.fixture
def client(redis: redis_py.Redis, redis_server: Valkey) -> Iterator[Client]:
    with Client(redis_server.url, mid="42") as made:
        yield made


def recorded(redis: redis_py.Redis) -> list[dict]:
    return [json.loads(fields["event"])["data"] for _, fields in redis.xrange("sfmc-import:events")]


def test_a_request_is_recorded_with_all_that_was_said(client: Client, redis: redis_py.Redis) -> None:
    result = client.submit(
        customer_key="k", mid="7", file=FILE, event_id="e1", source="shop", force=True, reason="again"
    )

    [data] = recorded(redis)
    assert (result.request_id, result.is_new) == (data["request_id"], True)
    assert (data["customer_key"], data["mid"], data["file"]["name"]) == ("k", "7", "a.csv")
    assert (data["event_id"], data["source"], data["force"], data["reason"]) == ("e1", "shop", True, "again")


def test_the_business_unit_is_that_of_the_client_unless_given(client: Client, redis: redis_py.Redis) -> None:
    client.submit(customer_key="k")

    assert [data["mid"] for data in recorded(redis)] == ["42"]


def test_each_request_is_new_unless_it_brings_its_id(client: Client, redis: redis_py.Redis) -> None:
    first, second = client.submit(customer_key="k"), client.submit(customer_key="k")
    third = client.submit(customer_key="k", request_id=first.request_id)

    assert first.request_id != second.request_id
    assert (third.request_id, third.is_new) == (first.request_id, False)
    assert redis.llen("imports") == 2


def test_the_message_of_a_request_names_the_request_whatever_its_id(client: Client, redis: redis_py.Redis) -> None:
    client.submit(customer_key="k", request_id="order:4/2@shop")

    message = json.loads(redis.lindex("imports", 0))
    assert request_id_of(message["headers"]["id"]) == "order:4/2@shop"


def test_an_id_with_other_content_is_refused_and_is_an_event(client: Client, redis: redis_py.Redis) -> None:
    client.submit(customer_key="k", file=FILE, request_id="r1")

    with pytest.raises(IdTakenError, match="r1 was accepted with other content"):
        client.submit(customer_key="other", file=FILE, request_id="r1")

    first, rejected = recorded(redis)
    assert (first["customer_key"], rejected["customer_key"]) == ("k", "other")
    assert (rejected["request_id"], rejected["reason"]) == ("r1", "id_taken")
    assert redis.llen("imports") == 1


def test_an_id_whose_file_has_new_content_of_the_same_size_and_time_is_refused(
    client: Client, redis: redis_py.Redis
) -> None:
    for name, accepted in (("before", True), ("before", True), ("after", False)):
        with nullcontext() if accepted else pytest.raises(IdTakenError):
            client.submit(customer_key="k", file=replace(FILE, content_hash=name), request_id="r1")

    accepted_first, rejected = recorded(redis)
    assert accepted_first["file"]["content_hash"] == "before"
    assert (rejected["file"]["content_hash"], rejected["reason"]) == ("after", "id_taken")


def test_force_without_a_reason_is_refused(client: Client, redis: redis_py.Redis) -> None:
    with pytest.raises(BadRequestError, match="force needs a reason"):
        client.submit(customer_key="k", force=True)

    assert recorded(redis) == []


def test_a_file_with_an_unknown_field_is_refused_where_a_program_can_correct_it(client: Client) -> None:
    with pytest.raises(BadRequestError, match="a file has no field colour"):
        client.submit(customer_key="k", file={"name": "a", "colour": "red"})


def test_a_path_as_text_is_a_file_known_by_name(client: Client, redis: redis_py.Redis) -> None:
    client.submit(customer_key="k", file="/in/a.csv")

    [data] = recorded(redis)
    assert (data["file"]["location"], data["file"]["name"]) == ("/in", "a.csv")


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"customer_key": ""}, "customer_key must be a text"),
        ({"customer_key": "k" * 37}, "37 characters"),
        ({"customer_key": "k", "mid": "north"}, "mid must be the number"),
        ({"customer_key": "k", "file": {"location": "/in"}}, "file.name must be a text"),
        ({"customer_key": "k", "file": 7}, "file must be a path"),
        ({"customer_key": "k", "request_id": "two words"}, "request id"),
        ({"customer_key": "k", "event_id": ""}, "event_id"),
    ],
)
def test_an_impossible_request_is_refused_with_every_problem_and_nothing_is_recorded(
    client: Client, redis: redis_py.Redis, given: dict, complaint: str
) -> None:
    with pytest.raises(BadRequestError, match=complaint):
        client.submit(**given)

    assert redis.keys() == []


def test_a_client_without_a_business_unit_asks_for_one(redis: redis_py.Redis, redis_server: Valkey) -> None:
    with Client(redis_server.url) as client, pytest.raises(BadRequestError, match="mid must be the number"):
        client.submit(customer_key="k")


def test_the_events_of_a_request_are_followed_to_its_end(
    client: Client, redis: redis_py.Redis, redis_server: Valkey
) -> None:
    request_id = client.submit(customer_key="k").request_id
    client.submit(customer_key="other")
    with redis_py.Redis.from_url(redis_server.url, socket_timeout=10) as raw:
        ledger = RedisLedger(raw, LedgerSettings())
        lease = ledger.claim(ledger.load(request_id), "the-test", Policy()).lease
        ledger.reject(lease, Rejected(code="43000", text="no such definition"))

    kinds = [event["type"].rpartition(".")[2] for event in client.follow(request_id, within=30)]

    assert (kinds[0], kinds[-1]) == ("accepted", "rejected")


@pytest.mark.parametrize("lost", ["events", "all"])
def test_following_ends_where_the_end_is_not_in_the_stream_any_more(
    client: Client, redis: redis_py.Redis, redis_server: Valkey, lost: str
) -> None:
    request_id = client.submit(customer_key="k").request_id
    followed = client.follow(request_id)
    first = next(followed)
    with redis_py.Redis.from_url(redis_server.url, socket_timeout=10) as raw:
        ledger = RedisLedger(raw, LedgerSettings())
        ledger.reject(ledger.claim(ledger.load(request_id), "w", Policy()).lease, Rejected(code="43000", text="no"))
    redis.flushall() if lost == "all" else redis.xtrim("sfmc-import:events", maxlen=0)

    assert (first["type"].rpartition(".")[2], list(followed)) == ("accepted", [])


def test_following_a_duplicate_ends_where_the_end_of_the_other_is_not_in_the_stream_any_more(
    client: Client, redis: redis_py.Redis, redis_server: Valkey
) -> None:
    with redis_py.Redis.from_url(redis_server.url, socket_timeout=10) as raw:
        ledger = RedisLedger(raw, LedgerSettings())
        one, other = (client.submit(customer_key="k", file=FILE).request_id for _ in range(2))
        lease = ledger.claim(ledger.load(one), "w", Policy()).lease
        ledger.claim(ledger.load(other), "w", Policy())
        followed = client.follow(other)
        kinds = [next(followed)["type"].rpartition(".")[2] for _ in range(2)]
        ledger.reject(lease, Rejected(code="43000", text="no"))
        redis.xtrim("sfmc-import:events", maxlen=0)

    assert kinds == ["accepted", "duplicate"]
    assert list(followed) == []


def test_an_unknown_request_has_no_events(client: Client) -> None:
    assert list(client.follow("unknown", within=30)) == []


def test_a_closed_client_opens_new_connections_when_it_is_used_again(client: Client, redis: redis_py.Redis) -> None:
    client.submit(customer_key="k")
    client.close()
    client.submit(customer_key="k")

    assert redis.llen("imports") == 2


def test_another_prefix_keeps_its_own_keys(redis: redis_py.Redis, redis_server: Valkey) -> None:
    with Client(redis_server.url, mid="42", prefix="elsewhere:") as client:
        client.submit(customer_key="k")

    assert redis.delete("elsewhere:events") == 1
    assert redis.delete("{elsewhere:events}:due") == 1
    assert redis.delete("elsewhere:imports") == 1


@pytest.mark.parametrize("address", ["http://example.com", "redis://127.0.0.1:port/0", "sentinel://127.0.0.1/0"])
def test_an_address_that_cannot_be_read_is_refused_at_once(address: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Client(address)


def test_a_request_that_is_rejected_at_once_has_its_record_and_one_end(client: Client, redis: redis_py.Redis) -> None:
    given = {"customer_key": "k", "mid": "7", "file": FILE, "source": "shop", "code": "preflight", "text": "line 3"}
    states = [client.reject(request_id="r1", **given).state for _ in range(2)]

    [accepted, rejected] = [json.loads(fields["event"]) for _, fields in redis.xrange("sfmc-import:events")]
    assert states == ["rejected", "rejected"]
    assert (accepted["type"], rejected["type"]) == ("sfmc.import.accepted", "sfmc.import.rejected")
    assert (rejected["data"]["code"], rejected["data"]["text"]) == ("preflight", "line 3")
    assert client.submit(customer_key="k", mid="7", file=FILE, source="shop", request_id="r1").is_new is False
    assert redis.zcard("{sfmc-import:events}:due") == 0


def test_a_rejection_leaves_a_request_that_has_begun_as_it_is(client: Client, redis_server: Valkey) -> None:
    given = {"customer_key": "k", "mid": "7", "file": FILE, "request_id": "r1"}
    client.submit(**given)
    with redis_py.Redis.from_url(redis_server.url) as connection:
        ledger = RedisLedger(connection, LedgerSettings())
        request = ledger.load("r1")
        assert request is not None
        ledger.claim(request, "w", Policy())

    assert client.reject(**given, code="preflight", text="line 3").state == "starting"


def test_a_message_has_the_priority_that_was_asked_for(client: Client, redis: redis_py.Redis) -> None:
    client.submit(customer_key="k", priority=9)
    client.submit(customer_key="k")

    found = {key.rpartition("\x16")[2]: json.loads(redis.lindex(key, 0)) for key in redis.keys("imports*")}
    assert {list_: entry["properties"]["priority"] for list_, entry in found.items()} == {"9": 9, "imports": 0}


@pytest.mark.parametrize("priority", [-1, 10, 1.5, True, "3"])
def test_a_priority_that_there_is_not_is_refused_before_anything_is_recorded(
    client: Client, redis: redis_py.Redis, priority: object
) -> None:
    with pytest.raises(BadRequestError, match="priority must be a whole number from 0 to 9"):
        client.submit(customer_key="k", priority=priority)  # type: ignore[arg-type]

    assert recorded(redis) == []


def test_whether_a_request_is_there_can_be_asked_without_making_it(client) -> None:
    given = {"request_id": "asked-1", "customer_key": "orders", "file": "/in/orders.csv", "source": "test"}
    assert client.state_of(given) is None
    assert client.state_of(given) is None
    client.submit(**given)
    assert client.state_of(given) == "accepted"
    with pytest.raises(IdTakenError):
        client.state_of({**given, "file": "/in/other.csv"})
