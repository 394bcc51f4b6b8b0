"""Which definition a CustomerKey means at the moment of a start, and under which keys a run is looked for."""

from types import SimpleNamespace
from typing import Any

import pytest

from sfmc_import import earlier_runs, new_runs
from sfmc_import.faults import Ambiguous, NotApplied, Rejected
from sfmc_import.identity import ABSENT, KEY_CHANGED, OTHER, as_it_is_now, is_other, now_of, taken_by_another
from sfmc_import.policy import Policy
from sfmc_import.ports import Refusal
from sfmc_import.runs import Accepted, Definition, Run
from sfmc_import.service import _key_now
from sfmc_import.states import Intent, Lease, Reconcile, StartNow

LEASE = Lease(request_id="r", mid="7", customer_key="a", fence=1, attempt=1, seconds=60.0)
MINE = Definition(customer_key="c", object_id="one")
OTHERS = Definition(customer_key="a", object_id="two")
GONE = Rejected(ABSENT, "no such definition")


def decision(**given: Any) -> StartNow:
    return StartNow(**({"lease": LEASE, "now": 0.0, "object_id": "one"} | given))


def deps(by_object: Definition | Refusal = MINE, runs: dict[str, Any] | None = None) -> Any:
    def runs_of(_mid: str, key: str, **_: Any) -> Any:
        return (runs or {})[key]

    def get(*_: object, max_age: float, **__: object) -> Definition | Refusal:
        assert max_age <= 10.0
        return by_object

    return SimpleNamespace(
        definitions=SimpleNamespace(get=get),
        clock=SimpleNamespace(boottime=lambda: 0.0),
        marketing_cloud=SimpleNamespace(runs_of=runs_of),
        ledger=SimpleNamespace(unassigned_task_ids=lambda _mid, task_ids: frozenset(task_ids)),
        timing=SimpleNamespace(check_age=10.0),
    )


@pytest.mark.parametrize(
    ("found", "object_id", "expected"),
    [
        (OTHERS, "one", True),
        (Definition(customer_key="a", object_id="one"), "one", False),
        (Definition(customer_key="a"), "one", False),
        (OTHERS, None, False),
        (GONE, "one", True),
        (GONE, None, False),
        (Rejected("2", "x"), "one", False),
        (NotApplied("connection", "x"), "one", False),
    ],
)
def test_a_key_means_another_definition_only_where_both_object_ids_are_known(
    found: Definition | Refusal, object_id: str | None, *, expected: bool
) -> None:
    assert is_other(found, decision(object_id=object_id)) is expected


def test_a_definition_is_found_by_its_object_id_when_its_key_has_gone_to_another() -> None:
    assert now_of(OTHERS, decision(), 0.0, Policy(), deps()) == MINE


def test_a_reading_from_before_the_request_says_nothing_about_which_definition_was_meant() -> None:
    answer = now_of(OTHERS, decision(read_before=True), 0.0, Policy(), deps())
    assert isinstance(answer, NotApplied)
    assert answer.code == OTHER


@pytest.mark.parametrize(("name", "expected"), [("orders.csv", OTHERS), (None, None)])
def test_of_a_definition_that_is_gone_a_file_alone_says_what_the_other_one_would_import(
    name: str | None, expected: Definition | None
) -> None:
    answer = now_of(OTHERS, decision(file_name=name), 0.0, Policy(), deps(GONE))
    assert answer == expected or (expected is None and isinstance(answer, NotApplied) and answer.code == OTHER)


def test_the_first_key_of_a_definition_stays_its_home_however_often_it_is_changed() -> None:
    once = as_it_is_now(MINE, decision())
    twice = as_it_is_now(Definition(customer_key="d", object_id="one"), once)

    assert (once.lease.customer_key, once.lease.home, once.other_keys) == ("c", "a", ("a",))
    assert (twice.lease.customer_key, twice.lease.home, twice.other_keys) == ("d", "a", ("a", "c"))


@pytest.mark.parametrize(
    ("by_object", "given", "expected"),
    [
        (MINE, {}, MINE),
        (MINE, {"read_before": True}, GONE),
        (MINE, {"object_id": None}, GONE),
        (Definition(customer_key="a", object_id="one"), {}, GONE),
        (Rejected("2", "x"), {}, GONE),
    ],
)
def test_a_refused_start_is_that_of_another_key_only_where_the_object_id_says_so(
    by_object: Definition | Refusal, given: dict[str, Any], expected: Definition | Refusal
) -> None:
    assert _key_now(decision(**given), GONE, deps(by_object)) == expected


