"""The contract tests detect every wrong change to the scripts that tests/support/mutants lists."""

import pytest

from tests.support.ledger_world import RedisWorld
from tests.support.mutants.scripts import SETTINGS, bodies, detected_by, detects, reading
from tests.support.mutants.wrong_scripts import MUTANTS

PARTS = 384
"""The test command tries one part; the others run nightly, and all by `python -m tests.support.mutants`."""


def test_the_right_ledger_passes_what_the_wrong_ones_must_fail(redis_server):
    world = RedisWorld(redis_server.url, SETTINGS)

    assert [name for name, body in bodies() if detects(body, world)] == []
    world.close()


def test_every_wrong_change_is_one_to_what_stands_there_now():
    for mutant in MUTANTS:
        reading(mutant)(mutant.file)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.nightly) for part in range(1, PARTS))])
def test_every_wrong_ledger_is_detected(redis_server, record_property, part):
    tried = MUTANTS[part::PARTS]
    undetected = [mutant for mutant in tried if detected_by(mutant, redis_server.url) is None]
    record_property("cases", len(tried))

    assert undetected == []
