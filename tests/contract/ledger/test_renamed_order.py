"""Order between definitions while their CustomerKeys change: which run counts, what it wakes, which policy holds."""

from dataclasses import replace

import pytest

from sfmc_import.faults import NotApplied
from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.policy import Policy
from sfmc_import.runs import Run
from sfmc_import.states import NotYet, StartNow
from tests.contract.ledger.scenario import MID, Scenario
from tests.contract.ledger.test_renamed import NEW, OLD, comes, read, starts


def waits_for(scenario: Scenario, key: str) -> None:
    scenario.policy = Policy(after=(key,), frequency=0.0)
    comes(scenario, "after", "Later", object_id="object-3")
    assert not isinstance(scenario.claim("after"), StartNow)
    assert scenario.due_in("after") != 0


def test_a_run_counts_under_the_key_that_its_definition_got_meanwhile(scenario: Scenario):
    scenario.world.advance(1)
    starts(scenario, "a", OLD)
    waits_for(scenario, NEW)
    scenario.ends("a", result=Run(task_id="task-a", customer_key=NEW, status="Completed"))

    assert scenario.due_in("after") == 0
    assert isinstance(scenario.claim("after"), StartNow)


def test_none_waits_for_a_run_of_its_own_definition_that_has_another_key_now(scenario: Scenario):
    starts(scenario, "a", OLD)
    scenario.ends("a")
    scenario.world.advance(1)
    scenario.policy = Policy(after=(OLD,), frequency=0.0)

    assert isinstance(comes(scenario, "b", NEW), StartNow)


def test_who_waits_under_a_key_since_before_the_ledger_knew_whose_it_is_is_woken(scenario: Scenario):
    starts(scenario, "a", OLD)
    scenario.ends("a")
    waits_for(scenario, NEW)
    scenario.decide_by(frequency=0.0)
    starts(scenario, "b", NEW)
    scenario.policy = Policy(after=(NEW,), frequency=0.0)
    scenario.ends("b", result=Run(task_id="task-b", customer_key=NEW, status="Completed"))

    assert scenario.due_in("after") == 0
    assert isinstance(scenario.claim("after"), StartNow)


@pytest.mark.parametrize("shown", [OLD, OLD.upper(), None])
def test_a_run_that_is_shown_under_the_first_key_names_no_other(scenario: Scenario, shown: str | None):
    starts(scenario, "a", OLD)
    scenario.ends("a", result=Run(task_id="task-a", customer_key=shown or "", status="Completed"))

    assert not [*scenario.world.client.scan_iter("*:renamed:*")]


def asks_for_the_new_key(scenario: Scenario, after: tuple[str, ...], **more):
    decision = comes(scenario, "a", OLD, **more)
    assert isinstance(decision, StartNow)
    renamed = replace(decision.lease, customer_key=NEW)
    return renamed, scenario.ledger.record_intent(renamed, (), window=0, policy=Policy(after=after))


def test_a_request_waits_for_what_the_policy_of_its_new_key_asks_for(scenario: Scenario):
    scenario.decide_by(frequency=0.0)
    lease, refused = asks_for_the_new_key(scenario, ("Contacts",))
    assert isinstance(refused, NotApplied)
    assert (refused.code, "Contacts" in refused.text) == ("after", True)
    scenario.ledger.retry(lease, refused, 1, let_go=True)
    scenario.world.advance(1)
    scenario.policy = Policy(after=("Contacts",), frequency=0.0)
    for _ in range(2):
        assert isinstance(scenario.claim("a"), NotYet)

    record = scenario.world.record("a")
    assert (record["wait"], record["wait_by"], record["key"], record["home"]) == ("after", "Contacts", NEW, OLD)
    assert record["asked"] == OLD
    assert "retry_until" not in record


@pytest.mark.parametrize("more", [{"force": True, "reason": "urgent"}, {}])
def test_a_forced_start_and_one_that_waits_for_nothing_go_on_under_the_new_key(scenario: Scenario, more: dict):
    scenario.decide_by(frequency=0.0)
    _, answer = asks_for_the_new_key(scenario, ("Contacts",) if more else (), **more)

    assert isinstance(answer, float)


