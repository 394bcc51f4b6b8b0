"""A start ended as unknown: its run, when it appears, is not taken for a later start that is in doubt."""

from dataclasses import replace

import pytest

from sfmc_import.faults import Ambiguous, NotApplied, after_situation
from sfmc_import.policy import Policy
from sfmc_import.run_dates import CLOCKS_APART
from tests.support.checks import by_request, name_of
from tests.support.system import System
from tests.unit.sfmc_import.service.conftest import request
from tests.unit.sfmc_import.service.test_forgotten_starts import us_date

LOST = Ambiguous("reset", "connection reset")
THROTTLED = NotApplied("http_429", "slow down", account_wide=True)
FOR_EVER = 10_000
ONCE = Policy(frequency=0, when_ambiguous="stop", reconcile_deadline=300.0)
AGAIN = replace(ONCE, when_ambiguous="repeat")


@pytest.fixture(autouse=True)
def starts_as_often_as_asked(system: System) -> None:
    system.policy = ONCE


def date(system: System, task_id: str, seconds: float = 0.0) -> None:
    kept = system.cloud._runs[task_id]
    kept.row = replace(kept.row, start_date=us_date(system.world.now_ms() / 1000 + seconds))


def cancel_applied(system: System) -> str:
    """The first start is applied, answered without proof and cancelled; its run is not visible yet."""
    system.cloud.hidden_looks = FOR_EVER
    system.cloud.fail("start", THROTTLED, applied=True)
    system.start(request("a"))
    assert system.world.ledger.cancel("a", "ann", "wrong file") == "start_unknown"
    system.cloud.hidden_looks = 0
    task_id = system.cloud.performs[-1].task_id
    date(system, task_id)
    return task_id


def end_unknown(system: System) -> str:
    """The first start is applied and cut; its run appears after its deadline."""
    system.cloud.hidden_looks = FOR_EVER
    system.cloud.fail("start", LOST, applied=True)
    system.start(request("a"))
    task_id = system.cloud.performs[-1].task_id
    date(system, task_id)
    system.live()
    assert last(system, "a") == ("start_unknown", None)
    system.cloud.hidden_looks = 0
    return task_id


def reject_applied(system: System) -> str:
    """The first start is applied, answered with HTTP 400 by a server between and rejected; its run appears later."""
    system.cloud.hidden_looks = FOR_EVER
    system.cloud.fail("start", after_situation("http_400", "HTTP 400"), applied=True)
    system.start(request("a"))
    task_id = system.cloud.performs[-1].task_id
    date(system, task_id)
    system.live()
    assert last(system, "a") == ("rejected", None)
    system.cloud.hidden_looks = 0
    return task_id


def last(system: System, request_id: str) -> tuple[str, list[str] | None]:
    event = by_request(system.world.events())[request_id][-1]
    return name_of(event), event["data"].get("candidates")


def cut(system: System, *, applied: bool = False, after: float = 0.0) -> str | None:
    """Start the next request, whose connection breaks; gives its run."""
    system.world.advance(after)
    system.cloud.fail("start", LOST, applied=applied)
    system.start(request("b"))
    if not applied:
        return None
    date(system, system.cloud.performs[-1].task_id)
    return system.cloud.performs[-1].task_id


@pytest.mark.parametrize("policy", [ONCE, AGAIN])
@pytest.mark.parametrize("end", [cancel_applied, end_unknown, reject_applied])
def test_its_run_is_named_and_not_taken_and_nothing_is_sent_again(system: System, end, policy: Policy):
    run = end(system)
    system.policy = policy
    cut(system)
    system.cloud.show(run)
    system.live()

    assert last(system, "b") == ("start_unknown", [run])
    assert len(system.cloud.performs) == 1


def test_its_run_is_named_too_where_runs_are_not_listed_before_a_start(system: System):
    system.start(request("first"))
    system.live()
    run = end_unknown(system)
    system.deps = system.deps_over(system.world.ledger, system.cloud, baseline=False)
    system.redis_is_ahead(0.0)
    cut(system)
    system.cloud.show(run)
    system.live()

    assert last(system, "b") == ("start_unknown", [run])


def test_an_older_run_is_named_beside_it(system: System):
    system.start(request("first"))
    system.live()
    system.deps = system.deps_over(system.world.ledger, system.cloud, baseline=False)
    system.redis_is_ahead(0.0)
    run = cancel_applied(system)
    older = system.cloud.started_elsewhere("daily")
    date(system, older, -3 * 3600)
    cut(system)
    system.cloud.show(run)
    system.live()

    assert last(system, "b") == ("start_unknown", sorted([run, older]))


def test_a_run_that_began_surely_later_is_taken(system: System):
    unknown = end_unknown(system)
    own = cut(system, applied=True, after=CLOCKS_APART)
    system.cloud.show(unknown)
    system.live()

    assert last(system, "b") == ("completed", None)
    assert system.world.record("b")["task"] == own


@pytest.mark.parametrize(("seconds", "ends"), [(0.0, "start_unknown"), (2.0, "completed")])
def test_surely_later_is_after_the_longest_call_and_what_clocks_may_differ(system: System, seconds: float, ends: str):
    cancel_applied(system)
    own = cut(system, applied=True)
    date(system, own, system.deps.timing.call + CLOCKS_APART + seconds)
    system.live()

    assert last(system, "b")[0] == ends


def test_a_run_without_a_date_proves_nothing(system: System):
    cancel_applied(system)
    own = cut(system, applied=True, after=3600.0)
    system.cloud._runs[own].row = replace(system.cloud._runs[own].row, start_date=None)
    system.live()

    assert last(system, "b") == ("start_unknown", [own])


def test_a_run_that_an_operator_has_given_to_the_other_start_is_of_no_concern(system: System):
    run = cancel_applied(system)
    own = cut(system, applied=True)
    system.cloud.show(run)
    assert system.world.ledger.resolve("a", run, "ann", None, system.policy) == 1
    system.live()

    assert last(system, "b") == ("completed", None)
    assert system.world.record("b")["task"] == own


def test_before_an_attempt_is_made_again_such_a_run_leaves_it_unknown(system: System):
    run = cancel_applied(system)
    system.cloud.fail("start", THROTTLED)
    system.start(request("b"))
    system.cloud.show(run)
    system.live()

    assert last(system, "b") == ("start_unknown", [run])
    assert len(system.cloud.performs) == 1


def test_nothing_more_is_asked_of_marketing_cloud(system: System):
    unknown = end_unknown(system)
    before = len(system.cloud.calls)
    cut(system, applied=True, after=CLOCKS_APART)
    system.cloud.show(unknown)
    system.sweep()
    system.live()
    asked = [operation for operation, _ in system.cloud.calls[before:]]

    assert asked.count("runs_of") == 2
    assert asked.count("runs") == 1