RUNS = {
    "a": [Run(task_id="1", customer_key="a", status="Completed")],
    "b": [Run(task_id="2", customer_key="b", status="Completed")],
}


@pytest.mark.parametrize(
    ("doubt", "expected"),
    [({}, {"1"}), ({"earlier": Intent(known=frozenset())}, {"1", "2"}), ({"loss_age": 1.0}, {"1", "2"})],
)
def test_only_a_start_in_doubt_is_looked_for_under_the_keys_that_its_definition_had(
    doubt: dict[str, Any], expected: set[str]
) -> None:
    found = new_runs.runs_of(decision(other_keys=("b",), **doubt), deps(runs=RUNS))
    assert not isinstance(found, Rejected | NotApplied)
    assert {run.task_id for run in found} == expected


@pytest.mark.parametrize(("refused", "is_refused"), [("a", True), ("b", False)])
def test_a_key_that_is_gone_hides_no_run_but_the_present_one_must_answer(refused: str, *, is_refused: bool) -> None:
    asked = decision(other_keys=("b",), earlier=Intent(known=frozenset()))
    found = new_runs.runs_of(asked, deps(runs={**RUNS, refused: GONE}))
    assert isinstance(found, Rejected) is is_refused


DOWN = NotApplied("9", "in maintenance")


@pytest.mark.parametrize(
    ("found", "object_id", "code"),
    [
        (OTHERS, "one", KEY_CHANGED),
        (Definition(customer_key="a", object_id="one"), "one", None),
        (Definition(customer_key="a"), "one", None),
        (OTHERS, None, None),
        (GONE, "one", None),
        (DOWN, "one", "9"),
    ],
)
def test_a_run_may_be_one_of_another_definition_where_that_has_the_key_now(
    found: Definition | Refusal, object_id: str | None, code: str | None
) -> None:
    refusal = taken_by_another("7", "a", object_id, deps(found))
    assert (refusal and refusal.code) == code


def look(*, is_last: bool = True, object_id: str | None = "one") -> Reconcile:
    return Reconcile(lease=LEASE, now=0.0, known=frozenset(), is_last=is_last, object_id=object_id)


@pytest.mark.parametrize(
    ("given", "found", "expected"),
    [
        ({}, Definition(customer_key="b", object_id="one"), {"1", "2"}),
        ({"is_last": False}, Definition(customer_key="b", object_id="one"), {"1"}),
        ({"object_id": None}, Definition(customer_key="b", object_id="one"), {"1"}),
        ({}, Definition(customer_key="A", object_id="one"), {"1"}),
        ({}, GONE, {"1"}),
    ],
)
def test_before_a_doubt_ends_its_run_is_looked_for_under_the_key_that_the_definition_has_now(
    given: dict[str, Any], found: Definition | Refusal, expected: set[str]
) -> None:
    runs = new_runs.runs_in_doubt(look(**given), deps(found, RUNS))
    assert not isinstance(runs, Rejected | NotApplied)
    assert {run.task_id for run in runs} == expected


def test_a_doubt_does_not_end_while_the_key_of_its_definition_cannot_be_asked() -> None:
    assert new_runs.runs_in_doubt(look(), deps(DOWN, RUNS)) == DOWN
    renamed = Definition(customer_key="b", object_id="one")
    assert new_runs.runs_in_doubt(look(), deps(renamed, {**RUNS, "b": DOWN})) == DOWN
    assert new_runs.runs_in_doubt(look(), deps(MINE, {**RUNS, "a": DOWN})) == DOWN


IN_DOUBT = Intent(known=frozenset())


@pytest.mark.parametrize(
    ("shown", "found", "expected"),
    [
        ("b", OTHERS, KEY_CHANGED),
        ("b", GONE, None),
        ("b", DOWN, "9"),
        ("A", OTHERS, None),
    ],
)
def test_a_run_under_a_former_key_is_taken_unless_that_is_the_key_of_another_definition(
    shown: str, found: Definition | Refusal, expected: str | None
) -> None:
    runs = [Run(task_id="5", customer_key=shown, status="New")]
    answer = earlier_runs.find(decision(earlier=IN_DOUBT, other_keys=("b",)), runs, deps(found))
    if expected is None:
        assert answer == Accepted(task_id="5", is_found=True)
    else:
        assert isinstance(answer, Ambiguous if expected == KEY_CHANGED else NotApplied)
        assert answer.code == expected