def test_an_order_under_the_same_key_is_not_asked_again(scenario: Scenario):
    decision = comes(scenario, "a", OLD)
    assert isinstance(decision, StartNow)

    assert isinstance(scenario.ledger.record_intent(decision.lease, (), policy=Policy(after=("Contacts",))), float)


def test_an_attempt_whose_earlier_one_may_have_been_applied_is_not_held_by_the_order(scenario: Scenario):
    decision = comes(scenario, "a", OLD)
    assert isinstance(decision, StartNow)
    assert isinstance(scenario.ledger.record_intent(decision.lease, ()), float)
    scenario.ledger.withdraw_intent(decision.lease, unproved=True)
    renamed = replace(decision.lease, customer_key=NEW)

    assert isinstance(scenario.ledger.record_intent(renamed, (), policy=Policy(after=("Contacts",))), float)


def test_a_definition_that_gets_its_first_key_back_during_its_run_has_no_other_name(scenario: Scenario):
    starts(scenario, "a", OLD)
    scenario.ends("a")
    scenario.decide_by(frequency=0.0)
    starts(scenario, "b", NEW)
    scenario.ends("b", result=Run(task_id="task-b", customer_key=OLD, status="Completed"))

    assert len([*scenario.world.client.scan_iter("*:renamed:*")]) == 1


def test_the_third_name_of_a_definition_leads_to_its_first(scenario: Scenario):
    starts(scenario, "a", OLD)
    scenario.ends("a")
    scenario.decide_by(frequency=0.0)
    starts(scenario, "b", NEW)
    scenario.ends("b", result=Run(task_id="task-b", customer_key="Daily 2028", status="Completed"))

    assert LedgerReader(scenario.world.client, scenario.ledger.keys).home(MID, "Daily 2028") == OLD


def test_a_key_that_a_definition_had_between_leads_to_it_no_more(scenario: Scenario):
    """It has its first key again, and another definition takes the one that it had meanwhile."""
    scenario.decide_by(frequency=0.0)
    for request_id, key in (("a", OLD), ("b", NEW), ("c", OLD)):
        starts(scenario, request_id, key)
        scenario.ends(request_id)
    waits_for(scenario, NEW)
    scenario.decide_by(after=())
    starts(scenario, "d", OLD)
    scenario.ends("d")
    scenario.decide_by(after=(NEW,))

    assert not isinstance(scenario.claim("after"), StartNow)


def test_a_start_under_the_first_key_ends_what_was_noted_of_another(scenario: Scenario):
    """The worker resolved the request by a reading of before; right before Perform it read anew."""
    scenario.decide_by(frequency=0.0)
    starts(scenario, "a", OLD)
    scenario.ends("a", result=Run(task_id="task-a", customer_key=NEW, status="Completed"))
    asked = scenario.arrives("b", key=OLD)
    scenario.world.advance(1)
    decision = scenario.ledger.claim(asked, "owner", scenario.policy, read(OLD), 60.0)
    assert isinstance(decision, StartNow)
    waits_for(scenario, NEW)
    scenario.ledger.record_intent(decision.lease, (), window=0)
    scenario.commit(decision.lease, "task-b", 0)
    scenario.decide_by(after=(), frequency=0.0)
    scenario.ends("b")
    scenario.decide_by(after=(NEW,))

    assert not isinstance(scenario.claim("after"), StartNow)


def test_a_reading_from_before_a_request_says_not_which_key_its_definition_has(scenario: Scenario):
    scenario.decide_by(frequency=0.0)
    lease, _ = asks_for_the_new_key(scenario, ())
    scenario.commit(lease, "task-a")
    waits_for(scenario, NEW)
    scenario.decide_by(after=())
    asked = scenario.arrives("b", key=OLD)
    assert isinstance(scenario.ledger.claim(asked, "owner", scenario.policy, read(OLD), 60.0), NotYet)
    scenario.ends("a")
    scenario.decide_by(after=(NEW,))

    assert isinstance(scenario.claim("after"), StartNow)


def test_a_definition_that_is_known_only_by_another_key_is_forgotten_in_time(scenario: Scenario):
    scenario.decide_by(after=("Contacts",))
    for request_id, key in (("a", OLD), ("b", NEW)):
        assert not isinstance(comes(scenario, request_id, key), StartNow)

    assert scenario.world.endless_keys() == []
