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


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_the_heartbeat_goes_on_until_the_tasks_of_an_ending_worker_are_done(pool: str) -> None:
    with running_system({"SFMC_READ_TIMEOUT": "20", "SFMC_LEASE_SECONDS": "60"}) as stack:
        stack.sandbox.control.define("daily", FileSpec="daily.csv")
        stack.sandbox.drop("daily.csv", "Key,Value\n1,one\n")
        stack.sandbox.control.add_fault("delay", operation="Perform", seconds=3, count=1)
        worker = stack.worker("--pool", pool)
        request_id = json.loads(stack.run("start", "daily", "--json").stdout)["request_id"]
        stack.await_event("starting", request_id)
        worker.send_signal(signal.SIGTERM)

        first = eventually(lambda: _ended_first(stack, request_id), 60, "task or heartbeat ends")
        code = worker.wait(60)

        assert (first, code) == ("task", 0)
        assert "worker_shutting_down" in stack.log_of(worker).read_text()
        assert not (stack.folder / "heartbeat-0").exists()
