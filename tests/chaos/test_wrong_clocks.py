"""Workers whose wall clocks are hours off decide as all others: only Redis time counts."""

from collections.abc import Callable

import pytest

from sfmc_harness.chaos.run import SKEW
from tests.chaos.observations import await_sending
from tests.support.processes import RunningSystem

Send = Callable[..., str]
HOURS = 3600


def skewed(seconds: int) -> dict[str, str]:
    return {"CHAOS_CLOCK_SKEW": str(seconds), "PYTHONPATH": str(SKEW)}


@pytest.mark.parametrize(
    ("first", "second"), [(3 * HOURS, -3 * HOURS), pytest.param(-3 * HOURS, 3 * HOURS, marks=pytest.mark.nightly)]
)
def test_a_window_opened_by_one_worker_is_as_long_for_a_worker_hours_away(
    system: RunningSystem, send: Send, first: int, second: int
) -> None:
    key = f"hourly-{first}"
    # An import that fails would free its window.
    system.sandbox.drop("clock.csv", "Key,Value\n1,one\n")
    system.sandbox.control.define(key, MaxImportFrequency=2, FileSpec="clock.csv")
    opener = system.worker(**skewed(first))
    holder = send(key)
    system.await_event("started", holder)
    system.kill(opener)

    system.worker(**skewed(second))
    duplicate = system.await_event("duplicate", send(key))

    assert duplicate["data"]["held_by"] == holder
    assert 1.9 * HOURS < duplicate["data"]["opens_in"] <= 2 * HOURS
    assert len(system.sandbox.control.performs(key)) == 1


def test_a_worker_whose_clock_is_ahead_does_not_take_a_lease_over_that_has_not_run_out(
    system: RunningSystem, send: Send
) -> None:
    system.sandbox.control.define("leased")
    system.sandbox.control.add_fault("delay", customer_key="leased", count=1, seconds=4)
    slow = system.worker(SFMC_READ_TIMEOUT="60", SFMC_LEASE_SECONDS="90")
    request = send("leased")
    await_sending(system, request)

    system.worker(**skewed(3 * HOURS))

    started = system.await_event("started", request)
    assert started["data"]["matched"] == "reply"
    assert system.names(request)[:3] == ["accepted", "starting", "started"]
    assert slow.poll() is None
