"""Random interleavings of workers over the scripts, in fakeredis and on a real server."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from sfmc_import.ledger import LedgerSettings
from tests.contract.ledger.interleavings import Interleavings
from tests.support.ledger_world import FakeRedisWorld, RedisWorld, World

SETTINGS = LedgerSettings(lease=180, results_delay=60, accept_grace=5, recheck=600, first_poll=5)
HEALTH = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
STEPS = 60


def run(world: World, examples: int) -> None:
    def fresh() -> World:
        world.restart()
        return world

    machine = type("Interleavings", (Interleavings,), {"new_world": staticmethod(fresh)})
    how = settings(
        max_examples=examples, stateful_step_count=STEPS, deadline=None, suppress_health_check=HEALTH, database=None
    )
    run_state_machine_as_test(machine, settings=how)
    world.close()


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_no_interleaving_breaks_the_ledger_in_fakeredis():
    run(FakeRedisWorld(SETTINGS), examples=15)


@pytest.mark.parametrize("examples", [30, pytest.param(300, marks=pytest.mark.nightly)])
@pytest.mark.timeout(600)
def test_no_interleaving_breaks_the_ledger_on_a_server(redis_server, examples):
    run(RedisWorld(redis_server.url, SETTINGS), examples=examples)
