"""Following runs to their end, resuming, and what is due."""

import pytest

from tests.contract.ledger.story import HOUR, KEY, MID, Story, file, request
from worker.domain.decisions import Due, Ended, Followed, Go, Wait
from worker.domain.life import RUN_ENDS
from worker.domain.runs import Run

DAY = 24 * HOUR


def test_a_started_request_is_followed_by_its_task(story: Story):
    story.arrives_and_starts("a")
    story.arrives("b")
    story.world.advance(7)

    assert story.ledger.followed(["a", "b", "nobody"]) == [
        Followed(
            request_id="a",
            mid=MID,
            customer_key=KEY,
            task_id="task-a",
            status=None,
            looks=0,
            age=7.0,
            overdue=False,
        )
    ]
    assert list(story.ledger.followed([])) == []


def test_a_look_is_counted_and_told_only_when_the_status_is_new(story: Story):
    story.arrives_and_starts("a")
    for status, pause in ((None, 1), ("Processing", 2), ("Processing", 3), (None, 4), ("IOWork", 9)):
        story.ledger.progressed(story.run("a"), status, pause)

    assert story.names("a")[3:] == ["progressed", "progressed"]
    assert story.last("a")["import_status"] == "IOWork"
    assert story.due_in("a") == 9
    run = story.run("a")
    assert (run.status, run.looks) == ("IOWork", 5)


def test_the_ids_of_events_count_the_steps_of_their_request(story: Story):
    story.arrives_and_starts("a")
    for status in ("New", "Processing"):
        story.ledger.progressed(story.run("a"), status, 5)

    ids = [event["id"] for event in story.events("a")]
    assert ids == ["a/1/accepted", "a/2/starting", "a/3/started", "a/4/progressed", "a/5/progressed"]


def test_a_run_is_overdue_at_its_deadline(story: Story):
    story.decide_by(follow_deadline=100)
    story.arrives_and_starts("a")
    story.world.advance(99.999)
    assert story.run("a").overdue is False
    story.world.advance(0.001)

    assert story.run("a").overdue is True


@pytest.mark.parametrize("outcome", RUN_ENDS)
def test_a_run_ends_once_with_its_outcome_and_leaves_nothing_due(story: Story, outcome: str):
    story.arrives_and_starts("a")
    run = story.run("a")
    story.world.advance(DAY)
    for _ in range(2):
        story.ledger.ended(run, outcome, None, story.policy)
    story.ledger.progressed(run, "Processing", 5)
    story.ledger.ended(run, "completed_empty", None, story.policy)

    assert story.names("a") == ["accepted", "starting", "started", outcome]
    assert story.due_in("a") is None
    assert list(story.ledger.followed(["a"])) == []
    assert story.take("a") == Ended(state=outcome)


def test_the_end_of_a_run_tells_the_counts_and_dates_that_are_known(story: Story):
    story.arrives_and_starts("a")
    row = Run(
        task_id="task-a",
        customer_key=KEY,
        status="Completed",
        successful=9_007_199_254_740_993,
        errors=0,
        total=2,
        start_date="1/2/2027 3:04:05 AM",
        destination_id="77",
    )
    story.ends("a", "completed", row)

    data = story.last("a")
    assert (data["rows_total"], data["rows_failed"], data["destination_id"]) == (2, 0, "77")
    assert data["start_date"] == "1/2/2027 3:04:05 AM"
    assert (data["import_status"], data["task_id"]) == ("Completed", "task-a")
    assert "rows_duplicated" not in data
    assert "end_date" not in data


def test_the_end_of_another_run_is_not_the_end_of_this_one(story: Story):
    story.arrives_and_starts("a")
    other = Followed(request_id="a", mid=MID, customer_key=KEY, task_id="x", status=None, looks=0, age=0, overdue=False)
    story.ledger.ended(other, "completed", None, story.policy)
    story.ledger.progressed(other, "New", 5)

    assert story.names("a")[-1] == "started"


def test_an_import_that_ended_in_error_frees_window_file_and_source_event(story: Story):
    story.accept(request("a", file(), event_id="e"))
    story.start("a", window=5)
    story.ends("a", "import_failed")
    story.accept(request("b", file(), event_id="e"))

    assert isinstance(story.take("b"), Go)


