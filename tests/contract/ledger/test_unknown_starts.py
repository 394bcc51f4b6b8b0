"""A start whose run is not known: who is in doubt later learns until when it may have been sent."""

import pytest

from sfmc_import.faults import Ambiguous, NotApplied, Rejected
from sfmc_import.states import StartNow
from tests.contract.ledger.scenario import BUSY, HOUR, Scenario
from tests.support.ledger_world import START_MS

START = START_MS / 1000
REFUSED_BY_HTTP = NotApplied("http_429", "slow down")
BAD_REQUEST = Rejected("http_400", "not now")
DENIED = Ambiguous("77777", "what is this", denied=True)
NOTHING_FOUND = NotApplied("nothing_started", "no run has appeared")


def answered_without_proof(scenario: Scenario, request_id: str = "a") -> None:
    scenario.arrives(request_id)
    lease = scenario.sends(request_id)
    scenario.world.advance(5)
    scenario.ledger.withdraw_intent(lease, unproved=True)
    scenario.ledger.retry(lease, REFUSED_BY_HTTP, 60.0)


def cancelled(scenario: Scenario) -> float:
    answered_without_proof(scenario)
    scenario.world.advance(20)
    assert scenario.ledger.cancel("a", "ann", "wrong file") == "start_unknown"
    return 5


def never_found(scenario: Scenario, request_id: str = "a") -> float:
    scenario.arrives(request_id, force=True)
    lease = scenario.sends(request_id)
    scenario.world.advance(5)
    scenario.ledger.mark_ambiguous(lease, BUSY, 60, scenario.policy)
    scenario.world.advance(2 * HOUR)
    assert scenario.ledger.record_start_unknown(scenario.look(request_id).lease, (), 0.0)
    return 5


def left_by_its_worker(scenario: Scenario) -> float:
    scenario.arrives("a")
    scenario.sends("a")
    scenario.world.advance(180)
    scenario.claim("a")
    scenario.world.advance(2 * HOUR)
    assert scenario.ledger.record_start_unknown(scenario.look("a").lease, (), 0.0)
    return 180


def left_by_too_many_workers(scenario: Scenario) -> float:
    scenario.arrives("a")
    scenario.sends("a")
    for _ in range(6):
        scenario.world.advance(180)
        scenario.claim("a")
    assert scenario.names("a")[-1] == "start_unknown"
    return 180


def repeated_and_refused(scenario: Scenario) -> float:
    scenario.arrives("a")
    scenario.in_doubt("a")
    scenario.world.advance(60)
    scenario.ledger.retry(scenario.look("a").lease, BUSY, 1)
    scenario.world.advance(1)
    assert scenario.ledger.reject(scenario.sends("a"), Rejected("43010", "no")) == "start_unknown"
    return 0


def denied_and_refused(scenario: Scenario) -> float:
    scenario.arrives("a")
    scenario.ledger.mark_ambiguous(scenario.sends("a"), DENIED, 60, scenario.policy)
    scenario.world.advance(60)
    scenario.ledger.retry(scenario.look("a").lease, NOTHING_FOUND, 1)
    scenario.world.advance(1)
    assert scenario.ledger.reject(scenario.sends("a"), Rejected("43010", "no")) == "rejected"
    return 0


def given_up_after_its_look(scenario: Scenario) -> float:
    scenario.decide_by(retry_deadline=30)
    scenario.arrives("a")
    lease = scenario.sends("a")
    scenario.world.advance(5)
    assert scenario.ledger.retry(lease, REFUSED_BY_HTTP, 60.0) == "reconciling"
    return ends_without_a_run(scenario, "gave_up")


def rejected_after_its_look(scenario: Scenario) -> float:
    scenario.arrives("a")
    lease = scenario.sends("a")
    scenario.world.advance(5)
    assert scenario.ledger.reject(lease, BAD_REQUEST) == "reconciling"
    return ends_without_a_run(scenario, "rejected")


def expired_after_its_look(scenario: Scenario) -> float:
    scenario.arrives("a", expires=START + 30)
    lease = scenario.sends("a")
    scenario.world.advance(5)
    scenario.ledger.retry(lease, REFUSED_BY_HTTP, 60.0)
    scenario.world.advance(60)
    scenario.claim("a")
    return ends_without_a_run(scenario, "expired")


def denied_twice(scenario: Scenario) -> float:
    scenario.arrives("a")
    scenario.ledger.mark_ambiguous(scenario.sends("a"), DENIED, 60, scenario.policy)
    scenario.world.advance(60)
    scenario.ledger.retry(scenario.look("a").lease, NOTHING_FOUND, 1)
    scenario.world.advance(1)
    assert scenario.ledger.reject(scenario.sends("a"), Rejected(DENIED.code, DENIED.text)) == "rejected"
    return 61


def ends_without_a_run(scenario: Scenario, state: str) -> float:
    scenario.world.advance(60)
    assert scenario.ledger.retry(scenario.look("a").lease, NOTHING_FOUND, 1) == state
    return 5


ENDS = [
    *(cancelled, never_found, left_by_its_worker, left_by_too_many_workers, repeated_and_refused),
    *(given_up_after_its_look, rejected_after_its_look, expired_after_its_look, denied_twice),
    denied_and_refused,
]


