"""A reply can get lost and its command be sent again: the same step twice is the same step once."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.ledger.story import BUSY, DOUBT, HOUR, Story, file, request
from worker.domain.faults import Rejected

Repeatable = Callable[[], Any]


def sent(story: Story) -> Any:
    story.arrives("a")
    return story.sends("a")


def doubtful(story: Story) -> Any:
    story.arrives("a")
    story.in_doubt("a")
    story.world.advance(60)
    return story.look("a").grant


def first_take(story: Story) -> Repeatable:
    story.arrives("a")
    return lambda: story.take("a", "w")


def take_of_the_unrecorded(story: Story) -> Repeatable:
    story.requests["a"] = request("a", file())
    return lambda: story.take("a", "w")


def deferral(story: Story) -> Repeatable:
    story.arrives_and_starts("b", window=1)
    story.arrives("a")
    return lambda: story.take("a", "w")


def duplicate(story: Story) -> Repeatable:
    story.arrives_and_starts("b", window=1)
    story.accept(request("a"))
    return lambda: story.take("a", "w")


def superseded(story: Story) -> Repeatable:
    story.arrives_and_starts("b")
    story.arrives("a", name="x.csv")
    story.world.advance(1)
    story.arrives("c", name="x.csv")
    story.take("c")
    return lambda: story.take("a", "w")


def takeover(story: Story) -> Repeatable:
    story.arrives("a")
    story.go("a")
    story.world.advance(180)
    return lambda: story.take("a", "w")


def death_while_sending(story: Story) -> Repeatable:
    sent(story)
    story.world.advance(180)
    return lambda: story.take("a", "w")


def look(story: Story) -> Repeatable:
    story.arrives("a")
    story.in_doubt("a")
    story.world.advance(60)
    return lambda: story.take("a", "w")


def poison(story: Story) -> Repeatable:
    story.arrives("a")
    for _ in range(3):
        story.take("a")
        story.world.advance(180)
    return lambda: story.take("a", "w")


def intend(story: Story) -> Repeatable:
    story.arrives("a")
    grant = story.go("a")
    return lambda: story.ledger.intend(grant, ["t"])


def sending(story: Story) -> Repeatable:
    grant = sent(story)
    return lambda: story.ledger.sending(grant)


def not_sent(story: Story) -> Repeatable:
    grant = sent(story)
    return lambda: story.ledger.not_sent(grant)


def started(story: Story) -> Repeatable:
    grant = sent(story)
    return lambda: story.commit(grant, "t", 2)


def matched(story: Story) -> Repeatable:
    grant = doubtful(story)
    return lambda: story.commit(grant, "t", 2, reconciled=True)


def retry(story: Story) -> Repeatable:
    grant = sent(story)
    return lambda: story.ledger.retry(grant, BUSY, 30)


def give_up(story: Story) -> Repeatable:
    grant = sent(story)
    return lambda: story.ledger.retry(grant, BUSY, 7 * HOUR)


def repeat_after_doubt(story: Story) -> Repeatable:
    grant = doubtful(story)
    return lambda: story.ledger.retry(grant, BUSY, 30)


def doubt(story: Story) -> Repeatable:
    grant = sent(story)
    return lambda: story.ledger.doubt(grant, DOUBT, 60, story.policy)


def look_again(story: Story) -> Repeatable:
    grant = doubtful(story)
    return lambda: story.ledger.look_again(grant, 30)


def unknown(story: Story) -> Repeatable:
    grant = doubtful(story)
    return lambda: story.ledger.unknown(grant, ["t"], 3)


def reject(story: Story) -> Repeatable:
    grant = sent(story)
    return lambda: story.ledger.reject(grant, Rejected("43010", "no"))


def refuse(story: Story) -> Repeatable:
    return lambda: story.ledger.refuse(request("a"), "invalid", "no")


def ended(story: Story) -> Repeatable:
    story.arrives_and_starts("a", window=3)
    run = story.run("a")
    return lambda: story.ledger.ended(run, "import_failed", None, story.policy)


def progressed(story: Story) -> Repeatable:
    story.arrives_and_starts("a")
    run = story.run("a")
    return lambda: story.ledger.progressed(run, "Processing", 30)


STEPS = [
    first_take,
    take_of_the_unrecorded,
    deferral,
    duplicate,
    superseded,
    takeover,
    death_while_sending,
    look,
    poison,
    intend,
    sending,
    not_sent,
    started,
    matched,
    retry,
    give_up,
    repeat_after_doubt,
    doubt,
    look_again,
    unknown,
    reject,
    refuse,
    ended,
    progressed,
]


@pytest.mark.parametrize("prepare", STEPS, ids=lambda step: step.__name__)
def test_a_step_whose_reply_was_lost_gives_the_same_answer_and_no_second_event(story: Story, prepare):
    step = prepare(story)
    first = step()
    events, due = story.world.events(), story.world.due()
    story.world.advance(0)

    assert step() == first
    assert story.world.events() == events
    assert story.world.due() == due


@pytest.mark.parametrize("prepare", STEPS, ids=lambda step: step.__name__)
def test_a_repeated_step_leaves_the_next_request_as_a_single_one_would(story: Story, prepare):
    step = prepare(story)
    step()
    step()
    story.arrives("next")
    decision = story.take("next")

    assert decision.state == "deferred" if hasattr(decision, "state") else decision.grant.request_id == "next"
    assert len(story.names("next")) == 2