def test_with_on_error_keep_an_import_that_ended_in_error_keeps_them(story: Story):
    story.decide_by(on_error="keep")
    story.accept(request("a", file()))
    story.start("a", window=5)
    story.ends("a", "import_failed")
    story.accept(request("b", file()))
    story.accept(request("c"))

    assert story.take("b").state == "duplicate"
    assert story.take("c") == Ended(state="duplicate", held_by="a", opens_in=5 * HOUR)


def test_an_import_that_completed_with_errors_keeps_its_window(story: Story):
    story.arrives_and_starts("a", window=5)
    story.ends("a", "completed_with_errors")
    story.accept(request("b"))

    assert story.take("b").state == "duplicate"


def timed_out(story: Story, name: str = "a") -> None:
    story.arrives_and_starts(name)
    story.world.advance(DAY)
    story.ends(name, "follow_timed_out")


def test_following_that_timed_out_is_resumed_with_a_new_deadline(story: Story):
    timed_out(story)

    assert story.ledger.resume("a", story.policy) is True
    assert story.names("a")[-2:] == ["follow_timed_out", "progressed"]
    assert story.last("a")["resumed"] is True
    assert story.due_in("a") == 0
    assert (story.run("a").overdue, story.run("a").looks) == (False, 0)
    story.arrives("b")
    assert story.take("b") == Wait(state="deferred", held_by="a")
    story.ends("a")
    assert story.names("a")[-1] == "completed"
    assert isinstance(story.take("b"), Go)


def test_resuming_twice_is_resuming_once(story: Story):
    timed_out(story)
    story.ledger.resume("a", story.policy)
    story.ledger.progressed(story.run("a"), None, 60)

    assert story.ledger.resume("a", story.policy) is True
    assert story.names("a").count("progressed") == 1
    assert story.due_in("a") == 0


def test_a_follower_that_still_thinks_of_the_old_deadline_does_not_end_a_resumed_run(story: Story):
    story.arrives_and_starts("a")
    story.world.advance(DAY)
    late = story.run("a")
    story.ends("a", "follow_timed_out")
    story.ledger.resume("a", story.policy)
    story.ledger.ended(late, "follow_timed_out", None, story.policy)

    assert story.names("a")[-1] == "progressed"


def test_a_resumed_run_does_not_take_the_definition_from_who_holds_it_now(story: Story):
    timed_out(story)
    grant = story.arrives_and_starts("b")
    story.ledger.resume("a", story.policy)
    story.ends("a")
    story.arrives("c")

    assert story.take("c") == Wait(state="deferred", held_by="b")
    assert grant.fence == 2


def test_what_has_no_run_cannot_be_resumed(story: Story):
    story.arrives("a")

    assert story.ledger.resume("a", story.policy) is False
    assert story.ledger.resume("nobody", story.policy) is False
    story.start("a")
    story.ends("a")
    assert story.ledger.resume("a", story.policy) is False


def test_what_is_due_is_given_once_until_its_pause_is_over(story: Story):
    story.arrives("a")
    story.arrives("b", key="Other")
    assert list(story.ledger.due(10, 30)) == []
    story.world.advance(5)

    found = story.ledger.due(10, 30)
    assert sorted(found, key=lambda due: due.request_id) == [
        Due(request_id="a", mid=MID, customer_key=KEY, state="accepted"),
        Due(request_id="b", mid=MID, customer_key="Other", state="accepted"),
    ]
    assert list(story.ledger.due(10, 30)) == []
    story.world.advance(30)
    assert len(story.ledger.due(1, 30)) == 1
    assert len(story.ledger.due(10, 30)) == 1


def test_a_due_request_whose_record_vanished_is_told_once_as_gone(story: Story):
    story.arrives("a")
    story.world.lose("a")
    story.world.advance(5)

    assert [(due.request_id, due.state) for due in story.ledger.due(10, 30)] == [("a", "gone")]
    assert story.world.due() == {}


def test_every_state_of_an_unfinished_request_is_told_to_the_sweep(story: Story):
    story.arrives("a")
    story.in_doubt("a", settle=1)
    story.arrives("b")
    story.take("b")
    story.world.advance(600)

    assert {due.request_id: due.state for due in story.ledger.due(10, 30)} == {"a": "reconciling", "b": "deferred"}
