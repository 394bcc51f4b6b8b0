"""Places of groups while the CustomerKey of a definition changes: those of the key that it has at its start count."""

from dataclasses import replace

import pytest

from sfmc_import.faults import NotApplied
from sfmc_import.ledger.key_kinds import PLACES
from sfmc_import.policy import Policy
from sfmc_import.states import Lease, NotYet, StartNow
from tests.contract.ledger.scenario import Scenario
from tests.contract.ledger.test_renamed import NEW, OLD, comes, read

FREE = Policy(frequency=0.0)
NIGHTLY = Policy(group="nightly", group_limit=1, frequency=0.0)
DAILY = Policy(group="daily", group_limit=1, max_running=5, frequency=0.0)
FULL = NotApplied("running_limit", "as many imports of the group nightly run as may: 1", account_wide=True)


def members(scenario: Scenario, group: str) -> list[str]:
    key = scenario.ledger.keys.name_of(PLACES, group)
    return sorted(name.decode() for name in scenario.world.client.zrange(key, 0, -1))


def decided(scenario: Scenario, name: str, policy: Policy) -> Lease:
    """The lease of a start, decided by the policy of the old key, as it is sent under the new one."""
    scenario.policy = policy
    decision = comes(scenario, name, OLD)
    assert isinstance(decision, StartNow)
    return replace(decision.lease, customer_key=NEW)


def intends(scenario: Scenario, lease: Lease, policy: Policy) -> float | NotApplied | None:
    return scenario.ledger.record_intent(lease, (), window=0, policy=policy)


def runs_elsewhere(scenario: Scenario, name: str, policy: Policy) -> None:
    scenario.policy = policy
    decision = comes(scenario, name, f"key-{name}", object_id=f"object-{name}")
    assert isinstance(decision, StartNow)
    assert isinstance(scenario.ledger.record_intent(decision.lease, (), window=0), float)
    assert scenario.commit(decision.lease, f"task-{name}")


def test_a_start_under_a_key_of_a_full_group_waits_for_its_place(scenario: Scenario):
    runs_elsewhere(scenario, "x", NIGHTLY)
    lease = decided(scenario, "a", FREE)

    assert intends(scenario, lease, NIGHTLY) == FULL
    assert scenario.ledger.retry(lease, FULL, 5, let_go=True) == "retrying"
    scenario.world.advance(5)
    scenario.policy = NIGHTLY
    for _ in range(2):
        assert isinstance(again(scenario), NotYet)
    assert members(scenario, "nightly") == ["x"]
    scenario.ends("x")
    assert scenario.due_in("a") == 0
    assert isinstance(again(scenario), StartNow)
    assert members(scenario, "nightly") == ["a"]


def again(scenario: Scenario):
    asked = scenario.ledger.load("a")
    assert asked is not None
    assert asked.customer_key == NEW
    return scenario.ledger.claim(asked, "owner-again", scenario.policy, read(NEW))


def test_a_start_under_another_key_takes_a_place_of_its_group(scenario: Scenario):
    assert isinstance(intends(scenario, decided(scenario, "a", FREE), NIGHTLY), float)

    assert members(scenario, "nightly") == ["a"]


def test_a_start_under_a_key_of_no_group_gives_its_place_to_the_one_that_waits(scenario: Scenario):
    lease = decided(scenario, "a", NIGHTLY)
    for _ in range(2):
        assert isinstance(comes(scenario, "y", "key-y", object_id="object-y"), NotYet)

    assert isinstance(intends(scenario, lease, FREE), float)
    assert members(scenario, "nightly") == ["y"]
    assert scenario.due_in("y") == 0
    assert "places" not in scenario.world.record("a")


def test_places_of_groups_that_it_is_still_of_are_kept(scenario: Scenario):
    lease = decided(scenario, "a", replace(DAILY, group="nightly"))

    assert isinstance(intends(scenario, lease, DAILY), float)
    assert [members(scenario, group) for group in ("*", "daily", "nightly")] == [["a"], ["a"], []]
    assert set(scenario.world.record("a")["places"].split()) == {"*", "daily"}


def test_two_groups_that_it_keeps_stay_both_and_let_no_other_in(scenario: Scenario):
    policy = replace(DAILY, max_running=1)
    lease = decided(scenario, "a", policy)
    for _ in range(2):
        assert isinstance(comes(scenario, "y", "key-y", object_id="object-y"), NotYet)

    assert isinstance(intends(scenario, lease, policy), float)
    assert [members(scenario, group) for group in ("*", "daily")] == [["a"], ["a"]]
    assert scenario.due_in("y") > 0
    assert set(scenario.world.record("a")["places"].split()) == {"*", "daily"}
    scenario.commit(lease, "task-a")
    scenario.ends("a")
    assert [members(scenario, group) for group in ("*", "daily")] == [["y"], []]


@pytest.mark.parametrize("policy", [NIGHTLY, FREE])
def test_an_attempt_after_one_without_proof_keeps_the_places_that_its_run_may_need(scenario: Scenario, policy: Policy):
    lease = decided(scenario, "a", replace(NIGHTLY, group="weekly"))
    assert isinstance(scenario.ledger.record_intent(replace(lease, customer_key=OLD), (), window=0), float)
    assert scenario.ledger.withdraw_intent(lease, unproved=True)

    assert isinstance(intends(scenario, lease, policy), float)
    assert members(scenario, "weekly") == ["a"]
