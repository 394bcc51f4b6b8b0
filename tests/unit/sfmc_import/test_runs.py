"""Pure decisions: the state of a run, its next poll, what new runs prove, what a policy says."""

import pytest

from sfmc_import.policy import Policy
from sfmc_import.retrying import Backoff
from sfmc_import.runs import (
    Definition,
    Expectations,
    ManyMatches,
    NoMatch,
    OneMatch,
    Run,
    RunEnded,
    RunInProgress,
    Unexpected,
    compare,
    is_newer,
    match_runs,
    next_poll,
    run_state,
)
from sfmc_import.states import Followed

FOLLOWED = {"request_id": "a", "mid": "1", "customer_key": "k", "task_id": "t", "status": None, "age": 1.0}


def followed(*, overdue: bool = False, polls: int = 0) -> Followed:
    return Followed(**FOLLOWED, overdue=overdue, polls=polls)


def row(status: str, **counts: int) -> Run:
    return Run(task_id="t", customer_key="k", status=status, **counts)


def test_the_first_poll_comes_after_the_shortest_pause_and_later_ones_wait_longer():
    backoff = Backoff(floor=5, cap=300, factor=1.5)

    assert next_poll(followed(polls=0), backoff) == 7.5
    assert next_poll(followed(polls=1), backoff) == 11.25
    assert next_poll(followed(polls=100), backoff) == 300


@pytest.mark.parametrize(
    ("seen", "overdue", "state"),
    [
        (None, False, RunInProgress(None)),
        (None, True, RunEnded("follow_timed_out")),
        (row("Processing"), False, RunInProgress("Processing")),
        (row("Processing"), True, RunEnded("follow_timed_out")),
        (row("Strange"), False, RunInProgress("Strange")),
        (row("Completed", total=0), True, RunEnded("completed_empty")),
        (row("Completed", total=0, errors=2), False, RunEnded("completed_with_errors")),
        (row("Completed", total=5, errors=0), False, RunEnded("completed")),
        (row("Completed"), False, RunEnded("completed")),
        (row("Error", total=0), True, RunEnded("import_failed")),
    ],
)
def test_the_state_of_a_run_follows_from_its_row_and_its_deadline(seen, overdue, state):
    assert run_state(followed(overdue=overdue), seen) == state


DONE = RunEnded("completed")


@pytest.mark.parametrize(
    ("expectations", "counts", "last_rows", "expected", "found"),
    [
        ({"min_rows": 10}, {"total": 10}, None, None, None),
        ({"min_rows": 10}, {"total": 9}, None, {"min_rows": 10}, {"rows": 9}),
        ({"min_rows": 10}, {}, None, {"min_rows": 10}, {"rows": None}),
        ({"max_failed_share": 0.1}, {"total": 10, "errors": 1}, None, None, None),
        ({"max_failed_share": 0.1}, {"total": 10, "errors": 2}, 9, {"max_failed_share": 0.1}, {"failed_share": 0.2}),
        ({"max_failed_share": 0.0}, {"total": 0, "errors": 0}, None, None, None),
        ({"max_failed_share": 0.5}, {"total": 10}, None, {"max_failed_share": 0.5}, {"failed_share": None}),
        ({"min_share_of_last_run": 0.5}, {"total": 1}, None, None, None),
        ({"min_share_of_last_run": 0.5}, {"total": 5}, 10, None, None),
        ({"min_share_of_last_run": 0.5}, {"total": 4}, 10, {"min_share_of_last_run": 0.5}, {"share_of_last_run": 0.4}),
        ({"min_rows": 2, "min_share_of_last_run": 0.5}, {"total": 1}, 10, {"min_rows": 2, "min_share_of_last_run": 0.5},
         {"rows": 1, "share_of_last_run": 0.1}),
        ({}, {"total": 0, "errors": 0}, 10, None, None),
    ],
)  # fmt: skip
def test_a_completed_run_that_misses_an_expectation_is_suspicious(expectations, counts, last_rows, expected, found):
    ended = compare(DONE, row("Completed", **counts), last_rows, Expectations(**expectations))

    if expected is None:
        assert ended == DONE
    else:
        assert ended == RunEnded("completed_suspicious", Unexpected(expected, found))


@pytest.mark.parametrize("outcome", ["import_failed", "follow_timed_out"])
def test_only_a_run_that_completed_is_compared(outcome: str):
    ended = RunEnded(outcome)

    assert compare(ended, row("Error", total=0), 10, Expectations(min_rows=1)) is ended
    assert compare(DONE, None, 10, Expectations(min_rows=1)) is DONE


@pytest.mark.parametrize("is_last", [True, False])
def test_exactly_one_new_run_proves_a_start(is_last: bool):
    assert match_runs(frozenset({"t"}), is_last=is_last) == OneMatch("t")
    assert match_runs(frozenset({"t2", "t1"}), is_last=is_last) == ManyMatches(("t1", "t2"))
    assert match_runs(frozenset(), is_last=is_last) == NoMatch(is_last)


@pytest.mark.parametrize(
    ("policy", "own", "hours"),
    [
        (Policy(), None, 0),
        (Policy(), 0, 0),
        (Policy(), 6, 6),
        (Policy(frequency=0), 6, 0),
        (Policy(frequency=1.5), 6, 1.5),
        (Policy(frequency_floor=8), 6, 8),
        (Policy(frequency=0, frequency_floor=0.5), 6, 0.5),
    ],
)
def test_the_window_is_the_override_or_the_definitions_own_and_never_below_the_floor(policy, own, hours):
    assert policy.window(Definition(customer_key="k", max_import_frequency=own)) == hours


@pytest.mark.parametrize(
    ("when_ambiguous", "update_type", "may"),
    [
        (None, "Overwrite", True),
        (None, "AddAndUpdate", False),
        (None, "AddAndDoNotUpdate", False),
        (None, None, False),
        ("repeat", None, True),
        ("unknown", "Overwrite", False),
    ],
)
def test_a_start_in_doubt_is_repeated_only_where_that_is_harmless_or_asked_for(when_ambiguous, update_type, may):
    policy = Policy(when_ambiguous=when_ambiguous)

    assert policy.may_repeat(Definition(customer_key="k", update_type=update_type)) is may
    assert policy.may_repeat(None) is (when_ambiguous == "repeat")


@pytest.mark.parametrize(
    ("task_id", "than", "newer"),
    [("10", "9", True), ("9", "10", False), ("9", "9", False), ("a", "9", True), ("a", "a", False), ("9", "٩", True)],
)
def test_task_ids_are_compared_as_numbers_and_an_unreadable_one_counts_as_newer(
    task_id: str, than: str, *, newer: bool
) -> None:
    assert is_newer(task_id, than) is newer
