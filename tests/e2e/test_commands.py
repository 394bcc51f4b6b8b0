"""The commands status, events, follow, doctor and health, as real processes over a real run of the system."""

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import RunningSystem, running_system
from tests.support.sandbox_server import ACCOUNT_ID
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningSystem]:
    with running_system(least_rights=True) as made:
        made.sandbox.control.define("daily", FileSpec="daily.csv", MaxImportFrequency=2)
        made.sandbox.drop("daily.csv", "Key,Value\n1,one\n2,two\n")
        made.worker()
        made.beat()
        first = made.run("start", "daily", "--wait")
        assert first.returncode == 0, first.stderr
        yield made


@pytest.fixture
def request_id(stack: RunningSystem) -> str:
    """The first request, which ended well."""
    return str(stack.events()[0]["data"]["request_id"])


def machine(stack: RunningSystem, *command: str, **settings: str) -> list[dict[str, Any]]:
    """Run a command with --json that ends well, and read its lines."""
    done = stack.run(*command, "--json", **settings)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("sfmc.import.") for event in events]


def test_events_are_shown_in_order(stack: RunningSystem) -> None:
    events = machine(stack, "events", "--key", "daily")

    of_the_first = [event for event in events if event["data"]["request_id"] == events[0]["data"]["request_id"]]
    assert kinds(of_the_first)[:3] == ["accepted", "starting", "started"]
    assert kinds(of_the_first)[-1] == "completed"


def test_events_go_on_after_the_last_id_without_a_gap_or_a_repeat(stack: RunningSystem) -> None:
    everything = machine(stack, "events", "--last", "1000")

    rest = machine(stack, "events", "--since", everything[1]["stream_id"])

    assert [event["id"] for event in rest] == [event["id"] for event in everything[2:]]


def test_events_can_be_few_and_of_one_kind(stack: RunningSystem) -> None:
    started = machine(stack, "events", "--type", "started")
    last = machine(stack, "events", "--last", "1")

    assert kinds(started) == ["started"]
    assert len(last) == 1


def test_events_follow_shows_what_happens_now(stack: RunningSystem) -> None:
    watching = stack.start("events", "--follow", "--json", "--last", "0")
    shown = stack.log_of(watching)
    numbers = count()

    def something_is_shown() -> str:
        # What happens before the command listens is not its business, so it happens again.
        stack.run("start", "daily", "--event-id", f"event-{next(numbers)}")
        return shown.read_text()

    lines = eventually(something_is_shown, 60, "an event is shown").splitlines()
    stack.await_idle()
    assert json.loads(lines[0])["subject"] == "daily"


@pytest.mark.parametrize("given", ["yesterday", "9" * 20 + "-0", "٣-0"])
def test_events_since_something_that_is_no_id_is_wrong_use(stack: RunningSystem, given: str) -> None:
    done = stack.run("events", "--since", given)

    assert done.returncode == 2
    assert "not an id of the stream" in done.stderr


def test_status_of_a_definition_shows_its_window(stack: RunningSystem) -> None:
    [status] = machine(stack, "status", "daily")

    shown = stack.run("status", "daily").stdout
    assert status["holder"] is None
    assert "held_by  -" in shown
    assert 7000 < status["window_left"] <= 7200
    assert "closed for" in shown


def test_status_of_a_request_shows_its_state(stack: RunningSystem, request_id: str) -> None:
    [status] = machine(stack, "show", request_id)

    assert status["state"] == "completed"
    assert status["mid"] == str(ACCOUNT_ID)
    assert request_id in stack.run("show", request_id).stdout


