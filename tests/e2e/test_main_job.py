"""A request goes the whole way through real processes: Valkey, worker, beat, sandbox over HTTP."""

from collections.abc import Iterator

import pytest
from celery import Celery

from tests.support.processes import RunningSystem, running_system
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningSystem]:
    with running_system() as made:
        made.worker()
        made.beat()
        yield made


@pytest.fixture
def client(stack: RunningSystem) -> Iterator[Celery]:
    with Celery("somebody-else", broker=stack.valkey.celery_url, set_as_current=False) as app:
        yield app


def send(client: Celery, key: str, **more: object) -> str:
    sent = client.send_task("imports.start", kwargs={"customer_key": key, **more}, queue="imports")
    return str(sent.id)


def test_a_message_of_any_celery_client_starts_an_import_and_follows_it_to_its_end(
    stack: RunningSystem, client: Celery
) -> None:
    stack.sandbox.control.define("whole-way", FileSpec="a.csv")
    stack.sandbox.drop("a.csv", "Key,Value\n1,one\n2,two\n")

    request = send(client, "whole-way")
    ended = stack.await_event("completed", request)

    assert stack.names(request)[:3] == ["accepted", "starting", "started"]
    [perform] = stack.sandbox.control.performs("whole-way")
    assert ended["data"]["task_id"] == perform["task_id"]
    assert ended["data"]["rows_total"] == 2


def test_a_caller_that_asks_for_the_result_gets_the_task_id(stack: RunningSystem) -> None:
    stack.sandbox.control.define("asked-for")
    url = stack.valkey.celery_url
    with Celery("waiting", broker=url, backend=url, set_as_current=False) as client:
        message = {"customer_key": "asked-for"}
        sent = client.send_task("imports.start", kwargs=message, queue="imports", ignore_result=False)
        # Other tests of this process may have left Celery thinking that it runs inside a task.
        outcome = sent.get(timeout=60, disable_sync_subtasks=False)
        sent.forget()

    assert outcome["state"] == "started"
    assert outcome["task_id"] == stack.sandbox.control.performs("asked-for")[0]["task_id"]


def test_a_second_request_inside_the_window_is_a_duplicate_that_names_the_first(
    stack: RunningSystem, client: Celery
) -> None:
    stack.sandbox.control.define("hourly", MaxImportFrequency=1)
    first = send(client, "hourly")
    stack.await_event("started", first)

    second = send(client, "hourly")
    duplicate = stack.await_event("duplicate", second)

    assert duplicate["data"]["held_by"] == first
    assert 3500 < duplicate["data"]["opens_in"] <= 3600
    assert len(stack.sandbox.control.performs("hourly")) == 1


def test_an_unknown_key_ends_as_rejected_without_a_perform(stack: RunningSystem, client: Celery) -> None:
    request = send(client, "unknown-definition")

    rejected = stack.await_event("rejected", request)

    assert rejected["data"]["code"] == "43010"
    assert stack.sandbox.control.performs("unknown-definition") == []


@pytest.mark.parametrize("key", ["x" * 37, "", 7, None], ids=["long", "empty", "number", "null"])
def test_a_key_that_cannot_be_is_rejected_with_the_reason(stack: RunningSystem, client: Celery, key: object) -> None:
    request = send(client, key)  # type: ignore[arg-type]

    rejected = stack.await_event("message_rejected", request)

    assert rejected["data"]["reason"] == "invalid_request"
    assert "customer_key" in rejected["data"]["text"]


def test_a_reply_lost_after_the_start_is_reconciled_to_the_one_run(stack: RunningSystem, client: Celery) -> None:
    stack.sandbox.control.define("cut-off")
    stack.sandbox.control.add_fault("drop_after_applying", customer_key="cut-off", count=1)

    request = send(client, "cut-off")
    started = stack.await_event("started", request)

    [perform] = stack.sandbox.control.performs("cut-off")
    assert started["data"]["task_id"] == perform["task_id"]
    assert started["data"]["matched"] == "reconciled"
    assert "reconciling" in stack.names(request)


def test_a_start_that_never_arrived_ends_as_unknown_not_as_a_second_perform(
    stack: RunningSystem, client: Celery
) -> None:
    stack.sandbox.control.define("vanished", UpdateType="AddAndUpdate")
    stack.sandbox.control.add_fault("drop_before_applying", customer_key="vanished", count=1)

    request = send(client, "vanished")
    stack.await_event("start_unknown", request)

    assert stack.sandbox.control.performs("vanished") == []


def test_a_fault_that_says_not_processed_is_tried_again(stack: RunningSystem, client: Celery) -> None:
    stack.sandbox.control.define("busy-database")
    stack.sandbox.control.add_fault("fault_13", customer_key="busy-database", count=2)

    request = send(client, "busy-database")
    stack.await_event("started", request)

    assert len(stack.sandbox.control.performs("busy-database")) == 1


def test_nothing_stays_due_when_every_request_has_ended(stack: RunningSystem) -> None:
    stack.await_idle(within=60)

    assert eventually(lambda: not stack.client.llen("imports"), 60, "the queue is empty")
