"""Every test of this folder runs over the twin in memory and over the scripts on a real server."""

from collections.abc import Iterator

import pytest

from sfmc_import.ledger import LedgerSettings
from tests.contract.ledger.scenario import Scenario
from tests.support.ledger_world import MemoryWorld, RedisWorld, World


@pytest.fixture
def settings() -> LedgerSettings:
    return LedgerSettings(lease=180, results_delay=60, accept_grace=5, recheck=600, first_poll=5)


@pytest.fixture(params=["memory", "valkey"])
def world(request: pytest.FixtureRequest, settings: LedgerSettings) -> Iterator[World]:
    if request.param == "memory":
        yield MemoryWorld(settings)
        return
    real = RedisWorld(request.getfixturevalue("redis_server").url, settings)
    yield real
    endless = real.endless_keys()
    real.client.close()
    assert endless == []


@pytest.fixture
def scenario(world: World) -> Scenario:
    return Scenario(world)
