"""Reconciling: what the runs that appeared prove, and what is done about it."""

from dataclasses import replace

import pytest

from sfmc_import.faults import Ambiguous, NotApplied, Rejected
from sfmc_import.policy import Policy
from sfmc_import.runs import Definition
from tests.support.checks import by_request, check_finished, name_of
from tests.support.system import System
from tests.unit.sfmc_import.service.conftest import KEY, request

BRIEF = 300.0
"""Seconds in which a run is looked for, where how long does not matter."""

RESET = Ambiguous("reset", "connection reset")


def mark_ambiguous(system: System, *, applied: bool = True, hidden: int = 0) -> None:
    system.cloud.hidden_looks = hidden
    system.cloud.fail("start", RESET, applied=applied)
    system.start(request())


def last(system: System, request_id: str = "a") -> tuple[str, dict]:
    event = by_request(system.world.events())[request_id][-1]
    return name_of(event), event["data"]


def test_the_one_new_run_is_the_start(system: System):
    mark_ambiguous(system)
    system.live()
    started = next(e for e in by_request(system.world.events())["a"] if name_of(e) == "started")

    assert started["data"]["matched"] == "reconciled"
    assert started["data"]["task_id"] == system.cloud.performs[0].task_id
    assert last(system)[0] == "completed"
    assert len(system.cloud.performs) == 1


def test_a_run_that_was_there_before_is_not_taken_for_the_start(system: System):
    system.policy = Policy(reconcile_deadline=BRIEF)
    system.cloud.started_elsewhere(KEY)
    mark_ambiguous(system, applied=False)
    system.live()

    assert last(system)[0] == "start_unknown"
    assert "candidates" not in last(system)[1]


def test_a_row_that_comes_late_is_waited_for(system: System):
    mark_ambiguous(system, hidden=4)
    system.live()

    assert last(system)[0] == "completed"


def test_of_several_new_runs_none_is_chosen_and_all_are_named(system: System):
    mark_ambiguous(system)
    other = system.cloud.started_elsewhere(KEY)
    system.live()
    name, data = last(system)

    assert name == "start_unknown"
    assert data["candidates"] == sorted([system.cloud.performs[0].task_id, other])
    check_finished(system.world, ["a"])


def test_a_start_from_elsewhere_at_the_same_time_is_taken_for_ours_and_nothing_is_sent_again(system: System):
    mark_ambiguous(system, applied=False)
    other = system.cloud.started_elsewhere(KEY)
    system.live()

    assert last(system)[1]["task_id"] == other
    assert len(system.cloud.performs) == 1


@pytest.mark.parametrize(
    ("policy", "update_type", "performs"),
    [
        (Policy(), "AddAndUpdate", 0),
        (Policy(), None, 0),
        (Policy(), "Overwrite", 1),
        (Policy(when_ambiguous="unknown"), "Overwrite", 0),
        (Policy(when_ambiguous="repeat"), "AddAndUpdate", 1),
    ],
)
def test_a_start_that_left_no_trace_is_repeated_only_where_that_is_allowed(
    system: System, policy, update_type, performs
):
    system.policy = replace(policy, reconcile_deadline=BRIEF)
    system.cloud.add(Definition(customer_key=KEY, update_type=update_type))
    mark_ambiguous(system, applied=False)
    system.live()

    assert len(system.cloud.performs) == performs
    assert last(system)[0] == ("completed" if performs else "start_unknown")
    check_finished(system.world, ["a"])


def test_while_the_service_cannot_be_asked_nothing_is_concluded(system: System):
    system.policy = Policy(reconcile_deadline=BRIEF)
    mark_ambiguous(system)
    system.cloud.fail("runs_of", NotApplied("9", "in maintenance"), times=20)
    system.live()

    assert last(system)[0] == "completed"


def test_a_refused_query_is_asked_again_until_the_time_is_over(system: System):
    mark_ambiguous(system)
    system.cloud.fail("runs_of", Rejected("4", "no access"), times=3)
    system.live()
    assert last(system)[0] == "completed"


def test_a_query_that_stays_refused_leaves_the_start_unknown(system: System):
    system.policy = Policy(reconcile_deadline=BRIEF)
    mark_ambiguous(system)
    system.cloud.fail("runs_of", Rejected("4", "no access"), times=10**6)
    system.live()

    assert last(system)[0] == "start_unknown"


@pytest.mark.parametrize("applied", [True, False])
def test_a_window_is_never_guessed_while_the_definition_cannot_be_read(system: System, applied: bool):
    system.policy = Policy(reconcile_deadline=BRIEF)
    mark_ambiguous(system, applied=applied)
    system.cloud.fail("definition", NotApplied("9", "in maintenance"), times=30)
    system.live()
    events = [e for e in by_request(system.world.events())["a"] if name_of(e) in {"started", "start_unknown"}]

    assert len(events) == 1
    assert "window_opens" in events[0]["data"]
    assert system.start(request("b", file=None)).state == "duplicate"


def test_a_definition_that_is_gone_meanwhile_leaves_the_start_the_window_of_its_intent(system: System):
    mark_ambiguous(system)
    system.cloud.fail("definition", Rejected("4", "no access"), times=10**6)
    system.live()

    assert last(system)[0] == "completed"
    system.cloud.heal()
    assert system.start(request("b", file=None)).state == "duplicate"
