"""The record of a request says where its events stand, so that its life is read without reading the stream."""

from dataclasses import replace

import pytest

from sfmc_import.events import EventStream
from sfmc_import.ledger.reading import LedgerReader
from tests.contract.ledger.scenario import BUSY, Scenario


def life(scenario: Scenario, request_id: str) -> list[str]:
    world = scenario.world
    places = LedgerReader(world.client, world.keys).places(request_id)
    return [event["id"] for _, event in EventStream(world.client, world.keys.stream).at(places)]


def test_every_event_of_a_request_is_found_by_its_place(scenario: Scenario):
    for name in ("a", "b"):
        scenario.arrives_and_starts(name, key=f"key-{name}")
        scenario.world.advance(60)
        scenario.ends(name)

    for name in ("a", "b"):
        assert life(scenario, name) == [event["id"] for event in scenario.events(name)]
        assert len(life(scenario, name)) == 4


def test_of_very_many_events_the_first_and_the_newest_are_found(scenario: Scenario):
    scenario.arrives("a")
    for _ in range(120):
        scenario.ledger.retry(scenario.go("a"), BUSY, 0.0)
    found, every = life(scenario, "a"), [event["id"] for event in scenario.events("a")]

    assert len(scenario.world.record("a")["l"]) <= 1000
    assert 20 < len(found) < len(every)
    assert found == [every[0], *every[1 - len(found) :]]


def test_a_request_of_which_no_places_are_noted_has_none(scenario: Scenario):
    scenario.arrives("a")
    scenario.world.client.hdel(scenario.world.keys.request("a"), "l")

    assert life(scenario, "a") == life(scenario, "unknown") == []


def asks_again(scenario: Scenario, old: str, new: str) -> None:
    scenario.accept(replace(scenario.requests["a1"], request_id=new, replays=old))


@pytest.mark.parametrize("replayed", ["a1", "a2"])
def test_what_was_cancelled_is_replayed_also_when_its_replay_was_cancelled(scenario: Scenario, replayed: str):
    scenario.arrives("a1", name="a.csv")
    scenario.ledger.cancel("a1", "ann", "wrong")
    asks_again(scenario, "a1", "a2")
    scenario.ledger.cancel("a2", "ann", "wrong")
    asks_again(scenario, replayed, "a3")

    assert scenario.go("a3").request_id == "a3"


def test_the_replay_of_what_another_request_has_imported_since_is_a_duplicate(scenario: Scenario):
    scenario.arrives("a1", name="a.csv")
    scenario.ledger.cancel("a1", "ann", "wrong")
    asks_again(scenario, "a1", "a2")
    scenario.start("a2")
    asks_again(scenario, "a1", "a3")
    scenario.claim("a3")

    assert scenario.world.state("a3") == "duplicate"


def test_a_forced_request_says_what_it_waited_for(scenario: Scenario):
    scenario.decide_by(after=("Contacts",))
    scenario.arrives("a")
    scenario.claim("a")
    scenario.claim("a")
    scenario.ledger.force("a", "ann", "now")

    assert scenario.last("a")["waited_for"] == "after"
    assert scenario.go("a").request_id == "a"
