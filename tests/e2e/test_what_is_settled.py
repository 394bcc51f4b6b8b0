"""At night: runs that cannot be asked for are shown, and a failure whose file was imported since asks for no one."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.processes import RunningSystem, running_system
from tests.support.waiting import eventually

ROWS = "Key,Value\n1,one\n"


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningSystem]:
    with running_system({"SFMC_ERROR_PAUSE": "1"}, least_rights=True) as made:
        made.worker()
        made.beat()
        yield made
        for log in made.folder.glob("*.log"):
            assert "Traceback" not in log.read_text()


def start(stack: RunningSystem, key: str, content: str = ROWS) -> str:
    (stack.folder / f"{key}.csv").write_text(content)
    stack.sandbox.drop(f"{key}.csv", content)
    done = stack.run("start", key, "--file", str(stack.folder / f"{key}.csv"), "--json")
    return str(json.loads(done.stdout)["request_id"])


def show(stack: RunningSystem, request: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stack.run("show", request, "--json").stdout)
    return found


@pytest.mark.nightly
def test_a_failure_whose_corrected_file_was_imported_asks_for_no_one_and_is_replayed_by_force_alone(
    stack: RunningSystem,
) -> None:
    control = stack.sandbox.control
    control.define("orders", FileSpec="orders.csv", UpdateType="Overwrite")
    with control.fault("error_run", "Perform", "orders"):
        failed = start(stack, "orders")
        stack.await_event("import_failed", failed)
    assert "import_failed" in stack.run("status").stdout
    corrected = start(stack, "orders", ROWS + "2,two\n")
    stack.await_event("completed", corrected)
    refused, shown = stack.run("replay", failed), show(stack, failed)

    assert "import_failed" not in stack.run("status").stdout
    assert (shown["settled_by"], shown["next"]) == (corrected, ["replay --force"])
    said = stack.run("show", failed).stdout
    assert f"settled  by request {corrected}" in said
    assert f"settled by request {corrected}  because of overwritten" in said
    assert refused.returncode == 1
    assert f"request {corrected} has imported its file since" in refused.stderr
    assert len(control.performs("orders")) == 2


def test_a_run_whose_polls_fail_says_what_fails_and_since_when_until_one_is_answered(stack: RunningSystem) -> None:
    control = stack.sandbox.control
    control.define("slow", FileSpec="slow.csv")

    def last_error() -> dict[str, Any] | None:
        found: dict[str, Any] | None = (show(stack, request)["waiting"] or {}).get("last_error")
        return found

    control.add_fault("slow_run", "Perform", "slow", seconds=600)
    request = start(stack, "slow")
    stack.await_event("started", request)
    assert last_error() is None
    with control.fault("fault_11", "Retrieve", "*"):
        error = eventually(last_error, 60, "the failed poll is shown")
        said = stack.run("status").stdout
    eventually(lambda: last_error() is None, 60, "an answered poll ends it")

    assert (error["code"], error["since"] <= error["at"]) == ("11", True)
    assert "following 1 run" in said
    assert "(code 11)" in said
    assert "following 1 run" not in stack.run("status").stdout
