"""A start that was repeated without proof that the first was not applied: every end without a run says unknown."""

import pytest

from sfmc_import.faults import Ambiguous, Rejected
from sfmc_import.states import AlreadyEnded
from tests.contract.ledger.scenario import BUSY, HOUR, Scenario, file, request

DENIED = Ambiguous("77777", "what is this", denied=True)
NO = Rejected("43010", "no")


def repeated(scenario: Scenario) -> None:
    """The first attempt is in doubt, no run was found, and the policy allowed to send another."""
    scenario.arrives("a")
    scenario.in_doubt("a", window=2)
    scenario.world.advance(60)
    assert scenario.ledger.retry(scenario.look("a").lease, BUSY, 1) == "retrying"
    scenario.world.advance(1)


def refused(scenario: Scenario) -> str | None:
    return scenario.ledger.reject(scenario.go("a"), NO)


def given_up(scenario: Scenario) -> str | None:
    return scenario.ledger.retry(scenario.go("a"), BUSY, 7 * HOUR)


@pytest.mark.parametrize("end", [refused, given_up])
def test_an_end_without_a_run_is_unknown_and_uses_the_window(scenario: Scenario, end):
    repeated(scenario)
    assert end(scenario) == "start_unknown"

    assert scenario.names("a")[-1] == "start_unknown"
    assert scenario.last("a")["code"] in {NO.code, BUSY.code}
    assert "window_opens" in scenario.last("a")
    assert scenario.due_in("a") is None


@pytest.mark.parametrize("end", [refused, given_up])
def test_the_same_end_asked_for_again_answers_the_same_without_an_event(scenario: Scenario, end):
    repeated(scenario)
    lease = scenario.sends("a")
    again = {
        refused: lambda: scenario.ledger.reject(lease, NO),
        given_up: lambda: scenario.ledger.retry(lease, BUSY, 7 * HOUR),
    }[end]
    assert again() == "start_unknown"
    names = scenario.names("a")

    assert again() == "start_unknown"
    assert scenario.names("a") == names


def test_its_file_stays_handled(scenario: Scenario):
    repeated(scenario)
    refused(scenario)
    scenario.accept(request("b", file("a.csv", version="a")))

    assert scenario.claim("b") == AlreadyEnded(state="duplicate", held_by="a", opens_in=2 * HOUR)


def test_workers_that_die_with_the_repeated_start_do_not_make_it_certain(scenario: Scenario):
    repeated(scenario)
    for _ in range(5):
        scenario.claim("a")
        scenario.world.advance(180)
    scenario.claim("a")

    assert scenario.names("a")[-1] == "start_unknown"


def test_a_start_that_was_denied_is_no_doubt(scenario: Scenario):
    scenario.arrives("a")
    scenario.ledger.mark_ambiguous(scenario.sends("a"), DENIED, 60, scenario.policy)
    scenario.world.advance(60)
    scenario.ledger.retry(scenario.look("a").lease, BUSY, 1)
    scenario.world.advance(1)

    assert refused(scenario) == "rejected"
