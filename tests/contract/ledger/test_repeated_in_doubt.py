"""A start that was repeated without proof that the first was not applied: every end without a run says unknown."""

from typing import Any

import pytest

from sfmc_import.faults import Ambiguous, NotApplied, Rejected
from sfmc_import.states import AlreadyEnded, Intent, NotYet, Reconcile, StartNow
from tests.contract.ledger.scenario import BUSY, HOUR, Scenario, file, request
from tests.support.ledger_world import START_MS

DENIED = Ambiguous("77777", "what is this", denied=True)
NO = Rejected("43010", "no")
NEAR_MIDNIGHT = NotApplied("near_midnight", "wait")


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


HTTP_DENIED = Ambiguous("http_denied", "HTTP 409", denied=True)


def denied_by_http(scenario: Scenario) -> None:
    scenario.arrives("a")
    scenario.ledger.mark_ambiguous(scenario.sends("a", ("1",), window=2), HTTP_DENIED, 60, scenario.policy)
    scenario.world.advance(60)
    scenario.ledger.retry(scenario.look("a").lease, BUSY, 1)
    scenario.world.advance(1)


@pytest.mark.parametrize("end", [refused, given_up])
def test_what_a_server_between_denied_is_a_doubt(scenario: Scenario, end):
    denied_by_http(scenario)

    assert end(scenario) == "start_unknown"


def test_what_a_server_between_denied_does_not_expire_as_not_started(scenario: Scenario):
    scenario.arrives("a", expires=scenario.world.now_ms() / 1000 + 61)
    scenario.ledger.mark_ambiguous(scenario.sends("a"), HTTP_DENIED, 60, scenario.policy)
    scenario.world.advance(60)
    scenario.ledger.retry(scenario.look("a").lease, BUSY, 1)
    scenario.world.advance(1)

    assert scenario.claim("a") == AlreadyEnded(state="start_unknown")


@pytest.mark.parametrize("come_to", [repeated, denied_by_http])
def test_the_next_attempt_knows_the_intent_of_the_first_and_keeps_it(scenario: Scenario, come_to):
    come_to(scenario)
    decision = scenario.claim("a", "me")
    known = decision.earlier.known
    scenario.ledger.record_intent(decision.lease, ["1", "2", "3"])
    scenario.ledger.mark_ambiguous(decision.lease, HTTP_DENIED, 60, scenario.policy)
    scenario.world.advance(60)

    assert scenario.look("a").known == known
    assert known == (frozenset({"1"}) if come_to is denied_by_http else frozenset())


def test_a_first_attempt_has_no_earlier_intent(scenario: Scenario):
    scenario.arrives("a")
    assert scenario.claim("a").earlier is None


