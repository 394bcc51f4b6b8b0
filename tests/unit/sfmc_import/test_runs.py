"""Pure decisions: backoff, how a run goes, what is proved, what a policy says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_import.policy import Policy
from sfmc_import.retrying import Backoff
from sfmc_import.runs import Definition, ManyMatches, NoMatch, OneMatch, Run, RunEnded, RunInProgress, is_newer
from sfmc_import.runs import match_runs as judge_start
from sfmc_import.runs import run_state as judge_run
from sfmc_import.states import Followed

FOLLOWED = {"request_id": "a", "mid": "1", "customer_key": "k", "task_id": "t", "status": None, "looks": 0, "age": 1.0}


def followed(*, overdue: bool = False) -> Followed:
    return Followed(**FOLLOWED, overdue=overdue)


def row(status: str, **counts: int) -> Run:
    return Run(task_id="t", customer_key="k", status=status, **counts)


@given(
    tries=st.integers(0, 10**6),
    chance=st.floats(0, 1, exclude_max=True),
    floor=st.floats(0.1, 100),
    more=st.floats(0, 1e4),
)
def test_a_pause_lies_between_floor_and_cap(tries, chance, floor, more):
    pause = Backoff(floor=floor, cap=floor + more).pause(tries, chance)

    assert floor <= pause <= (floor + more) * (1 + 1e-9)


def test_pauses_grow_until_the_cap_and_are_spread_by_chance():
    backoff = Backoff(floor=10, cap=100)

    assert [backoff.pause(tries, 0.999999) > 10 * 2**tries * 0.99 for tries in (1, 2, 3)] == [True] * 3
    assert backoff.pause(9, 0.5) == 55
    assert backoff.pause(9, 0) == 10
    assert Backoff(floor=10, cap=1000, factor=3).pause(2, 0.999999999) == pytest.approx(90)


@pytest.mark.parametrize(
    ("seen", "overdue", "verdict"),
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
def test_a_run_is_judged_by_its_row_and_its_deadline(seen, overdue, verdict):
    assert judge_run(followed(overdue=overdue), seen) == verdict


@pytest.mark.parametrize("late", [True, False])
def test_exactly_one_new_run_proves_a_start(late: bool):
    assert judge_start(frozenset({"t"}), late=late) == OneMatch("t")
    assert judge_start(frozenset({"t2", "t1"}), late=late) == ManyMatches(("t1", "t2"))
    assert judge_start(frozenset(), late=late) == NoMatch(late)


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
