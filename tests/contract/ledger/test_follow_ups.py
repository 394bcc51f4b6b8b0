"""Files that arrive inside the window or during a run: kept, coalesced, woken, in order."""

import pytest

from tests.contract.ledger.story import BUSY, HOUR, Story, file, request
from worker.domain.decisions import Ended, Go, Wait
from worker.domain.faults import Rejected


def test_another_file_inside_the_window_waits_until_it_opens(story: Story):
    story.arrives_and_starts("a", window=2)
    story.ends("a")
    story.arrives("b")

    assert story.take("b") == Wait(state="deferred", held_by="a", opens_in=7200.0)
    assert story.names("b") == ["accepted", "deferred"]
    assert story.due_in("b") == 7200
    story.world.advance(2 * HOUR)
    assert isinstance(story.take("b"), Go)


def test_a_deferred_request_taken_too_early_goes_on_waiting_without_a_further_event(story: Story):
    story.arrives_and_starts("a", window=2)
    story.ends("a")
    story.arrives("b")
    story.take("b")
    story.world.advance(HOUR)

    assert story.take("b") == Wait(state="deferred", held_by="a", opens_in=3600.0)
    assert story.names("b") == ["accepted", "deferred"]
    assert story.due_in("b") == 3600


def end_of_holder(story: Story, how: str) -> None:
    if how in {"completed", "import_failed", "follow_timed_out"}:
        grant = story.sends("a")
        story.commit(grant, "t1")
        story.world.advance(24 * HOUR)
        story.ends("a", how)
        return
    if how == "rejected":
        story.ledger.reject(story.sends("a"), Rejected("43010", "not found"))
        return
    if how == "gave_up":
        story.ledger.retry(story.sends("a"), BUSY, 7 * HOUR)
        return
    if how == "poison":
        die_until_it_ends(story)
        return
    grant = story.in_doubt("a")
    story.world.advance(60)
    story.ledger.unknown(story.look("a").grant, [], 0.0)
    assert grant.fence


def die_until_it_ends(story: Story) -> None:
    while isinstance(story.take("a"), Go):
        story.world.advance(180)


ENDS = ["completed", "import_failed", "follow_timed_out", "rejected", "gave_up", "poison", "start_unknown"]


@pytest.mark.parametrize("how", ENDS)
def test_the_next_follow_up_is_due_at_once_however_the_holder_ends(story: Story, how: str):
    story.arrives("a")
    story.arrives("b")
    story.take("a", "w1")
    story.take("b")
    assert story.due_in("b") == 600
    story.world.advance(180)

    end_of_holder(story, how)

    assert story.due_in("a") is None
    assert story.due_in("b") is not None
    assert story.due_in("b") <= 0
    assert isinstance(story.take("b"), Go)


def test_the_next_follow_up_is_due_when_the_window_of_the_last_run_opens(story: Story):
    story.arrives_and_starts("a", window=3)
    story.arrives("b")
    story.take("b")
    story.ends("a")

    assert story.due_in("b") == 3 * HOUR


def test_a_follow_up_looks_again_although_nobody_woke_it(story: Story):
    story.arrives_and_starts("a")
    story.arrives("b")
    story.take("b")
    story.world.advance(600)
    story.take("b")

    assert story.due_in("b") == 600


def test_follow_ups_with_different_names_start_in_order_of_arrival(story: Story):
    story.arrives_and_starts("a")
    for name in ("b", "c"):
        story.world.advance(1)
        story.arrives(name)
    story.take("c")
    story.take("b")
    story.ends("a")

    assert story.take("c").state == "deferred"
    assert isinstance(story.take("b"), Go)


def test_a_new_file_does_not_overtake_one_that_waits(story: Story):
    story.arrives_and_starts("a")
    story.arrives("b")
    story.take("b")
    story.ends("a")
    story.world.advance(1)
    story.arrives("c")

    assert story.take("c") == Wait(state="deferred", held_by="b")
    assert story.due_in("b") == 0
    assert isinstance(story.take("b"), Go)


def test_of_follow_ups_with_the_same_name_the_newest_wins(story: Story):
    story.arrives_and_starts("a")
    story.arrives("b", name="x.csv")
    story.take("b")
    story.world.advance(1)
    story.arrives("c", name="x.csv")

    assert story.take("c").state == "deferred"
    assert story.names("b") == ["accepted", "deferred", "duplicate"]
    assert (story.last("b")["why"], story.last("b")["superseded_by"]) == ("superseded", "c")
    assert story.due_in("b") is None
    assert story.take("b").state == "duplicate"
    story.ends("a")
    assert isinstance(story.take("c"), Go)


def test_an_older_request_that_comes_after_a_newer_one_is_superseded_by_it(story: Story):
    story.arrives_and_starts("a")
    story.arrives("old", name="x.csv")
    story.world.advance(1)
    story.arrives("new", name="x.csv")
    story.take("new")

    assert story.take("old") == Ended(state="duplicate", held_by="new")
    assert story.last("old")["superseded_by"] == "new"
    assert story.names("new") == ["accepted", "deferred"]


