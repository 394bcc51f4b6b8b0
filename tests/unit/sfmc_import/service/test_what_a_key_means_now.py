"""Which definition a CustomerKey means at the moment of a start, and under which keys a run is looked for."""

from types import SimpleNamespace
from typing import Any

import pytest

from sfmc_import import new_runs
from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.identity import ABSENT, OTHER, as_it_is_now, is_other, now_of
from sfmc_import.policy import Policy
from sfmc_import.ports import Refusal
from sfmc_import.runs import Definition, Run
from sfmc_import.service import _key_now
from sfmc_import.states import Intent, Lease, StartNow

LEASE = Lease(request_id="r", mid="7", customer_key="a", fence=1, attempt=1, seconds=60.0)
MINE = Definition(customer_key="c", object_id="one")
OTHERS = Definition(customer_key="a", object_id="two")
GONE = Rejected(ABSENT, "no such definition")


def decision(**given: Any) -> StartNow:
    return StartNow(**({"lease": LEASE, "now": 0.0, "object_id": "one"} | given))


def deps(by_object: Definition | Refusal = MINE, runs: dict[str, Any] | None = None) -> Any:
    def runs_of(_mid: str, key: str, **_: Any) -> Any:
        return (runs or {})[key]

    return SimpleNamespace(
        definitions=SimpleNamespace(get=lambda *_, **__: by_object),
        clock=SimpleNamespace(boottime=lambda: 0.0),
        marketing_cloud=SimpleNamespace(runs_of=runs_of),
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
