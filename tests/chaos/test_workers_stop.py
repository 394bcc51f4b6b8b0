"""Workers that are terminated, killed and replaced while Perform is under way; each a real process."""

import os
import signal
from collections.abc import Callable

import psutil
import pytest

from tests.chaos.conftest import LEASE
from tests.chaos.observations import await_applied, await_ends, await_sending, lines_of, seconds_until_due
from tests.support.processes import RunningSystem
from tests.support.waiting import eventually

Send = Callable[..., str]


def test_a_terminated_worker_finishes_its_perform_and_leaves_the_rest_to_others_at_once(
    system: RunningSystem, send: Send
) -> None:
    control = system.sandbox.control
    for key in ("under-way", "rest-1", "rest-2", "rest-3"):
        control.define(key)
    control.add_fault("delay", customer_key="under-way", count=1, seconds=1.0)
    leaving = system.worker()
    under_way = send("under-way")
    await_sending(system, under_way)

    leaving.send_signal(signal.SIGTERM)
    # What reaches the worker before the signal does is rightly its own.
    eventually(lambda: lines_of(system, leaving, "worker_shutting_down"), 60, "the worker has noticed the signal")
    rest = [send(f"rest-{number}") for number in (1, 2, 3)]
    system.worker()

    for request in rest:
        system.await_event("started", request)
    assert leaving.wait(60) == 0
    started = system.await_event("started", under_way)
    assert started["data"]["matched"] == "reply"
    assert system.names(under_way)[:3] == ["accepted", "starting", "started"]
    assert len(control.performs("under-way")) == 1
    # Requests of an earlier test may become due meanwhile: only these four are asked about.
    by_leaving = {line["request_id"] for line in lines_of(system, leaving, "import_started")}
    assert by_leaving & {under_way, *rest} == {under_way}


@pytest.mark.nightly
def test_a_worker_killed_at_the_end_of_its_grace_leaves_an_intent_that_another_reconciles(
    system: RunningSystem, send: Send
) -> None:
    system.sandbox.control.define("no-grace")
    system.sandbox.control.add_fault("delay_after_applying", customer_key="no-grace", count=1, seconds=2.9)
    leaving = system.worker()
    request = send("no-grace")
    await_applied(system, "no-grace")

    leaving.send_signal(signal.SIGTERM)
    assert leaving.poll() is None
    system.kill(leaving)
    system.worker()

    started = system.await_event("started", request, within=60)
    [perform] = system.sandbox.control.performs("no-grace")
    assert (started["data"]["matched"], started["data"]["task_id"]) == ("reconciled", perform["task_id"])


def test_a_rolling_restart_of_three_workers_under_load_loses_nothing_and_starts_nothing_twice(
    system: RunningSystem, send: Send
) -> None:
    keys = [f"rolling-{number}" for number in range(45)]
    for key in keys:
        system.sandbox.control.define(key)
    system.sandbox.control.add_fault("delay", customer_key="rolling-*", probability=0.3, seed=1, seconds=0.5)
    workers = [system.worker() for _ in range(3)]
    requests: dict[str, str] = {}
    for number, worker in enumerate(workers):
        requests |= {key: send(key) for key in keys[number::3]}
        worker.send_signal(signal.SIGTERM)
        system.worker(ready=False)
        assert worker.wait(60) == 0

    outcomes = await_ends(system, requests.values(), 60)

    assert {key: len(system.sandbox.control.performs(key)) for key in keys} == dict.fromkeys(keys, 1)
    assert set(outcomes.values()) <= {"completed", "completed_empty", "import_failed"}
    for request in requests.values():
        names = system.names(request)
        # A worker that ends cuts its queries: also that of a definition, before any start.
        assert 1 <= names.count("starting") <= 1 + names.count("retrying"), names


def test_a_start_of_a_killed_worker_is_taken_up_when_its_lease_is_over(system: RunningSystem, send: Send) -> None:
    system.sandbox.control.define("killed-sending")
    system.sandbox.control.add_fault("delay", customer_key="killed-sending", count=1, seconds=2.9)
    victim = system.worker()
    request = send("killed-sending")
    await_sending(system, request)

    system.kill(victim)
    assert seconds_until_due(system, request) <= LEASE
    system.worker()

    system.await_event("reconciling", request)


@pytest.mark.nightly
def test_a_request_of_a_worker_killed_before_it_sent_is_taken_up_when_its_lease_is_over(
    system: RunningSystem, send: Send
) -> None:
    system.sandbox.control.define("killed-reading")
    # Only for this definition: following asks for runs of earlier tests meanwhile.
    fault = {"operation": "Retrieve", "object_type": "ImportResultsSummary", "count": 1, "seconds": 2.9}
    system.sandbox.control.add_fault("delay", customer_key="killed-reading", **fault)
    victim = system.worker()
    request = send("killed-reading")
    system.await_event("starting", request)

    system.kill(victim)
    assert seconds_until_due(system, request) <= LEASE
    system.worker()

    system.await_event("starting", request, count=2)
    system.await_event("started", request)
    assert len(system.sandbox.control.performs("killed-reading")) == 1


@pytest.mark.nightly
def test_a_killed_pool_process_loses_no_start_and_its_worker_goes_on(system: RunningSystem, send: Send) -> None:
    for key in ("child-killed", "after-the-child"):
        system.sandbox.control.define(key)
    system.sandbox.control.add_fault("delay_after_applying", customer_key="child-killed", count=1, seconds=2.9)
    worker = system.worker("--pool", "prefork", "--concurrency", "2")
    request = send("child-killed")
    await_applied(system, "child-killed")

    for child in psutil.Process(worker.pid).children():
        os.kill(child.pid, signal.SIGKILL)

    after = send("after-the-child")
    system.await_event("started", after)
    started = system.await_event("started", request, within=60)
    [perform] = system.sandbox.control.performs("child-killed")
    assert started["data"]["task_id"] == perform["task_id"]
    assert worker.poll() is None
