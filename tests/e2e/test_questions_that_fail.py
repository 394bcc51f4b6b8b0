"""Questions that fail, and a worker that is killed during a start, are said by the commands alone."""

import json
from typing import Any

import pytest

from tests.support.processes import RunningSystem, running_system
from tests.support.sandbox_server import ACCOUNT_ID
from tests.support.waiting import eventually

ROWS = "Key,Value\n1,one\n"
OBJECTS = {"definitions": "ImportDefinition", "results": "ImportResultsSummary"}


def defined(stack: RunningSystem, key: str) -> str:
    """Make a definition with its file, and ask for its start; gives the id of the request."""
    stack.sandbox.control.define(key, FileSpec=f"{key}.csv")
    stack.sandbox.drop(f"{key}.csv", ROWS)
    (stack.folder / f"{key}.csv").write_text(ROWS)
    done = stack.run("start", key, "--json", "--record-only", "--file", str(stack.folder / f"{key}.csv"))
    return str(json.loads(done.stdout)["request_id"])


def troubles(stack: RunningSystem, reason: str) -> list[dict[str, Any]]:
    found = json.loads(stack.run("status", "--json").stdout)["troubles"]
    return [each for each in found if each["reason"] == reason]


@pytest.mark.parametrize(
    ("what", "status"), [pytest.param("definitions", 404, marks=pytest.mark.nightly), ("results", 500)]
)
def test_questions_that_get_an_error_are_a_line_at_the_top_until_they_are_answered(what: str, status: int) -> None:
    with running_system({"SFMC_KNOWN_RUNS": "query"}) as stack:
        stack.worker()
        stack.beat()
        stack.sandbox.control.add_fault("http_any", "Retrieve", status=status, object_type=OBJECTS[what])
        request = defined(stack, "asked")
        [trouble] = eventually(lambda: troubles(stack, "backoff"), 60, "the questions are said to fail")
        said, doctor = stack.run("status").stdout, stack.run("doctor").stdout
        stack.sandbox.control.clear_faults()
        stack.await_event("completed", request)

    assert (trouble["mid"], trouble["customer_keys"], trouble["requests"]) == (str(ACCOUNT_ID), ["asked"], 1)
    assert trouble["since"]
    assert f"business unit {ACCOUNT_ID}: backoff for " in said
    assert "It holds 1 request, of asked; if nothing changes, it ends as gave_up" in said
    assert "To do: check S" in said
    assert f"starts wait in business unit {ACCOUNT_ID}" in doctor


def test_runs_that_cannot_be_asked_for_are_a_line_at_the_top_until_they_are_answered() -> None:
    with running_system() as stack:
        stack.worker()
        stack.beat()
        stack.sandbox.control.add_fault("slow_run", customer_key="asked", seconds=600)
        request = defined(stack, "asked")
        stack.await_event("started", request)
        stack.sandbox.control.add_fault("http_500", "Retrieve", object_type=OBJECTS["results"])
        [trouble] = eventually(lambda: troubles(stack, "following"), 60, "the polls are said to fail")

    assert (trouble["runs"], trouble["customer_keys"], trouble["codes"]) == (1, ["asked"], ["http_status"])


@pytest.mark.nightly
def test_a_worker_that_is_killed_during_a_start_is_said_to_be_gone_while_another_one_lives() -> None:
    with running_system({"SFMC_LEASE_SECONDS": "60", "SFMC_READ_TIMEOUT": "40"}) as stack:
        first = stack.worker("--name", "first@%h")
        stack.sandbox.control.add_fault("hang", customer_key="killed")
        request = defined(stack, "killed")
        stack.await_event("starting", request)
        eventually(lambda: json.loads(stack.run("show", request, "--json").stdout)["attempting"], 30, "it is asked")
        second = stack.worker("--name", "second@%h")
        stack.beat()
        stack.kill(first)
        view = eventually(lambda: gone(stack, request), 60, "its worker is said to be gone")
        said = stack.run("show", request).stdout

        assert second.poll() is None
    assert view["worker"]["name"].startswith("first@")
    assert f"Another worker takes the request up at {view['worker']['until'][:10]}" in said
    assert view["attempting"]["until"] is None


def gone(stack: RunningSystem, request: str) -> dict[str, Any]:
    view: dict[str, Any] = json.loads(stack.run("show", request, "--json").stdout)
    return view if view["worker"] and view["worker"]["is_gone"] else {}
