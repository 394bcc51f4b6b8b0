"""What the ledger knows of the newest runs, and how it notices that Redis lost its last writes."""

from tests.contract.ledger.story import BUSY, MID, Story, request
from worker.domain.decisions import Decision, Go, Reconcile


def take_go(story: Story, name: str) -> Go:
    decision: Decision = story.take(name)
    assert isinstance(decision, Go)
    return decision


def test_the_newest_run_of_the_business_unit_is_told_with_the_lease(story: Story):
    story.arrives("a")
    assert take_go(story, "a").newest is None
    story.arrives("b", key="Other")
    grant = take_go(story, "b").grant
    story.ledger.intend(grant, ["9", "101", "odd"])
    story.arrives("c", key="Third")
    assert take_go(story, "c").newest == "101"
    story.commit(grant, "102")
    story.arrives("d", key="Fourth")
    assert take_go(story, "d").newest == "102"
    story.arrives("e", key="Fifth")
    story.ledger.intend(take_go(story, "e").grant, ["7"])
    story.arrives("f", key="Sixth")

    assert take_go(story, "f").newest == "102"


def test_an_intent_may_stand_for_all_runs_up_to_the_newest(story: Story):
    story.arrives("first", key="Other")
    story.start("first", task="50")
    story.arrives("a")
    grant = story.go("a")
    story.ledger.intend(grant, [], above=True)
    story.world.advance(180)
    story.take("a")
    story.world.advance(60)

    look = story.take("a")
    assert isinstance(look, Reconcile)
    assert (look.above, look.known) == ("50", frozenset())


def test_a_later_intent_that_lists_the_runs_forgets_the_newest_of_the_one_before(story: Story):
    story.arrives("first", key="Other")
    story.start("first", task="50")
    story.arrives("a")
    grant = story.go("a")
    story.ledger.intend(grant, [], above=True)
    story.ledger.retry(grant, BUSY, 1)
    story.world.advance(1)
    grant = story.go("a")
    story.ledger.intend(grant, ["50", "60"])
    story.world.advance(180)
    story.take("a")
    story.world.advance(60)

    look = story.take("a")
    assert isinstance(look, Reconcile)
    assert (look.above, look.known) == (None, {"50", "60"})


def test_a_process_that_counts_on_has_lost_nothing(story: Story):
    assert [story.ledger.pulse("w1", count) for count in (1, 2, 2, 3)] == [False] * 4
    assert story.ledger.pulse("w2", 1) is False


def test_a_number_that_is_missing_is_a_loss_and_starts_are_careful_for_a_while(story: Story):
    story.arrives("first", key="Other")
    story.start("first", task="50")
    story.ledger.pulse("w1", 1)
    assert story.ledger.pulse("w1", 3) is True
    story.arrives("later", key="Later")
    story.commit(take_go(story, "later").grant, "70")
    story.world.advance(30)
    story.arrives("a")

    go = take_go(story, "a")
    assert (go.newest, go.loss_age) == ("50", 30.0)


def test_a_loss_of_one_business_unit_says_nothing_of_another(story: Story):
    story.arrives("first")
    story.start("first", task="50")
    story.ledger.pulse("w1", 5)
    elsewhere = request("b")
    other = type(elsewhere)(request_id="b", customer_key="k", mid=MID + "7")
    story.accept(other)

    go = take_go(story, "b")
    assert (go.newest, go.loss_age) == (None, 0.0)
