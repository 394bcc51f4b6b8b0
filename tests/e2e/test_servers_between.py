"""A server between lets a start through and answers itself that it refuses: the run is found, nothing is sent twice."""

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
