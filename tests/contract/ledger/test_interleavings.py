"""Random interleavings of workers over the twin alone, and over twin and real ledger step by step alike."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from sfmc_import.ledger import LedgerSettings
from tests.contract.ledger.both import BothWorlds
from tests.contract.ledger.interleavings import Interleavings
from tests.support.ledger_world import MemoryWorld

SETTINGS = LedgerSettings(lease=180, results_delay=60, accept_grace=5, recheck=600, first_poll=5)
HEALTH = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def run(new_world, examples: int, steps: int) -> None:
    machine = type("Interleavings", (Interleavings,), {"new_world": staticmethod(new_world)})
    how = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=HEALTH, database=None
    )
    run_state_machine_as_test(machine, settings=how)


def test_no_interleaving_breaks_the_twin():
    run(lambda: MemoryWorld(SETTINGS), examples=200, steps=60)


@pytest.mark.timeout(600)
def test_no_interleaving_tells_the_real_ledger_from_its_twin_or_breaks_it(redis_server):
    both = BothWorlds(redis_server.url, SETTINGS)

    def fresh() -> BothWorlds:
        both.real.restart()
        both.twin = MemoryWorld(SETTINGS)
        both.ledger = type(both.ledger)(both.twin.ledger, both.real.ledger)
        return both

    run(fresh, examples=100, steps=60)
    both.close()
