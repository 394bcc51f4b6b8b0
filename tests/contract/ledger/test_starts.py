"""What follows an attempt: started, in time or late, retrying, in doubt, unknown, rejected."""

import pytest

from tests.contract.ledger.story import BUSY, DOUBT, HOUR, KEY, MID, Story, file, request
from worker.domain.decisions import Ended, Go, Reconcile, Wait
from worker.domain.faults import Rejected


def test_an_accepted_start_is_told_with_its_task_and_is_due_for_the_first_look(story: Story):
    story.arrives_and_starts("a", window=1)

    data = story.last("a")
    assert story.names("a") == ["accepted", "starting", "started"]
    assert (data["task_id"], data["soap_request_id"], data["matched"]) == ("task-a", "soap-task-a", "reply")
    assert data["window_opens"] == "2027-01-15T09:00:00.000Z"
    assert story.due_in("a") == 5
    assert story.take("a") == Wait(state="started")


def test_a_start_without_a_window_names_none(story: Story):
    story.arrives_and_starts("a")

    assert "window_opens" not in story.last("a")


def test_a_start_that_provably_did_not_happen_is_due_again_and_opens_no_window(story: Story):
    story.decide_by(frequency=24)
    story.arrives("a")
    assert story.ledger.retry(story.sends("a"), BUSY, 30) == "retrying"

    assert story.names("a")[-1] == "retrying"
    assert (story.last("a")["code"], story.last("a")["retry_in"]) == ("9", 30)
    assert story.due_in("a") == 30
    assert story.take("a") == Wait(state="retrying", opens_in=30.0)
    story.world.advance(30)
    assert story.go("a").attempt == 2


def test_a_retrying_request_keeps_its_definition(story: Story):
    story.arrives("a")
    story.ledger.retry(story.sends("a"), BUSY, 30)
    story.arrives("b")

    assert story.take("b") == Wait(state="deferred", held_by="a")


def test_retrying_ends_when_the_next_try_would_come_after_the_deadline(story: Story):
    story.decide_by(retry_deadline=100)
    story.arrives("a")
    story.ledger.retry(story.sends("a"), BUSY, 60)
    story.world.advance(60)
    grant = story.go("a")
    story.ledger.retry(grant, BUSY, 40)
    story.world.advance(40)
    assert story.ledger.retry(story.go("a"), BUSY, 0.001) == "gave_up"

    assert story.names("a")[-1] == "gave_up"
    assert story.last("a")["code"] == "9"
    assert story.due_in("a") is None


@pytest.mark.parametrize("end", ["gave_up", "rejected"])
def test_what_was_never_started_may_be_announced_again(story: Story, end: str):
    story.accept(request("a", file(), event_id="e1"))
    grant = story.sends("a")
    if end == "rejected":
        assert story.ledger.reject(grant, Rejected("43010", "not found")) is True
        assert (story.last("a")["code"], story.last("a")["text"]) == ("43010", "not found")
    else:
        story.ledger.retry(grant, BUSY, 7 * HOUR)
    assert story.names("a")[-1] == end
    assert story.due_in("a") is None
    story.accept(request("b", file(), event_id="e1"))

    assert isinstance(story.take("b"), Go)


def test_a_start_in_doubt_is_looked_for_after_a_pause_and_until_a_deadline(story: Story):
    story.decide_by(reconcile_deadline=100)
    story.arrives("a")
    story.in_doubt("a", known=("t0",))
    assert story.names("a")[-1] == "reconciling"
    assert story.last("a")["code"] == "read_timeout"
    assert story.due_in("a") == 60
    assert story.take("a") == Wait(state="reconciling")
    story.world.advance(60)
    look = story.look("a")
    assert (look.known, look.late) == ({"t0"}, False)
    assert story.ledger.look_again(look.grant, 39.999) is True
    assert story.due_in("a") == 39.999
    story.world.advance(39.999)
    look = story.look("a")
    assert look.late is False
    story.ledger.look_again(look.grant, 0.001)
    story.world.advance(0.001)

    assert story.look("a").late is True


def test_a_start_in_doubt_holds_its_definition(story: Story):
    story.arrives("a")
    story.in_doubt("a")
    story.arrives("b")

    assert story.take("b") == Wait(state="deferred", held_by="a")


def test_a_run_that_was_found_is_the_start(story: Story):
    story.arrives("a")
    story.in_doubt("a")
    story.world.advance(60)
    grant = story.look("a").grant
    assert story.commit(grant, "t9", 2, reconciled=True) is True

    assert story.names("a")[-1] == "started"
    assert (story.last("a")["task_id"], story.last("a")["matched"]) == ("t9", "reconciled")
    assert story.due_in("a") == 5
    assert story.run("a").task_id == "t9"


