"""What was asked for again while the first request waited is imported once, although the first came to nothing."""

from collections.abc import Iterator

import pytest
from celery import Celery

from tests.support.processes import RunningSystem, running_system
from tests.support.waiting import eventually

ROWS = "Key,Value\n1,one\n"


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningSystem]:
    with running_system({"SFMC_DEFINITION_CHECK_TTL": "1"}) as made:
        made.worker()
        made.beat()
        yield made


@pytest.fixture
def client(stack: RunningSystem) -> Iterator[Celery]:
    with Celery("somebody-else", broker=stack.valkey.celery_url, set_as_current=False) as app:
        yield app


def send(client: Celery, key: str, name: str, **options: object) -> str:
    file = {"location": "/in", "name": name, "version": "1"}
    asked = {"customer_key": key, "file": file}
    return str(client.send_task("imports.start", kwargs=asked, queue="imports", **options).id)


def duplicates(stack: RunningSystem, key: str) -> int:
    return sum(event["subject"] == key and event["type"].endswith(".duplicate") for event in stack.events())


@pytest.mark.nightly
def test_a_file_asked_for_again_is_imported_once_after_the_first_request_expired(
    stack: RunningSystem, client: Celery
) -> None:
    stack.sandbox.control.define("late", FileSpec="late.csv")
    stack.sandbox.drop("late.csv", ROWS)
    with stack.sandbox.control.fault("fault_13", "Perform", "late"):
        first = send(client, "late", "late.csv", expires=8)
        stack.await_event("starting", first)
        second = send(client, "late", "late.csv")
        duplicate = stack.await_event("duplicate", second)
        stack.await_event("expired", first)
        taken_up = stack.await_event("accepted", second, count=2)
    stack.await_event("completed", second)

    assert (duplicate["data"]["held_by"], duplicate["data"]["final"]) == (first, False)
    assert taken_up["data"]["instead_of"] == first
    assert len(stack.sandbox.control.performs("late")) == 1


@pytest.mark.nightly
def test_who_waits_for_a_duplicate_sees_its_import_after_the_definition_refused_the_first_file(
    stack: RunningSystem, client: Celery
) -> None:
    stack.sandbox.control.define("moved", FileSpec="old.csv")
    stack.sandbox.drop("new.csv", ROWS)
    with stack.sandbox.control.fault("fault_13", "Perform", "moved"):
        first = send(client, "moved", "old.csv")
        stack.await_event("starting", first)
        command = stack.start("start", "moved", "--wait")
        eventually(lambda: duplicates(stack, "moved"), 60, "the second request is a duplicate")
        stack.sandbox.control.define("moved", FileSpec="new.csv")
        rejected = stack.await_event("rejected", first)

    assert command.wait(60) == 0
    assert rejected["data"]["code"] == "pattern_mismatch"
    assert f"taken up instead of request {first}" in stack.log_of(command).read_text()
    assert len(stack.sandbox.control.performs("moved")) == 1
