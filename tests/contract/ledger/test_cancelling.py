"""A request is cancelled by an operator: only before its start, with one end, and its file starts nothing later."""

import pytest

from sfmc_import.states import AlreadyEnded, StartNow
from tests.contract.ledger.scenario import BUSY, Scenario, file, request


def cancel(scenario: Scenario, request_id: str) -> str | None:
    return scenario.ledger.cancel(request_id, "ann", "wrong file")


def accepted(scenario: Scenario) -> None:
    scenario.arrives("a")


def deferred(scenario: Scenario) -> None:
    scenario.arrives_and_starts("first")
    scenario.arrives("a")
    scenario.claim("a")


def retrying(scenario: Scenario) -> None:
    scenario.arrives("a")
    scenario.ledger.retry(scenario.go("a"), BUSY, 60.0)


@pytest.mark.parametrize("come_to", [accepted, deferred, retrying])
def test_what_waits_for_its_start_is_cancelled_with_who_and_why(scenario: Scenario, come_to):
    come_to(scenario)

    assert cancel(scenario, "a") == "cancelled"
    last = scenario.events("a")[-1]
    assert (last["type"], last["data"]["operator"], last["data"]["reason"]) == (
        "sfmc.import.cancelled",
        "ann",
        "wrong file",
    )
    assert scenario.due_in("a") is None
    assert scenario.claim("a") == AlreadyEnded(state="cancelled")


def test_a_second_cancel_is_no_second_event(scenario: Scenario):
    scenario.arrives("a")

    assert [cancel(scenario, "a"), cancel(scenario, "a")] == ["cancelled", "cancelled"]
    assert scenario.names("a") == ["accepted", "cancelled"]


def test_what_is_sent_or_runs_is_not_cancelled(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.sends("a")
    assert cancel(scenario, "a") == "starting"
    scenario.commit(lease, "t1")
    assert cancel(scenario, "a") == "started"
    assert scenario.names("a") == ["accepted", "starting", "started"]


def test_a_start_in_doubt_is_not_cancelled(scenario: Scenario):
    scenario.arrives("a")
    scenario.in_doubt("a")

    assert cancel(scenario, "a") == "reconciling"


def test_a_repeated_start_in_doubt_ends_as_unknown(scenario: Scenario):
    scenario.arrives("a")
    scenario.in_doubt("a")
    scenario.world.advance(60)
    scenario.ledger.retry(scenario.look("a").lease, BUSY, 60.0)

    assert cancel(scenario, "a") == "start_unknown"


def test_the_next_follow_up_of_the_definition_goes_on(scenario: Scenario):
    retrying(scenario)
    scenario.arrives("b")
    scenario.claim("b")

    cancel(scenario, "a")

    assert scenario.due_in("b") == 0
    assert isinstance(scenario.claim("b"), StartNow)


def test_the_same_file_announced_again_starts_nothing(scenario: Scenario):
    scenario.accept(request("a", file("daily.csv")))
    cancel(scenario, "a")
    scenario.accept(request("again", file("daily.csv")))

    assert scenario.claim("again") == AlreadyEnded(state="duplicate", held_by="a")


def test_a_denied_start_whose_run_may_come_to_light_ends_as_unknown(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.sends("a")
    scenario.ledger.withdraw_intent(lease, unproved=True)
    scenario.ledger.retry(lease, BUSY, 60.0)

    assert cancel(scenario, "a") == "start_unknown"


def test_an_unknown_request_is_not_cancelled(scenario: Scenario):
    assert cancel(scenario, "nothing") is None
    assert scenario.world.record("nothing") == {}
