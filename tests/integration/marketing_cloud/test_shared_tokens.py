"""One access token for all processes: real clients, a real server with its users, and the sandbox that counts."""

import multiprocessing
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
import redis as redis_py
from redis.exceptions import RedisError

from sfmc_import.ledger import LedgerSettings, RedisLedger
from sfmc_import.ledger.token_keys import TOKEN, TOKEN_LEASE
from sfmc_import.marketing_cloud import MarketingCloudConfig, PlainSecret, SoapMarketingCloud, TokenSharing, connect
from sfmc_import.ports import LedgerUnavailableError, TokenName
from sfmc_import.redis_rights import ROLES, RoleName, rules
from sfmc_import.sealing import Seal
from tests.support.sandbox_server import ACCOUNT_ID, CLIENT_ID, CLIENT_SECRET, SandboxProcess
from tests.support.waiting import eventually

MID = str(ACCOUNT_ID)
PREFIX = "tokens:"
SETTINGS = LedgerSettings(prefix=PREFIX)
PROCESSES = 20


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess(validate=False) as running:
        yield running


@pytest.fixture
def redis(redis_server) -> Iterator[redis_py.Redis]:
    with redis_py.Redis.from_url(redis_server.url, socket_timeout=10) as client:
        client.flushdb()
        yield client
        client.flushdb()


class TokenCalls:
    """How many tokens the sandbox gave since the last question, at which all of them end."""

    def __init__(self, sandbox: SandboxProcess) -> None:
        self._control, self._before = sandbox.control, 0
        self()

    def __call__(self) -> int:
        before, self._before = self._before, int(self._control._call("DELETE", "tokens")["expired"])
        return self._before - before


@pytest.fixture
def token_calls(sandbox) -> TokenCalls:
    return TokenCalls(sandbox)


class Process:
    """What one process of the account has: its client of Redis and its adapter."""

    def __init__(self, soap_url: str, auth_url: str, url: str) -> None:
        self.client = redis_py.Redis.from_url(url, socket_timeout=10)
        self.ledger = RedisLedger(self.client, SETTINGS)
        config = MarketingCloudConfig(
            soap_url=soap_url,
            auth_url=auth_url,
            client_id=CLIENT_ID,
            client_secret=PlainSecret(CLIENT_SECRET),
            account_id=MID,
            read_timeout=30,
        )
        sharing = TokenSharing(self.ledger.tokens(), Seal(bytes(range(32))), PREFIX)
        self.service: SoapMarketingCloud = connect(config, sharing=sharing)

    def ask(self) -> Any:
        return self.service.definitions(MID)


@pytest.fixture
def processes(sandbox, redis, redis_server) -> Iterator[list[Process]]:
    sandbox.control.reset()
    made = [Process(sandbox.soap_url, sandbox.auth_url, redis_server.url) for _ in range(PROCESSES)]
    yield made
    for each in made:
        each.client.close()


def all_at_once(processes: list[Process]) -> list[object]:
    barrier = threading.Barrier(len(processes))

    def ask(process: Process) -> object:
        barrier.wait(60)
        return process.ask()

    with ThreadPoolExecutor(len(processes)) as threads:
        return list(threads.map(ask, processes))


def test_twenty_processes_that_start_at_once_without_a_token_make_one_token_call(processes, token_calls):
    assert all_at_once(processes) == [[]] * PROCESSES
    assert token_calls() == 1


def test_twenty_processes_whose_token_is_refused_make_one_token_call(processes, token_calls):
    all_at_once(processes)
    token_calls()

    assert all_at_once(processes) == [[]] * PROCESSES
    assert token_calls() == 1


def ask_alone(soap_url: str, auth_url: str, redis_url: str) -> int:
    """Be one process that asks; give how many definitions it was answered."""
    return len(Process(soap_url, auth_url, redis_url).ask())


def test_a_process_that_dies_while_it_asks_holds_the_others_for_the_time_of_its_lease(
    sandbox, redis, redis_server, processes, token_calls
):
    places = (sandbox.soap_url, sandbox.auth_url, redis_server.url)
    with sandbox.control.fault("hang", "Token"):
        asking = multiprocessing.get_context("spawn").Process(target=ask_alone, args=places)
        asking.start()
        eventually(lambda: leases(redis), within=60, description="a process asks for the token")
        asking.kill()
        asking.join(60)
    [left] = leases(redis)
    assert 0 < redis.pttl(left) <= 1000 * SETTINGS.token_lease_ttl
    redis.pexpire(left, 500)

    assert all_at_once(processes[:4]) == [[]] * 4
    assert token_calls() == 1


def leases(redis: redis_py.Redis) -> list[bytes]:
    return list(redis.scan_iter(f"*{TOKEN_LEASE.letter}:*"))


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_twenty_real_processes_make_one_token_call(sandbox, redis, redis_server, token_calls):
    sandbox.control.reset()
    places = (sandbox.soap_url, sandbox.auth_url, redis_server.url)
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        asked = [pool.submit(ask_alone, *places) for _ in range(PROCESSES)]
        assert [each.result(300) for each in asked] == [0] * PROCESSES

    assert token_calls() == 1


def test_a_start_is_sent_with_the_token_of_another_process(sandbox, processes, token_calls):
    sandbox.control.define("shared_token")
    processes[0].ask()
    answer = processes[1].service.start(MID, "shared_token", not_after=float("inf"))

    assert answer.task_id
    assert token_calls() == 1


@pytest.mark.parametrize("role", ROLES)
def test_only_the_user_of_a_worker_can_reach_a_shared_token(redis, redis_server, role: RoleName):
    name = TokenName(MID, "0a1b")
    ledger = RedisLedger(redis, SETTINGS)
    ledger.tokens().share(name, "me", "", "1.a", 60.0)
    waiting = TokenName(MID, "0a1c")
    ledger.tokens().look(waiting, "me", "", refused=False)
    places = [ledger.keys.name_of(kind, *name) for kind in (TOKEN, TOKEN_LEASE)]
    version = tuple(map(int, str(redis.info("server")["redis_version"]).split(".")[:2]))
    known = [rule for rule in rules(role, PREFIX) if rule != "+waitaof" or version >= (7, 2)]
    user = f"{role}-{uuid4().hex[:8]}"
    redis.execute_command("ACL", "SETUSER", user, "reset", ">pw", *known)
    with redis_py.Redis.from_url(redis_server.url, username=user, password="pw") as client:
        reached = [what for what in WAYS if succeeds(WAYS[what], client, places, waiting)]
    redis.execute_command("ACL", "DELUSER", user)

    assert reached == (list(WAYS) if role == "worker" else [])


WAYS = {
    "get": lambda client, places, _: client.get(places[0]),
    "lease": lambda client, places, _: client.set(places[1], "x", px=1000),
    "script": lambda client, places, _: client.eval("return redis.call('GET', KEYS[1])", 1, places[0]),
    "hidden": lambda client, places, _: client.eval(f"return redis.call('GET', '{places[0]}')", 0),
    "delete": lambda client, places, _: client.eval(f"return redis.call('DEL', '{places[1]}')", 0),
    "step": lambda client, _, name: RedisLedger(client, SETTINGS).tokens().look(name, "x", "", refused=False),
}


def succeeds(way, client: redis_py.Redis, places: list[str], name: TokenName) -> bool:
    try:
        way(client, places, name)
    except (RedisError, LedgerUnavailableError):
        return False
    return True
