"""How many requests of a definition lie in the queue: counted by a bounded look, and the same in every answer."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sfmc_import.access import ReadAccess
from sfmc_import.cli.overview import standing_lines
from sfmc_import.client import Client
from sfmc_import.ledger.opening import open_ledger
from sfmc_import.operations import listing, queued, status
from sfmc_import.policy import Policy
from sfmc_import.request import StartRequest
from sfmc_import.runs import Definition
from sfmc_import.settings import load
from sfmc_local.redis_server import free_port

MID = "510001234"


@pytest.fixture
def access(redis_server: Any) -> ReadAccess:
    return ReadAccess(load({"SFMC_REDIS_URL": redis_server.url, "SFMC_ACCOUNT_ID": MID}))


def submitted(access: ReadAccess, *keys: str) -> list[str]:
    with Client.from_settings(access.settings) as client:
        return [client.submit(customer_key=key).request_id for key in keys]


InQueue = Callable[[str], tuple[int, int | None]]


@pytest.fixture
def in_queue(access: ReadAccess) -> Iterator[InQueue]:
    """Give what the status and the definition say of the queue, which is the same."""

    def said(key: str) -> tuple[int, int | None]:
        standing, view = status.standing(access, key, MID), listing.definition(access, MID, key)
        found = (standing.queued, standing.queued_unseen)
        assert (view.queued, view.queued_unseen) == found
        assert f"  queued   {queued.queued_text(*found)}" in [*standing_lines(standing, time.time())]
        return found

    yield said
    access.broker.delete(access.broker_keys.queue("imports"))


def test_requests_that_no_worker_has_taken_are_counted_for_their_definition(
    access: ReadAccess, in_queue: InQueue
) -> None:
    first, _, _ = submitted(access, "a", "b", "A")
    assert (in_queue("a"), in_queue("b")) == ((2, 0), (1, 0))

    request = open_ledger(access.settings).load(first)
    assert request
    open_ledger(access.settings).claim(request, "owner", Policy(frequency=0.0), Definition(customer_key="a"))
    access.broker.rpop(access.broker_keys.queue("imports"))
    assert in_queue("a") == (1, 0)


def test_a_request_by_object_id_counts_for_the_definition_that_the_ledger_knows_by_it(
    access: ReadAccess, in_queue: InQueue
) -> None:
    object_id = "0199f3a2-4c1d-7e0b-9a57-6f1f4c7d8e90"
    asked = StartRequest(request_id="r", customer_key="orders", mid=MID)
    definition = Definition(customer_key="orders", object_id=object_id)
    open_ledger(access.settings).claim(asked, "owner", Policy(frequency=0.0), definition)
    with Client.from_settings(access.settings) as client:
        client.submit(object_id=object_id)

    assert in_queue("orders") == (1, 0)


def test_messages_that_were_not_looked_at_may_hold_more_and_it_is_said(access: ReadAccess, in_queue: InQueue) -> None:
    submitted(access, "a", "b", "c")
    access.broker.lpush(access.broker_keys.queue("imports"), b"of another program", b"and another")

    assert in_queue("a") == (1, 2)
    assert sum(queued.look(access, 2).counts.values()) == 2
    assert queued.look(access, 2).unseen == 3


def test_a_queue_that_does_not_answer_is_said_and_the_rest_is_shown(redis_server: Any) -> None:
    away = f"redis://127.0.0.1:{free_port()}/0"
    access = ReadAccess(load({"SFMC_REDIS_URL": redis_server.url, "SFMC_BROKER_URL": away, "SFMC_ACCOUNT_ID": MID}))
    submitted(access, "a")
    found = status.standing(access, "a", MID)

    assert (found.queued, found.queued_unseen) == (1, None)
