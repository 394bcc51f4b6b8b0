"""With SFMC_KNOWN_RUNS=ledger the runs that exist before a start are not listed: dates show which are of others."""

from dataclasses import replace

import pytest

from sfmc_import.faults import Ambiguous, NotApplied, Rejected
from sfmc_import.policy import Policy
from tests.support.checks import by_request, name_of
from tests.support.system import System
from tests.unit.sfmc_import.service.conftest import KEY, request
from tests.unit.sfmc_import.service.test_answers_without_proof import HTTP_REFUSED
from tests.unit.sfmc_import.service.test_forgotten_starts import us_date

HOUR = 3600.0
LOST = Ambiguous("read_timeout", "no answer")
ONCE, AGAIN = Policy(frequency=0, when_ambiguous="stop"), Policy(frequency=0, when_ambiguous="repeat")


@pytest.fixture(autouse=True)
def knows_the_newest_run_by_the_ledger(system: System):
    system.deps = system.deps_over(system.world.ledger, system.cloud, baseline=False)
    system.redis_is_ahead(0.0)
    system.policy = ONCE
    system.start(request("first"))
    system.live()
    assert [operation for operation, _ in system.cloud.calls].count("runs_of") == 1


def ran_elsewhere(system: System, ago: float | None) -> str:
    task_id = system.cloud.started_elsewhere(KEY)
    kept = system.cloud._runs[task_id]
    date = None if ago is None else us_date(system.world.now_ms() / 1000 - ago)
    kept.row = replace(kept.row, start_date=date)
    return task_id


def last(system: System, request_id: str = "a") -> dict:
    return by_request(system.world.events())[request_id][-1]


@pytest.mark.parametrize("policy", [ONCE, AGAIN])
def test_a_run_of_yesterday_is_not_taken_for_a_start_that_never_arrived(system: System, policy: Policy):
    ran_elsewhere(system, 140 * 24 * HOUR)
    system.policy = policy
    system.cloud.fail("start", LOST)
    system.start(request())
    system.live()

    assert name_of(last(system)) == ("start_unknown" if policy is ONCE else "completed")
    assert "candidates" not in last(system)["data"]
    assert len(system.cloud.performs) == (2 if policy is ONCE else 3)


@pytest.mark.parametrize("policy", [ONCE, AGAIN])
def test_a_run_that_seems_older_leaves_the_start_unknown_and_is_named(system: System, policy: Policy):
    other = ran_elsewhere(system, 3 * HOUR)
    system.policy = policy
    system.cloud.fail("start", LOST)
    system.start(request())
    system.live()

    assert name_of(last(system)) == "start_unknown"
    assert last(system)["data"]["candidates"] == [other]
    assert len(system.cloud.performs) == 2


@pytest.mark.parametrize("ago", [3 * HOUR, 140 * 24 * HOUR])
def test_the_run_of_the_start_itself_is_found_beside_an_older_one(system: System, ago: float):
    ran_elsewhere(system, ago)
    system.cloud.fail("start", LOST, applied=True)
    system.cloud.hidden_looks = 2
    system.start(request())
    system.live()

    assert name_of(last(system)) == "completed"
    assert last(system)["data"]["task_id"] == system.cloud.performs[-1].task_id


def test_a_run_without_a_date_that_can_be_read_is_taken(system: System):
    other = ran_elsewhere(system, None)
    system.cloud.fail("start", LOST)
    system.start(request())
    system.live()

    assert last(system)["data"]["task_id"] == other


def test_dates_that_cannot_be_asked_for_now_are_asked_for_later(system: System):
    ran_elsewhere(system, 140 * 24 * HOUR)
    system.cloud.fail("start", LOST)
    system.start(request())
    system.cloud.fail("runs", NotApplied("9", "in maintenance", account_wide=True), times=2)
    system.live()

    assert name_of(last(system)) == "start_unknown"


def test_where_dates_are_refused_for_good_they_prove_nothing(system: System):
    other = ran_elsewhere(system, 140 * 24 * HOUR)
    system.cloud.fail("start", LOST)
    system.start(request())
    system.cloud.fail("runs", Rejected("2", "no such property"), times=1)
    system.live()

    assert last(system)["data"]["task_id"] == other


@pytest.mark.parametrize(("ago", "ends"), [(140 * 24 * HOUR, "completed"), (3 * HOUR, "start_unknown")])
def test_before_a_start_is_sent_again_the_dates_show_which_runs_are_older_too(system: System, ago: float, ends: str):
    ran_elsewhere(system, ago)
    system.cloud.fail("start", HTTP_REFUSED)
    system.start(request())
    system.live()

    assert name_of(last(system)) == ends
    assert len(system.cloud.performs) == (3 if ends == "completed" else 2)


@pytest.mark.parametrize("ago", [3 * HOUR, 140 * 24 * HOUR])
def test_before_a_start_is_sent_again_its_own_run_is_found_beside_an_older_one(system: System, ago: float):
    ran_elsewhere(system, ago)
    system.cloud.fail("start", HTTP_REFUSED, applied=True)
    system.start(request())
    system.live()

    assert name_of(last(system)) == "completed"
    assert last(system)["data"]["task_id"] == system.cloud.performs[-1].task_id
    assert len(system.cloud.performs) == 3
    assert "reconciling" not in map(name_of, by_request(system.world.events())["a"])


def test_a_start_is_not_sent_again_while_the_dates_of_new_runs_cannot_be_asked_for(system: System):
    system.cloud.fail("start", HTTP_REFUSED, applied=True)
    system.start(request())
    system.cloud.fail("runs", NotApplied("9", "in maintenance", account_wide=True), times=1)
    system.live()

    assert name_of(last(system)) == "completed"
    assert len(system.cloud.performs) == 2


def test_of_more_older_runs_than_are_asked_for_the_start_stays_unknown(system: System):
    for _ in range(201):
        ran_elsewhere(system, 140 * 24 * HOUR)
    system.cloud.fail("start", LOST)
    system.start(request())
    system.live()

    assert len(last(system)["data"]["candidates"]) == 1
