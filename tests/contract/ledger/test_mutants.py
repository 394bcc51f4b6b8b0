"""The contract tests notice every wrong change to the scripts that tests/mutants lists."""

import pytest

from tests.support.ledger_world import RedisWorld
from tests.support.mutants.scripts import SETTINGS, bodies, killer_of, notices
from tests.support.mutants.wrong_scripts import MUTANTS


def test_the_right_ledger_passes_what_the_wrong_ones_must_fail(redis_server):
    world = RedisWorld(redis_server.url, SETTINGS)

    assert [name for name, body in bodies() if notices(body, world)] == []
    world.close()


@pytest.mark.timeout(600)
def test_every_wrong_ledger_is_noticed(redis_server, record_property):
    survivors = [mutant for mutant in MUTANTS if killer_of(mutant, redis_server.url) is None]
    record_property("cases", len(MUTANTS))

    assert survivors == []
