"""What API and console answer where an action is recorded, and no replica confirms it."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis as redis_py
from structlog.testing import capture_logs

from sfmc_import.api_client.wire import Call, judged
from sfmc_import.faults import Ambiguous, NotApplied
from sfmc_import.ledger.opening import open_ledger
from sfmc_import.operations import requests
from sfmc_import.operations.status import status
from sfmc_import.policy import Policy
from sfmc_import.runs import Definition
from sfmc_import.states import StartNow
from sfmc_local.redis_server import Valkey
from tests.support.console import MID, World, console_over
from tests.support.waiting import eventually

START = {"customer_key": "orders", "mid": MID, "file": {"name": "a.csv", "version": "1"}}


@pytest.fixture
def world(own_valkey: Valkey) -> Iterator[World]:
    """A server whose only replica has gone."""
    with (
        redis_py.Redis.from_url(own_valkey.url) as primary,
        Valkey(tcp=True) as replica,
        redis_py.Redis(port=replica.port) as client,
    ):
        primary.config_set("repl-diskless-sync-delay", 0)
        client.replicaof("127.0.0.1", str(own_valkey.port))
        eventually(lambda: client.info("replication")["master_link_status"] == "up", 60, "the replica follows")
        with console_over(own_valkey.url, SFMC_DURABILITY="wait", SFMC_WAIT_REPLICAS="1") as made:
            made.submit(name="before.csv", request_id="before")
            client.replicaof("NO", "ONE")
            gone = lambda: primary.info("replication")["connected_slaves"] == 0  # noqa: E731
            eventually(gone, 60, "the replica has left")
            yield made


def test_a_request_that_is_not_confirmed_is_a_problem_of_its_own_that_names_it(world: World) -> None:
    with capture_logs() as logs:
        answer = world.ask("POST", "/v1/requests", role="operator", json=START)
    problem = answer.json()
    shown = world.ask("GET", f"/v1/requests/{problem['request_id']}")

    assert (answer.status_code, problem["type"].rpartition(":")[2]) == (503, "not_confirmed")
    assert "it is recorded, and goes on by itself" in problem["detail"]
    assert (shown.status_code, shown.json()["state"]) == (200, "accepted")
    assert [each["request_id"] for each in logs if each["event"] == "not_confirmed"] == [problem["request_id"]]


def test_what_an_operator_does_there_names_its_request_too(world: World) -> None:
    answer = world.ask("POST", "/v1/requests/before/cancel", role="operator", json={"reason": "night"})

    assert (answer.status_code, answer.json()["request_id"]) == (503, "before")
    assert world.ask("GET", "/v1/requests/before").json()["state"] == "cancelled"


def test_what_the_ledger_refuses_there_is_a_conflict(world: World) -> None:
    open_ledger(world.access.settings).cancel("before", "somebody", "night")
    person = world.person("operator")
    given = {"reason": "night"}
    answers = [
        world.ask("POST", f"/v1/requests/before/{act}", role="operator", json=given)
        for act in ("cancel", "force", "settle")
    ]
    page = person.send("/request/cancel?id=before", given, of="/start")

    assert [each.status_code for each in answers] == [409] * 3
    assert "confirmed" not in page.text
    assert (page.status_code, "nothing was done" in page.text) == (409, True)


def test_the_console_says_that_it_is_done_and_not_confirmed(world: World) -> None:
    person = world.person("operator")
    page = person.send("/request/cancel?id=before", {"reason": "night"})

    assert page.status_code == 503
    assert "Recorded, and not confirmed" in page.text
    assert "Nothing was changed" not in page.text


def test_a_start_that_no_replica_confirms_waits_with_the_advice_to_connect_it(world: World) -> None:
    ledger = open_ledger(world.access.settings)
    asked = ledger.load("before")
    assert asked is not None
    decision = ledger.claim(asked, "worker", Policy(), Definition(customer_key="orders"))
    assert isinstance(decision, StartNow), decision
    ledger.retry(decision.lease, NotApplied("ledger_down", "not confirmed", account_wide=True), 0.0)
    whole = status(world.access)

    wanted = "connect the replicas, or lower SFMC_WAIT_REPLICAS (0 replicas are connected"
    assert wanted in str(requests.show(world.access, "before").advice)
    assert [wanted in each.advice for each in whole.troubles] == [True]


def not_confirmed(call: Call[Any]) -> Any:
    body = b'{"type": "urn:sfmc-import:problem:not_confirmed", "detail": "recorded"}'
    return judged(503, {}, body, call)


def test_a_client_makes_no_second_request_where_the_first_one_is_recorded_and_has_no_key() -> None:
    submit = {"method": "POST", "path": "/requests", "read": lambda _: None}

    assert isinstance(not_confirmed(Call(**submit)), Ambiguous)
    assert isinstance(not_confirmed(Call(**submit, is_safe=True)), NotApplied)
