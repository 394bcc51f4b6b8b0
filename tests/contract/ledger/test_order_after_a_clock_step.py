"""What was recorded while the clock of Redis was ahead came before what is recorded after it was set right."""

from sfmc_import.states import AlreadyEnded, StartNow
from tests.contract.ledger.scenario import HOUR, Scenario
from tests.contract.ledger.test_running_limits import ONE, again, comes, runs
from tests.contract.ledger.test_settling import WRONG, imported, record, rejected


def arrive_around_a_step(scenario: Scenario, first: str, second: str, **more: object) -> None:
    """The second one arrives a second after the first, and the clock goes back in between."""
    scenario.arrives(first, **more)
    scenario.world.advance(1 - HOUR)
    scenario.arrives(second, **more)


def test_the_newer_one_of_two_follow_ups_with_the_same_name_wins(scenario: Scenario):
    scenario.arrives_and_starts("a")
    arrive_around_a_step(scenario, "old", "new", name="x.csv")
    scenario.claim("old")

    assert scenario.claim("new").state == "deferred"
    assert (scenario.last("old")["why"], scenario.last("old")["superseded_by"]) == ("superseded", "new")


def test_an_older_one_that_is_decided_after_the_newer_one_is_superseded_by_it(scenario: Scenario):
    scenario.arrives_and_starts("a")
    arrive_around_a_step(scenario, "old", "new", name="x.csv")
    scenario.claim("new")

    assert scenario.claim("old") == AlreadyEnded(state="duplicate", held_by="new")
    assert scenario.names("new") == ["accepted", "deferred"]


def test_what_was_recorded_on_a_clock_that_was_ahead_for_a_moment_is_newer_than_what_came_before(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.arrives("old", name="x.csv")
    scenario.claim("old")
    scenario.world.advance(HOUR)
    scenario.arrives("new", name="x.csv")
    scenario.world.advance(1 - HOUR)

    assert scenario.claim("new").state == "deferred"
    assert scenario.last("old")["superseded_by"] == "new"


def test_of_two_that_were_recorded_on_the_clock_ahead_the_newer_one_wins(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.arrives("old", name="x.csv")
    scenario.world.advance(1)
    scenario.arrives("new", name="x.csv")
    scenario.world.advance(-HOUR)
    scenario.claim("new")

    assert scenario.claim("old") == AlreadyEnded(state="duplicate", held_by="new")


def test_follow_ups_with_different_names_start_in_order_of_arrival(scenario: Scenario):
    scenario.arrives_and_starts("a")
    arrive_around_a_step(scenario, "old", "new")
    scenario.claim("new")
    scenario.claim("old")
    scenario.world.advance(2 * HOUR)
    scenario.claim("old")
    scenario.ends("a")

    assert scenario.claim("new").state == "deferred"
    assert isinstance(scenario.claim("old"), StartNow)


def test_what_has_the_same_time_in_the_ids_of_events_keeps_its_order(scenario: Scenario):
    scenario.arrives_and_starts("a")
    ahead = f"{scenario.world.now_ms() * 2}-0"
    scenario.world.client.xadd(scenario.ledger.keys.stream, {"event": '{"type": "other", "data": {}}'}, id=ahead)
    for name in ("z", "b"):
        scenario.arrives(name)
    for name in ("b", "z"):
        scenario.claim(name)
    scenario.ends("a")

    assert scenario.claim("b").state == "deferred"
    assert isinstance(scenario.claim("z"), StartNow)


def test_a_forced_follow_up_goes_before_one_that_was_recorded_on_the_clock_ahead(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.arrives("old")
    scenario.world.advance(1 - HOUR)
    scenario.arrives("forced", force=True)
    scenario.claim("old")
    scenario.claim("forced")
    scenario.ends("a")

    assert scenario.claim("old").state == "deferred"
    assert isinstance(scenario.claim("forced"), StartNow)


def test_the_newest_duplicate_of_a_request_that_comes_to_nothing_is_taken_up(scenario: Scenario):
    scenario.arrives("a", event_id="once")
    lease = scenario.sends("a")
    arrive_around_a_step(scenario, "old", "new", event_id="once")
    scenario.claim("old")
    scenario.claim("new")
    assert scenario.ledger.reject(lease, WRONG) == "rejected"

    assert [scenario.names(name)[-1] for name in ("old", "new")] == ["duplicate", "accepted"]


def test_a_place_is_given_in_order_of_arrival(scenario: Scenario):
    scenario.policy = ONE
    runs(scenario, "a")
    comes(scenario, "old")
    scenario.world.advance(1 - HOUR)
    comes(scenario, "new")
    again(scenario, "old")
    scenario.world.advance(HOUR)
    again(scenario, "old")
    scenario.ends("a")

    assert scenario.due_in("old") == 0
    assert scenario.due_in("new") != 0


def test_a_place_is_given_to_a_forced_request_before_one_of_the_clock_ahead(scenario: Scenario):
    scenario.policy = ONE
    runs(scenario, "a")
    comes(scenario, "old")
    scenario.world.advance(1 - HOUR)
    comes(scenario, "forced", force=True)
    scenario.ends("a")

    assert scenario.due_in("forced") == 0


def test_an_import_settles_what_was_recorded_on_the_clock_ahead(scenario: Scenario):
    rejected(scenario, "old")
    scenario.world.advance(-HOUR)
    imported(scenario, "new")

    assert record(scenario, "old")["settled_by"] == "new"


def refused(scenario: Scenario, ago: float) -> str:
    asked = scenario.ledger.load("a")
    assert asked is not None
    return scenario.ledger.unresolved(asked, WRONG, 3.5, scenario.policy, ago)


def test_what_is_refused_after_a_clock_went_back_ends_with_the_next_refusal(scenario: Scenario):
    scenario.arrives("a")
    scenario.world.advance(-HOUR)

    assert refused(scenario, ago=0.5) == "retrying"
    scenario.world.advance(3.5)
    assert refused(scenario, ago=0.5) == "rejected"


def test_an_answer_from_before_the_request_ends_it_on_no_clock(scenario: Scenario):
    scenario.arrives("a")
    scenario.world.advance(-HOUR)
    refused(scenario, ago=0.5)
    scenario.world.advance(1)

    assert refused(scenario, ago=1.5) == "retrying"


def test_an_answer_that_was_asked_for_after_the_request_came_ends_it(scenario: Scenario):
    scenario.arrives("a")
    scenario.world.advance(2)
    assert refused(scenario, ago=2.5) == "retrying"
    scenario.world.advance(1)

    assert refused(scenario, ago=2) == "rejected"
