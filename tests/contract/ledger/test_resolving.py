"""What an operator says of a start that could not be proved: the run it became, or that there was none."""

import pytest

from tests.contract.ledger.story import HOUR, KEY, MID, Story, file, request
from worker.domain.decisions import Ended, Go
from worker.domain.runs import Accepted


def unknown(story: Story, window: float = 2.0, **more: object) -> None:
    """The request `a` for the file x.csv, started perhaps."""
    story.accept(request("a", file("x.csv"), **more))
    story.in_doubt("a", settle=60)
    story.world.advance(60)
    assert story.ledger.unknown(story.look("a").grant, (), window)


def resolve(story: Story, task: str | None, request_id: str = "a", reason: str | None = "seen in the log") -> bool:
    return story.ledger.resolve(request_id, task, "ada", reason, story.policy)


def test_with_its_task_the_request_is_started_and_followed_to_its_end(story: Story):
    unknown(story)

    assert resolve(story, "77")

    assert story.names("a")[-2:] == ["start_unknown", "started"]
    told = story.last("a")
    assert (told["task_id"], told["matched"], told["operator"]) == ("77", "operator", "ada")
    assert told["reason"] == "seen in the log"
    assert story.due_in("a") == 0
    assert story.run("a").task_id == "77"
    story.ends("a")
    assert story.names("a")[-1] == "completed"


def test_a_resolved_run_holds_its_definition(story: Story):
    unknown(story, window=0)
    resolve(story, "77")
    story.arrives("b")
    story.take("b")

    assert story.names("b")[-1] == "deferred"


def test_a_run_resolved_while_another_one_runs_leaves_that_its_definition(story: Story):
    unknown(story, window=0)
    story.arrives_and_starts("b")
    assert resolve(story, "77")
    story.ends("a")
    story.arrives("c")
    story.take("c")

    assert story.names("c")[-1] == "deferred"


def test_a_task_of_another_request_is_not_taken(story: Story):
    story.arrives_and_starts("b")
    story.ends("b")
    unknown(story)

    assert not resolve(story, "task-b")
    assert story.names("a")[-1] == "start_unknown"


def test_without_a_task_the_window_and_the_file_are_free_again(story: Story):
    unknown(story, event_id="e1")
    assert resolve(story, None)
    told = story.last("a")
    again = story.accept(request("b", file("x.csv"), event_id="e1"))

    assert story.names("a")[-2:] == ["start_unknown", "not_started"]
    assert (told["operator"], told["reason"]) == ("ada", "seen in the log")
    assert story.due_in("a") is None
    assert isinstance(story.take(again.request_id), Go)


def test_the_window_of_an_earlier_start_stays_closed(story: Story):
    story.arrives_and_starts("b", window=5)
    story.ends("b")
    story.accept(request("a", file("x.csv"), force=True, reason="wrong file"))
    story.in_doubt("a", settle=60)
    story.world.advance(60)
    story.ledger.unknown(story.look("a").grant, (), 9)
    resolve(story, None)
    story.arrives("c")
    story.take("c")

    assert story.names("c")[-1] == "deferred"
    assert story.due_in("c") == pytest.approx(5 * HOUR - 60)


def test_a_follow_up_that_waited_for_the_window_starts_at_once(story: Story):
    unknown(story, window=9)
    story.arrives("b")
    story.take("b")
    resolve(story, None)

    assert story.due_in("b") == 0
    assert isinstance(story.take("b"), Go)


def test_a_mistaken_word_can_be_corrected_and_a_late_task_is_the_truth(story: Story):
    unknown(story)
    resolve(story, None)
    assert story.take("a") == Ended(state="not_started")

    assert resolve(story, "77")
    assert story.names("a")[-2:] == ["not_started", "started"]


def test_a_task_that_comes_from_a_frozen_worker_counts_after_a_mistaken_word(story: Story):
    story.arrives("a")
    grant = story.in_doubt("a", settle=60)
    story.world.advance(60)
    story.ledger.unknown(story.look("a").grant, (), 1)
    resolve(story, None)

    assert story.ledger.started(grant, Accepted(task_id="77"), 1, story.policy)
    assert story.last("a")["matched"] == "reply"


@pytest.mark.parametrize("task", ["77", None])
def test_the_same_word_twice_is_one_event(story: Story, task: str | None):
    unknown(story)

    assert resolve(story, task)
    assert resolve(story, task)
    assert len(story.names("a")) == 5


def test_the_reason_of_the_request_stays_where_the_operator_gives_none(story: Story):
    unknown(story, reason="monthly")
    resolve(story, "77", reason=None)

    assert story.last("a")["reason"] == "monthly"


@pytest.mark.parametrize("task", ["77", None])
def test_a_request_that_is_not_in_doubt_cannot_be_resolved(story: Story, task: str | None):
    story.arrives("waits")
    story.arrives_and_starts("runs", key="other")
    before = len(story.world.events())

    assert not resolve(story, task, "waits")
    assert not resolve(story, task, "runs")
    assert not resolve(story, task, "nobody")
    assert len(story.world.events()) == before


def test_a_run_that_was_given_once_cannot_become_another(story: Story):
    unknown(story)
    resolve(story, "77")

    assert not resolve(story, "78")
    assert not resolve(story, None)
    assert story.ledger.unclaimed(MID, ["77", "78"]) == {"78"}
    assert story.run("a").customer_key == KEY
