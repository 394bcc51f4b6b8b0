"""Reconciling: what the runs that appeared prove, and what is done about it."""

import pytest

from tests.truth import by_request, check_finished, name_of
from tests.unit.worker.service.conftest import KEY, wish
from tests.works import Works
from worker.domain.faults import Ambiguous, NotApplied, Rejected
from worker.domain.policy import Policy
from worker.domain.runs import Definition

RESET = Ambiguous("reset", "connection reset")


def doubt(works: Works, *, applied: bool = True, hidden: int = 0) -> None:
    works.cloud.hidden_looks = hidden
    works.cloud.fail("start", RESET, applied=applied)
    works.start(wish())


def last(works: Works, request_id: str = "a") -> tuple[str, dict]:
    event = by_request(works.world.events())[request_id][-1]
    return name_of(event), event["data"]


def test_the_one_new_run_is_the_start(works: Works):
    doubt(works)
    works.live()
    started = next(e for e in by_request(works.world.events())["a"] if name_of(e) == "started")

    assert started["data"]["matched"] == "reconciled"
    assert started["data"]["task_id"] == works.cloud.performs[0].task_id
    assert last(works)[0] == "completed"
    assert len(works.cloud.performs) == 1


def test_a_run_that_was_there_before_is_not_taken_for_the_start(works: Works):
    works.cloud.started_elsewhere(KEY)
    doubt(works, applied=False)
    works.live()

    assert last(works)[0] == "start_unknown"
    assert "candidates" not in last(works)[1]


def test_a_row_that_comes_late_is_waited_for(works: Works):
    doubt(works, hidden=4)
    works.live()

    assert last(works)[0] == "completed"


def test_of_several_new_runs_none_is_chosen_and_all_are_named(works: Works):
    doubt(works)
    other = works.cloud.started_elsewhere(KEY)
    works.live()
    name, data = last(works)

    assert name == "start_unknown"
    assert data["candidates"] == sorted([works.cloud.performs[0].task_id, other])
    check_finished(works.world, ["a"])


def test_a_start_by_somebody_else_at_the_same_time_is_taken_for_ours_and_nothing_is_sent_again(works: Works):
    doubt(works, applied=False)
    other = works.cloud.started_elsewhere(KEY)
    works.live()

    assert last(works)[1]["task_id"] == other
    assert len(works.cloud.performs) == 1


@pytest.mark.parametrize(
    ("policy", "update_type", "performs"),
    [
        (Policy(), "AddAndUpdate", 0),
        (Policy(), None, 0),
        (Policy(), "Overwrite", 1),
        (Policy(when_in_doubt="unknown"), "Overwrite", 0),
        (Policy(when_in_doubt="repeat"), "AddAndUpdate", 1),
    ],
)
def test_a_start_that_left_no_trace_is_repeated_only_where_that_is_allowed(works: Works, policy, update_type, performs):
    works.policy = policy
    works.cloud.add(Definition(customer_key=KEY, update_type=update_type))
    doubt(works, applied=False)
    works.live()

    assert len(works.cloud.performs) == performs
    assert last(works)[0] == ("completed" if performs else "start_unknown")
    check_finished(works.world, ["a"])


def test_while_the_service_cannot_be_asked_nothing_is_concluded(works: Works):
    doubt(works)
    works.cloud.fail("runs_of", NotApplied("9", "in maintenance"), times=200)
    works.live()

    assert last(works)[0] == "completed"


def test_a_refused_query_is_asked_again_until_the_time_is_over(works: Works):
    doubt(works)
    works.cloud.fail("runs_of", Rejected("4", "no access"), times=3)
    works.live()
    assert last(works)[0] == "completed"


def test_a_query_that_stays_refused_leaves_the_start_unknown(works: Works):
    doubt(works)
    works.cloud.fail("runs_of", Rejected("4", "no access"), times=10**6)
    works.live()

    assert last(works)[0] == "start_unknown"


@pytest.mark.parametrize("applied", [True, False])
def test_a_window_is_never_guessed_while_the_definition_cannot_be_read(works: Works, applied: bool):
    doubt(works, applied=applied)
    works.cloud.fail("definition", NotApplied("9", "in maintenance"), times=90)
    works.live()
    events = [e for e in by_request(works.world.events())["a"] if name_of(e) in {"started", "start_unknown"}]

    assert len(events) == 1
    assert "window_opens" in events[0]["data"]
    assert works.start(wish("b", file=None)).state == "duplicate"


def test_a_definition_that_is_gone_sets_no_window(works: Works):
    doubt(works)
    works.cloud.fail("definition", Rejected("4", "no access"), times=10**6)
    works.live()

    assert last(works)[0] == "completed"
