"""The end of an import comes to the task that the sender named, without a result backend, whatever is killed."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from sfmc_import.client import Client
from sfmc_local.processes import spawn, stop
from tests.support.processes import RunningSystem, running_system
from tests.support.rights import permit
from tests.support.waiting import eventually

TO = {"reply_to": "theirs.done", "reply_queue": "theirs"}


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningSystem]:
    with running_system(least_rights=True) as made:
        permit(made.client, "worker", "~theirs*", "~billing*")
        made.beat()
        yield made


@pytest.fixture
def client(stack: RunningSystem) -> Iterator[Celery]:
    with Celery("somebody-else", broker=stack.valkey.celery_url, set_as_current=False) as app:
        yield app


def define(stack: RunningSystem, key: str) -> None:
    stack.sandbox.control.define(key, FileSpec=f"{key}.csv")
    stack.sandbox.drop(f"{key}.csv", "Key,Value\n1,one\n")


def received(client: Celery, count: int = 1) -> list[tuple[str, str, dict[str, Any]]]:
    """Id, task and event of so many messages."""
    found = []
    with client.connection_for_read() as connection, connection.SimpleQueue("theirs") as theirs:
        for _ in range(count):
            message = theirs.get(timeout=60)
            _, kwargs, _ = message.payload
            found.append((message.headers["id"], message.headers["task"], kwargs["event"]))
            message.ack()
    return found


def test_the_end_is_sent_to_the_task_that_the_message_names(stack: RunningSystem, client: Celery) -> None:
    define(stack, "answered")
    stack.worker()

    request = client.send_task("imports.start", kwargs={"customer_key": "answered", **TO}, queue="imports").id
    [(_, task, event)] = received(client)

    assert (task, event["type"], event["subject"]) == ("theirs.done", "sfmc.import.completed", "answered")
    assert event == stack.events(request)[-1]
    assert event["data"]["rows_successful"] == 1


def test_a_worker_killed_at_the_end_of_an_import_loses_no_answer(stack: RunningSystem, client: Celery) -> None:
    define(stack, "killed")
    worker = stack.worker()
    with Client(stack.valkey.url, mid="510001234") as sender:
        request = sender.submit(customer_key="killed", file="killed.csv", **TO).request_id  # type: ignore[misc]
    stack.await_event("completed", request)
    stack.kill(worker)
    stack.worker()

    [(_, task, event)] = received(client)

    assert task == "theirs.done"
    assert event["data"]["request_id"] == request


def test_a_queue_that_is_no_list_is_said_and_keeps_no_other_answer_waiting(
    stack: RunningSystem, client: Celery
) -> None:
    worker = stack.worker()
    message = {"customer_key": "no-such-key", "reply_to": "theirs.done"}
    client.send_task("imports.start", kwargs={**message, "reply_queue": "sfmc-import:events"}, queue="imports")
    good = client.send_task("imports.start", kwargs={**message, "reply_queue": "theirs"}, queue="imports").id

    [(_, _, event)] = received(client)

    assert (event["data"]["request_id"], event["type"]) == (good, "sfmc.import.rejected")
    assert "Traceback" not in stack.log_of(worker).read_text()


def test_the_example_of_the_page_works_with_a_worker_of_a_stock_celery(stack: RunningSystem) -> None:
    page = (Path(__file__).parents[2] / "ops/docs/events.md").read_text("utf-8")
    sender, task = re.findall(r"```python\n(.*?)```", page.partition("## A task of your own")[2], re.DOTALL)
    define(stack, "Daily_Orders")
    stack.worker()
    head = f"from celery import Celery\n\napp = Celery('theirs', broker={stack.valkey.celery_url!r})\n"
    (stack.folder / "theirs.py").write_text(head + "\n\n" + task)
    log = stack.folder / "theirs.log"
    options = ("worker", "--pool", "solo", "--queues", "billing", "--without-gossip", "--without-mingle")
    program = [sys.executable, "-m", "celery", "--workdir", str(stack.folder), "--app", "theirs", *options]
    with log.open("wb") as output:
        theirs = spawn(program, env=stack.env, output=output, errors=subprocess.STDOUT)
    try:
        exec(head + sender)
        eventually(lambda: "sfmc.import.completed" in log.read_text(), 60, "their task has the end")
    finally:
        stop(theirs, within=60)
