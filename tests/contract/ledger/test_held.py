"""Only the owner itself learns what it holds of a request that it cannot go on with."""

from sfmc_import.states import Held
from tests.contract.ledger.scenario import DOUBT, HOUR, Scenario


def test_an_attempt_is_held_by_its_owner_with_its_lease(scenario: Scenario) -> None:
    scenario.arrives("a")
    decision = scenario.claim("a", "w")

    held = scenario.ledger.held("a", "w")

    assert held == Held(attempt=1, lease=decision.lease)
    assert scenario.ledger.held("a", "other") is None


def test_a_start_that_may_have_been_sent_is_in_doubt_until_it_is_withdrawn(scenario: Scenario) -> None:
    scenario.arrives("a")
    lease = scenario.claim("a", "w").lease
    scenario.ledger.record_intent(lease, ())
    assert scenario.ledger.held("a", "w") == Held(attempt=1, lease=lease, is_in_doubt=True)

    scenario.ledger.withdraw_intent(lease)

    assert scenario.ledger.held("a", "w") == Held(attempt=1, lease=lease)


def test_a_look_is_held_and_is_the_last_when_its_time_is_over(scenario: Scenario) -> None:
    scenario.arrives("a")
    scenario.in_doubt("a")
    scenario.world.advance(60)
    first = scenario.claim("a", "w").lease
    assert scenario.ledger.held("a", "w") == Held(attempt=1, lease=first, is_in_doubt=True, looks=True)

    scenario.ledger.reconcile_later(first, DOUBT, 10)
    assert scenario.ledger.held("a", "w") is None
    scenario.world.advance(HOUR)
    last = scenario.claim("a", "w").lease

    assert scenario.ledger.held("a", "w") == Held(attempt=1, lease=last, is_in_doubt=True, looks=True, is_last=True)


def test_a_request_whose_definition_is_read_is_held_by_who_reads_it(scenario: Scenario) -> None:
    asked = scenario.arrives("a")
    assert scenario.ledger.held("a", "w") == Held(attempt=0)
    scenario.ledger.hold(asked, "w")

    assert scenario.ledger.held("a", "w") == Held(attempt=0)
    assert scenario.ledger.held("a", "other") is None
    scenario.world.advance(HOUR)
    assert scenario.ledger.held("a", "other") == Held(attempt=0)


def test_nothing_is_held_of_what_waits_runs_has_ended_or_is_not_known(scenario: Scenario) -> None:
    scenario.arrives("runs")
    lease = scenario.claim("runs", "w").lease
    scenario.ledger.record_intent(lease, ())
    scenario.commit(lease, "1")
    scenario.arrives("waits")
    scenario.claim("waits", "w")

    assert [scenario.ledger.held(name, "w") for name in ("runs", "waits", "unknown")] == [None, None, None]
