"""Readings of a definition that were asked for before a request came: nothing is compared with them, nothing ends."""

import pytest

from sfmc_import.faults import Rejected
from sfmc_import.runs import Definition
from sfmc_import.states import AlreadyEnded, Decision, FirstRead, NotYet, ReadFirst, StartNow
from tests.contract.ledger.scenario import BUSY, KEY, Scenario, request

READ = Definition(customer_key=KEY, update_type="Overwrite", max_import_frequency=1)
LATER = Definition(customer_key=KEY, update_type="AddAndUpdate")
FIRST, FIRST_LATER = FirstRead(update_type="Overwrite"), FirstRead(update_type="AddAndUpdate")


def claim(scenario: Scenario, request_id: str, read_ago: float) -> StartNow | NotYet:
    scenario.owners += 1
    given, owner = scenario.requests[request_id], f"owner-{scenario.owners}"
    decision = scenario.ledger.claim(given, owner, scenario.policy, READ, read_ago)
    assert isinstance(decision, (StartNow, NotYet))
    return decision


@pytest.mark.parametrize(
    "case",
    [(0, 0.0, FIRST), (0, 0.001, FIRST), (0, 0.002, None), (0, 300.0, None), (60, 60.0, FIRST), (60, 60.1, None)],
)
def test_a_request_is_compared_with_what_was_asked_for_after_it_came(
    scenario: Scenario, case: tuple[float, float, FirstRead | None]
):
    waited, read_ago, first = case
    scenario.arrives("a")
    scenario.world.advance(waited)
    decision = claim(scenario, "a", read_ago)

    assert isinstance(decision, StartNow)
    assert (decision.first, decision.read_before) == (first, first is None)


def wait_in_the_window(scenario: Scenario, read_ago: float) -> NotYet:
    scenario.arrives_and_starts("a", window=1)
    scenario.ends("a")
    scenario.arrives("b")
    decision = claim(scenario, "b", read_ago)
    assert isinstance(decision, NotYet)
    return decision


def first_of(scenario: Scenario, request_id: str) -> FirstRead | None:
    scenario.world.advance(3600)
    decision = scenario.claim(request_id)
    assert isinstance(decision, StartNow)
    return decision.first


def test_a_request_that_waits_is_marked_if_its_definition_was_read_before_it(scenario: Scenario):
    assert wait_in_the_window(scenario, 5.0).read_before


def test_a_request_that_waits_with_a_later_reading_is_not_marked(scenario: Scenario):
    assert not wait_in_the_window(scenario, 0.0).read_before
    assert not scenario.ledger.read_again("b", LATER, 0.0)
    assert first_of(scenario, "b") == FIRST


def test_a_later_reading_takes_the_place_of_one_from_before_the_request_once(scenario: Scenario):
    wait_in_the_window(scenario, 5.0)
    scenario.world.advance(1)

    assert scenario.ledger.read_again("b", LATER, 1.0)
    assert not scenario.ledger.read_again("b", READ, 0.5)
    assert first_of(scenario, "b") == FIRST_LATER


def test_a_reading_from_before_the_request_takes_no_ones_place(scenario: Scenario):
    wait_in_the_window(scenario, 5.0)

    assert not scenario.ledger.read_again("b", LATER, 2.0)
    assert first_of(scenario, "b") is None


def test_a_request_that_is_tried_again_may_be_read_again(scenario: Scenario):
    scenario.arrives("a")
    decision = claim(scenario, "a", 5.0)
    assert isinstance(decision, StartNow)
    scenario.ledger.retry(decision.lease, BUSY, 30)

    assert scenario.ledger.read_again("a", LATER, 0.0)
    scenario.world.advance(30)
    assert first_of(scenario, "a") == FIRST_LATER


