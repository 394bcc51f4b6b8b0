"""What follows an attempt: started, in time or late, retrying, in doubt, record_start_unknown, rejected."""

import pytest

from sfmc_import.faults import Rejected
from sfmc_import.states import AlreadyEnded, NotYet, Reconcile, StartNow
from tests.contract.ledger.scenario import BUSY, DOUBT, HOUR, KEY, MID, Scenario, file, request


def test_an_accepted_start_is_reported_with_its_task_and_is_due_for_the_first_look(scenario: Scenario):
    scenario.arrives_and_starts("a", window=1)

    data = scenario.last("a")
    assert scenario.names("a") == ["accepted", "starting", "started"]
    assert (data["task_id"], data["soap_request_id"], data["matched"]) == ("task-a", "soap-task-a", "reply")
    assert data["window_opens"] == "2027-01-15T09:00:00.000Z"
    assert 5 <= scenario.due_in("a") < 7.5
    assert scenario.claim("a") == NotYet(state="started")


def test_a_start_without_a_window_names_none(scenario: Scenario):
    scenario.arrives_and_starts("a")

    assert "window_opens" not in scenario.last("a")


def test_a_start_that_provably_did_not_happen_is_due_again_and_opens_no_window(scenario: Scenario):
    scenario.decide_by(frequency=24)
    scenario.arrives("a")
    assert scenario.ledger.retry(scenario.sends("a"), BUSY, 30) == "retrying"

    assert scenario.names("a")[-1] == "retrying"
    assert (scenario.last("a")["code"], scenario.last("a")["retry_in"]) == ("9", 30)
    assert scenario.due_in("a") == 30
    assert scenario.claim("a") == NotYet(state="retrying", opens_in=30.0)
    scenario.world.advance(30)
    assert scenario.go("a").attempt == 2


def test_a_retrying_request_keeps_its_definition(scenario: Scenario):
    scenario.arrives("a")
    scenario.ledger.retry(scenario.sends("a"), BUSY, 30)
    scenario.arrives("b")

    assert scenario.claim("b") == NotYet(state="deferred", held_by="a")


def test_retrying_ends_when_the_next_try_would_come_after_the_deadline(scenario: Scenario):
    scenario.decide_by(retry_deadline=100)
    scenario.arrives("a")
    scenario.ledger.retry(scenario.sends("a"), BUSY, 60)
    scenario.world.advance(60)
    lease = scenario.go("a")
    scenario.ledger.retry(lease, BUSY, 40)
    scenario.world.advance(40)
    assert scenario.ledger.retry(scenario.go("a"), BUSY, 0.001) == "gave_up"

    assert scenario.names("a")[-1] == "gave_up"
    assert scenario.last("a")["code"] == "9"
    assert scenario.due_in("a") is None


@pytest.mark.parametrize("end", ["gave_up", "rejected"])
def test_what_was_never_started_may_be_announced_again(scenario: Scenario, end: str):
    scenario.accept(request("a", file(), event_id="e1"))
    lease = scenario.sends("a")
    if end == "rejected":
        assert scenario.ledger.reject(lease, Rejected("43010", "not found")) == "rejected"
        assert (scenario.last("a")["code"], scenario.last("a")["text"]) == ("43010", "not found")
    else:
        scenario.ledger.retry(lease, BUSY, 7 * HOUR)
    assert scenario.names("a")[-1] == end
    assert scenario.due_in("a") is None
    scenario.accept(request("b", file(), event_id="e1"))

    assert isinstance(scenario.claim("b"), StartNow)


def test_a_start_in_doubt_is_looked_for_after_a_pause_and_until_a_deadline(scenario: Scenario):
    scenario.decide_by(reconcile_deadline=100)
    scenario.arrives("a")
    scenario.in_doubt("a", known=("t0",))
    assert scenario.names("a")[-1] == "reconciling"
    assert scenario.last("a")["code"] == "read_timeout"
    assert scenario.due_in("a") == 60
    assert scenario.claim("a") == NotYet(state="reconciling")
    scenario.world.advance(60)
    look = scenario.look("a")
    assert (look.known, look.is_last) == ({"t0"}, False)
    assert scenario.ledger.reconcile_later(look.lease, BUSY, 39.999) is True
    assert scenario.due_in("a") == 39.999
    scenario.world.advance(39.999)
    look = scenario.look("a")
    assert look.is_last is False
    scenario.ledger.reconcile_later(look.lease, BUSY, 0.001)
    scenario.world.advance(0.001)

    assert scenario.look("a").is_last is True


