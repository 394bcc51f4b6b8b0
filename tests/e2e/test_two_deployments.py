"""Two deployments on one Redis: each has keys of its own, and a ledger starts the imports of one account only."""

import json
from collections.abc import Iterator

import orjson
import pytest
from celery import Celery

from sfmc_import.client import Client
from tests.support.processes import RunningSystem, running_system
from tests.support.waiting import eventually

ACME = "acme:"
THIRD = ("third:", "{third:")
USUAL = ("imports", "_kombu.binding", "celery-task-meta-", "sfmc-import:", "{sfmc-import:")


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningSystem]:
    with running_system() as system:
        yield system


def ended_at_acme(stack: RunningSystem) -> list[str]:
    entries = [orjson.loads(fields[b"event"]) for _, fields in stack.client.xrange(f"{ACME}events")]
    return [event["subject"] for event in entries if event["type"].endswith(".started")]


def test_each_deployment_takes_its_own_messages_and_writes_its_own_keys(stack: RunningSystem) -> None:
    url = stack.valkey.celery_url
    for key in ("ours", "theirs", "theirs-too"):
        stack.sandbox.control.define(key)
    own = {"global_keyprefix": ACME}
    with Celery(broker=url, set_as_current=False) as ours, Celery(broker=url, backend=url) as theirs:
        theirs.conf.update(broker_transport_options=own, result_backend_transport_options=own)
        ours.send_task("imports.start", kwargs={"customer_key": "ours"}, queue="imports")
        asked = theirs.send_task(
            "imports.start", kwargs={"customer_key": "theirs"}, queue="imports", ignore_result=False
        )
        with Client(stack.valkey.url, mid="510001234", prefix=ACME) as client:
            client.submit(customer_key="theirs-too")
        # Without a beat only the thread that took the message gives its result.
        stack.worker(SFMC_PREFIX=ACME, SFMC_SLOW_CALL_SECONDS="60")
        eventually(lambda: len(ended_at_acme(stack)) == 2, 60, "the messages of one deployment are carried out")
        assert asked.get(timeout=60, disable_sync_subtasks=False)["state"] == "started"
        waiting = [stack.client.llen(name) for name in ("imports", f"{ACME}imports")]
        keys = {key.decode() for key in stack.client.scan_iter(count=1000)}
        stack.worker()
        stack.await_event("started")

    assert waiting == [1, 0]
    assert sorted(ended_at_acme(stack)) == ["theirs", "theirs-too"]
    assert {key for key in keys if not key.startswith((ACME, f"{{{ACME}", *USUAL, *THIRD))} == set()
    assert any(key.startswith(f"{ACME}celery-task-meta-") for key in keys)
    assert [len(stack.sandbox.control.performs(key)) for key in ("ours", "theirs", "theirs-too")] == [1, 1, 1]


def test_a_worker_of_another_account_refuses_the_ledger_until_it_is_moved(stack: RunningSystem) -> None:
    other = {"SFMC_PREFIX": "third:", "SFMC_ACCOUNT_ID": "510009999"}
    first = stack.worker(SFMC_PREFIX="third:")

    refused = stack.start("worker", **other)
    assert refused.wait(60) == 1
    log = stack.log_of(refused).read_text()
    assert "Traceback" not in log
    [line] = [json.loads(line) for line in log.splitlines() if '"error"' in line]
    assert line["event"] == "ledger_of_another_account"
    assert line["ledger_account"] == "510001234 at 127.0.0.1"

    doctor = stack.run("doctor", **other)
    assert "FAIL  account" in doctor.stdout
    assert "its workers still run" in stack.run("doctor", "--move-ledger", **other).stderr
    first.terminate()
    first.wait(60)
    assert stack.run("doctor", "--move-ledger", **other).stdout.startswith("the ledger belongs to 510009999 at")
    assert "FAIL  account" not in stack.run("doctor", **other).stdout
