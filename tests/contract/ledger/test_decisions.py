"""What the ledger answers to a request that is seen for the first time, or again."""

import pytest

from tests.contract.ledger.story import HOUR, KEY, MID, Story, file, request
from worker.domain.decisions import Ended, Go, Wait


def test_a_new_request_is_recorded_and_due_after_the_grace_of_its_message(story: Story):
    assert story.ledger.accept(request("a", file())) is True
    assert story.names("a") == ["accepted"]
    assert story.due_in("a") == 5


def test_a_request_id_is_recorded_once(story: Story):
    story.arrives("a")

    assert story.ledger.accept(request("a", file("other.csv"))) is False
    assert story.names("a") == ["accepted"]
    assert story.ledger.load("a") == story.requests["a"]


def test_a_message_whose_request_is_not_recorded_is_recorded_first(story: Story):
    wish = request("a", file())

    decision = story.ledger.take(wish, "w1", story.policy)

    assert isinstance(decision, Go)
    assert story.names("a") == ["accepted", "starting"]
    assert story.ledger.load("a") == wish


def test_every_field_of_a_request_comes_back_as_it_was(story: Story):
    wish = request(
        "a",
        file("größe 'quoted'\\.csv", size=2**53 + 1),
        event_id="e:1",
        source="s3 ☂",
        force=True,
        reason="by hand\nbecause",
    )
    story.accept(wish)

    assert story.ledger.load("a") == wish
    assert story.ledger.load("b") is None


def test_a_grant_names_its_definition_fence_attempt_and_lease(story: Story):
    story.arrives("a")

    grant = story.go("a")

    assert (grant.request_id, grant.mid, grant.customer_key) == ("a", MID, KEY)
    assert (grant.fence, grant.attempt, grant.lease) == (1, 1, 180.0)
    assert story.due_in("a") == 180


def test_a_second_worker_waits_while_the_lease_holds(story: Story):
    story.arrives("a")
    story.go("a")

    assert story.take("a") == Wait(state="starting", held_by="a")


def test_the_same_fingerprint_is_a_duplicate_after_its_import_ended(story: Story):
    story.accept(request("a", file()))
    story.start("a")
    story.ends("a")
    story.accept(request("b", file()))

    assert story.take("b") == Ended(state="duplicate", held_by="a")
    assert story.names("b") == ["accepted", "duplicate"]
    assert story.last("b")["why"] == "file"
    assert story.due_in("b") is None


def test_the_same_source_event_is_a_duplicate_even_with_another_file(story: Story):
    story.arrives_and_starts("a", event_id="e1")
    story.ends("a")
    story.arrives("b", event_id="e1")

    assert story.take("b") == Ended(state="duplicate", held_by="a")
    assert story.last("b")["why"] == "event"


def test_the_same_source_event_id_at_another_definition_is_its_own(story: Story):
    story.accept(request("a", key="k", event_id="b:c"))
    story.accept(request("b", key="k:b", event_id="c"))
    story.start("a")

    assert isinstance(story.take("b"), Go)


def test_a_request_without_a_file_in_the_window_is_a_duplicate_that_names_the_holder(story: Story):
    story.arrives_and_starts("a", window=2)
    story.ends("a")
    story.world.advance(HOUR)
    story.accept(request("b"))

    assert story.take("b") == Ended(state="duplicate", held_by="a", opens_in=3600.0)
    data = story.last("b")
    assert (data["why"], data["held_by"], data["window_opens"]) == ("window", "a", "2027-01-15T10:00:00.000Z")


def test_a_request_without_a_file_during_a_run_is_a_duplicate_also_without_a_window(story: Story):
    story.arrives_and_starts("a")
    story.accept(request("b"))

    assert story.take("b") == Ended(state="duplicate", held_by="a")


def test_the_window_slides_and_opens_to_the_millisecond(story: Story):
    story.arrives_and_starts("a", window=1)
    story.ends("a")
    story.accept(request("b"))
    story.accept(request("c"))
    story.world.advance(HOUR - 0.001)
    assert isinstance(story.take("b"), Ended)
    story.world.advance(0.001)

    assert isinstance(story.take("c"), Go)


def test_a_file_known_by_name_alone_is_a_duplicate_only_while_the_window_is_closed(story: Story):
    story.accept(request("a", file(version=None)))
    story.start("a", window=1)
    story.ends("a")
    story.accept(request("b", file(version=None)))
    assert story.take("b").state == "duplicate"
    story.world.advance(HOUR)
    story.accept(request("c", file(version=None)))

    assert isinstance(story.take("c"), Go)


def test_definitions_do_not_stand_in_each_others_way(story: Story):
    story.arrives_and_starts("a", window=24)
    story.arrives("b", key="Other")

    assert isinstance(story.take("b"), Go)


def test_a_file_too_soon_is_dropped_where_the_policy_says_so_and_may_be_announced_again(story: Story):
    story.decide_by(when_too_soon="drop")
    story.arrives_and_starts("a", window=1)
    story.ends("a")
    story.accept(request("b", file("b.csv")))
    assert story.take("b").state == "duplicate"
    assert story.last("b")["why"] == "too_soon"
    story.world.advance(HOUR)
    story.accept(request("c", file("b.csv")))

    assert isinstance(story.take("c"), Go)


def test_a_forced_request_starts_inside_the_window_but_not_during_a_run(story: Story):
    story.arrives_and_starts("a", window=5)
    story.accept(request("b", force=True))
    assert story.take("b").state == "deferred"
    story.ends("a")

    assert story.due_in("b") == 0
    assert isinstance(story.take("b"), Go)


def test_a_forced_request_may_import_the_same_file_again(story: Story):
    story.accept(request("a", file()))
    story.start("a", window=5)
    story.ends("a")
    story.accept(request("b", file(), force=True))

    assert isinstance(story.take("b"), Go)


@pytest.mark.parametrize("state", ["duplicate", "rejected", "completed"])
def test_a_finished_request_stays_finished_when_its_message_comes_again(story: Story, state: str):
    story.arrives_and_starts("first")
    if state == "duplicate":
        story.accept(request("a"))
        story.take("a")
    elif state == "rejected":
        story.requests["a"] = request("a")
        story.ledger.refuse(story.requests["a"], "invalid", "no")
    else:
        story.ends("first")
        story.arrives_and_starts("a")
        story.ends("a")
    before = story.names("a")

    decision = story.take("a")

    assert isinstance(decision, Ended)
    assert decision.state == state
    assert story.names("a") == before
    assert story.due_in("a") is None


def test_an_invalid_request_ends_as_rejected_with_its_reason(story: Story):
    wish = request("a", key="x" * 300)

    story.ledger.refuse(wish, "invalid", "customer_key is too long")

    assert story.names("a") == ["accepted", "rejected"]
    assert (story.last("a")["code"], story.last("a")["text"]) == ("invalid", "customer_key is too long")
    assert story.due_in("a") is None
