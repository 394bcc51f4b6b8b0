"""A clock of Redis that went back: a name at a target and a refused login are held no longer than they may be."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis as redis_py

from sfmc_import.ledger.keys import Keys
from sfmc_producers.delivery.records import LEASE_SECONDS, Held, Mine, Records

HOUR = 3600.0


@pytest.fixture
def client(redis_server: Any) -> Iterator[Any]:
    with redis_py.Redis.from_url(redis_server.url, socket_timeout=10) as made:
        yield made


@pytest.fixture
def records(client: Any) -> Records:
    return Records(client, Keys(), 60)


def left(client: Any, key: bytes) -> float:
    return float(client.hget(key, "lease")) - time.time()


def test_a_name_that_was_taken_on_a_clock_ahead_is_free_after_a_lease_and_belongs_to_who_renews_it(
    client: Any, records: Records
) -> None:
    claim = records.claim("there/a.csv", "f1", "r1")
    assert isinstance(claim, Mine)
    [key] = client.keys("*:delivery:*")
    client.hset(key, "lease", time.time() + HOUR)

    assert isinstance(records.claim("there/a.csv", "f1", "r1"), Held)
    assert LEASE_SECONDS - 5 < left(client, key) <= LEASE_SECONDS + 1
    client.hset(key, "lease", time.time() + 20)
    assert isinstance(records.claim("there/a.csv", "f1", "r1"), Held)
    assert left(client, key) <= 20
    claim.lease.note(state="uploading")
    assert left(client, key) > 80


def test_a_login_that_was_refused_on_a_clock_ahead_is_tried_after_the_time_of_a_lock_out(
    client: Any, records: Records
) -> None:
    records.lock_out("u@there")
    [key] = client.keys("*:lock_out:*")
    client.set(key, time.time() + HOUR, ex=60)

    assert 590 < records.locked_out("u@there", 600) <= 600
    assert float(client.get(key)) <= time.time() + 1
    client.set(key, time.time() - 500, ex=60)
    assert 90 < records.locked_out("u@there", 600) < 101
