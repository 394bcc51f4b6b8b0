"""A request that outlives one loss of writes after another looks for what each of them may have forgotten."""

import pytest

from sfmc_import.ledger.loss_keys import LOSS
from tests.support.checks import name_of
from tests.support.system import System
from tests.unit.sfmc_import.service.conftest import request
from tests.unit.sfmc_import.service.test_forgotten_starts import ran_elsewhere, restart_redis

DAY = 86400.0


def last_of(system: System, request_id: str) -> tuple[str, list[str]]:
    """How a request ended, and the runs that it names."""
    event = [each for each in system.world.events() if each["data"].get("request_id") == request_id][-1]
    return name_of(event), event["data"].get("candidates", [])


def end_loss(system: System, seconds: float = 2000) -> None:
    """So much later starts are careful no more; keys expire by the clock of the server."""
    system.world.advance(seconds)
    system.world.client.delete(system.world.keys.name_of(LOSS))


def runs_through(system: System, request_id: str) -> None:
    """A request starts and its run ends, while others wait for their time."""
    system.submit(request(request_id, force=True))
    for _ in range(100):
        system.work()
        system.world.advance(5)
        system.sweep()
    assert system.world.record(request_id)["state"] == "completed"


def held(system: System) -> None:
    """A run that the ledger knows, and a request whose time comes in ten days."""
    runs_through(system, "first")
    system.submit(request("a", not_before=system.world.now_ms() / 1000 + 10 * DAY))


@pytest.mark.parametrize("is_over", [False, True])
def test_a_start_that_the_first_loss_forgot_is_found_after_the_second(system: System, is_over: bool):
    held(system)
    forgotten = ran_elsewhere(system, 0)
    restart_redis(system)
    end_loss(system, DAY)
    runs_through(system, "second")
    end_loss(system, 9 * DAY - 600)
    restart_redis(system)
    if is_over:
        end_loss(system)
    system.live()

    assert last_of(system, "a") == ("completed", [])
    assert system.world.record("a")["task"] == forgotten


def test_what_others_started_between_two_losses_is_no_start_that_redis_forgot(system: System):
    held(system)
    restart_redis(system)
    end_loss(system, DAY)
    ran_elsewhere(system, 0)
    end_loss(system, 9 * DAY - 600)
    runs_through(system, "second")
    restart_redis(system)
    system.live()

    assert last_of(system, "a") == ("completed", [])
    assert len(system.cloud.performs) == 4


def test_what_the_second_loss_forgot_is_found_as_well(system: System):
    held(system)
    restart_redis(system)
    end_loss(system, 9 * DAY)
    runs_through(system, "second")
    forgotten = ran_elsewhere(system, 0)
    restart_redis(system)
    system.live()

    assert last_of(system, "a") == ("completed", [])
    assert system.world.record("a")["task"] == forgotten


def test_a_start_of_each_loss_leaves_the_request_unknown(system: System):
    held(system)
    first = ran_elsewhere(system, 0)
    restart_redis(system)
    end_loss(system, 9 * DAY)
    second = ran_elsewhere(system, 0)
    restart_redis(system)
    system.live()

    assert last_of(system, "a") == ("start_unknown", [first, second])


def pause(system: System) -> None:
    system.world.ledger.pause("all", "ann", "new columns", None)


def resume(system: System) -> None:
    system.world.ledger.lift_pause("all", "ann", None)
    system.live()


def test_what_no_worker_had_decided_when_a_loss_was_noticed_looks_for_its_start_however_long_it_is_held(
    system: System,
):
    system.submit(request("a"))
    forgotten = ran_elsewhere(system, 0)
    system.world.ledger.write_probe("worker", 2)
    pause(system)
    system.work()
    end_loss(system)
    resume(system)

    assert last_of(system, "a") == ("start_unknown", [forgotten])


def test_a_second_loss_in_the_careful_time_is_looked_for_however_long_the_request_is_held(system: System):
    runs_through(system, "first")
    system.world.ledger.write_probe("worker", 2)
    system.world.advance(60)
    system.submit(request("a"))
    pause(system)
    system.work()
    forgotten = ran_elsewhere(system, 0)
    system.world.ledger.write_probe("another", 2)
    end_loss(system)
    resume(system)

    assert last_of(system, "a") == ("start_unknown", [forgotten])


def test_a_request_that_was_there_when_a_loss_was_noticed_asks_for_runs_that_others_have_named(system: System):
    runs_through(system, "first")
    system.submit(request("a", not_before=system.world.now_ms() / 1000 + 700))
    forgotten = ran_elsewhere(system, 0)
    system.world.ledger.write_probe("worker", 2)
    system.submit(request("b", force=True))
    system.live()

    assert last_of(system, "b") == ("start_unknown", [forgotten])
    assert last_of(system, "a") == ("start_unknown", [forgotten])
