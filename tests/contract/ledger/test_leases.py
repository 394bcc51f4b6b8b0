"""Who may act: leases, fences, takeovers, dead workers."""

import pytest

from tests.contract.ledger.story import BUSY, DOUBT, HOUR, KEY, MID, Story, request
from worker.domain.decisions import Ended, Go, Reconcile, Wait
from worker.domain.faults import Rejected
from worker.domain.runs import Accepted


def test_a_lease_that_ran_out_before_anything_was_sent_goes_to_another_worker_with_a_higher_fence(story: Story):
    story.arrives("a")
    first = story.go("a")
    story.world.advance(179.999)
    assert story.take("a") == Wait(state="starting", held_by="a")
    story.world.advance(0.001)

    second = story.go("a")

    assert (second.fence, second.attempt) == (first.fence + 1, 2)
    assert story.names("a") == ["accepted", "starting", "starting"]
    assert story.due_in("a") == 180


def test_an_attempt_renews_the_lease(story: Story):
    story.arrives("a")
    grant = story.go("a")
    story.world.advance(100)

    assert story.ledger.intend(grant, []) == 180.0
    story.world.advance(100)
    assert story.take("a") == Wait(state="starting", held_by="a")
    assert story.due_in("a") == 80
    assert story.ledger.sending(grant) == 180.0
    assert story.due_in("a") == 180


def test_every_step_of_an_old_fence_is_refused_and_leaves_nothing(story: Story):
    story.arrives("a")
    old = story.go("a")
    story.world.advance(180)
    new = story.go("a")
    before, due = story.world.events(), story.world.due()

    assert story.ledger.intend(old, []) is None
    assert story.ledger.sending(old) is None
    assert story.ledger.not_sent(old) is False
    assert story.ledger.retry(old, BUSY, 1) is None
    assert story.ledger.doubt(old, DOUBT, 1, story.policy) is False
    assert story.ledger.look_again(old, 1) is False
    assert story.ledger.unknown(old, [], 0) is False
    assert story.ledger.reject(old, Rejected("43010", "no")) is False
    assert (story.world.events(), story.world.due()) == (before, due)
    assert story.ledger.intend(new, []) == 180.0


def test_a_step_of_an_old_fence_does_not_take_back_the_mark_of_the_new_one(story: Story):
    story.arrives("a")
    old = story.go("a")
    story.world.advance(180)
    story.sends("a")
    story.ledger.not_sent(old)
    story.world.advance(180)

    assert story.take("a") == Wait(state="reconciling")


def test_a_lease_that_ran_out_after_sending_leads_to_reconciling_after_the_time_a_row_may_take(story: Story):
    story.arrives("a")
    story.sends("a", known=("t1", "t2"))
    story.world.advance(180)

    assert story.take("a") == Wait(state="reconciling")
    assert story.names("a") == ["accepted", "starting", "reconciling"]
    assert story.last("a")["code"] == "lease_over"
    assert story.due_in("a") == 60
    story.world.advance(59.999)
    assert story.take("a") == Wait(state="reconciling")
    story.world.advance(0.001)
    look = story.look("a")
    assert look.known == {"t1", "t2"}
    assert look.late is False
    assert look.grant.fence == 2


def test_after_not_sent_a_lease_that_ran_out_needs_no_reconciling(story: Story):
    story.arrives("a")
    grant = story.sends("a")
    assert story.ledger.not_sent(grant) is True
    story.world.advance(180)

    assert isinstance(story.take("a"), Go)


def test_a_repeated_attempt_is_in_doubt_again(story: Story):
    story.arrives("a")
    grant = story.sends("a", known=("t1",))
    story.ledger.not_sent(grant)
    story.ledger.sending(grant)
    story.world.advance(180)
    assert story.take("a") == Wait(state="reconciling")
    story.world.advance(60)

    assert story.look("a").known == {"t1"}


def test_a_request_that_killed_three_workers_is_set_aside(story: Story):
    story.arrives("a")
    for _ in range(3):
        assert isinstance(story.take("a"), Go)
        story.world.advance(180)

    assert story.take("a") == Ended(state="gave_up")
    assert story.names("a") == ["accepted", "starting", "starting", "starting", "gave_up"]
    assert story.last("a")["code"] == "worker_lost"
    assert story.due_in("a") is None


