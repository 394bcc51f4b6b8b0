"""The source `schedule`: real beats, a missed tick, and the sandbox; the example of its page as written."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sfmc_local.processes import stop
from tests.support.processes import RunningSystem, running_system
from tests.support.sources import example_of, use_policy
from tests.support.waiting import eventually

SEEN = "{sfmc-import:events}:schedule:nightly"


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    with running_system(least_rights=True) as made:
        made.worker()
        made.sandbox.control.define("contacts", FileSpec="contacts.csv")
        made.sandbox.drop("contacts.csv", "Key,Value\n1,one\n")
        yield made


def were_away(system: RunningSystem, **since: float) -> None:
    """As if all beats had been away."""
    system.client.set(SEEN, int((datetime.now(UTC) - timedelta(**since)).timestamp()), ex=3600)


def accepted(system: RunningSystem) -> list[str]:
    found = [event["data"] for event in system.events() if event["type"] == "sfmc.import.accepted"]
    return [each["request_id"] for each in found if each.get("source") == "nightly"]


def standing(system: RunningSystem) -> dict[str, Any]:
    """What `folders list` says of the schedule."""
    lines = system.run("folders", "list", "--json").stdout.splitlines()
    found = [each for each in map(json.loads, lines) if each["location"] == "schedule:nightly"]
    return found[0] if found else {}


def test_beats_submit_a_missed_tick_once_and_it_becomes_one_completed_import(system: RunningSystem) -> None:
    policy = use_policy(system, example_of("schedule"))
    were_away(system, days=3)
    beats = [system.beat(**policy) for _ in range(2)]
    done = system.await_event("completed")
    system.kill(beats[0])
    were_away(system, days=3)  # what was noted is lost: the ledger still knows the request
    again = system.beat(**policy)
    eventually(lambda: int(system.client.get(SEEN)) > datetime.now(UTC).timestamp() - 60, 30, "the tick is noted")

    eventually(lambda: len(standing(system).get("watchers", ())) >= 2, 30, "both beats say how it stands")
    found = standing(system)
    assert (found["state"], found["is_trouble"], found["until"] > found["seen_at"]) == ("watched", False, True)
    assert accepted(system) == [done["data"]["request_id"]]
    assert done["subject"] == "contacts"
    assert done["data"]["file"] is None
    assert len(system.sandbox.control.performs("contacts")) == 1
    assert [stop(each) for each in (beats[1], again)] == [0, 0]


@pytest.mark.nightly
def test_a_tick_comes_at_a_full_minute_on_the_clock_of_redis() -> None:
    every_minute = example_of("schedule", **{'cron = "30 5 * * *"': 'cron = "* * * * *"'})
    with running_system(least_rights=True) as system:
        beat = system.beat(**use_policy(system, every_minute))
        eventually(lambda: accepted(system), 75, "the next minute is submitted")
        stop(beat)
        [request_id] = accepted(system)
        record = system.client.hgetall("{sfmc-import:events}:r:" + request_id)

    tick = datetime.strptime(record[b"event_id"].decode(), "nightly/%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert tick.second == 0


def test_a_wrong_line_is_one_line_for_beat_and_doctor(system: RunningSystem) -> None:
    policy = use_policy(system, example_of("schedule", **{'"30 5 * * *"': '"30 25 * * *"'}))
    complaint = "nightly cron: '30 25 * * *': not a line of cron: bad hour"
    for command in ("beat", "doctor"):
        done = system.run(command, **policy)
        assert done.returncode in {1, 2}
        assert complaint in done.stdout + done.stderr


def test_a_schedule_without_a_business_unit_ends_beat_with_one_line(system: RunningSystem) -> None:
    done = system.run("beat", SFMC_ACCOUNT_ID="", **use_policy(system, example_of("schedule")))

    assert done.returncode == 2
    assert "nightly mid: missing" in done.stderr


def test_the_command_source_says_that_beat_runs_it(system: RunningSystem) -> None:
    done = system.run("source", "nightly", **use_policy(system, example_of("schedule")))

    assert done.returncode == 2
    assert "source nightly: beat runs schedules" in done.stderr
