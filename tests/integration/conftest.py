"""A client of the session's server that reads bytes, and the ledger over it."""

from collections.abc import Iterator

import pytest
import redis as redis_py

from sfmc_import.ledger import LedgerSettings, RedisLedger
from sfmc_local.redis_server import Valkey


@pytest.fixture
def raw(redis: redis_py.Redis, redis_server: Valkey) -> Iterator[redis_py.Redis]:
    with redis_py.Redis.from_url(redis_server.url, socket_timeout=10) as client:
        yield client


@pytest.fixture
def ledger(raw: redis_py.Redis) -> RedisLedger:
    return RedisLedger(raw, LedgerSettings())
