"""Thousands of requests for one definition at the same moment, from many threads and several processes: one start."""

import multiprocessing
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from uuid import uuid4

import pytest
import redis as redis_py

from sfmc_import import service
from sfmc_import.ledger import LedgerSettings, RedisLedger
from sfmc_import.policy import Policy
from sfmc_import.request import FileInfo, StartRequest
from sfmc_import.runs import Definition
from sfmc_import.states import StartNow
from tests.support.ledger_world import RedisWorld
from tests.support.system import MID, System

REQUESTS = 10_000
KEY = "daily"
SAME_FILE = FileInfo(location="/in", name="daily.csv", size=1, version="v1")


def request_number(number: int, file: FileInfo | None) -> StartRequest:
    return StartRequest(request_id=f"r{number}", customer_key=KEY, mid=MID, file=file)


@pytest.mark.parametrize("hours", [0, pytest.param(24, marks=pytest.mark.nightly)])
@pytest.mark.timeout(600)
def test_ten_thousand_simultaneous_requests_for_one_key_perform_once(redis_server, hours: float):
    world = RedisWorld(redis_server.url, LedgerSettings())
    system = System(world, Definition(customer_key=KEY), policy=Policy(frequency=hours))

    def start(number: int) -> str:
        request = request_number(number, SAME_FILE if number % 2 else None)
        return service.start(request, uuid4().hex, system.deps).state

    with ThreadPoolExecutor(16) as pool:
        states = Counter(pool.map(start, range(REQUESTS), chunksize=50))

    assert len(system.cloud.performs) == 1
    # While the first request starts, one with the file may come between and wait; it is a duplicate at its turn.
    assert states["started"] == 1
    assert states["duplicate"] + states["started"] + states["deferred"] == REQUESTS
    assert states["deferred"] <= 1
    world.close()


def take_many(url: str, first: int, count: int) -> int:
    """Take requests as one worker process does; gives how many may start."""
    client = redis_py.Redis.from_url(url)
    ledger = RedisLedger(client, LedgerSettings())
    with ThreadPoolExecutor(4) as pool:
        decisions = pool.map(
            lambda number: ledger.claim(request_number(number, None), uuid4().hex, Policy()),
            range(first, first + count),
        )
        gone = sum(isinstance(decision, StartNow) for decision in decisions)
    client.close()
    return gone


@pytest.mark.timeout(600)
def test_of_three_processes_that_ask_at_once_one_may_start(redis_server):
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(3, mp_context=spawn) as pool:
        jobs = [pool.submit(take_many, redis_server.url, number * 1000, 1000) for number in range(3)]
        gone = [job.result() for job in jobs]

    assert sum(gone) == 1
