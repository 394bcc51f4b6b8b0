"""One definition is one identity, however a request names it; before it is known no window is asked."""

from dataclasses import replace

import pytest

from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.policy import Policy
from sfmc_import.request import FileInfo, StartRequest
from sfmc_import.runs import Definition
from tests.support.checks import by_request, check_finished, name_of
from tests.support.system import MID, System

OBJECT_ID = "5e1ad037-29c3-de11-9a36-001e0bfba5bd"
DEFINITION = Definition(customer_key="Daily_Orders", object_id=OBJECT_ID, max_import_frequency=6)
DOWN = NotApplied("9", "in maintenance", account_wide=True)


def asking(request_id: str, key: str = "Daily_Orders", **more) -> StartRequest:
    file = FileInfo(location="/in", name=f"{request_id}.csv", size=1, version="1")
    return StartRequest(request_id=request_id, customer_key=key, mid=MID, **({"file": file} | more))


def by_object(request_id: str, object_id: str = OBJECT_ID, key: str = "", **more) -> StartRequest:
    return asking(request_id, key or object_id, object_id=object_id, **more)


def names(system: System, request_id: str) -> list[str]:
    return [name_of(event) for event in by_request(system.world.events())[request_id]]


def last(system: System, request_id: str) -> dict:
    return by_request(system.world.events())[request_id][-1]["data"]


@pytest.fixture(autouse=True)
def define(system: System) -> None:
    system.cloud.add(DEFINITION)


@pytest.mark.parametrize("key", ["DAILY_ORDERS", "daily_orders", "Daily_Orders ", "Daily_Orders   "])
def test_spellings_of_one_definition_share_one_window(system: System, key: str):
    system.start(asking("a"))
    outcome = system.start(asking("b", key, file=None))

    assert (outcome.state, outcome.facts["held_by"]) == ("duplicate", "a")
    assert len(system.cloud.performs) == 1


def test_spellings_of_one_definition_share_one_holder_without_a_window(system: System):
    system.cloud.add(replace(DEFINITION, max_import_frequency=0))
    system.cloud.statuses = ("Processing",)
    system.start(asking("a"))

    assert system.start(asking("b", "DAILY_ORDERS")).state == "deferred"


def test_a_request_by_object_id_is_the_same_definition(system: System):
    system.start(by_object("a"))
    outcome = system.start(asking("b", file=None))

    assert (outcome.state, outcome.facts["held_by"]) == ("duplicate", "a")
    assert system.cloud.performs[0].customer_key == "Daily_Orders"


def test_events_and_outcome_name_the_definition_as_the_service_spells_it(system: System):
    outcome = system.start(asking("a", "DAILY_ORDERS"))
    accepted, *rest = by_request(system.world.events())["a"]

    assert (accepted["subject"], accepted["data"]["customer_key"]) == ("DAILY_ORDERS", "DAILY_ORDERS")
    assert {event["subject"] for event in rest} == {"Daily_Orders"}
    assert {event["data"]["customer_key"] for event in rest} == {"Daily_Orders"}
    assert {event["data"]["asked_key"] for event in rest} == {"DAILY_ORDERS"}
    assert (outcome.facts["customer_key"], outcome.facts["asked_key"]) == ("Daily_Orders", "DAILY_ORDERS")


def test_events_of_a_request_by_object_id_have_it(system: System):
    system.start(by_object("a"))
    accepted, *rest = by_request(system.world.events())["a"]

    assert accepted["subject"] == OBJECT_ID
    assert {event["data"]["object_id"] for event in (accepted, *rest)} == {OBJECT_ID}
    assert all("asked_key" not in event["data"] for event in rest)


def test_a_key_spelled_as_the_service_does_is_not_mentioned_twice(system: System):
    outcome = system.start(asking("a"))

    assert all("asked_key" not in event["data"] for event in system.world.events())
    assert "asked_key" not in outcome.facts


def test_the_same_file_for_two_spellings_is_a_duplicate(system: System):
    file = FileInfo(location="/in", name="x.csv", size=1, version="1")
    system.submit(asking("a", file=file))
    system.live()
    system.world.advance(7 * 3600)
    system.submit(asking("b", "daily_orders", file=file))
    system.live()

    assert (names(system, "b")[-1], last(system, "b")["why"]) == ("duplicate", "file")


