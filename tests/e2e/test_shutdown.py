"""A worker that ends finishes its tasks and counts as healthy until then."""

import json
import signal

import pytest

from tests.support.processes import RunningSystem, running_system
from tests.support.waiting import eventually


def _ended_first(stack: RunningSystem, request_id: str) -> str:
    # The file is read before the events: a file that is gone earlier than the task is never missed nor imagined.
    exists = (stack.folder / "heartbeat-0").is_file()
    if "started" in stack.names(request_id):
        return "task"
    return "" if exists else "heartbeat"


def hanging(stack: RunningSystem) -> bool:
    return any(fault["fired"] for fault in stack.sandbox.control.faults())


@pytest.mark.parametrize("pool", ["threads", pytest.param("prefork", marks=pytest.mark.nightly)])
def test_the_heartbeat_goes_on_until_the_tasks_of_an_ending_worker_are_done(pool: str) -> None:
    with running_system({"SFMC_READ_TIMEOUT": "20", "SFMC_LEASE_SECONDS": "60"}) as stack:
        stack.sandbox.control.define("daily", FileSpec="daily.csv")
        stack.sandbox.drop("daily.csv", "Key,Value\n1,one\n")
        stack.sandbox.control.add_fault("delay", operation="Perform", seconds=3, count=1)
        worker = stack.worker("--pool", pool)
        request_id = json.loads(stack.run("start", "daily", "--json").stdout)["request_id"]
        eventually(lambda: hanging(stack), 60, "the start is on its way: a query before it would be cut")
        worker.send_signal(signal.SIGTERM)

        first = eventually(lambda: _ended_first(stack, request_id), 60, "task or heartbeat ends")
        code = worker.wait(60)

        assert (first, code) == ("task", 0)
        assert "worker_shutting_down" in stack.log_of(worker).read_text()
        assert not (stack.folder / "heartbeat-0").exists()


PATIENT = {"SFMC_READ_TIMEOUT": "300", "SFMC_LEASE_SECONDS": "600"}


def test_a_worker_that_ends_does_not_wait_for_queries_that_hang() -> None:
    with running_system(PATIENT) as stack:
        stack.sandbox.control.define("daily", FileSpec="daily.csv")
        stack.sandbox.control.add_fault("hang", operation="Retrieve")
        worker = stack.worker()
        stack.run("start", "daily")
        eventually(lambda: hanging(stack), 60, "a query hangs")
        worker.send_signal(signal.SIGTERM)

        assert worker.wait(60) == 0
        assert "uncaught_exception" not in stack.log_of(worker).read_text()


def test_a_start_that_hangs_when_its_worker_ends_is_cut_and_found_by_the_next_worker() -> None:
    with running_system(PATIENT | {"SFMC_STOP_SECONDS": "0.5", "SFMC_RESULTS_DELAY": "1"}) as stack:
        stack.sandbox.control.define("daily", FileSpec="daily.csv")
        stack.sandbox.drop("daily.csv", "Key,Value\n1,one\n")
        stack.sandbox.control.add_fault("hang_after_applying", operation="Perform", count=1)
        stack.beat()
        worker = stack.worker()
        request_id = json.loads(stack.run("start", "daily", "--json").stdout)["request_id"]
        eventually(lambda: hanging(stack), 60, "the start hangs")
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(60)
        known = stack.names(request_id)
        stack.worker()
        stack.await_event("started", request_id)

        assert (code, known[-1]) == (0, "reconciling")
        assert len(stack.sandbox.control.performs("daily")) == 1
