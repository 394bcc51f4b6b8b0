"""A server between lets a start through and answers that it refuses: its run is found, and is no other start's."""

import json

import pytest
from celery import Celery

from tests.support.processes import running_system

STATUSES = (400, 401, 403, 404, 408, 409, 413, 429, 431, 503)


def test_a_start_that_a_server_between_lets_through_and_then_refuses_happens_once() -> None:
    with running_system({"SFMC_RETRY_BACKOFF": "1"}) as stack:
        stack.worker()
        stack.beat()
        for status in STATUSES:
            stack.sandbox.control.define(f"http-{status}")
            stack.sandbox.control.add_fault("http_any_after_applying", customer_key=f"http-{status}", status=status)
        with Celery("producer", broker=stack.valkey.celery_url, set_as_current=False) as client:
            for status in STATUSES:
                kwargs = {"customer_key": f"http-{status}"}
                client.send_task("imports.start", kwargs=kwargs, queue="imports", task_id=f"request-{status}")
        started = {status: stack.await_event("started", f"request-{status}") for status in STATUSES}

        performs = {each["customer_key"]: each["task_id"] for each in stack.sandbox.control.performs()}
        assert len(stack.sandbox.control.performs()) == len(STATUSES)
        assert {event["subject"]: event["data"]["task_id"] for event in started.values()} == performs


@pytest.mark.nightly
def test_the_run_of_a_cancelled_start_is_not_taken_for_the_next_one() -> None:
    settings = {"SFMC_RESULTS_DELAY": "5", "SFMC_RECONCILE_DEADLINE": "8"}
    with running_system(settings) as stack:
        stack.worker()
        stack.beat()
        control = stack.sandbox.control
        control.define("daily", FileSpec="daily.csv")
        control.add_fault("late_row", customer_key="daily", seconds=6, count=1)
        control.add_fault("http_any_after_applying", customer_key="daily", status=429, count=1)
        first = json.loads(stack.run("start", "daily", "--json").stdout)["request_id"]
        stack.await_event("retrying", first)
        stack.run("cancel", first, "--reason", "wrong file")
        stack.await_event("start_unknown", first)
        control.add_fault("drop_before_applying", customer_key="daily", count=1)
        second = json.loads(stack.run("start", "daily", "--json").stdout)["request_id"]
        ended = stack.await_event("start_unknown", second)

        (run,) = [each["task_id"] for each in control.performs()]
        assert ended["data"]["candidates"] == [run]
        assert json.loads(stack.run("resolve", first, "--task-id", run, "--json").stdout)["state"] == "started"
