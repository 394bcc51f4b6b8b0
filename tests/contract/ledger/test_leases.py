"""Who may act: leases, fences, takeovers, dead workers."""

import pytest

from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.runs import Accepted
from sfmc_import.states import AlreadyEnded, NotYet, Reconcile, StartNow
from tests.contract.ledger.scenario import BUSY, DOUBT, HOUR, KEY, MID, Scenario, request


def test_a_lease_that_ran_out_before_anything_was_sent_goes_to_another_worker_with_a_higher_fence(scenario: Scenario):
    scenario.arrives("a")
    first = scenario.go("a")
    scenario.world.advance(179.999)
    assert scenario.claim("a") == NotYet(state="starting", held_by="a")
    scenario.world.advance(0.001)

    second = scenario.go("a")

    assert second.fence > first.fence
    assert second.attempt == 2
    assert scenario.names("a") == ["accepted", "starting", "starting"]
    assert scenario.due_in("a") == 180


def test_an_attempt_renews_the_lease(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.go("a")
    scenario.world.advance(100)

    assert scenario.ledger.record_intent(lease, []) == 180.0
    scenario.world.advance(100)
    assert scenario.claim("a") == NotYet(state="starting", held_by="a")
    assert scenario.due_in("a") == 80
    assert scenario.ledger.renew_intent(lease) == 180.0
    assert scenario.due_in("a") == 180


def test_every_step_of_an_old_fence_is_refused_and_leaves_nothing(scenario: Scenario):
    scenario.arrives("a")
    old = scenario.go("a")
    scenario.world.advance(180)
    new = scenario.go("a")
    before, due = scenario.world.events(), scenario.world.due()

    assert scenario.ledger.record_intent(old, []) is None
    assert scenario.ledger.renew_intent(old) is None
    assert scenario.ledger.withdraw_intent(old) is False
    assert scenario.ledger.retry(old, BUSY, 1) is None
    assert scenario.ledger.mark_ambiguous(old, DOUBT, 1, scenario.policy) is False
    assert scenario.ledger.reconcile_later(old, BUSY, 1) is False
    assert scenario.ledger.record_start_unknown(old, [], 0) is False
    assert scenario.ledger.reject(old, Rejected("43010", "no")) is None
    assert (scenario.world.events(), scenario.world.due()) == (before, due)
    assert scenario.ledger.record_intent(new, []) == 180.0


def test_a_step_of_an_old_fence_does_not_take_back_the_mark_of_the_new_one(scenario: Scenario):
    scenario.arrives("a")
    old = scenario.go("a")
    scenario.world.advance(180)
    scenario.sends("a")
    scenario.ledger.withdraw_intent(old)
    scenario.world.advance(180)

    assert scenario.claim("a") == NotYet(state="reconciling")


def test_a_lease_that_ran_out_after_sending_leads_to_reconciling_after_the_time_a_row_may_take(scenario: Scenario):
    scenario.arrives("a")
    sent = scenario.sends("a", known=("t1", "t2"))
    scenario.world.advance(180)

    assert scenario.claim("a") == NotYet(state="reconciling")
    assert scenario.names("a") == ["accepted", "starting", "reconciling"]
    assert scenario.last("a")["code"] == "lease_over"
    assert scenario.due_in("a") == 60
    scenario.world.advance(59.999)
    assert scenario.claim("a") == NotYet(state="reconciling")
    scenario.world.advance(0.001)
    look = scenario.look("a")
    assert look.known == {"t1", "t2"}
    assert look.is_last is False
    assert look.lease.fence > sent.fence


def test_after_not_sent_a_lease_that_ran_out_needs_no_reconciling(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.sends("a")
    assert scenario.ledger.withdraw_intent(lease) is True
    scenario.world.advance(180)

    assert isinstance(scenario.claim("a"), StartNow)


def test_a_repeated_attempt_is_in_doubt_again(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.sends("a", known=("t1",))
    scenario.ledger.withdraw_intent(lease)
    scenario.ledger.renew_intent(lease)
    scenario.world.advance(180)
    assert scenario.claim("a") == NotYet(state="reconciling")
    scenario.world.advance(60)

    assert scenario.look("a").known == {"t1"}


def test_a_request_that_killed_three_workers_as_a_suspect_is_set_aside(scenario: Scenario):
    scenario.arrives("a")
    for _ in range(4):
        assert isinstance(scenario.claim("a"), StartNow)
        scenario.world.advance(180)

    assert scenario.claim("a") == AlreadyEnded(state="gave_up")
    assert scenario.names("a") == ["accepted", *["starting"] * 4, "gave_up"]
    assert scenario.last("a")["code"] == "worker_lost"
    assert scenario.due_in("a") is None


def test_a_pause_that_was_recorded_forgives_the_dead_workers(scenario: Scenario):
    scenario.arrives("a")
    for _ in range(3):
        scenario.go("a")
        scenario.world.advance(180)
    scenario.ledger.retry(scenario.go("a"), BUSY, 10)
    for _ in range(4):
        scenario.world.advance(180)
        assert isinstance(scenario.claim("a"), StartNow)


def test_a_request_that_kills_three_workers_as_a_suspect_while_they_look_is_unknown(scenario: Scenario):
    scenario.decide_by(frequency_floor=2)
    scenario.arrives("a")
    scenario.in_doubt("a")
    scenario.world.advance(60)
    for _ in range(4):
        assert isinstance(scenario.claim("a"), Reconcile)
        scenario.world.advance(180)

    assert scenario.claim("a") == AlreadyEnded(state="start_unknown")
    assert scenario.last("a")["code"] == "worker_lost"
    assert scenario.due_in("a") is None
    scenario.accept(request("b"))
    assert scenario.claim("b") == AlreadyEnded(state="duplicate", held_by="a", opens_in=2 * HOUR)


def test_a_start_whose_workers_die_while_they_look_uses_the_window_that_its_intent_names(scenario: Scenario):
    scenario.arrives("a")
    scenario.in_doubt("a", window=2)
    scenario.world.advance(60)
    for _ in range(4):
        assert isinstance(scenario.claim("a"), Reconcile)
        scenario.world.advance(180)
    assert scenario.claim("a") == AlreadyEnded(state="start_unknown")

    scenario.accept(request("b"))
    assert scenario.claim("b") == AlreadyEnded(state="duplicate", held_by="a", opens_in=2 * HOUR)


def test_a_look_that_was_recorded_forgives_the_dead_workers(scenario: Scenario):
    scenario.arrives("a")
    scenario.in_doubt("a")
    scenario.world.advance(60)
    for _ in range(3):
        scenario.look("a")
        scenario.world.advance(180)
    scenario.ledger.reconcile_later(scenario.look("a").lease, BUSY, 10)
    scenario.world.advance(10)
    for _ in range(4):
        assert isinstance(scenario.claim("a"), Reconcile)
        scenario.world.advance(180)


def test_a_look_takes_the_lease_and_only_one_worker_has_it(scenario: Scenario):
    scenario.arrives("a")
    scenario.in_doubt("a")
    scenario.world.advance(60)
    look = scenario.look("a")

    assert scenario.claim("a") == NotYet(state="reconciling")
    assert scenario.due_in("a") == 180
    scenario.world.advance(180)
    assert scenario.look("a").lease.fence > look.lease.fence


def test_a_crash_blocks_the_definition_for_the_lease_and_not_for_the_window(scenario: Scenario):
    scenario.decide_by(frequency=24)
    scenario.arrives("a")
    scenario.go("a")
    scenario.arrives("b")
    scenario.claim("b")
    scenario.world.advance(180)
    scenario.ledger.reject(scenario.go("a"), Rejected("43010", "no"))

    assert isinstance(scenario.claim("b"), StartNow)


def test_fences_grow_over_requests(scenario: Scenario):
    fences = []
    for name in "abc":
        fences.append(scenario.arrives_and_starts(name).fence)
        scenario.ends(name)

    assert fences == sorted(set(fences))


@pytest.mark.parametrize("is_renewed", [False, True])
def test_a_loss_of_writes_after_the_claim_lets_nothing_be_sent_before_another_claim(
    scenario: Scenario, is_renewed: bool
):
    scenario.arrives("a")
    lease = scenario.go("a")
    if is_renewed:
        assert isinstance(scenario.ledger.record_intent(lease, []), float)
    scenario.world.advance(1)
    scenario.ledger.write_probe("worker", 2)
    answer = scenario.ledger.renew_intent(lease) if is_renewed else scenario.ledger.record_intent(lease, [])
    assert isinstance(answer, NotApplied)
    assert (answer.code, answer.account_wide) == ("writes_lost", True)
    scenario.ledger.retry(lease, answer, 5)
    scenario.world.advance(5)

    again = scenario.claim("a")
    assert isinstance(again, StartNow)
    assert again.loss_age == 5
    assert isinstance(scenario.ledger.record_intent(again.lease, []), float)
    # The record of the loss is over, and with it what the next claim knows of it.
    scenario.ledger.retry(again.lease, BUSY, 3600)
    scenario.world.advance(3600)
    assert isinstance(scenario.ledger.record_intent(scenario.go("a"), []), float)


@pytest.mark.parametrize("seconds", [-7200, 0])
def test_a_loss_is_noticed_by_a_claim_also_where_the_clock_of_the_new_server_is_behind(
    scenario: Scenario, seconds: float
):
    scenario.arrives("a")
    lease = scenario.go("a")
    scenario.world.advance(seconds)
    scenario.ledger.write_probe("worker", 2)

    assert isinstance(scenario.ledger.record_intent(lease, []), NotApplied)


def test_a_clock_that_goes_back_after_a_loss_holds_no_start(scenario: Scenario):
    scenario.arrives("a")
    scenario.ledger.write_probe("worker", 2)
    scenario.world.advance(-600)

    assert isinstance(scenario.ledger.record_intent(scenario.go("a"), []), float)


def test_a_claim_that_redis_has_lost_gives_its_token_to_no_later_one(scenario: Scenario):
    scenario.arrives("a")
    before = {key: scenario.world.client.dump(key) for key in scenario.world.client.scan_iter("*")}
    lost = scenario.go("a")
    scenario.world.client.flushdb()
    for key, text in before.items():
        scenario.world.client.restore(key, 0, text)
    scenario.world.advance(1)
    new = scenario.go("a")

    assert scenario.ledger.record_intent(lost, []) is None
    assert isinstance(scenario.ledger.record_intent(new, []), float)


def test_a_lost_record_of_the_definition_does_not_bring_an_old_fence_back(scenario: Scenario):
    scenario.arrives("a")
    scenario.go("a")
    scenario.world.advance(180)
    old = scenario.go("a")
    scenario.world.lose_definition(MID, KEY)
    new = scenario.go("a")

    assert new.fence > old.fence
    assert scenario.ledger.record_intent(old, []) is None
    assert scenario.ledger.record_intent(new, []) is not None


@pytest.mark.parametrize("state", ["starting", "retrying", "reconciling"])
def test_a_lost_record_of_the_definition_never_lets_two_requests_act(scenario: Scenario, state: str):
    scenario.arrives("a")
    if state == "starting":
        scenario.go("a")
    elif state == "retrying":
        scenario.ledger.retry(scenario.go("a"), BUSY, 1)
    else:
        scenario.in_doubt("a", results_delay=1)
    scenario.world.lose_definition(MID, KEY)
    scenario.arrives("b")
    lease = scenario.go("b")
    scenario.world.advance(1)

    assert scenario.claim("a") == NotYet(state=state, held_by="b")
    assert scenario.due_in("a") == 600
    assert scenario.ledger.record_intent(lease, []) is not None


def test_a_lost_record_of_the_definition_does_not_stop_the_reconciliation(scenario: Scenario):
    scenario.arrives("a")
    scenario.in_doubt("a")
    scenario.world.lose_definition(MID, KEY)
    scenario.world.advance(60)

    assert isinstance(scenario.claim("a"), Reconcile)


def test_a_worker_whose_lease_ended_silently_may_go_on_while_no_one_took_over(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.sends("a")
    scenario.world.advance(1000)

    assert scenario.ledger.started(lease, Accepted(task_id="t"), 0, scenario.policy) is True