@pytest.mark.parametrize("end", ["ended", "unknown"])
def test_nothing_is_noted_with_a_request_that_has_ended_or_is_gone(scenario: Scenario, end: str):
    if end == "ended":
        scenario.arrives("a")
        decision = claim(scenario, "a", 5.0)
        assert isinstance(decision, StartNow)
        scenario.ledger.reject(decision.lease, Rejected("43060", "no"))

    assert not scenario.ledger.read_again("a", LATER, 0.0)
    assert "definition" not in scenario.world.record("a")


def test_what_was_refused_before_a_request_came_is_asked_for_again(scenario: Scenario):
    scenario.arrives("a")
    refused = Rejected("43010", "none")
    given = request("a", scenario.requests["a"].file)

    assert scenario.ledger.unresolved(given, refused, 3.5, scenario.policy, 0.5) == "retrying"
    assert scenario.due_in("a") == 3.5
    scenario.world.advance(3.5)
    again = request("a", scenario.requests["a"].file, attempt=1)
    assert scenario.ledger.unresolved(again, refused, 3.5, scenario.policy, 3.4) == "rejected"
    assert scenario.names("a") == ["accepted", "retrying", "rejected"]


def comes_with_a_reading(
    scenario: Scenario, request_id: str, read_ago: float, *, waited: float = 0.0, **more
) -> Decision:
    """A request is decided by a reading of then; one of the last 10 s is new enough to end it."""
    asked = scenario.arrives(request_id, **more)
    scenario.world.advance(waited)
    return scenario.ledger.claim(asked, f"owner-{request_id}", scenario.policy, READ, read_ago, 10.0)


@pytest.mark.parametrize("case", [(0, 9.0, "deferred"), (60, 30.0, "deferred"), (60, 75.0, None), (0, 11.0, None)])
def test_only_a_new_reading_or_one_after_the_request_lets_it_wait_behind_another(
    scenario: Scenario, case: tuple[float, float, str | None]
):
    waited, read_ago, state = case
    scenario.arrives_and_starts("a")
    decision = comes_with_a_reading(scenario, "b", read_ago, waited=waited)

    assert isinstance(decision, ReadFirst) if state is None else isinstance(decision, NotYet)
    assert scenario.names("b")[-1] == (state or "accepted")


def test_a_request_whose_reading_is_too_old_is_resolved_by_the_next_one(scenario: Scenario):
    scenario.arrives_and_starts("a")
    assert comes_with_a_reading(scenario, "b", 11.0) == ReadFirst()
    other = Definition(customer_key="Other", object_id="object-2", max_import_frequency=1)

    decision = scenario.ledger.claim(scenario.requests["b"], "owner-b", scenario.policy, other, 0.0)
    assert isinstance(decision, StartNow)
    assert (decision.lease.customer_key, decision.read_before) == ("Other", False)


def test_a_start_needs_no_new_reading(scenario: Scenario):
    assert isinstance(comes_with_a_reading(scenario, "a", 300.0), StartNow)


def test_a_duplicate_by_an_old_reading_is_none_yet(scenario: Scenario):
    scenario.arrives_and_starts("a", name="same.csv", window=3600)
    other = comes_with_a_reading(scenario, "b", 11.0, name="same.csv")
    assert other == ReadFirst()
    decision = scenario.ledger.claim(scenario.requests["b"], "owner", scenario.policy, READ, 11.0)
    assert isinstance(decision, (NotYet, AlreadyEnded))


def test_a_postponed_request_whose_reading_is_too_old_stays_postponed(scenario: Scenario):
    asked = scenario.arrives("b")
    scenario.ledger.unresolved(asked, BUSY, 1.0, scenario.policy)
    scenario.arrives_and_starts("a")
    scenario.world.advance(2)
    decision = scenario.ledger.claim(asked, "owner-b", scenario.policy, READ, 13.0, 10.0)
    assert decision == ReadFirst()
    decision = scenario.ledger.claim(asked, "owner-b", scenario.policy, READ, 0.0, 10.0)

    assert isinstance(decision, NotYet)
    assert scenario.names("b")[-1] == "deferred"
