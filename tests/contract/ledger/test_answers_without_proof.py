"""What hits the whole account ends no single request; what Marketing Cloud denies is looked up once, then repeated."""

from dataclasses import replace

import pytest

from sfmc_import.faults import Ambiguous, NotApplied
from sfmc_import.states import Reconcile, StartNow
from tests.contract.ledger.scenario import BUSY, DOUBT, Scenario

THROTTLED = NotApplied("17", "too many calls", account_wide=True)
DENIED = Ambiguous("77777", "what is this", denied=True)


def test_a_request_outlives_its_retry_deadline_while_the_whole_account_is_refused(scenario: Scenario):
    scenario.decide_by(retry_deadline=100)
    scenario.arrives("a")
    for _ in range(4):
        assert scenario.ledger.retry(scenario.sends("a"), THROTTLED, 60) == "retrying"
        scenario.world.advance(60)

    assert scenario.ledger.retry(scenario.sends("a"), THROTTLED, 7200) == "retrying"


@pytest.mark.parametrize("fault", [THROTTLED, BUSY])
def test_a_definition_that_cannot_be_read_for_the_whole_account_ends_no_request(scenario: Scenario, fault: NotApplied):
    scenario.decide_by(retry_deadline=100)
    recorded = scenario.arrives("a")
    for attempt in range(2):
        again = replace(recorded, attempt=attempt)
        assert scenario.ledger.unresolved(again, fault, 60, scenario.policy) == (
            "retrying" if fault.account_wide or not attempt else "gave_up"
        )
        scenario.world.advance(60)
    if fault.account_wide:
        assert scenario.ledger.unresolved(replace(recorded, attempt=2), BUSY, 100, scenario.policy) == "retrying"
        scenario.world.advance(100)
        assert scenario.ledger.unresolved(replace(recorded, attempt=3), BUSY, 1, scenario.policy) == "gave_up"


def test_attempts_and_pauses_of_the_whole_account_do_not_count_against_the_deadline(scenario: Scenario):
    scenario.decide_by(retry_deadline=100)
    scenario.arrives("a")
    lease = scenario.sends("a")
    scenario.world.advance(30)
    scenario.ledger.retry(lease, THROTTLED, 60)
    scenario.world.advance(60)

    assert scenario.ledger.retry(scenario.sends("a"), BUSY, 100) == "retrying"
    scenario.world.advance(100)
    assert scenario.ledger.retry(scenario.sends("a"), BUSY, 0.001) == "gave_up"


@pytest.mark.parametrize("fault", [THROTTLED, BUSY])
def test_the_search_for_a_run_goes_on_by_the_time_in_which_the_account_was_refused(
    scenario: Scenario, fault: NotApplied
):
    scenario.decide_by(reconcile_deadline=100)
    scenario.arrives("a")
    scenario.in_doubt("a")
    scenario.world.advance(60)
    look = scenario.look("a")
    for _ in range(2):  # the second is the same call again
        assert scenario.ledger.reconcile_later(look.lease, fault, 50) is True
    scenario.world.advance(50)
    look = scenario.look("a")

    assert look.is_last is not fault.account_wide
    scenario.ledger.reconcile_later(look.lease, BUSY, 40)
    scenario.world.advance(40)
    assert scenario.look("a").is_last


def test_a_denied_start_is_looked_for_once_and_its_next_attempt_knows_the_code(scenario: Scenario):
    scenario.decide_by(reconcile_deadline=900)
    scenario.arrives("a")
    scenario.ledger.mark_ambiguous(scenario.sends("a"), DENIED, 60, scenario.policy)
    scenario.world.advance(60)
    look = scenario.look("a")

    assert (look.denied, look.is_last) == ("77777", True)
    scenario.ledger.retry(look.lease, BUSY, 10)
    scenario.world.advance(10)
    decision = scenario.claim("a")
    assert isinstance(decision, StartNow)
    assert decision.denied == "77777"


def test_a_later_doubt_takes_the_place_of_what_was_denied(scenario: Scenario):
    scenario.arrives("a")
    scenario.ledger.mark_ambiguous(scenario.sends("a"), DENIED, 60, scenario.policy)
    scenario.world.advance(60)
    scenario.ledger.retry(scenario.look("a").lease, BUSY, 0)
    scenario.ledger.mark_ambiguous(scenario.sends("a"), DOUBT, 60, scenario.policy)
    scenario.world.advance(60)

    look = scenario.look("a")
    assert (look.denied, look.is_last) == (None, False)


def test_what_an_earlier_attempt_was_denied_says_nothing_about_one_whose_worker_is_gone(scenario: Scenario):
    scenario.arrives("a")
    scenario.ledger.mark_ambiguous(scenario.sends("a"), DENIED, 60, scenario.policy)
    scenario.world.advance(60)
    scenario.ledger.retry(scenario.look("a").lease, BUSY, 0)
    scenario.sends("a")
    scenario.world.advance(180)
    scenario.claim("a")
    scenario.world.advance(60)

    look = scenario.claim("a")
    assert isinstance(look, Reconcile)
    assert (look.denied, look.is_last) == (None, False)
