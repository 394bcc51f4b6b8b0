"""The contract tests detect every wrong change to the scripts that tests/support/mutants lists."""

import pytest

from tests.support.ledger_world import RedisWorld
from tests.support.mutants.scripts import SETTINGS, bodies, detected_by, detects
from tests.support.mutants.wrong_scripts import MUTANTS


def test_the_right_ledger_passes_what_the_wrong_ones_must_fail(redis_server):
    world = RedisWorld(redis_server.url, SETTINGS)

    assert [name for name, body in bodies() if detects(body, world)] == []
    world.close()


@pytest.mark.timeout(600)
def test_every_wrong_ledger_is_detected(redis_server, record_property):
    undetected = [mutant for mutant in MUTANTS if detected_by(mutant, redis_server.url) is None]
    record_property("cases", len(MUTANTS))

    assert undetected == []
