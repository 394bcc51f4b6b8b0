"""Every line that worker, beat and watcher write is one JSON record of the published schema."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from celery import Celery

from sfmc_local.processes import spawn, stop
from tests.support.processes import RunningSystem, running_system
from tests.support.sandbox_server import ACCOUNT_ID, CLIENT_SECRET
from tests.support.waiting import eventually

SCHEMA = json.loads(Path("ops/log.schema.json").read_text())


def records(log: Path) -> list[dict[str, Any]]:
    """Read a log whole; a line that is no record of the schema fails the test."""
    found = [json.loads(line) for line in log.read_text().splitlines()]
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for record in found:
        validator.validate(record)
    return found


def _messages_sent(stack: RunningSystem) -> int:
    statistics: Any = stack.client.info("commandstats")
    return sum(int(statistics.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("lpush", "rpush"))


@pytest.fixture
def stack() -> Iterator[RunningSystem]:
    with running_system() as made:
        yield made


@pytest.mark.parametrize("pool", ["threads", pytest.param("prefork", marks=pytest.mark.nightly)])
def test_a_run_tells_its_names_in_every_record_from_the_message_to_the_end(stack: RunningSystem, pool: str) -> None:
    stack.sandbox.control.define("daily", FileSpec="daily.csv")
    stack.sandbox.drop("daily.csv", "Key,Value\n1,one\n")
    worker, beat = stack.worker("--pool", pool), stack.beat()
    request = json.loads(stack.run("start", "daily", "--json").stdout)["request_id"]
    ended = stack.await_event("completed", request)
    codes = [stop(child, within=60) for child in (worker, beat)]

    logged = records(stack.log_of(worker))
    own = [each for each in logged if each.get("request_id") == request and each["logger"] == "sfmc_import.tasks"]
    assert codes == [0, 0]
    assert len(own) >= 2
    assert {each["customer_key"] for each in own} == {"daily"}
    assert {each["mid"] for each in own} == {str(ACCOUNT_ID)}
    assert {each["task_id"] for each in own} == {ended["data"]["task_id"]}
    assert records(stack.log_of(beat)) is not None
    assert any(each["event"] == "worker_shutting_down" for each in logged)


@pytest.mark.parametrize("pool", ["threads", pytest.param("prefork", marks=pytest.mark.nightly)])
def test_printing_libraries_and_tracebacks_become_records_without_secrets(stack: RunningSystem, pool: str) -> None:
    log = stack.folder / "chatter.log"
    options = ["-q", "-A", "sfmc_import.celery_app", "worker", "-P", pool, "-c", "2"]
    options += ["-I", "tests.e2e.printing_tasks", "-l", "INFO"]
    with log.open("wb") as output:
        environment = stack.env | {"SFMC_POOL": pool}  # wins over -P, whose value prefork Celery takes for none
        # Celery prints its farewell to standard output; records are what stands on standard error.
        command = [sys.executable, "-m", "celery", *options]
        worker = spawn(command, env=environment, output=subprocess.DEVNULL, errors=output)
    with Celery("talker", broker=stack.valkey.celery_url, set_as_current=False) as client:
        headers = {"request_id": "r-1", "customer_key": "daily", "mid": "7"}
        client.send_task("chatter.talk", queue="imports", headers=headers)
        client.send_task("chatter.fail", queue="imports")
        eventually(lambda: "RuntimeError" in log.read_text() and "said_something" in log.read_text(), 60, "all is said")
    stop(worker, within=60)

    logged = records(log)
    printed = [each for each in logged if each["logger"] == "celery.redirected"]
    library = next(each for each in logged if each["logger"] == "some.library")
    assert "in two lines" in "".join(each["event"] for each in printed)
    assert (library["event"], library["request_id"], library["mid"]) == ("lost something", "r-1", "7")
    assert any("RuntimeError" in each.get("exception", "") for each in logged)
    assert CLIENT_SECRET not in log.read_text()


def test_the_watcher_writes_records_too(stack: RunningSystem, tmp_path: Path) -> None:
    stack.sandbox.control.define("daily", FileSpec="daily.csv")
    watcher = stack.start("watch", str(tmp_path), "--stable-seconds", "0.1")
    (tmp_path / "daily.csv").write_text("Key,Value\n1,one\n")
    stack.await_event("accepted")
    stop(watcher, within=60)

    logged = records(stack.log_of(watcher))
    assert any(each.get("customer_key") == "daily" for each in logged)


@pytest.mark.nightly
def test_an_outage_of_redis_is_reported_in_records_and_without_tracebacks(stack: RunningSystem) -> None:
    worker, beat = stack.worker(), stack.beat()
    eventually(lambda: _messages_sent(stack) > 1, 60, "beat sends sweeps")
    stack.valkey.kill()
    eventually(lambda: "broker_unreachable" in stack.log_of(beat).read_text(), 60, "beat notices")
    eventually(lambda: "Cannot connect" in stack.log_of(worker).read_text(), 60, "the worker notices")
    stack.valkey.restart()
    eventually(lambda: "broker_reachable_again" in stack.log_of(beat).read_text(), 60, "beat goes on")
    for child in (worker, beat):
        stop(child, within=60)

    logged = [*records(stack.log_of(worker)), *records(stack.log_of(beat))]
    assert [each["event"] for each in logged if each["logger"] == "sfmc_import.scheduler"].count(
        "broker_unreachable"
    ) == 1
    assert "Traceback" not in stack.log_of(beat).read_text()
