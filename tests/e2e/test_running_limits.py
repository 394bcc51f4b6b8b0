"""No more imports run at once than the policy allows, over several workers of which one is killed with a start."""

import tempfile
from itertools import pairwise
from pathlib import Path

import pytest

from sfmc_import.ledger.key_kinds import PLACES
from sfmc_import.ledger.keys import Keys
from tests.e2e.test_waiting_and_pauses import define, show, start, waits
from tests.support.processes import RunningSystem, running_system
from tests.support.waiting import eventually

POLICY = """
[defaults]
group = "serial"
[[group]]
name = "serial"
max_running = 1
"""
KEYS = ("one", "two", "three", "four")


def ran_one_after_another(stack: RunningSystem, requests: list[str]) -> bool:
    """Each run was recorded after the end of the one before it."""
    ours = [event for event in stack.events() if event["data"].get("request_id") in requests]
    steps = [event["type"].rpartition(".")[2] for event in ours if event["type"].endswith((".started", ".completed"))]
    return all(first != second for first, second in pairwise(steps)) and steps.count("started") == len(requests)


@pytest.mark.nightly
def test_imports_of_a_group_run_one_after_another_also_when_a_worker_is_killed() -> None:
    with tempfile.TemporaryDirectory() as folder:
        policy = Path(folder, "policy.toml")
        policy.write_text(POLICY)
        with running_system({"SFMC_CONFIG": str(policy), "SFMC_MAX_RUNNING": "3"}) as stack:
            first = stack.worker()
            stack.beat()
            for key in KEYS:
                define(stack, key)
                # The first run lasts until the others were seen to wait.
                lasts = 12 if key == KEYS[0] else 1.5
                stack.sandbox.control.add_fault("slow_run", customer_key=key, seconds=lasts, count=1)
            holder = start(stack, "one")
            stack.await_event("started", holder)
            others = [start(stack, key) for key in KEYS[1:]]
            waiting = waits(stack, others[0], "rate_limited")
            stack.kill(first)
            stack.worker()
            requests = [holder, *others]
            for request in requests:
                stack.await_event("completed", request)

            assert waiting["last_error"]["code"] == "running_limit"
            assert waiting["last_error"]["text"] == "as many imports of the group serial run as may: 1"
            assert [len(stack.sandbox.control.performs(key)) for key in KEYS] == [1] * len(KEYS)
            assert ran_one_after_another(stack, requests)
            assert show(stack, others[-1])["waiting"] is None
            places = [Keys().name_of(PLACES, group) for group in ("*", "serial")]
            eventually(lambda: stack.client.exists(*places) == 0, 60, "nothing counts any more")
