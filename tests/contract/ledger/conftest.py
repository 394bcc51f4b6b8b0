"""Every test of this folder runs over the scripts in fakeredis and over the scripts on a real server."""

from collections.abc import Iterator

import pytest

from sfmc_import.ledger import LedgerSettings
from tests.contract.ledger.scenario import Scenario
from tests.support.ledger_world import FakeRedisWorld, RedisWorld, World


@pytest.fixture
def settings() -> LedgerSettings:
    return LedgerSettings(lease=180, results_delay=60, accept_grace=5, recheck=600, first_poll=5)


@pytest.fixture(params=["fakeredis", "valkey"])
def world(request: pytest.FixtureRequest, settings: LedgerSettings) -> Iterator[World]:
    if request.param == "fakeredis":
        made: World = FakeRedisWorld(settings)
    else:
        made = RedisWorld(request.getfixturevalue("redis_server").url, settings)
    yield made
    left = made.endless_keys() + made.undescribed()
    made.client.close()
    assert left == []


@pytest.fixture
def scenario(world: World) -> Scenario:
    return Scenario(world)