def looks_later(scenario: Scenario, request_id: str = "b") -> float | None:
    """Seconds from the beginning until when a run may belong to another start; as a request in doubt learns it."""
    scenario.arrives(request_id, force=True)
    scenario.in_doubt(request_id)
    scenario.world.advance(60)
    return until(scenario.look(request_id).unknown_until)


def looks_again(scenario: Scenario) -> float | None:
    scenario.world.advance(180)
    return until(scenario.look("b").unknown_until)


def until(moment: float | None) -> float | None:
    return None if moment is None else moment - START


@pytest.mark.parametrize("end", ENDS)
def test_a_later_start_in_doubt_learns_when_one_without_a_known_run_may_have_been_sent_last(scenario: Scenario, end):
    last = end(scenario)

    assert looks_later(scenario) == last


def test_a_start_learns_nothing_where_no_other_one_is_unknown(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.ends("a")

    assert looks_later(scenario) is None


def test_an_attempt_after_an_answer_without_proof_learns_it_too(scenario: Scenario):
    never_found(scenario)
    answered_without_proof(scenario, "b")
    scenario.world.advance(60)
    decision = scenario.claim("b")

    assert isinstance(decision, StartNow)
    assert decision.earlier is not None
    assert until(decision.earlier.unknown_until) == 5


@pytest.mark.parametrize("task", ["t1", None])
def test_an_operator_who_says_what_became_of_it_ends_that(scenario: Scenario, task: str | None):
    cancelled(scenario)
    assert looks_later(scenario) == 5
    assert scenario.ledger.resolve("a", task, "ann", None, scenario.policy) == 1

    assert looks_again(scenario) is None


def test_a_task_id_that_comes_late_ends_that(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.in_doubt("a")
    scenario.world.advance(2 * HOUR)
    scenario.ledger.record_start_unknown(scenario.look("a").lease, (), 0.0)
    assert looks_later(scenario) == 0
    assert scenario.commit(lease, "t1")

    assert looks_again(scenario) is None


def test_of_several_unknown_starts_the_last_one_counts_that_is_not_resolved(scenario: Scenario):
    never_found(scenario)
    never_found(scenario, "later")
    assert looks_later(scenario) == 2 * HOUR + 10
    scenario.ledger.resolve("later", None, "ann", None, scenario.policy)
    assert looks_again(scenario) == 5
    scenario.ledger.resolve("a", None, "ann", None, scenario.policy)

    assert looks_again(scenario) is None


def test_a_clock_that_went_back_hides_no_unknown_start(scenario: Scenario):
    scenario.world.advance(2 * HOUR)
    never_found(scenario)
    scenario.world.advance(-3 * HOUR)
    never_found(scenario, "later")

    assert looks_later(scenario) == 2 * HOUR + 5


@pytest.mark.parametrize("fault", [BUSY, REFUSED_BY_HTTP])
def test_an_end_for_which_nothing_was_sent_or_which_is_proved_not_applied_is_of_no_concern(scenario, fault):
    scenario.decide_by(retry_deadline=30)
    scenario.arrives("a")
    lease = scenario.go("a") if fault is REFUSED_BY_HTTP else scenario.sends("a")
    assert scenario.ledger.retry(lease, fault, 60.0) == "gave_up"

    assert looks_later(scenario) is None


def test_a_task_id_that_comes_after_the_request_was_given_up_ends_that(scenario: Scenario):
    scenario.decide_by(retry_deadline=30)
    scenario.arrives("a")
    lease = scenario.sends("a")
    assert scenario.ledger.retry(lease, REFUSED_BY_HTTP, 60.0) == "reconciling"
    assert ends_without_a_run(scenario, "gave_up")
    assert looks_later(scenario) == 0
    assert scenario.commit(lease, "t1")

    assert looks_again(scenario) is None


@pytest.mark.parametrize("before", [(), ("older",)])
def test_ten_are_kept_apart_and_of_more_the_newest_time_counts(scenario: Scenario, before: tuple[str, ...]):
    for name in before:
        never_found(scenario, name)
    scenario.world.advance((24 - 2 * len(before)) * HOUR - 5 * len(before))
    never_found(scenario, "ahead")
    scenario.world.advance(-26 * HOUR)
    for n in range(11):
        never_found(scenario, f"later-{n}")
    for n in range(1, 11):
        scenario.ledger.resolve(f"later-{n}", None, "ann", None, scenario.policy)
    assert looks_later(scenario) == 24 * HOUR + 5
    scenario.ledger.resolve("ahead", None, "ann", None, scenario.policy)

    assert looks_again(scenario) == 24 * HOUR + 5


def test_the_tenth_before_is_still_one_by_itself(scenario: Scenario):
    for n in range(10):
        never_found(scenario, f"one-{n}")
    for n in range(10):
        scenario.ledger.resolve(f"one-{n}", None, "ann", None, scenario.policy)

    assert looks_later(scenario) is None


def test_who_sent_nothing_and_looked_for_what_redis_forgot_left_no_run(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.go("a")
    assert scenario.ledger.record_intent(lease, (), is_sent=False) is not None
    scenario.ledger.mark_ambiguous(lease, BUSY, 60, scenario.policy)
    scenario.world.advance(2 * HOUR)
    assert scenario.ledger.record_start_unknown(scenario.look("a").lease, ("5",), 0.0)

    assert looks_later(scenario) is None
