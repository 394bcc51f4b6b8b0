"""Files that arrive inside the window or during a run: kept, coalesced, woken, in order."""

import pytest

from sfmc_import.faults import Rejected
from sfmc_import.states import AlreadyEnded, NotYet, StartNow
from tests.contract.ledger.scenario import BUSY, HOUR, Scenario, file, request


def test_another_file_inside_the_window_waits_until_it_opens(scenario: Scenario):
    scenario.arrives_and_starts("a", window=2)
    scenario.ends("a")
    scenario.arrives("b")

    assert scenario.claim("b") == NotYet(state="deferred", held_by="a", opens_in=7200.0)
    assert scenario.names("b") == ["accepted", "deferred"]
    assert scenario.due_in("b") == 7200
    scenario.world.advance(2 * HOUR)
    assert isinstance(scenario.claim("b"), StartNow)


def test_a_deferred_request_taken_too_early_goes_on_waiting_without_a_further_event(scenario: Scenario):
    scenario.arrives_and_starts("a", window=2)
    scenario.ends("a")
    scenario.arrives("b")
    scenario.claim("b")
    scenario.world.advance(HOUR)

    assert scenario.claim("b") == NotYet(state="deferred", held_by="a", opens_in=3600.0)
    assert scenario.names("b") == ["accepted", "deferred"]
    assert scenario.due_in("b") == 3600


def end_of_holder(scenario: Scenario, how: str) -> None:
    if how in {"completed", "import_failed", "follow_timed_out"}:
        lease = scenario.sends("a")
        scenario.commit(lease, "t1")
        scenario.world.advance(24 * HOUR)
        scenario.ends("a", how)
        return
    if how == "rejected":
        scenario.ledger.reject(scenario.sends("a"), Rejected("43010", "not found"))
        return
    if how == "gave_up":
        scenario.ledger.retry(scenario.sends("a"), BUSY, 7 * HOUR)
        return
    if how == "poison":
        die_until_it_ends(scenario)
        return
    lease = scenario.in_doubt("a")
    scenario.world.advance(60)
    scenario.ledger.record_start_unknown(scenario.look("a").lease, [], 0.0)
    assert lease.fence


def die_until_it_ends(scenario: Scenario) -> None:
    while isinstance(scenario.claim("a"), StartNow):
        scenario.world.advance(180)


ENDS = ["completed", "import_failed", "follow_timed_out", "rejected", "gave_up", "poison", "start_unknown"]


@pytest.mark.parametrize("how", ENDS)
def test_the_next_follow_up_is_due_at_once_however_the_holder_ends(scenario: Scenario, how: str):
    scenario.arrives("a")
    scenario.arrives("b")
    scenario.claim("a", "w1")
    scenario.claim("b")
    assert scenario.due_in("b") == 600
    scenario.world.advance(180)

    end_of_holder(scenario, how)

    assert scenario.due_in("a") is None
    assert scenario.due_in("b") is not None
    assert scenario.due_in("b") <= 0
    assert isinstance(scenario.claim("b"), StartNow)


def test_the_next_follow_up_is_due_when_the_window_of_the_last_run_opens(scenario: Scenario):
    scenario.arrives_and_starts("a", window=3)
    scenario.arrives("b")
    scenario.claim("b")
    scenario.ends("a")

    assert scenario.due_in("b") == 3 * HOUR