def test_two_requests_of_the_same_millisecond_coalesce_into_one(story: Story):
    story.arrives_and_starts("a")
    story.arrives("b", name="x.csv")
    story.arrives("c", name="x.csv")
    story.take("c")
    story.take("b")

    assert [story.names(name)[-1] for name in "bc"] == ["duplicate", "deferred"]


def test_a_superseded_content_may_be_announced_again(story: Story):
    story.arrives_and_starts("a")
    story.accept(request("b", file("x.csv", "v1")))
    story.take("b")
    story.world.advance(1)
    story.accept(request("c", file("x.csv", "v2")))
    story.take("c")
    story.world.advance(1)
    story.accept(request("d", file("x.csv", "v1")))

    assert story.take("d").state == "deferred"


def test_with_coalesce_latest_one_follow_up_of_any_name_is_kept(story: Story):
    story.decide_by(coalesce="latest")
    story.arrives_and_starts("a")
    for name in ("b", "c", "d"):
        story.world.advance(1)
        story.arrives(name)
    for name in ("b", "d", "c"):
        story.take(name)

    assert [story.names(name)[-1] for name in "bcd"] == ["duplicate", "duplicate", "deferred"]
    assert (story.last("b")["superseded_by"], story.last("c")["superseded_by"]) == ("d", "d")


def test_with_coalesce_latest_a_forced_follow_up_is_kept_too(story: Story):
    story.decide_by(coalesce="latest")
    story.arrives_and_starts("a")
    story.arrives("b", force=True)
    story.take("b")
    story.world.advance(1)
    story.arrives("c")
    story.take("c")

    assert [story.names(name)[-1] for name in "bc"] == ["deferred", "deferred"]


def test_with_coalesce_each_every_follow_up_is_kept(story: Story):
    story.decide_by(coalesce="each")
    story.arrives_and_starts("a")
    for name in ("b", "c"):
        story.arrives(name, name="x.csv")
        story.take(name)

    assert [story.names(name)[-1] for name in "bc"] == ["deferred", "deferred"]


def test_the_same_file_announced_again_while_it_waits_is_a_duplicate(story: Story):
    story.arrives_and_starts("a")
    story.accept(request("b", file("x.csv")))
    story.take("b")
    story.accept(request("c", file("x.csv")))

    assert story.take("c") == Ended(state="duplicate", held_by="b")


def test_a_follow_up_whose_file_was_imported_by_force_meanwhile_is_a_duplicate(story: Story):
    story.arrives_and_starts("a", window=5)
    story.ends("a")
    story.accept(request("b", file("x.csv")))
    story.take("b")
    story.accept(request("c", file("x.csv"), force=True))
    story.start("c", window=5)
    story.ends("c")
    story.world.advance(5 * HOUR)

    assert story.take("b").state == "duplicate"
    assert story.last("b")["held_by"] == "c"


def test_when_a_follow_up_ends_as_duplicate_at_its_turn_the_next_is_woken(story: Story):
    story.arrives_and_starts("a", window=5)
    story.ends("a")
    story.accept(request("b", file("x.csv")))
    story.arrives("n")
    story.take("b")
    story.take("n")
    story.accept(request("c", file("x.csv"), force=True))
    story.start("c", window=5)
    story.ends("c")
    story.world.advance(5 * HOUR)
    story.take("n")
    story.take("b")

    assert story.due_in("n") == 0


def test_a_forced_follow_up_goes_first_and_does_not_wait_for_the_window(story: Story):
    story.arrives_and_starts("a", window=5)
    story.arrives("b")
    story.take("b")
    story.world.advance(1)
    story.arrives("c", force=True)
    story.take("c")
    assert story.due_in("c") == 600
    story.ends("a")

    assert story.due_in("c") == 0
    assert story.take("b").state == "deferred"
    assert isinstance(story.take("c"), Go)


def test_a_forced_follow_up_is_not_superseded_by_one_that_is_not(story: Story):
    story.arrives_and_starts("a", window=5)
    story.arrives("b", name="x.csv", force=True)
    story.take("b")
    story.world.advance(1)
    story.arrives("c", name="x.csv")
    story.take("c")

    assert [story.names(name)[-1] for name in "bc"] == ["deferred", "deferred"]


def test_a_follow_up_whose_record_vanished_does_not_block_the_others(story: Story):
    story.arrives_and_starts("a")
    story.arrives("b")
    story.take("b")
    story.world.advance(1)
    story.arrives("c")
    story.take("c")
    story.world.lose("b")
    story.ends("a")

    assert story.due_in("c") == 0
    assert isinstance(story.take("c"), Go)


def test_a_follow_up_of_the_same_name_whose_record_vanished_is_passed_over(story: Story):
    story.arrives_and_starts("a")
    story.arrives("b", name="x.csv")
    story.take("b")
    story.world.lose("b")
    story.arrives("c", name="x.csv")

    assert story.take("c").state == "deferred"


def test_a_holder_whose_record_vanished_does_not_block_the_others(story: Story):
    story.arrives_and_starts("a")
    story.arrives("b")
    story.take("b")
    story.world.lose("a")
    story.world.advance(600)

    assert isinstance(story.take("b"), Go)
