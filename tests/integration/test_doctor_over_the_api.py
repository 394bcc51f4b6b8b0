"""`doctor` over the API is as loud as `doctor` on Redis about what is in the way of starts."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from sfmc_import.api_client import ApiClient
from sfmc_import.bootstrap import quota_limits
from sfmc_import.cli.doctor import check_circuits
from sfmc_import.cli.doctor_api import check_api
from sfmc_import.cli.overview import whole_lines
from sfmc_import.faults import NotApplied
from sfmc_import.ledger import RedisLedger
from sfmc_import.ledger.opening import open_ledger
from sfmc_import.ledger.quota_keys import CIRCUIT
from sfmc_import.operations.status import status
from sfmc_import.operations.usage import account_of
from sfmc_import.policy import Policy
from sfmc_import.redis_server import Finding
from sfmc_import.runs import Accepted, Definition
from sfmc_import.states import Lease, StartNow
from sfmc_import.waiting import BUDGET_OF_DAY
from tests.support.console import MID, World, console_over


@pytest.fixture
def world(redis_server: Any) -> Iterator[World]:
    with console_over(redis_server.url, SFMC_SOAP_URL="https://x.soap.marketingcloudapis.com") as made:
        yield made


def over_the_api(world: World, role: str = "viewer") -> list[Finding]:
    """Ask the server of this world as `doctor` does with SFMC_API_URL."""

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        got = world.http.request(request.method, path, headers=dict(request.headers), content=request.content)
        return httpx.Response(
            got.status_code, headers={"content-type": got.headers["content-type"]}, content=got.content
        )

    with ApiClient("https://api.test", world.tokens[role], transport=httpx.MockTransport(answer)) as api:
        return list(check_api(api))


def claimed(world: World, key: str) -> tuple[RedisLedger, Lease]:
    """Submit a request and let a worker take it."""
    ledger = open_ledger(world.access.settings)
    asked = ledger.load(world.submit(name=key, key=key))
    assert asked is not None
    decision = ledger.claim(asked, "worker", Policy(), Definition(customer_key=key))
    assert isinstance(decision, StartNow), decision
    return ledger, decision.lease


def waits_with(code: str, text: str = "not now", *, of_all: bool = False) -> Callable[[World], None]:
    def make(world: World) -> None:
        ledger, lease = claimed(world, "waits.csv")
        ledger.retry(lease, NotApplied(code, text, account_wide=of_all), 60)

    return make


def run_without_answers(world: World) -> None:
    ledger, lease = claimed(world, "runs.csv")
    assert ledger.record_intent(lease, (), window=0) is not None
    assert ledger.started(lease, Accepted(task_id="4730"), 0, Policy(), reconciled=False)
    (run,) = ledger.followed([lease.request_id])
    ledger.progressed(run, None, 30, NotApplied("read_timeout", "no answer in time"))


def open_circuit(world: World) -> None:
    quota = open_ledger(world.access.settings).quota(quota_limits(world.access.settings))
    for number in range(3):
        quota.report("", f"probe{number}", 0, "failed", code="12", text="wrong password")


def untried_circuit(world: World) -> None:
    open_circuit(world)
    key = world.access.keys.name_of(CIRCUIT, account_of(world.access))
    said = json.loads(world.access.client.hget(key, ""))
    world.access.client.hset(key, "", json.dumps(said | {"until": said["until"] - 60_000}))


@pytest.mark.parametrize(
    ("make", "level"),
    [
        (waits_with("13"), "fail"),
        (waits_with("17", of_all=True), "fail"),
        (open_circuit, "fail"),
        (untried_circuit, "warn"),
        (run_without_answers, "warn"),
        (waits_with("budget", BUDGET_OF_DAY, of_all=True), "warn"),
        (waits_with("quota", of_all=True), None),
    ],
    ids=["backoff", "throttled", "circuit", "untried circuit", "following", "budget", "quota"],
)
def test_what_is_in_the_way_of_starts_is_as_loud_over_the_api_as_on_redis(
    world: World, make: Callable[[World], None], level: str | None
) -> None:
    make(world)
    here = list(check_circuits(world.access.settings))
    there = [each for each in over_the_api(world) if each.check == "calls"]

    assert [each.level for each in here] == [each.level for each in there] == ([level] if level else [])
    assert all(" since 20" in each.text and each.fix for each in there)


def test_a_pause_is_no_failure_and_is_said_by_doctor_here_and_over_the_api_as_by_status(world: World) -> None:
    world.access.ledger().pause("all", "ann", "night shift", None)
    here = [each for each in check_circuits(world.access.settings) if each.check == "paused"]
    there = [each for each in over_the_api(world) if each.check == "paused"]
    lines = [str(each) for each in whole_lines(status(world.access))]

    assert here == there
    assert [each.level for each in here] == ["ok"]
    assert here[0].text.startswith("everything is paused by ann since 20")
    assert here[0].text.endswith(": night shift")
    assert f"  {here[0].text}" in lines


def test_what_is_said_over_the_api_has_the_reason_the_requests_and_what_helps(world: World) -> None:
    waits_with("13")(world)
    [found] = [each for each in over_the_api(world) if each.check == "calls"]

    assert found.text.startswith(f"starts wait in business unit {MID} since 20")
    assert ": backoff (13): " in found.text
    assert "of waits.csv" in found.text
    assert not found.fix.startswith("To do")


def test_a_request_that_is_due_and_that_nothing_takes_up_is_a_failure_over_the_api(world: World) -> None:
    world.submit(name="due.csv")
    due = world.access.keys.due
    world.access.client.zadd(due, dict.fromkeys(world.access.client.zrange(due, 0, -1), 1))
    found = {each.check: each for each in over_the_api(world)}

    gone = "no worker runs (none has run yet) and no beat runs (none has run yet)"
    assert (found["due"].level, found["due"].text) == ("fail", f"1 request is due, and {gone}")


def test_a_token_that_only_submits_is_shown_none_of_it(world: World) -> None:
    waits_with("13")(world)

    assert [each.check for each in over_the_api(world, "source")] == ["api", "processes"]