def test_a_follow_up_looks_again_although_no_one_woke_it(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.arrives("b")
    scenario.claim("b")
    scenario.world.advance(600)
    scenario.claim("b")

    assert scenario.due_in("b") == 600


def test_follow_ups_with_different_names_start_in_order_of_arrival(scenario: Scenario):
    scenario.arrives_and_starts("a")
    for name in ("b", "c"):
        scenario.world.advance(1)
        scenario.arrives(name)
    scenario.claim("c")
    scenario.claim("b")
    scenario.ends("a")

    assert scenario.claim("c").state == "deferred"
    assert isinstance(scenario.claim("b"), StartNow)


def test_a_new_file_does_not_overtake_one_that_waits(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.arrives("b")
    scenario.claim("b")
    scenario.ends("a")
    scenario.world.advance(1)
    scenario.arrives("c")

    assert scenario.claim("c") == NotYet(state="deferred", held_by="b")
    assert scenario.due_in("b") == 0
    assert isinstance(scenario.claim("b"), StartNow)


def test_of_follow_ups_with_the_same_name_the_newest_wins(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.arrives("b", name="x.csv")
    scenario.claim("b")
    scenario.world.advance(1)
    scenario.arrives("c", name="x.csv")

    assert scenario.claim("c").state == "deferred"
    assert scenario.names("b") == ["accepted", "deferred", "duplicate"]
    assert (scenario.last("b")["why"], scenario.last("b")["superseded_by"]) == ("superseded", "c")
    assert scenario.due_in("b") is None
    assert scenario.claim("b").state == "duplicate"
    scenario.ends("a")
    assert isinstance(scenario.claim("c"), StartNow)


def test_an_older_request_that_comes_after_a_newer_one_is_superseded_by_it(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.arrives("old", name="x.csv")
    scenario.world.advance(1)
    scenario.arrives("new", name="x.csv")
    scenario.claim("new")

    assert scenario.claim("old") == AlreadyEnded(state="duplicate", held_by="new")
    assert scenario.last("old")["superseded_by"] == "new"
    assert scenario.names("new") == ["accepted", "deferred"]


def test_two_requests_of_the_same_millisecond_coalesce_into_one(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.arrives("b", name="x.csv")
    scenario.arrives("c", name="x.csv")
    scenario.claim("c")
    scenario.claim("b")

    assert [scenario.names(name)[-1] for name in "bc"] == ["duplicate", "deferred"]


def test_a_superseded_content_may_be_announced_again(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.accept(request("b", file("x.csv", "v1")))
    scenario.claim("b")
    scenario.world.advance(1)
    scenario.accept(request("c", file("x.csv", "v2")))
    scenario.claim("c")
    scenario.world.advance(1)
    scenario.accept(request("d", file("x.csv", "v1")))

    assert scenario.claim("d").state == "deferred"


def test_with_coalesce_latest_one_follow_up_of_any_name_is_kept(scenario: Scenario):
    scenario.decide_by(coalesce="latest")
    scenario.arrives_and_starts("a")
    for name in ("b", "c", "d"):
        scenario.world.advance(1)
        scenario.arrives(name)
    for name in ("b", "d", "c"):
        scenario.claim(name)

    assert [scenario.names(name)[-1] for name in "bcd"] == ["duplicate", "duplicate", "deferred"]
    assert (scenario.last("b")["superseded_by"], scenario.last("c")["superseded_by"]) == ("d", "d")


def test_with_coalesce_latest_a_forced_follow_up_is_kept_too(scenario: Scenario):
    scenario.decide_by(coalesce="latest")
    scenario.arrives_and_starts("a")
    scenario.arrives("b", force=True)
    scenario.claim("b")
    scenario.world.advance(1)
    scenario.arrives("c")
    scenario.claim("c")

    assert [scenario.names(name)[-1] for name in "bc"] == ["deferred", "deferred"]


def test_with_coalesce_each_every_follow_up_is_kept(scenario: Scenario):
    scenario.decide_by(coalesce="each")
    scenario.arrives_and_starts("a")
    for name in ("b", "c"):
        scenario.arrives(name, name="x.csv")
        scenario.claim(name)

    assert [scenario.names(name)[-1] for name in "bc"] == ["deferred", "deferred"]


def test_the_same_file_announced_again_while_it_waits_is_a_duplicate(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.accept(request("b", file("x.csv")))
    scenario.claim("b")
    scenario.accept(request("c", file("x.csv")))

    assert scenario.claim("c") == AlreadyEnded(state="duplicate", held_by="b")


def test_a_follow_up_whose_file_was_imported_by_force_meanwhile_is_a_duplicate(scenario: Scenario):
    scenario.arrives_and_starts("a", window=5)
    scenario.ends("a")
    scenario.accept(request("b", file("x.csv")))
    scenario.claim("b")
    scenario.accept(request("c", file("x.csv"), force=True))
    scenario.start("c", window=5)
    scenario.ends("c")
    scenario.world.advance(5 * HOUR)

    assert scenario.claim("b").state == "duplicate"
    assert scenario.last("b")["held_by"] == "c"


def test_when_a_follow_up_ends_as_duplicate_at_its_turn_the_next_is_woken(scenario: Scenario):
    scenario.arrives_and_starts("a", window=5)
    scenario.ends("a")
    scenario.accept(request("b", file("x.csv")))
    scenario.arrives("n")
    scenario.claim("b")
    scenario.claim("n")
    scenario.accept(request("c", file("x.csv"), force=True))
    scenario.start("c", window=5)
    scenario.ends("c")
    scenario.world.advance(5 * HOUR)
    scenario.claim("n")
    scenario.claim("b")

    assert scenario.due_in("n") == 0


def test_a_forced_follow_up_goes_first_and_does_not_wait_for_the_window(scenario: Scenario):
    scenario.arrives_and_starts("a", window=5)
    scenario.arrives("b")
    scenario.claim("b")
    scenario.world.advance(1)
    scenario.arrives("c", force=True)
    scenario.claim("c")
    assert scenario.due_in("c") == 600
    scenario.ends("a")

    assert scenario.due_in("c") == 0
    assert scenario.claim("b").state == "deferred"
    assert isinstance(scenario.claim("c"), StartNow)


def test_a_forced_follow_up_is_not_superseded_by_one_that_is_not(scenario: Scenario):
    scenario.arrives_and_starts("a", window=5)
    scenario.arrives("b", name="x.csv", force=True)
    scenario.claim("b")
    scenario.world.advance(1)
    scenario.arrives("c", name="x.csv")
    scenario.claim("c")

    assert [scenario.names(name)[-1] for name in "bc"] == ["deferred", "deferred"]


def test_a_follow_up_whose_record_vanished_does_not_block_the_others(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.arrives("b")
    scenario.claim("b")
    scenario.world.advance(1)
    scenario.arrives("c")
    scenario.claim("c")
    scenario.world.lose("b")
    scenario.ends("a")

    assert scenario.due_in("c") == 0
    assert isinstance(scenario.claim("c"), StartNow)


def test_a_follow_up_of_the_same_name_whose_record_vanished_is_passed_over(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.arrives("b", name="x.csv")
    scenario.claim("b")
    scenario.world.lose("b")
    scenario.arrives("c", name="x.csv")

    assert scenario.claim("c").state == "deferred"


def test_a_holder_whose_record_vanished_does_not_block_the_others(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.arrives("b")
    scenario.claim("b")
    scenario.world.lose("a")
    scenario.world.advance(600)

    assert isinstance(scenario.claim("b"), StartNow)
