"""Since when files wait, and folders are in trouble, stays the same when their watcher is started anew."""

import orjson

from sfmc_import.ledger.reading import LedgerReader
from tests.contract.ledger.scenario import HOUR
from tests.support.ledger_world import RedisWorld

FOLDER = {"folder": "/in", "location": "/in", "state": "watched", "files": [], "more": 0}
HELD = {"name": "ü/a.csv", "reason": "unmatched", "age": 20.0}


def waits_since(world: RedisWorld) -> list[float]:
    """Seconds since when each file waits, as it is read now."""
    now = world.now_ms() / 1000
    read = LedgerReader(world.client, world.keys).watchers()
    return [round(now - file["since"], 3) for each in read for folder in each["folders"] for file in folder["files"]]


def say(world: RedisWorld, watcher: str, *files: dict[str, object], after: float = 0.0, **folder: object) -> None:
    world.advance(after)
    world.ledger.note_folders(watcher, [FOLDER | {"files": list(files)} | folder])


def test_a_file_waits_since_the_same_time_when_its_watcher_was_started_anew(world: RedisWorld):
    say(world, "h:1:a", HELD)
    world.ledger.note_folders("h:1:a", None)
    say(world, "h:2:b", after=30)
    say(world, "h:2:b", HELD | {"age": 1.0}, after=10)
    assert waits_since(world) == [60.0]

    say(world, "h:2:b", HELD | {"age": 31.0}, after=30)
    assert waits_since(world) == [90.0]
    assert 0.9 * HOUR < world.client.pttl(world.keys.waits("/in")) / 1000 <= HOUR


def test_a_wait_that_is_said_again_and_again_is_noted_anew_after_some_minutes_alone(world: RedisWorld):
    def noted() -> list[bytes]:
        return list(world.client.hvals(world.keys.waits("/in")))

    say(world, "h:1:a", HELD)
    first = noted()
    say(world, "h:1:a", HELD | {"age": 219.0}, after=200)
    assert noted() == first

    say(world, "h:1:a", HELD | {"age": 319.0}, after=100)
    assert noted() != first
    assert waits_since(world) == [320.0]
    say(world, "h:2:b", HELD | {"age": 20.0}, after=1)
    assert noted()[0].endswith(b"h:2:b")


def test_a_wait_that_is_older_than_was_noted_counts_from_there(world: RedisWorld):
    say(world, "h:1:a", HELD)
    say(world, "h:1:a", HELD | {"age": 90.0}, after=10)
    say(world, "h:2:b", HELD | {"age": 16.0}, after=10)
    assert waits_since(world) == [100.0, 100.0]


def test_a_wait_for_another_reason_or_one_that_was_over_begins_anew(world: RedisWorld):
    say(world, "h:1:a", HELD)
    say(world, "h:1:a", HELD | {"age": 1.0, "reason": "refused"}, after=30)
    assert waits_since(world) == [1.0]

    say(world, "h:1:a", HELD | {"age": 2.0}, after=30)
    assert waits_since(world) == [2.0]


def test_a_wait_of_which_nothing_was_said_for_an_hour_is_forgotten(world: RedisWorld):
    say(world, "h:1:a", HELD)
    say(world, "h:2:b", HELD, after=HOUR)
    assert waits_since(world) == [20.0]


def test_a_wait_that_has_just_begun_is_not_kept_and_a_folder_in_trouble_is(world: RedisWorld):
    say(world, "h:1:a", HELD | {"age": 14.9}, state="unreadable", age=50.0)
    [field] = world.client.hkeys(world.keys.waits("/in"))
    assert orjson.loads(field) == ["/in", "", "unreadable"]

    say(world, "h:2:b", after=10, state="unreadable", age=2.0)
    [_, watcher] = LedgerReader(world.client, world.keys).watchers()
    assert round(world.now_ms() / 1000 - watcher["folders"][0]["since"], 3) == 60