def test_a_pause_that_was_recorded_forgives_the_dead_workers(story: Story):
    story.arrives("a")
    for _ in range(2):
        story.go("a")
        story.world.advance(180)
    story.ledger.retry(story.go("a"), BUSY, 10)
    for _ in range(3):
        story.world.advance(180)
        assert isinstance(story.take("a"), Go)


def test_a_request_that_kills_three_workers_while_they_look_is_unknown(story: Story):
    story.decide_by(frequency_floor=2)
    story.arrives("a")
    story.in_doubt("a")
    story.world.advance(60)
    for _ in range(3):
        assert isinstance(story.take("a"), Reconcile)
        story.world.advance(180)

    assert story.take("a") == Ended(state="start_unknown")
    assert story.last("a")["code"] == "worker_lost"
    assert story.due_in("a") is None
    story.accept(request("b"))
    assert story.take("b") == Ended(state="duplicate", held_by="a", opens_in=2 * HOUR)


def test_a_look_that_was_recorded_forgives_the_dead_workers(story: Story):
    story.arrives("a")
    story.in_doubt("a")
    story.world.advance(60)
    for _ in range(2):
        story.look("a")
        story.world.advance(180)
    story.ledger.look_again(story.look("a").grant, 10)
    story.world.advance(10)
    for _ in range(3):
        assert isinstance(story.take("a"), Reconcile)
        story.world.advance(180)


def test_a_look_takes_the_lease_and_only_one_worker_has_it(story: Story):
    story.arrives("a")
    story.in_doubt("a")
    story.world.advance(60)
    look = story.look("a")

    assert story.take("a") == Wait(state="reconciling")
    assert story.due_in("a") == 180
    story.world.advance(180)
    assert story.look("a").grant.fence == look.grant.fence + 1


def test_a_crash_blocks_the_definition_for_the_lease_and_not_for_the_window(story: Story):
    story.decide_by(frequency=24)
    story.arrives("a")
    story.go("a")
    story.arrives("b")
    story.take("b")
    story.world.advance(180)
    story.ledger.reject(story.go("a"), Rejected("43010", "no"))

    assert isinstance(story.take("b"), Go)


def test_fences_grow_over_requests(story: Story):
    fences = []
    for name in "abc":
        fences.append(story.arrives_and_starts(name).fence)
        story.ends(name)

    assert fences == [1, 2, 3]


def test_a_lost_record_of_the_definition_does_not_bring_an_old_fence_back(story: Story):
    story.arrives("a")
    story.go("a")
    story.world.advance(180)
    old = story.go("a")
    story.world.lose_definition(MID, KEY)
    new = story.go("a")

    assert new.fence > old.fence
    assert story.ledger.intend(old, []) is None
    assert story.ledger.intend(new, []) is not None


@pytest.mark.parametrize("state", ["starting", "retrying", "reconciling"])
def test_a_lost_record_of_the_definition_never_lets_two_requests_act(story: Story, state: str):
    story.arrives("a")
    if state == "starting":
        story.go("a")
    elif state == "retrying":
        story.ledger.retry(story.go("a"), BUSY, 1)
    else:
        story.in_doubt("a", settle=1)
    story.world.lose_definition(MID, KEY)
    story.arrives("b")
    grant = story.go("b")
    story.world.advance(1)

    assert story.take("a") == Wait(state=state, held_by="b")
    assert story.due_in("a") == 600
    assert story.ledger.intend(grant, []) is not None


def test_a_lost_record_of_the_definition_does_not_stop_the_reconciliation(story: Story):
    story.arrives("a")
    story.in_doubt("a")
    story.world.lose_definition(MID, KEY)
    story.world.advance(60)

    assert isinstance(story.take("a"), Reconcile)


def test_a_worker_whose_lease_ended_silently_may_go_on_while_nobody_took_over(story: Story):
    story.arrives("a")
    grant = story.sends("a")
    story.world.advance(1000)

    assert story.ledger.started(grant, Accepted(task_id="t"), 0, story.policy) is True
