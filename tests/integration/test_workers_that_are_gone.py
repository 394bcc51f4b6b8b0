"""A request says whether the worker that has it lives, and when another one takes it up; the same on every surface."""

from collections.abc import Iterator
from typing import Any

import pytest

from sfmc_import.cli.requests_shown import request_lines, table_lines
from sfmc_import.ledger.opening import open_ledger
from sfmc_import.operations import requests
from sfmc_import.operations.views import RequestView
from sfmc_import.policy import Policy
from sfmc_import.processes import GONE_SECONDS, Process, owner_of
from sfmc_import.runs import Definition
from sfmc_import.states import StartNow
from tests.support.console import World, console_over

ONE = Process(kind="worker", name="one@host", id="one", account="")
TWO = Process(kind="worker", name="two@host", id="two", account="")


@pytest.fixture
def world(redis_server: Any) -> Iterator[World]:
    with console_over(redis_server.url) as made:
        yield made


def sent(world: World, owner: str) -> str:
    """Let a call of this owner send a start that is not answered."""
    request_id = world.submit(name="orders.csv", key="orders")
    ledger = open_ledger(world.access.settings)
    asked = ledger.load(request_id)
    assert asked is not None
    decision = ledger.claim(asked, owner, Policy(), Definition(customer_key="orders"))
    assert isinstance(decision, StartNow), decision
    assert ledger.record_intent(decision.lease, (), window=0) is not None
    return request_id


def alive(world: World, *processes: Process) -> None:
    ledger = open_ledger(world.access.settings)
    for each in processes:
        ledger.present(each)


def silent(world: World, process: Process, seconds: float) -> None:
    """Let its last heartbeat be so long ago."""
    at = (world.access.reader.now() - seconds) * 1000
    world.access.client.zadd(world.access.keys.processes, {process.as_text(): at})


def shown(world: World, view: RequestView) -> list[str]:
    """Everything that a person can read of a request."""
    now = world.access.reader.now()
    lines = "\n".join(map(str, request_lines(view, now)))
    page = world.person("viewer").see(f"/request?id={view.request_id}").text
    answer = world.ask("GET", f"/v1/requests/{view.request_id}").json()
    return [lines, page, answer["worker"]["text"]]


def test_a_start_whose_worker_was_killed_says_so_while_another_worker_lives_and_when_that_takes_it_up(
    world: World,
) -> None:
    request_id = sent(world, owner_of("one", "call"))
    alive(world, ONE, TWO)
    silent(world, ONE, GONE_SECONDS + 5)
    view = requests.show(world.access, request_id)
    due = world.access.client.zscore(world.access.keys.due, request_id)

    assert view.worker is not None
    assert view.worker.until is not None
    assert view.attempting is not None
    assert (view.worker.name, view.worker.is_gone, view.attempting.until) == ("one@host", True, None)
    assert view.worker.until.timestamp() * 1000 == pytest.approx(due, abs=1)
    said = f"Another worker takes the request up at {view.worker.until:%Y-%m-%d %H:%M:%S} UTC."
    assert view.worker.text.startswith("Its worker one@host is gone; it said at 20")
    assert all(said in text for text in shown(world, view))
    assert "    its worker is gone: one@host" in map(str, table_lines(view, world.access.reader.now()))
    assert said in world.person("viewer").see("/").text


def test_a_start_whose_worker_lives_says_when_another_one_would_take_it_up(world: World) -> None:
    request_id = sent(world, owner_of("one", "call"))
    alive(world, ONE)
    view = requests.show(world.access, request_id)

    assert view.worker is not None
    assert (view.worker.is_gone, view.worker.seen_at) == (False, None)
    assert view.attempting is not None
    assert view.attempting.until is not None
    assert all(
        "If nothing comes of it, a worker takes the request up again at 20" in text for text in shown(world, view)
    )


def test_a_worker_of_which_nothing_is_left_is_gone_and_one_that_is_not_known_is_not(world: World) -> None:
    forgotten = requests.show(world.access, sent(world, owner_of("one", "call"))).worker

    assert forgotten is not None
    assert (forgotten.is_gone, forgotten.name, forgotten.seen_at) == (True, "", None)
    assert forgotten.text.startswith("Its worker is gone. Another worker takes")


def test_whose_calls_do_not_name_a_worker_is_not_said_to_be_gone(world: World) -> None:
    unknown = requests.show(world.access, sent(world, "call")).worker

    assert unknown is not None
    assert not unknown.is_gone


def test_while_redis_takes_no_writes_no_worker_is_said_to_be_gone(world: World) -> None:
    request_id = sent(world, owner_of("one", "call"))
    alive(world, ONE)
    silent(world, ONE, GONE_SECONDS + 5)
    world.access.client.config_set("maxmemory", 1)
    try:
        view = requests.show(world.access, request_id)
    finally:
        world.access.client.config_set("maxmemory", 0)

    assert view.worker is not None
    assert not view.worker.is_gone


def test_an_answer_whose_time_is_over_was_waited_for(world: World) -> None:
    request_id = sent(world, "call")
    past = round((world.access.reader.now() - 60) * 1000)
    world.access.client.hset(world.access.keys.request(request_id), "answer_by", past)
    person = world.person("viewer")

    for path in ("/", f"/request?id={request_id}"):
        page = person.see(path).text
        assert "It was waited for until <time" in page
        assert "It is waited for until" not in page