def test_a_run_that_another_request_has_is_not_matched(story: Story):
    story.arrives_and_starts("a")
    story.ends("a")
    story.arrives("b")
    story.in_doubt("b")
    story.world.advance(60)
    grant = story.look("b").grant

    assert story.ledger.unclaimed(MID, ["task-a", "t2"]) == {"t2"}
    assert story.commit(grant, "task-a", reconciled=True) is False
    assert story.names("b")[-1] == "reconciling"
    assert story.commit(grant, "t2", reconciled=True) is True
    assert story.ledger.unclaimed(MID, ["task-a", "t2"]) == frozenset()


def test_a_match_from_an_old_fence_claims_nothing(story: Story):
    story.arrives("a")
    story.in_doubt("a")
    story.world.advance(60)
    old = story.look("a").grant
    story.world.advance(180)
    story.look("a")

    assert story.commit(old, "t9", reconciled=True) is False
    assert story.ledger.unclaimed(MID, ["t9"]) == {"t9"}


def test_claims_of_one_business_unit_are_not_those_of_another(story: Story):
    story.arrives_and_starts("a")

    assert story.ledger.unclaimed("99", ["task-a"]) == {"task-a"}
    assert story.ledger.unclaimed(MID, []) == frozenset()


def test_a_start_that_cannot_be_proved_ends_as_unknown_and_uses_the_window(story: Story):
    story.arrives("a")
    story.in_doubt("a")
    story.world.advance(60)
    assert story.ledger.unknown(story.look("a").grant, ["t1", "t2"], 2) is True

    assert story.names("a")[-1] == "start_unknown"
    assert story.last("a")["candidates"] == ["t1", "t2"]
    assert story.last("a")["window_opens"] == "2027-01-15T10:01:00.000Z"
    assert story.due_in("a") is None
    story.accept(request("b"))
    assert story.take("b") == Ended(state="duplicate", held_by="a", opens_in=2 * HOUR)


def test_an_unknown_start_without_candidates_and_window_names_neither(story: Story):
    story.arrives("a")
    story.in_doubt("a")
    story.world.advance(60)
    story.ledger.unknown(story.look("a").grant, [], 0)

    assert not {"candidates", "window_opens"} & set(story.last("a"))


def test_a_start_of_which_nothing_was_found_may_be_repeated_even_after_the_retry_deadline(story: Story):
    story.decide_by(retry_deadline=1)
    story.arrives("a")
    story.in_doubt("a")
    story.world.advance(60)
    assert story.ledger.retry(story.look("a").grant, BUSY, 10) == "retrying"

    assert story.names("a")[-1] == "retrying"
    story.world.advance(10)
    assert isinstance(story.take("a"), Go)


def test_a_late_task_id_from_an_old_fence_is_the_truth(story: Story):
    story.arrives("a")
    old = story.sends("a")
    story.world.advance(180)
    story.take("a")

    assert story.commit(old, "t1", 1) is True
    assert story.names("a")[-1] == "started"
    assert story.last("a")["matched"] == "reply"
    assert story.take("a") == Wait(state="started")


def test_a_late_task_id_stops_the_worker_that_was_about_to_send_again(story: Story):
    story.arrives("a")
    old = story.sends("a")
    story.world.advance(180)
    story.take("a")
    story.world.advance(60)
    story.ledger.retry(story.look("a").grant, BUSY, 0)
    new = story.go("a")
    assert story.commit(old, "t1") is True

    assert story.ledger.intend(new, []) is None
    assert story.commit(new, "t2") is False
    assert story.run("a").task_id == "t1"
    assert story.ledger.unclaimed(MID, ["t2"]) == frozenset()


def unknown(story: Story) -> None:
    story.world.advance(60)
    story.ledger.unknown(story.look("a").grant, [], 2)


def given_up(story: Story) -> None:
    story.world.advance(60)
    story.ledger.retry(story.look("a").grant, BUSY, 1)
    story.world.advance(1)
    story.ledger.retry(story.go("a"), BUSY, 7 * HOUR)


@pytest.mark.parametrize("end", [unknown, given_up])
def test_a_late_task_id_after_the_end_is_still_told_and_followed(story: Story, end):
    story.accept(request("a", file()))
    grant = story.in_doubt("a")
    end(story)
    assert story.due_in("a") is None

    assert story.commit(grant, "t1") is True
    assert story.names("a")[-1] == "started"
    assert story.due_in("a") == 5
    assert story.run("a").overdue is False
    story.ends("a")
    story.accept(request("b", file()))
    assert story.take("b") == story.take("b")
    assert story.names("b")[-1] == "duplicate"


def test_a_late_task_id_does_not_take_the_definition_from_who_holds_it_now(story: Story):
    story.arrives("a")
    old = story.in_doubt("a")
    story.world.advance(60)
    story.ledger.unknown(story.look("a").grant, [], 0)
    story.arrives("b")
    new = story.sends("b")

    assert story.commit(old, "t1") is True
    assert story.ledger.sending(new) is not None
    assert story.commit(new, "t2") is True
    story.ends("a")
    story.arrives("c")
    assert story.take("c") == Wait(state="deferred", held_by="b")


