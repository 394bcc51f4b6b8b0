"""What the use cases may count on, whichever Marketing Cloud they are given."""

import pytest

from sfmc_import.faults import Ambiguous, NotApplied, Rejected
from sfmc_import.marketing_cloud.http import BootClock
from sfmc_import.runs import Accepted, Run
from tests.contract.marketing_cloud.subjects import MID, start
from tests.support.waiting import eventually


def test_a_start_is_applied_once_and_names_its_task(subject):
    subject.define("orders")

    accepted = start(subject, "orders")

    assert isinstance(accepted, Accepted)
    assert subject.applied("orders") == [accepted.task_id]
    assert accepted.soap_request_id


def test_each_start_is_a_run_of_its_own(subject):
    subject.define("orders")

    assert start(subject, "orders") != start(subject, "orders")
    assert len(subject.applied("orders")) == 2


def test_an_unknown_key_is_rejected_with_the_vendors_code(subject):
    fault = start(subject, "missing")

    assert isinstance(fault, Rejected)
    assert fault.code == "43010"


def test_nothing_is_sent_when_the_time_for_it_is_over(subject):
    subject.define("orders")

    fault = subject.service.start(MID, "orders", not_after=BootClock().boottime())

    assert isinstance(fault, NotApplied)
    assert (fault.code, subject.applied("orders")) == ("lease_over", [])


@pytest.mark.parametrize(("kind", "account_wide"), [("transient", False), ("account_wide", True)])
def test_a_start_that_was_turned_away_is_not_applied(subject, kind, account_wide):
    subject.define("orders")
    subject.break_start(kind)

    fault = start(subject, "orders")

    assert isinstance(fault, NotApplied)
    assert (fault.account_wide, subject.applied("orders")) == (account_wide, [])
    assert isinstance(start(subject, "orders"), Accepted)


def test_a_start_that_was_refused_is_rejected(subject):
    subject.define("orders")
    subject.break_start("refused")

    assert start(subject, "orders").code == "43060"
    assert subject.applied("orders") == []


@pytest.mark.parametrize(("kind", "starts"), [("lost_before", 0), ("lost_after", 1)])
def test_a_start_without_an_answer_is_ambiguous_whether_it_happened_or_not(subject, kind, starts):
    subject.define("orders")
    subject.break_start(kind)

    assert isinstance(start(subject, "orders"), Ambiguous)
    assert len(subject.applied("orders")) == starts


def test_a_definition_is_read_with_its_frequency(subject):
    subject.define("orders", max_import_frequency=6)

    definition = subject.service.definition(MID, "orders")

    assert (definition.customer_key, definition.max_import_frequency) == ("orders", 6)


def test_a_definition_may_be_absent(subject):
    assert subject.service.definition(MID, "missing") is None


def test_all_definitions_of_a_business_unit_are_listed(subject):
    for key in ("orders", "returns", "prices"):
        subject.define(key)

    listed = subject.service.definitions(MID)

    assert sorted(definition.customer_key for definition in listed) == ["orders", "prices", "returns"]


def test_a_run_can_be_looked_up_by_its_task_and_by_its_definition(subject):
    subject.define("orders")
    task_id = start(subject, "orders").task_id

    def ended() -> Run | None:
        run = subject.service.runs(MID, [task_id]).get(task_id)
        return run if run is not None and run.status in {"Completed", "Error"} else None

    run = eventually(ended, within=60, description="the run has ended")
    assert (run.task_id, run.customer_key) == (task_id, "orders")
    assert [row.task_id for row in subject.service.runs_of(MID, "orders")] == [task_id]


def test_many_runs_are_looked_up_at_once(subject):
    subject.define("orders")
    task_ids = {start(subject, "orders").task_id for _ in range(5)}

    def found() -> bool:
        return set(subject.service.runs(MID, task_ids)) == task_ids

    eventually(found, within=60, description="all five are visible")
    assert subject.service.runs(MID, ["999999999", *sorted(task_ids)[:1]]).keys() == set(sorted(task_ids)[:1])


def test_a_run_whose_row_comes_late_is_absent_for_a_while(subject):
    subject.define("orders")
    subject.hide_next_run()
    task_id = start(subject, "orders").task_id

    assert subject.service.runs(MID, [task_id]) == {}
    assert list(subject.service.runs_of(MID, "orders")) == []


def test_of_the_runs_of_a_definition_those_above_a_task_can_be_asked_for(subject):
    subject.define("orders")
    subject.define("returns")
    first, second = (start(subject, "orders").task_id for _ in range(2))
    start(subject, "returns")

    def newer(above: str) -> list[str]:
        return [row.task_id for row in subject.service.runs_of(MID, "orders", above=above)]

    eventually(lambda: newer("0") == [first, second], within=60, description="both are visible")
    assert newer(first) == [second]
    assert newer(second) == []


def test_no_tasks_are_no_runs(subject):
    assert subject.service.runs(MID, []) == {}


def test_the_runs_of_a_definition_without_runs_are_none(subject):
    subject.define("orders")

    assert list(subject.service.runs_of(MID, "orders")) == []


@pytest.mark.parametrize(
    "ask",
    [
        lambda service: service.definition(MID, "orders"),
        lambda service: service.definitions(MID),
        lambda service: service.runs_of(MID, "orders"),
        lambda service: service.runs(MID, ["1"]),
    ],
    ids=["definition", "definitions", "runs_of", "runs"],
)
def test_a_query_that_keeps_failing_is_not_applied(subject, ask):
    subject.define("orders")
    subject.break_queries()

    fault = ask(subject.service)

    assert isinstance(fault, NotApplied)
    assert fault.code == "13"


def test_a_definition_is_found_by_other_spellings_and_named_as_it_is_spelled(subject):
    subject.define("Orders")

    assert [subject.service.definition(MID, key).customer_key for key in ("ORDERS", "orders  ")] == ["Orders"] * 2


def test_a_definition_is_found_by_its_object_id(subject):
    subject.define("orders")
    object_id = subject.object_id("orders")

    assert subject.service.definition_of_object(MID, object_id).customer_key == "orders"
    assert subject.service.definition_of_object(MID, "00000000-0000-0000-0000-000000000000") is None
