"""Redis comes back without its last writes: what was started in them is found or named, not started again."""

from pathlib import Path

import pytest
from celery import Celery

from tests.support.processes import RunningSystem, running_system
from tests.support.waiting import eventually

LOSS = "{sfmc-import:events}:loss"
LONGEST_CALL = "{sfmc-import:events}:longestcall"


def append_only_file(stack: RunningSystem) -> Path:
    # Redis 7.0 and newer keep a folder of files, older ones a single file.
    parts = list((stack.valkey.folder / "appendonlydir").glob("*.incr.aof"))
    return parts[0] if parts else stack.valkey.folder / "appendonly.aof"


def send(stack: RunningSystem, key: str, request_id: str, countdown: float | None = None) -> None:
    more = {"queue": "imports", "task_id": request_id, "countdown": countdown}
    with Celery("producer", broker=stack.valkey.celery_url, set_as_current=False) as client:
        client.send_task("imports.start", kwargs={"customer_key": key}, **more)


def lose_writes_since(stack: RunningSystem, size: int) -> None:
    """Kill the server and cut its file: what a failover does that loses the last second."""
    stack.valkey.kill()
    with append_only_file(stack).open("rb+") as file:
        file.truncate(size)
    stack.valkey.start()


def test_a_start_that_the_ledger_forgot_is_found_in_marketing_cloud_instead_of_sent_again() -> None:
    with running_system() as stack:
        stack.worker()
        stack.beat()
        stack.sandbox.control.define("before")
        stack.sandbox.control.define("forgotten")
        send(stack, "before", "request-before")
        stack.await_event("started", "request-before")
        stack.await_idle()
        eventually(lambda: any(stack.client.scan_iter("*}:p:*")), 60, "the worker counts aloud")
        size = append_only_file(stack).stat().st_size
        send(stack, "forgotten", "request-forgotten")
        stack.await_event("started", "request-forgotten")
        stack.await_idle()
        pulses = next(stack.client.scan_iter("*}:p:*"))
        seen = int(stack.client.get(pulses) or 0)
        eventually(lambda: int(stack.client.get(pulses) or 0) > seen, 60, "another pulse")

        lose_writes_since(stack, size)
        eventually(lambda: stack.client.exists(LOSS), 60, "a worker noticed the loss")
        assert int(stack.client.get(LONGEST_CALL) or 0) > 0
        assert stack.names("request-forgotten") == []
        send(stack, "forgotten", "request-forgotten")
        ended = stack.await_event("start_unknown", "request-forgotten")

        [perform] = stack.sandbox.control.performs("forgotten")
        assert ended["data"]["candidates"] == [perform["task_id"]]
        assert ended["data"]["code"] == "writes_lost"


@pytest.mark.nightly
def test_after_a_loss_a_definition_that_no_one_started_is_started_once_rows_had_their_time() -> None:
    with running_system() as stack:
        stack.worker()
        stack.beat()
        stack.sandbox.control.define("untouched")
        eventually(lambda: any(stack.client.scan_iter("*}:p:*")), 60, "the worker counts aloud")
        stack.client.flushall()
        eventually(lambda: stack.client.exists(LOSS), 60, "a worker noticed the loss")

        send(stack, "untouched", "request-after")
        stack.await_event("started", "request-after")

        assert len(stack.sandbox.control.performs("untouched")) == 1
        assert "retrying" in stack.names("request-after")


@pytest.mark.nightly
def test_a_loss_between_two_numbers_of_the_watch_is_noticed_by_the_new_run_of_the_server() -> None:
    with running_system() as stack:
        stack.worker()
        stack.beat()
        for key in ("before", "forgotten"):
            stack.sandbox.control.define(key)
        send(stack, "before", "request-before")
        stack.await_event("started", "request-before")
        stack.await_idle()
        size = append_only_file(stack).stat().st_size
        send(stack, "forgotten", "request-forgotten")
        stack.await_event("started", "request-forgotten")

        lose_writes_since(stack, size)
        send(stack, "forgotten", "request-again")
        ended = stack.await_event("start_unknown", "request-again")

        [perform] = stack.sandbox.control.performs("forgotten")
        assert ended["data"]["candidates"] == [perform["task_id"]]


@pytest.mark.nightly
def test_a_request_that_redis_kept_takes_the_start_that_it_lost() -> None:
    with running_system() as stack:
        stack.worker()
        stack.beat()
        stack.sandbox.control.define("kept")
        send(stack, "kept", "request-kept", countdown=5)
        stack.await_event("accepted", "request-kept")
        size = append_only_file(stack).stat().st_size
        stack.await_event("started", "request-kept")

        lose_writes_since(stack, size)
        started = stack.await_event("started", "request-kept")

        [perform] = stack.sandbox.control.performs("kept")
        assert (started["data"]["task_id"], started["data"]["matched"]) == (perform["task_id"], "reconciled")