def test_key_and_object_id_of_one_definition_may_both_be_given(system: System):
    assert system.start(by_object("a", key="daily_orders")).state == "started"


def test_key_and_object_id_of_two_definitions_are_refused(system: System):
    outcome = system.start(by_object("a", key="other"))

    assert (outcome.state, outcome.facts["code"]) == ("rejected", "two_definitions")
    assert "Daily_Orders" in outcome.facts["text"]
    assert system.cloud.performs == []


@pytest.mark.parametrize("asked", [asking("a", "absent"), by_object("a", "00000000-0000-0000-0000-000000000000")])
def test_a_definition_that_does_not_exist_ends_the_request_without_a_lease(system: System, asked: StartRequest):
    outcome = system.start(asked)

    assert (outcome.state, outcome.facts["code"]) == ("rejected", "43010")
    assert names(system, "a") == ["accepted", "rejected"]
    check_finished(system.world, ["a"])


def test_while_the_service_is_down_the_request_waits_in_the_ledger(system: System):
    system.cloud.fail("definition", DOWN, times=3)
    outcome = system.start(asking("a", "DAILY_ORDERS"))

    assert (outcome.event, outcome.state) == ("start_retry_scheduled", "retrying")
    assert names(system, "a") == ["accepted", "retrying"]
    system.live()
    assert names(system, "a")[-1] == "completed"
    assert [event["data"]["attempt"] for event in by_request(system.world.events())["a"]][:4] == [0, 1, 2, 3]


def test_a_request_whose_definition_stays_unreadable_gives_up_at_its_deadline(system: System):
    system.policy = Policy(retry_deadline=3600)
    system.cloud.fail("definition", NotApplied("refused", "connection refused"), times=10**6)
    system.submit(asking("a"))
    system.live()

    assert (names(system, "a")[-1], last(system, "a")["code"]) == ("gave_up", "refused")
    check_finished(system.world, ["a"])


def test_the_pauses_of_a_request_that_waits_for_the_service_grow(system: System):
    system.cloud.fail("definition", DOWN, times=3)
    system.submit(asking("a"))
    system.live()
    pauses = [e["data"]["retry_in"] for e in by_request(system.world.events())["a"] if name_of(e) == "retrying"]

    assert pauses == sorted(set(pauses))
    assert len(pauses) == 3


def test_a_request_that_is_tried_again_keeps_its_definition(system: System):
    system.cloud.fail("start", NotApplied("17", "limited", account_wide=True))
    system.start(asking("a"))

    assert system.start(asking("b")).facts["held_by"] == "a"


def test_a_refusal_to_read_the_definition_rejects_also_after_a_wait(system: System):
    system.cloud.fail("definition", DOWN)
    system.start(asking("a"))
    system.cloud.fail("definition", Rejected("4", "no access"))
    system.live()

    assert names(system, "a") == ["accepted", "retrying", "rejected"]


def test_requests_that_waited_for_the_service_meet_window_and_duplicates(system: System):
    system.cloud.fail("definition", DOWN, times=2)
    system.submit(asking("a"))
    system.submit(asking("b", "DAILY_ORDERS", file=None))
    system.live()

    assert sorted([names(system, "a")[-1], names(system, "b")[-1]]) == ["completed", "duplicate"]
    assert len(system.cloud.performs) == 1


def test_a_resolved_request_is_not_resolved_again(system: System):
    system.start(asking("a"))
    system.start(asking("b"))
    system.cloud.fail("definition", DOWN, times=10**6)
    request = system.world.ledger.load("b")

    assert request is not None
    assert system.start(request).state == "deferred"


def test_a_message_that_comes_again_while_the_service_is_down_goes_by_the_record(system: System):
    system.start(asking("a"))
    system.start(asking("b", "DAILY_ORDERS"))
    system.cloud.fail("definition", DOWN, times=10**6)

    assert system.start(asking("b", "DAILY_ORDERS")).facts["held_by"] == "a"


def test_the_policy_of_a_definition_holds_for_every_spelling(system: System):
    asked = []
    deps = replace(system.deps, policies=lambda mid, key: asked.append((mid, key)) or Policy())
    system.start(asking("a", "DAILY_ORDERS"), deps)

    assert set(asked) == {(MID, "Daily_Orders")}
