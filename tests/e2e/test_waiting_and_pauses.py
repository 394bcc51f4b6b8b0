"""What an operator sees of a request that waits, and does about it by command: show, pause, resume, cancel, replay."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import RunningSystem, running_system
from tests.support.waiting import eventually

ROWS = "Key,Value\n1,one\n"


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningSystem]:
    with running_system(least_rights=True) as made:
        made.worker()
        made.beat()
        yield made
        for log in made.folder.glob("*.log"):
            assert "Traceback" not in log.read_text()


def define(stack: RunningSystem, key: str, **properties: Any) -> None:
    stack.sandbox.control.define(key, FileSpec=f"{key}.csv", **properties)
    stack.sandbox.drop(f"{key}.csv", ROWS)


def start(stack: RunningSystem, key: str, content: str = ROWS, *options: str) -> str:
    file = stack.folder / f"{key}.csv"
    if not file.exists() or file.read_text() != content:
        file.write_text(content)
    done = stack.run("start", key, "--file", str(file), "--json", *options)
    return str(json.loads(done.stdout)["request_id"])


def show(stack: RunningSystem, what: str) -> dict[str, Any]:
    done = stack.run("show", what, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def waits(stack: RunningSystem, request: str, reason: str) -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        waiting = show(stack, request)["waiting"]
        return waiting if waiting and waiting["reason"] == reason else None

    return eventually(found, 60, f"{request} waits for {reason}")


def test_a_paused_definition_lets_arrivals_wait_and_starts_them_when_it_is_resumed(stack: RunningSystem) -> None:
    define(stack, "orders")
    paused = stack.run("pause", "orders", "--reason", "columns change", "--operator", "ann", "--json")
    request = start(stack, "orders")
    waiting = waits(stack, request, "paused")
    listed = stack.run("status").stdout

    assert json.loads(paused.stdout)["scope"].endswith(":orders")
    assert waiting["text"] == "An operator paused its definition, its business unit or everything."
    assert "by ann: columns change" in listed
    assert stack.sandbox.control.performs("orders") == []
    assert stack.run("resume", "orders").returncode == 0
    stack.await_event("completed", request)
    assert show(stack, request)["waiting"] is None
    assert stack.run("resume", "orders").returncode == 1


def test_a_file_inside_the_window_says_until_when_it_waits_and_behind_which_request(stack: RunningSystem) -> None:
    define(stack, "hourly", MaxImportFrequency=1)
    first = start(stack, "hourly")
    stack.await_event("completed", first)
    second = start(stack, "hourly", ROWS + "2,two\n")
    waiting = waits(stack, second, "window")
    shown = stack.run("show", second).stdout

    assert waiting["held_by"] == first
    assert waiting["until"].endswith("Z")
    assert "waits    window until" in shown
    assert f"behind   request {first}" in shown
    assert f"next     sfmc-import cancel {second}\n" in shown
    assert f"next     sfmc-import force {second} --reason TEXT\n" in shown


def test_a_cancelled_request_starts_nothing_until_it_is_replayed(stack: RunningSystem) -> None:
    define(stack, "daily", MaxImportFrequency=1)
    stack.run("pause", "daily", "--reason", "look first")
    request = start(stack, "daily")
    waits(stack, request, "paused")
    cancelled = stack.run("cancel", request, "--reason", "wrong day", "--operator", "ann")
    again = start(stack, "daily")
    stack.run("resume", "daily")
    stack.await_event("duplicate", again)
    replayed = json.loads(stack.run("replay", request, "--reason", "it was right", "--json").stdout)

    assert cancelled.returncode == 0
    stack.await_event("completed", replayed["new_request_id"])
    assert show(stack, replayed["new_request_id"])["replays"] == request
    assert len(stack.sandbox.control.performs("daily")) == 1
    refused = stack.run("replay", replayed["new_request_id"])
    assert refused.returncode == 1
    assert "its file was imported" in refused.stderr


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["show", "nothing"], 1, "no request has the id, the Task.ID or the file name nothing"),
        (["cancel", "nothing"], 1, "there is no request nothing"),
        (["replay", "nothing"], 1, "there is no request nothing"),
        (["replay", "nothing", "--force"], 2, "force needs a reason"),
        (["pause", "orders"], 2, "a pause needs a reason"),
        (["pause"], 2, "give the KEY of a definition, --unit or --all"),
        (["pause", "--all", "--reason", "x", "--for", "soon"], 2, "--for soon: give a time"),
        (["pause", "orders", "--reason", "x" * 1025], 2, "the reason has 1025 characters; it may have 1024"),
        (["pause", "k" * 257, "--reason", "x"], 2, "the CustomerKey has 257 characters; it may have 256"),
        (["pause", "--all", "--reason", "x", "--operator", "o" * 1025], 2, "--operator: the name has 1025 characters"),
        (["resume", "--all"], 1, "all is not paused"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_done_is_one_clear_line(
    stack: RunningSystem, words: list[str], code: int, complaint: str
) -> None:
    done = stack.run(*words)

    assert done.returncode == code
    assert complaint in done.stderr.splitlines()[0]


@pytest.mark.nightly
def test_a_request_is_found_by_its_task_and_by_its_file(stack: RunningSystem) -> None:
    define(stack, "found")
    request = start(stack, "found")
    task = stack.await_event("completed", request)["data"]["task_id"]

    assert [show(stack, what)["request_id"] for what in (request, task, "found.csv")] == [request] * 3
    assert show(stack, request)["events"][-1]["type"] == "sfmc.import.completed"


def test_a_definition_starts_after_another_one_has_completed(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('[[definition]]\ncustomer_key = "orders"\nafter = ["contacts"]\n')
    with running_system({"SFMC_CONFIG": str(policy)}) as stack:
        stack.worker()
        stack.beat()
        for key in ("orders", "contacts"):
            define(stack, key)
        orders = start(stack, "orders")
        waiting = waits(stack, orders, "after")
        before = stack.sandbox.control.performs("orders")
        contacts = start(stack, "contacts")
        stack.await_event("completed", contacts)
        stack.await_event("completed", orders)

        assert (waiting["held_by"], waiting["until"], before) == ("contacts", None, [])


def test_a_pause_of_a_mistyped_key_is_accepted_and_says_which_one_may_be_meant(stack: RunningSystem) -> None:
    start(stack, "monthly")
    paused = stack.run("pause", "monthlyy", "--reason", "columns change")
    read_again = stack.run("definitions", "refresh", "monthlyy")
    stack.run("resume", "monthlyy")

    for done in (paused, read_again):
        assert done.returncode == 0
        assert done.stdout.splitlines()[1] == ("  no definition with this key is known here; did you mean monthly?")