def test_a_start_in_doubt_holds_its_definition(scenario: Scenario):
    scenario.arrives("a")
    scenario.in_doubt("a")
    scenario.arrives("b")

    assert scenario.claim("b") == NotYet(state="deferred", held_by="a")


def test_a_run_that_was_found_is_the_start(scenario: Scenario):
    scenario.arrives("a")
    scenario.in_doubt("a")
    scenario.world.advance(60)
    lease = scenario.look("a").lease
    assert scenario.commit(lease, "t9", 2, reconciled=True) is True

    assert scenario.names("a")[-1] == "started"
    assert (scenario.last("a")["task_id"], scenario.last("a")["matched"]) == ("t9", "reconciled")
    assert scenario.due_in("a") == 5
    assert scenario.run("a").task_id == "t9"


def test_a_run_that_another_request_has_is_not_matched(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.ends("a")
    scenario.arrives("b")
    scenario.in_doubt("b")
    scenario.world.advance(60)
    lease = scenario.look("b").lease

    assert scenario.ledger.unassigned_task_ids(MID, ["task-a", "t2"]) == {"t2"}
    assert scenario.commit(lease, "task-a", reconciled=True) is False
    assert scenario.names("b")[-1] == "reconciling"
    assert scenario.commit(lease, "t2", reconciled=True) is True
    assert scenario.ledger.unassigned_task_ids(MID, ["task-a", "t2"]) == frozenset()


def test_a_run_of_a_request_that_redis_lost_is_not_matched_with_another(scenario: Scenario):
    scenario.arrives("b", key="Other")
    scenario.start("b")
    scenario.world.lose("b")
    scenario.arrives("a")
    scenario.in_doubt("a")
    scenario.world.advance(60)

    assert scenario.commit(scenario.look("a").lease, "task-b", reconciled=True) is False


def test_a_match_from_an_old_fence_claims_nothing(scenario: Scenario):
    scenario.arrives("a")
    scenario.in_doubt("a")
    scenario.world.advance(60)
    old = scenario.look("a").lease
    scenario.world.advance(180)
    scenario.look("a")

    assert scenario.commit(old, "t9", reconciled=True) is False
    assert scenario.ledger.unassigned_task_ids(MID, ["t9"]) == {"t9"}


def test_claims_of_one_business_unit_are_not_those_of_another(scenario: Scenario):
    scenario.arrives_and_starts("a")

    assert scenario.ledger.unassigned_task_ids("99", ["task-a"]) == {"task-a"}
    assert scenario.ledger.unassigned_task_ids(MID, []) == frozenset()


def test_a_clock_that_leaps_over_the_time_to_look_leaves_a_second_look_after_the_results_delay(scenario: Scenario):
    scenario.decide_by(reconcile_deadline=900.0)
    scenario.arrives("a")
    scenario.in_doubt("a", results_delay=60)
    scenario.world.advance(3600)
    look = scenario.claim("a", "one")
    assert isinstance(look, Reconcile)
    assert look.is_last is False
    assert scenario.claim("a", "one") == look

    scenario.ledger.reconcile_later(look.lease, BUSY, 1)
    scenario.world.advance(1)
    look = scenario.look("a")
    assert look.is_last is False
    scenario.ledger.reconcile_later(look.lease, BUSY, 59)
    scenario.world.advance(59)
    assert scenario.look("a").is_last is True


def test_a_clock_that_leaps_while_a_worker_is_gone_leaves_a_second_look_too(scenario: Scenario):
    scenario.decide_by(reconcile_deadline=900.0)
    scenario.arrives("a")
    scenario.sends("a")
    scenario.world.advance(180)
    assert isinstance(scenario.claim("a"), NotYet)
    scenario.world.advance(3600)

    assert scenario.look("a").is_last is False


def test_where_there_is_time_for_one_look_alone_that_is_the_last_also_when_a_worker_is_gone(scenario: Scenario):
    scenario.decide_by(reconcile_deadline=60.0)
    scenario.arrives("a")
    scenario.sends("a")
    scenario.world.advance(180)
    assert isinstance(scenario.claim("a"), NotYet)
    scenario.world.advance(60)

    assert scenario.look("a").is_last is True


def test_a_start_that_cannot_be_proved_ends_as_unknown_and_uses_the_window(scenario: Scenario):
    scenario.arrives("a")
    scenario.in_doubt("a")
    scenario.world.advance(60)
    assert scenario.ledger.record_start_unknown(scenario.look("a").lease, ["t1", "t2"], 2) is True

    assert scenario.names("a")[-1] == "start_unknown"
    assert scenario.last("a")["candidates"] == ["t1", "t2"]
    assert scenario.last("a")["window_opens"] == "2027-01-15T10:01:00.000Z"
    assert scenario.due_in("a") is None
    scenario.accept(request("b"))
    assert scenario.claim("b") == AlreadyEnded(state="duplicate", held_by="a", opens_in=2 * HOUR)


def test_an_unknown_start_without_candidates_and_window_names_neither(scenario: Scenario):
    scenario.arrives("a")
    scenario.in_doubt("a")
    scenario.world.advance(60)
    scenario.ledger.record_start_unknown(scenario.look("a").lease, [], 0)

    assert not {"candidates", "window_opens"} & set(scenario.last("a"))


def test_a_start_of_which_nothing_was_found_may_be_repeated_even_after_the_retry_deadline(scenario: Scenario):
    scenario.decide_by(retry_deadline=1)
    scenario.arrives("a")
    scenario.in_doubt("a")
    scenario.world.advance(60)
    assert scenario.ledger.retry(scenario.look("a").lease, BUSY, 10) == "retrying"

    assert scenario.names("a")[-1] == "retrying"
    scenario.world.advance(10)
    assert isinstance(scenario.claim("a"), StartNow)


def test_a_late_task_id_from_an_old_fence_is_the_truth(scenario: Scenario):
    scenario.arrives("a")
    old = scenario.sends("a")
    scenario.world.advance(180)
    scenario.claim("a")

    assert scenario.commit(old, "t1", 1) is True
    assert scenario.names("a")[-1] == "started"
    assert scenario.last("a")["matched"] == "reply"
    assert scenario.claim("a") == NotYet(state="started")


def test_a_late_task_id_stops_the_worker_that_was_about_to_send_again(scenario: Scenario):
    scenario.arrives("a")
    old = scenario.sends("a")
    scenario.world.advance(180)
    scenario.claim("a")
    scenario.world.advance(60)
    scenario.ledger.retry(scenario.look("a").lease, BUSY, 0)
    new = scenario.go("a")
    assert scenario.commit(old, "t1") is True

    assert scenario.ledger.record_intent(new, []) is None
    assert scenario.commit(new, "t2") is False
    assert scenario.run("a").task_id == "t1"
    assert scenario.ledger.unassigned_task_ids(MID, ["t2"]) == frozenset()


def record_start_unknown(scenario: Scenario) -> None:
    scenario.world.advance(60)
    scenario.ledger.record_start_unknown(scenario.look("a").lease, [], 2)


def given_up(scenario: Scenario) -> None:
    scenario.world.advance(60)
    scenario.ledger.retry(scenario.look("a").lease, BUSY, 1)
    scenario.world.advance(1)
    scenario.ledger.retry(scenario.go("a"), BUSY, 7 * HOUR)


@pytest.mark.parametrize("end", [record_start_unknown, given_up])
def test_a_late_task_id_after_the_end_is_still_reported_and_followed(scenario: Scenario, end):
    scenario.accept(request("a", file()))
    lease = scenario.in_doubt("a")
    end(scenario)
    assert scenario.due_in("a") is None

    assert scenario.commit(lease, "t1") is True
    assert scenario.names("a")[-1] == "started"
    assert 5 <= scenario.due_in("a") < 7.5
    assert scenario.run("a").overdue is False
    scenario.ends("a")
    scenario.accept(request("b", file()))
    assert scenario.claim("b") == scenario.claim("b")
    assert scenario.names("b")[-1] == "duplicate"


def test_a_late_task_id_does_not_take_the_definition_from_who_holds_it_now(scenario: Scenario):
    scenario.arrives("a")
    old = scenario.in_doubt("a")
    scenario.world.advance(60)
    scenario.ledger.record_start_unknown(scenario.look("a").lease, [], 0)
    scenario.arrives("b")
    new = scenario.sends("b")

    assert scenario.commit(old, "t1") is True
    assert scenario.ledger.renew_intent(new) is not None
    assert scenario.commit(new, "t2") is True
    scenario.ends("a")
    scenario.arrives("c")
    assert scenario.claim("c") == NotYet(state="deferred", held_by="b")


def test_a_run_that_ends_in_error_after_it_was_unknown_opens_its_window_again(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.in_doubt("a")
    scenario.world.advance(60)
    scenario.ledger.record_start_unknown(scenario.look("a").lease, [], 5)
    scenario.commit(lease, "t1", 5)
    scenario.ends("a", "import_failed")
    scenario.world.advance(scenario.policy.error_pause)
    scenario.accept(request("b"))

    assert isinstance(scenario.claim("b"), StartNow)


def test_a_task_id_for_a_request_that_redis_lost_begins_its_record(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.sends("a")
    scenario.world.lose("a")
    scenario.world.lose_definition(MID, KEY)

    assert scenario.commit(lease, "t1", 1) is True
    assert scenario.names("a")[-2:] == ["accepted", "started"]
    assert scenario.claim("a") == NotYet(state="started")
    assert scenario.commit(lease, "t1", 1) is True
    assert scenario.names("a").count("started") == 1


def test_a_match_for_a_request_that_redis_lost_is_refused(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.in_doubt("a")
    scenario.world.lose("a")

    assert scenario.commit(lease, "t1", reconciled=True) is False


@pytest.mark.parametrize("state", ["accepted", "deferred"])
def test_a_task_id_for_a_request_whose_steps_redis_lost_is_the_truth(scenario: Scenario, state: str):
    if state == "deferred":
        scenario.arrives_and_starts("first")
    recorded = scenario.accept(request("a", file("x.csv"), event_id="e"))
    if state == "deferred":
        scenario.claim("a")
        scenario.ends("first")
    lease = scenario.forgotten_lease(recorded)

    assert scenario.commit(lease, "t1") is True
    assert scenario.names("a")[-1] == "started"
    scenario.ends("a")
    scenario.accept(request("b", file("x.csv")))
    assert scenario.claim("b") == AlreadyEnded(state="duplicate", held_by="a")


def test_a_request_that_was_refused_is_not_started_by_a_late_task_id(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.sends("a")
    scenario.ledger.reject(lease, Rejected("43010", "no"))

    assert scenario.commit(lease, "t1") is False
    assert scenario.names("a")[-1] == "rejected"


def test_steps_that_do_not_fit_the_state_are_refused(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.sends("a")
    assert scenario.ledger.reconcile_later(lease, BUSY, 1) is False
    assert scenario.ledger.record_start_unknown(lease, [], 0) is False
    scenario.ledger.mark_ambiguous(lease, DOUBT, 60, scenario.policy)
    assert scenario.ledger.record_intent(lease, []) is None
    assert scenario.ledger.withdraw_intent(lease) is False
    assert scenario.ledger.reject(lease, Rejected("4", "no")) is None
    scenario.commit(lease, "t")
    assert scenario.ledger.retry(lease, BUSY, 1) is None
    assert scenario.ledger.mark_ambiguous(lease, DOUBT, 1, scenario.policy) is False
    assert scenario.names("a") == ["accepted", "starting", "reconciling", "started"]


def test_after_a_forced_start_the_longer_of_two_windows_counts(scenario: Scenario):
    scenario.arrives_and_starts("a", window=10)
    scenario.ends("a")
    scenario.accept(request("b", force=True))
    scenario.start("b", window=1)
    scenario.ends("b")
    scenario.accept(request("c"))

    assert scenario.claim("c") == AlreadyEnded(state="duplicate", held_by="b", opens_in=10 * HOUR)


def test_a_forced_start_that_fails_gives_the_window_back_to_who_had_it(scenario: Scenario):
    scenario.arrives_and_starts("a", window=10)
    scenario.ends("a")
    scenario.world.advance(HOUR)
    scenario.accept(request("b", force=True))
    scenario.start("b", window=24)
    scenario.ends("b", "import_failed")
    scenario.accept(request("c"))

    assert scenario.claim("c") == AlreadyEnded(state="duplicate", held_by="a", opens_in=9 * HOUR)


def test_a_clock_that_goes_back_neither_loses_nor_starts_a_request(scenario: Scenario):
    scenario.arrives_and_starts("a", window=1)
    scenario.ends("a")
    scenario.arrives("b")
    scenario.claim("b")
    scenario.world.advance(-1800)
    scenario.accept(request("c"))
    assert scenario.claim("c") == AlreadyEnded(state="duplicate", held_by="a", opens_in=HOUR)
    assert scenario.claim("b") == NotYet(state="deferred", held_by="a", opens_in=HOUR)
    scenario.world.advance(HOUR)

    assert isinstance(scenario.claim("b"), StartNow)


def test_a_look_whose_clock_went_back_waits_and_stays_due(scenario: Scenario):
    scenario.arrives("a")
    scenario.in_doubt("a")
    scenario.world.advance(-100)

    assert scenario.claim("a") == NotYet(state="reconciling")
    assert scenario.due_in("a") == 160
    scenario.world.advance(160)
    assert isinstance(scenario.claim("a"), Reconcile)
