"""An operator who knows the runbook and has the commands alone finds out what is broken, and sets it right."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sfmc_import.states import TERMINAL
from sfmc_sandbox.fault_catalogue import CATALOGUE
from tests.support.processes import RunningSystem, running_system
from tests.support.sandbox_server import ACCOUNT_ID
from tests.support.waiting import eventually

OVER = {*TERMINAL, "started"}
RUNBOOK = (Path(__file__).parents[2] / "ops/docs/runbook.md").read_text(encoding="utf-8")
DAILY = ("drop_after_applying", "error_any")
"""Faults of every run of the tests; the others are for the nightly one."""

HARMLESS = {"delay", "delay_after_applying", "slow_drip", "trickle", "trickle_all", "throttle", "late_row", "slow_run"}
"""Faults that a start outlives without a failure."""

OPERATION = {"token_refused": "Token", "account_wide": "*"}
STRANGE = {"Unknown", "Paused"}
"""What the sandbox says of runs that it leaves open: they are followed to the deadline."""

ENDS = {"completed", "completed_empty", "import_failed", "rejected", "start_unknown"}


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningSystem]:
    with running_system({"SFMC_RECONCILE_DEADLINE": "2"}) as made:
        made.worker()
        made.beat()
        yield made


def define(stack: RunningSystem, key: str) -> Path:
    """Make a definition and its file; gives the file as the sender has it."""
    stack.sandbox.control.define(key, FileSpec=f"{key}.csv", UpdateType="AddAndUpdate", MaxImportFrequency=1)
    stack.sandbox.drop(f"{key}.csv", "Key,Value\n1,one\n")
    path = stack.folder / f"{key}.csv"
    path.write_text("Key,Value\n1,one\n")
    return path


def start(stack: RunningSystem, key: str, *options: str, **settings: str) -> str:
    done = stack.run("start", key, "--json", "--record-only", *options, **settings)
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["request_id"])


def shown(stack: RunningSystem, request: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stack.run("show", request, "--json").stdout)
    return found


@pytest.mark.nightly
def test_a_file_inside_the_window_is_started_by_force_with_a_reason(stack: RunningSystem) -> None:
    path = define(stack, "forced")
    stack.await_event("completed", start(stack, "forced", "--file", str(path)))
    path.write_text("Key,Value\n2,two\n")
    waits = start(stack, "forced", "--file", str(path))
    stack.await_event("deferred", waits)
    why = stack.run("show", waits).stdout
    forced = stack.run("force", waits, "--reason", "the customer waits")

    assert "window until" in why
    assert forced.returncode == 0, forced.stderr
    stack.await_event("completed", waits)


@pytest.mark.nightly
def test_a_request_that_gave_up_is_started_again_when_the_cause_is_gone() -> None:
    with running_system({"SFMC_RETRY_DEADLINE": "1"}) as stack:
        path = define(stack, "given-up")
        with stack.sandbox.control.fault("fault_13", customer_key="given-up"):
            stack.worker()
            stack.beat()
            stack.await_event("gave_up", start(stack, "given-up", "--file", str(path)))
            status = stack.run("status").stdout
        stack.await_event("completed", start(stack, "given-up", "--file", str(path)))

    assert "gave_up        given-up" in status
    assert "why: code 13" in status
    assert "next: sfmc-import replay " in status


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(each, marks=[] if each in DAILY else pytest.mark.nightly)
        for each in CATALOGUE
        if each not in HARMLESS
    ],
)
def test_status_and_show_say_of_each_fault_what_is_broken_since_when_and_what_to_do(
    stack: RunningSystem, fault: str
) -> None:
    control, key = stack.sandbox.control, f"key-{fault}"
    path = define(stack, key)
    if fault in OPERATION:
        control.expire_tokens()
    control.add_fault(fault, OPERATION.get(fault, "Perform"), "*" if fault in OPERATION else key)
    try:
        request = start(stack, key, "--file", str(path))
        codes = eventually(lambda: what_is_said(stack, request), 60, f"{fault} is said")
    finally:
        control.clear_faults()

    assert [code for code in codes if f"`{code}`" not in RUNBOOK and not code.isdigit()] == []
    # Nothing of one fault meets the next one.
    eventually(lambda: shown(stack, request)["state"] in OVER or cancelled(stack, request), 60, "it is over")


def what_is_said(stack: RunningSystem, request: str) -> list[str]:
    """The codes once the commands say what is broken, since when, about which file, and what will help."""
    view = shown(stack, request)
    codes = [each["data"]["code"] for each in view["events"] if each["data"].get("code")]
    if view["state"] == "started" and view["import_status"] in STRANGE:
        assert f"{view['task_id']} {view['import_status']}" in stack.run("show", request).stdout
        return ["import_status_undocumented"]
    ended = view["state"] in ENDS
    if not (ended or (codes and view["waiting"])):
        return []
    text, status = stack.run("show", request).stdout, stack.run("status").stdout
    assert view["file"]["name"] in text
    assert f"business unit {ACCOUNT_ID}" in text
    if not ended and shown(stack, request)["state"] == view["state"]:
        assert view["waiting"]["since"]
        assert view["waiting"]["last_error"]["code"] in codes
        assert view["customer_key"] in status
    if ended and view["state"] not in {"completed", "completed_empty"}:
        assert f"request {request}" in status
        assert view["next"] or view["advice"].startswith("report it")
    return codes or [view["state"]]


def cancelled(stack: RunningSystem, request: str) -> bool:
    return stack.run("cancel", request, "--reason", "the drill is over").returncode == 0