def test_a_run_that_ends_in_error_after_it_was_unknown_opens_its_window_again(story: Story):
    story.arrives("a")
    grant = story.in_doubt("a")
    story.world.advance(60)
    story.ledger.unknown(story.look("a").grant, [], 5)
    story.commit(grant, "t1", 5)
    story.ends("a", "import_failed")
    story.accept(request("b"))

    assert isinstance(story.take("b"), Go)


def test_a_task_id_for_a_request_that_redis_lost_begins_its_record(story: Story):
    story.arrives("a")
    grant = story.sends("a")
    story.world.lose("a")
    story.world.lose_definition(MID, KEY)

    assert story.commit(grant, "t1", 1) is True
    assert story.names("a")[-2:] == ["accepted", "started"]
    assert story.take("a") == Wait(state="started")
    assert story.commit(grant, "t1", 1) is True
    assert story.names("a").count("started") == 1


def test_a_match_for_a_request_that_redis_lost_is_refused(story: Story):
    story.arrives("a")
    grant = story.in_doubt("a")
    story.world.lose("a")

    assert story.commit(grant, "t1", reconciled=True) is False


@pytest.mark.parametrize("state", ["accepted", "deferred"])
def test_a_task_id_for_a_request_whose_steps_redis_lost_is_the_truth(story: Story, state: str):
    if state == "deferred":
        story.arrives_and_starts("first")
    wish = story.accept(request("a", file("x.csv"), event_id="e"))
    if state == "deferred":
        story.take("a")
        story.ends("first")
    grant = story.requests_grant(wish)

    assert story.commit(grant, "t1") is True
    assert story.names("a")[-1] == "started"
    story.ends("a")
    story.accept(request("b", file("x.csv")))
    assert story.take("b") == Ended(state="duplicate", held_by="a")


def test_a_request_that_was_refused_is_not_started_by_a_late_task_id(story: Story):
    story.arrives("a")
    grant = story.sends("a")
    story.ledger.reject(grant, Rejected("43010", "no"))

    assert story.commit(grant, "t1") is False
    assert story.names("a")[-1] == "rejected"


def test_steps_that_do_not_fit_the_state_are_refused(story: Story):
    story.arrives("a")
    grant = story.sends("a")
    assert story.ledger.look_again(grant, 1) is False
    assert story.ledger.unknown(grant, [], 0) is False
    story.ledger.doubt(grant, DOUBT, 60, story.policy)
    assert story.ledger.intend(grant, []) is None
    assert story.ledger.not_sent(grant) is False
    assert story.ledger.reject(grant, Rejected("4", "no")) is False
    story.commit(grant, "t")
    assert story.ledger.retry(grant, BUSY, 1) is None
    assert story.ledger.doubt(grant, DOUBT, 1, story.policy) is False
    assert story.names("a") == ["accepted", "starting", "reconciling", "started"]


def test_after_a_forced_start_the_longer_of_two_windows_counts(story: Story):
    story.arrives_and_starts("a", window=10)
    story.ends("a")
    story.accept(request("b", force=True))
    story.start("b", window=1)
    story.ends("b")
    story.accept(request("c"))

    assert story.take("c") == Ended(state="duplicate", held_by="b", opens_in=10 * HOUR)


def test_a_forced_start_that_fails_gives_the_window_back_to_who_had_it(story: Story):
    story.arrives_and_starts("a", window=10)
    story.ends("a")
    story.world.advance(HOUR)
    story.accept(request("b", force=True))
    story.start("b", window=24)
    story.ends("b", "import_failed")
    story.accept(request("c"))

    assert story.take("c") == Ended(state="duplicate", held_by="a", opens_in=9 * HOUR)


def test_a_clock_that_goes_back_neither_loses_nor_starts_a_request(story: Story):
    story.arrives_and_starts("a", window=1)
    story.ends("a")
    story.arrives("b")
    story.take("b")
    story.world.advance(-1800)
    story.accept(request("c"))
    assert story.take("c") == Ended(state="duplicate", held_by="a", opens_in=5400.0)
    assert story.take("b") == Wait(state="deferred", held_by="a", opens_in=5400.0)
    story.world.advance(5400)

    assert isinstance(story.take("b"), Go)


def test_a_look_whose_clock_went_back_waits_and_stays_due(story: Story):
    story.arrives("a")
    story.in_doubt("a")
    story.world.advance(-100)

    assert story.take("a") == Wait(state="reconciling")
    assert story.due_in("a") == 160
    story.world.advance(160)
    assert isinstance(story.take("a"), Reconcile)
