"""Imports that end in Error: a pause that grows takes the place of the window, and everybody can see it."""

import pytest

from sfmc_import.states import COMPLETED, AlreadyEnded, NotYet, StartNow
from tests.contract.ledger.scenario import HOUR, Scenario, file, request

MINUTE = 60.0


def fails(scenario: Scenario, request_id: str, window: float = 6) -> None:
    scenario.start(request_id, window=window)
    scenario.ends(request_id, "import_failed")


def fail_in_a_row(scenario: Scenario, count: int, window: float = 6) -> list[float]:
    """Let imports fail as soon as each may start; gives the seconds between an error and the next start."""
    waits = []
    scenario.arrives("r0")
    for number in range(count):
        fails(scenario, f"r{number}", window)
        scenario.arrives(f"r{number + 1}")
        decision = scenario.claim(f"r{number + 1}")
        assert isinstance(decision, NotYet)
        waits.append(decision.opens_in or 0.0)
        scenario.world.advance(waits[-1])
    return waits


def test_after_an_error_a_corrected_file_waits_a_minute_and_not_for_the_window(scenario: Scenario):
    scenario.arrives("a", name="x.csv")
    fails(scenario, "a")
    scenario.accept(request("b", file("x.csv", version="corrected")))

    assert scenario.claim("b") == NotYet(state="deferred", held_by="a", opens_in=MINUTE)
    scenario.world.advance(MINUTE)
    assert isinstance(scenario.claim("b"), StartNow)


def test_the_pause_grows_with_each_error_in_a_row_up_to_the_window(scenario: Scenario):
    waits = fail_in_a_row(scenario, 7)

    assert waits == [MINUTE * each for each in (1, 5, 15, 45, 135, 360, 360)]


def test_beyond_the_last_pause_the_whole_window_counts(scenario: Scenario):
    assert fail_in_a_row(scenario, 8, window=30)[-1] == 30 * HOUR


def test_a_definition_without_a_window_waits_for_nothing(scenario: Scenario):
    for name in ("a", "b", "c"):
        scenario.arrives(name)
        fails(scenario, name, window=0)

    assert "window_opens" not in scenario.last("c")


@pytest.mark.parametrize("outcome", COMPLETED)
def test_an_import_that_completed_begins_the_count_anew(scenario: Scenario, outcome: str):
    fail_in_a_row(scenario, 2)
    scenario.start("r2", window=6)
    scenario.ends("r2", outcome)
    scenario.world.advance(6 * HOUR)
    scenario.arrives("next")
    fails(scenario, "next")

    assert scenario.last("next")["consecutive_errors"] == 1


def test_following_that_timed_out_says_nothing_about_errors(scenario: Scenario):
    fail_in_a_row(scenario, 1)
    scenario.start("r1", window=6)
    scenario.world.advance(24 * HOUR)
    scenario.ends("r1", "follow_timed_out")
    scenario.arrives("next")
    fails(scenario, "next")

    assert scenario.last("next")["consecutive_errors"] == 2


def test_the_event_the_answer_and_the_record_show_errors_and_when_the_next_start_may_be(scenario: Scenario):
    scenario.arrives("a")
    scenario.start("a", window=6)
    run = scenario.run("a")
    answer = scenario.ledger.ended(run, "import_failed", None, scenario.policy)
    last = scenario.last("a")

    assert (last["consecutive_errors"], last["window_opens"]) == (1, answer["window_opens"])
    assert answer["consecutive_errors"] == 1


def test_an_end_without_error_answers_nothing(scenario: Scenario):
    scenario.arrives_and_starts("a", window=6)

    assert scenario.ledger.ended(scenario.run("a"), "completed", None, scenario.policy) == {}


def test_with_keep_errors_are_counted_and_the_window_stays(scenario: Scenario):
    scenario.decide_by(on_error="keep")
    scenario.arrives("a")
    fails(scenario, "a")
    scenario.accept(request("b"))

    assert scenario.claim("b") == AlreadyEnded(state="duplicate", held_by="a", opens_in=6 * HOUR)
    assert scenario.last("a")["consecutive_errors"] == 1


def test_three_starts_within_seconds_are_impossible_where_a_window_is_set(scenario: Scenario):
    scenario.arrives("a")
    fails(scenario, "a", window=6)
    for name in ("b", "c"):
        scenario.arrives(name)
        scenario.world.advance(2)
        assert scenario.claim(name).state == "deferred"


def test_the_file_of_an_error_may_come_again_and_waits_for_the_pause(scenario: Scenario):
    scenario.accept(request("a", file(), event_id="e"))
    fails(scenario, "a")
    scenario.accept(request("b", file(), event_id="e"))
    assert scenario.claim("b").state == "deferred"
    scenario.world.advance(MINUTE)

    assert isinstance(scenario.claim("b"), StartNow)


def test_an_older_window_that_lasts_longer_than_the_pause_counts(scenario: Scenario):
    scenario.arrives_and_starts("a", window=10)
    scenario.ends("a")
    scenario.accept(request("b", force=True))
    fails(scenario, "b", window=24)
    scenario.accept(request("c"))

    assert scenario.claim("c") == AlreadyEnded(state="duplicate", held_by="a", opens_in=10 * HOUR)


def test_an_older_window_that_ends_before_the_pause_does_not(scenario: Scenario):
    scenario.arrives_and_starts("a", window=1)
    scenario.ends("a")
    scenario.world.advance(HOUR - 10)
    scenario.accept(request("b", force=True))
    fails(scenario, "b", window=24)
    scenario.accept(request("c"))

    assert scenario.claim("c") == AlreadyEnded(state="duplicate", held_by="b", opens_in=MINUTE)


def test_the_error_of_a_run_that_outlasted_its_window_closes_nothing(scenario: Scenario):
    scenario.arrives_and_starts("a", window=1)
    scenario.world.advance(HOUR)
    scenario.ends("a", "import_failed")
    scenario.arrives("b")

    assert isinstance(scenario.claim("b"), StartNow)
