"""A Redis whose memory is full refuses new requests, and everything that it has accepted is worked off."""

import json

from celery import Celery

from sfmc_import.client import Client
from sfmc_import.request import UNACKED
from tests.support.processes import DUE, RunningSystem, running_system
from tests.support.waiting import eventually

RECORDED = [f"full-{number}" for number in range(6)]
KEYS = [*RECORDED, "foreign", "asked"]


def is_worked_off(stack: RunningSystem) -> bool:
    left = stack.client.zcard(DUE), stack.client.hlen(UNACKED)
    return stack.names().count("import_failed") == len(KEYS) and not any(left)


def rounds_of_sweeps(log: str) -> set[str]:
    """What became of sweeps, which cannot publish the event of a dead letter."""
    lines = [json.loads(line) for line in log.splitlines() if "ledger_unreachable" in line]
    return {line["action"] for line in lines}


def test_what_was_accepted_is_worked_off_while_memory_is_full_and_what_is_new_is_refused() -> None:
    with running_system() as stack:
        for key in KEYS:
            stack.sandbox.control.define(key)
        url = stack.valkey.celery_url
        with Client(stack.valkey.url, mid="510001234") as client:
            for key in RECORDED:
                client.submit(customer_key=key)
        with Celery(broker=url, backend=url, set_as_current=False) as other:
            for key, ignores in (("foreign", True), ("asked", False), (7, True)):
                kwargs = {"customer_key": key}
                other.send_task("imports.start", kwargs=kwargs, queue="imports", ignore_result=ignores)
        stack.client.config_set("maxmemory", 1)

        # Both begin on the full server.
        worker = stack.worker()
        stack.beat()
        refused = stack.run("start", "new", "--record-only")
        eventually(lambda: is_worked_off(stack), 60, "everything accepted is worked off and acknowledged")

        assert (refused.returncode, "has no memory left" in refused.stderr) == (1, True)
        assert [len(stack.sandbox.control.performs(key)) for key in KEYS] == [1] * len(KEYS)
        assert "result_not_stored" in stack.log_of(worker).read_text()
        assert worker.poll() is None
        assert rounds_of_sweeps(stack.log_of(worker).read_text()) == {"left to the next one"}
        assert "FAIL  memory" in stack.run("doctor").stdout
        stack.client.config_set("maxmemory", 0)
        stack.await_event("message_rejected")
        assert stack.run("start", "full-0", "--record-only").returncode == 0
