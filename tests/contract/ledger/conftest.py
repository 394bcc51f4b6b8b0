"""Every test of this folder runs over the twin in memory and over the scripts on a real server."""

from collections.abc import Iterator

import pytest

from tests.contract.ledger.story import Story
from tests.ledgers import MemoryWorld, RedisWorld, World
from worker.adapters.ledger import LedgerSettings


@pytest.fixture
def settings() -> LedgerSettings:
    return LedgerSettings(lease=180, settle=60, accept_grace=5, recheck=600, first_look=5)


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
def story(world: World) -> Story:
    return Story(world)