def test_an_intent_that_was_withdrawn_with_proof_is_not_kept(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.sends("a", ("1",))
    scenario.ledger.withdraw_intent(lease)
    scenario.ledger.retry(lease, BUSY, 1)
    scenario.world.advance(1)

    assert scenario.claim("a").earlier is None


def test_an_intent_that_was_withdrawn_without_proof_stays(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.sends("a", ("1",))
    scenario.ledger.withdraw_intent(lease, unproved=True)
    scenario.ledger.retry(lease, BUSY, 1)
    scenario.world.advance(1)

    assert scenario.claim("a").earlier == Intent(known=frozenset({"1"}), intended_at=START_MS / 1000)


BAD_REQUEST = Rejected("http_400", "HTTP 400")
REFUSED_BY_HTTP = NotApplied("http_refused", "HTTP 403", account_wide=True)


def answered_without_proof(scenario: Scenario, **more: Any) -> None:
    scenario.arrives("a", **more)
    lease = scenario.sends("a", ("1",))
    scenario.ledger.withdraw_intent(lease, unproved=True)
    assert scenario.ledger.retry(lease, REFUSED_BY_HTTP, 1) == "retrying"
    scenario.world.advance(1)


def expired(scenario: Scenario) -> str:
    scenario.world.advance(9)
    assert scenario.claim("a") == NotYet(state="reconciling")
    return "reconciling"


def rejected_by_http(scenario: Scenario) -> str | None:
    return scenario.ledger.reject(scenario.sends("a"), BAD_REQUEST)


ENDS = {refused: "rejected", given_up: "gave_up", expired: "expired"}


def in_seconds(scenario: Scenario, seconds: float) -> float:
    return scenario.world.now_ms() / 1000 + seconds


def last_look(scenario: Scenario) -> Reconcile:
    """A clock that leaps brings the first look early: the last one comes the results delay after it, not before."""
    first = scenario.look("a")
    scenario.ledger.reconcile_later(first.lease, BUSY, 59)
    scenario.world.advance(59)
    second = scenario.look("a")
    scenario.ledger.reconcile_later(second.lease, BUSY, 1)
    scenario.world.advance(1)
    third = scenario.look("a")
    assert [look.is_last for look in (first, second, third)] == [False, False, True]
    return third


@pytest.mark.parametrize("end", ENDS)
def test_a_clock_that_leaps_leaves_looks_before_an_end_after_the_results_delay(scenario: Scenario, end):
    answered_without_proof(scenario, expires=in_seconds(scenario, 10))
    end(scenario)
    scenario.world.advance(HOUR)

    assert last_look(scenario)


@pytest.mark.parametrize("end", ENDS)
def test_before_a_request_ends_after_an_answer_without_proof_its_run_is_looked_for(scenario: Scenario, end):
    answered_without_proof(scenario, expires=in_seconds(scenario, 10))
    assert end(scenario) == "reconciling"
    assert scenario.due_in("a") == 60
    assert scenario.claim("a") == NotYet(state="reconciling")
    scenario.world.advance(60)

    decision = last_look(scenario)
    assert (decision.known, decision.denied is None) == (frozenset({"1"}), False)
    assert scenario.commit(decision.lease, "2", reconciled=True)


@pytest.mark.parametrize("end", ENDS)
def test_a_request_without_a_run_then_ends_as_it_would_have(scenario: Scenario, end):
    state = ENDS[end]
    answered_without_proof(scenario, expires=in_seconds(scenario, 10))
    end(scenario)
    scenario.world.advance(60)
    lease = scenario.look("a").lease

    assert scenario.ledger.retry(lease, BUSY, 30) == state
    assert scenario.ledger.retry(lease, BUSY, 30) == state
    assert scenario.names("a")[-2:] == ["reconciling", state]
    assert scenario.last("a").get("code") == {"rejected": "43010", "gave_up": "9", "expired": "http_refused"}[state]
    assert ("expires" in scenario.last("a")) == (state == "expired")
    assert scenario.due_in("a") is None


def test_the_looks_before_an_end_have_their_own_time_also_where_an_earlier_one_had_a_deadline(scenario: Scenario):
    scenario.arrives("a")
    scenario.ledger.mark_ambiguous(scenario.sends("a"), DENIED, 7 * HOUR, scenario.policy)
    scenario.world.advance(7 * HOUR)
    scenario.ledger.reconcile_later(scenario.look("a").lease, REFUSED_BY_HTTP, HOUR)
    scenario.world.advance(HOUR)
    scenario.ledger.retry(scenario.look("a").lease, BUSY, 1)
    scenario.world.advance(1)
    assert rejected_by_http(scenario) == "reconciling"
    scenario.world.advance(60)

    assert last_look(scenario)


def test_the_looks_before_an_end_have_their_own_time_also_where_the_clock_went_back_to_before_an_earlier_one(
    scenario: Scenario,
):
    scenario.arrives("a")
    scenario.ledger.mark_ambiguous(scenario.sends("a"), DENIED, 60, scenario.policy)
    scenario.world.advance(60)
    scenario.ledger.retry(scenario.look("a").lease, BUSY, 1)
    scenario.world.advance(1)
    lease = scenario.sends("a")
    scenario.world.advance(-600)
    scenario.ledger.withdraw_intent(lease, unproved=True)
    assert scenario.ledger.reject(lease, BAD_REQUEST) == "reconciling"
    scenario.world.advance(60)

    assert last_look(scenario)


def test_an_intent_without_a_list_stays_too(scenario: Scenario):
    scenario.arrives("first")
    scenario.start("first", task="5")
    scenario.ends("first")
    scenario.arrives("a")
    lease = scenario.go("a")
    scenario.ledger.record_intent(lease, (), above=True)
    scenario.ledger.retry(lease, REFUSED_BY_HTTP, 1)
    scenario.world.advance(1)

    assert scenario.claim("a").earlier == Intent(known=frozenset(), above="5", intended_at=START_MS / 1000)


def test_an_intent_that_did_not_ask_for_all_stays_too(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.go("a")
    scenario.ledger.record_intent(lease, ("9",), bound="5")
    scenario.ledger.retry(lease, REFUSED_BY_HTTP, 1)
    scenario.world.advance(1)
    wanted = Intent(known=frozenset({"9"}), bound="5", intended_at=START_MS / 1000)
    decision = scenario.claim("a")
    assert isinstance(decision, StartNow)
    assert decision.earlier == wanted
    scenario.ledger.record_intent(decision.lease, ("9", "11"), bound="8")
    scenario.ledger.retry(decision.lease, REFUSED_BY_HTTP, 1)
    scenario.world.advance(1)

    assert scenario.claim("a").earlier == wanted


def test_a_doubted_start_is_looked_for_too_before_it_ends_as_unknown(scenario: Scenario):
    denied_by_http(scenario)
    lease = scenario.sends("a")
    scenario.ledger.withdraw_intent(lease, unproved=True)
    assert scenario.ledger.reject(lease, NO) == "reconciling"
    scenario.world.advance(60)

    assert scenario.ledger.retry(scenario.look("a").lease, BUSY, 30) == "start_unknown"


def test_a_refusal_by_http_alone_is_looked_for_before_it_rejects(scenario: Scenario):
    scenario.arrives("a")
    assert rejected_by_http(scenario) == "reconciling"
    scenario.world.advance(60)

    assert scenario.ledger.retry(scenario.look("a").lease, BUSY, 30) == "rejected"


@pytest.mark.parametrize("end", [refused, given_up, rejected_by_http])
def test_an_end_that_waits_for_a_look_is_the_same_when_it_is_asked_for_again(scenario: Scenario, end):
    answered_without_proof(scenario)
    lease = scenario.sends("a")
    again = {
        refused: lambda: scenario.ledger.reject(lease, NO),
        given_up: lambda: scenario.ledger.retry(lease, BUSY, 7 * HOUR),
        rejected_by_http: lambda: scenario.ledger.reject(lease, BAD_REQUEST),
    }[end]

    assert [again(), again()] == ["reconciling", "reconciling"]
    assert scenario.names("a").count("reconciling") == 1


def test_workers_that_die_after_an_answer_without_proof_leave_a_look(scenario: Scenario):
    answered_without_proof(scenario)
    for _ in range(5):
        scenario.claim("a")
        scenario.world.advance(180)

    assert scenario.names("a")[-1] == "reconciling"


def test_after_a_look_the_next_end_needs_no_other(scenario: Scenario):
    answered_without_proof(scenario)
    scenario.ledger.mark_ambiguous(scenario.sends("a"), DENIED, 60, scenario.policy)
    scenario.world.advance(60)
    scenario.ledger.retry(scenario.look("a").lease, BUSY, 1)
    scenario.world.advance(1)

    assert given_up(scenario) == "gave_up"


def test_an_answer_to_a_query_says_nothing_of_a_start(scenario: Scenario):
    scenario.arrives("a")
    scenario.ledger.retry(scenario.go("a"), REFUSED_BY_HTTP, 1)
    scenario.world.advance(1)

    assert scenario.claim("a").earlier is None


def test_an_answer_without_proof_counts_also_where_its_mark_was_not_written(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.sends("a", ("1",))
    scenario.ledger.retry(lease, REFUSED_BY_HTTP, 1)
    scenario.world.advance(1)

    assert scenario.claim("a").earlier == Intent(known=frozenset({"1"}), intended_at=START_MS / 1000)


@pytest.mark.parametrize("come_to", [repeated, denied_by_http])
def test_a_request_whose_run_may_come_to_light_keeps_its_definition(scenario: Scenario, come_to):
    come_to(scenario)
    scenario.ledger.retry(scenario.go("a"), NEAR_MIDNIGHT, 600, let_go=True)
    scenario.arrives("b")

    assert scenario.claim("b") == NotYet(state="deferred", held_by="a")


def test_the_run_of_another_request_is_not_taken_from_a_reply(scenario: Scenario):
    scenario.arrives_and_starts("b", key="Other")
    scenario.arrives("a")
    lease = scenario.sends("a")

    assert not scenario.commit(lease, "task-b")
    assert scenario.ledger.mark_ambiguous(lease, DENIED, 60, scenario.policy)
    assert scenario.run("b").task_id == "task-b"