def test_status_of_an_unknown_request_is_one_line(stack: RunningSystem) -> None:
    done = stack.run("show", "unknown")

    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "sfmc-import: no request has the id, the Task.ID or the file name unknown"


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["status", "Dayly"], 1, "a definition Dayly of business unit 510001234\n  did you mean daily?"),
        (["status", "something-else"], 1, "does not know a definition something-else"),
        (["events", "--key", "Dayly"], 1, "no event names a definition Dayly; did you mean daily?"),
        (["events", "--type", "strtd"], 2, "there is no event type strtd; did you mean started"),
        (["events", "--type", "x"], 2, "there is no event type x; there are: accepted, "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistyped_name_is_an_error_that_says_what_was_probably_meant(
    stack: RunningSystem, words: list[str], code: int, complaint: str
) -> None:
    done = stack.run(*words)

    assert (done.returncode, done.stdout) == (code, "")
    assert complaint in done.stderr


def test_a_type_of_events_may_be_written_whole_and_a_known_key_may_have_none(stack: RunningSystem) -> None:
    assert kinds(machine(stack, "events", "--type", "sfmc.import.started")) == ["started"]
    assert machine(stack, "events", "--key", "daily", "--type", "gave_up") == []


def test_status_of_the_whole_counts(stack: RunningSystem) -> None:
    stack.client.delete("imports")
    [status] = machine(stack, "status")

    assert status["unfinished"] == 0
    assert status["dead_letters"] == 0
    assert status["events"] >= 4


def test_follow_of_a_run_that_ended_shows_its_events_at_once(stack: RunningSystem) -> None:
    [perform] = stack.sandbox.control.performs("daily")

    events = machine(stack, "follow", perform["task_id"])

    assert kinds(events)[0] == "accepted"
    assert kinds(events)[-1] == "completed"
    assert events[-1]["data"]["rows_total"] == 2


def test_follow_of_a_run_whose_events_are_gone_says_how_it_stands(stack: RunningSystem) -> None:
    stack.sandbox.control.define("gone", FileSpec="daily.csv")
    request_id = json.loads(stack.run("start", "gone", "--json").stdout.splitlines()[0])["request_id"]
    task_id = stack.await_event("completed", request_id)["data"]["task_id"]
    events = stack.client.xrange("sfmc-import:events")
    places = [place for place, fields in events if request_id.encode() in fields[b"event"]]
    stack.client.xdel("sfmc-import:events", *places)

    done = stack.run("follow", task_id)

    assert (done.returncode, done.stdout) == (0, "")
    assert "its last events are no longer in the stream; it stands at: completed" in done.stderr


def test_follow_of_an_unknown_task_is_one_line(stack: RunningSystem) -> None:
    done = stack.run("follow", "99999999")

    assert done.returncode == 1
    assert "Task.ID 99999999" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_run_given_up_by_its_deadline_is_followed_again() -> None:
    with running_system({"SFMC_FOLLOW_DEADLINE": "1"}, least_rights=True) as stack:
        stack.sandbox.control.define("slow", FileSpec="slow.csv")
        stack.worker()
        stack.beat()
        stack.sandbox.drop("slow.csv", "Key,Value\n1,one\n")
        stack.sandbox.control.add_fault("late_row", seconds=4, count=1)
        request = json.loads(stack.run("start", "slow", "--json").stdout)["request_id"]
        timed_out = stack.await_event("follow_timed_out", request)

        events = machine(stack, "follow", timed_out["data"]["task_id"], SFMC_FOLLOW_DEADLINE="60")

    assert kinds(events)[-3:] == ["follow_timed_out", "progressed", "completed"]


def test_doctor_finds_a_sound_system_sound(stack: RunningSystem, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('[[definition]]\ncustomer_key = "daily"\non_error = "keep"\n')

    done = stack.run("doctor", SFMC_CONFIG=str(policy))

    assert done.returncode == 0, done.stdout
    assert f"business unit {ACCOUNT_ID}: login works, " in done.stdout
    assert "daily exists" in done.stdout


def test_doctor_shows_each_problem_with_its_fix(stack: RunningSystem, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('[[route]]\npattern = "d*.csv"\ncustomer_key = "dayly"\n')

    missing = stack.run("doctor", SFMC_CONFIG=str(policy))
    locked_out = stack.run("doctor", "--json", SFMC_CLIENT_SECRET="wrong")
    user = {"SFMC_AUTH_URL": "", "SFMC_CLIENT_ID": "", "SFMC_CLIENT_SECRET": "", "SFMC_USERNAME": "demo-user"}
    wrong_user = stack.run("doctor", "--json", **user, SFMC_PASSWORD="wrong")

    assert missing.returncode == 1
    assert "did you mean daily?" in missing.stdout
    assert locked_out.returncode == 1
    for done, variable in ((locked_out, "SFMC_CLIENT_SECRET"), (wrong_user, "SFMC_PASSWORD")):
        [failed] = [each for each in json.loads(done.stdout)["findings"] if each["level"] == "fail"]
        assert failed["check"] == "login"
        assert variable in failed["fix"]


def test_doctor_lists_all_settings(stack: RunningSystem) -> None:
    listed = machine(stack, "doctor", "--settings")

    assert {"name": "SFMC_POOL", "default": "threads", "meaning": "threads, prefork or solo"} in listed


def test_health_shows_whether_the_worker_is_alive(stack: RunningSystem, tmp_path: Path) -> None:
    heartbeat = next(stack.folder.glob("heartbeat-*"))

    alive = stack.run("health", "--ready", SFMC_HEARTBEAT_FILE=str(heartbeat))
    gone = stack.run("health", SFMC_HEARTBEAT_FILE=str(tmp_path / "none"))
    unset = stack.run("health")

    assert (alive.returncode, gone.returncode, unset.returncode) == (0, 1, 2)
    assert alive.stdout.startswith("healthy: ready")


def test_health_of_a_frozen_worker_is_bad(stack: RunningSystem, tmp_path: Path) -> None:
    frozen = tmp_path / "heart"
    frozen.write_text("ready 0\n")

    assert eventually(lambda: stack.run("health", "--file", str(frozen), "--max-age", "0.2").returncode, 60, "too old")
