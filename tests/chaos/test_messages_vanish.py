"""Celery messages are wake-ups: deleted, or held by a worker that is gone, they cost seconds and nothing else."""

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from subprocess import PIPE

import pytest
import redis
from kombu import Connection, Consumer, Queue

from sfmc_harness.chaos.faults import Proxy
from sfmc_import.client import Client
from sfmc_import.request import UNACKED, UNACKED_INDEX
from sfmc_local.redis_server import Valkey
from sfmc_transport import TRANSPORT_OPTIONS, celery_settings
from tests.chaos.observations import KEYS, await_ends
from tests.support.processes import RunningSystem
from tests.support.waiting import eventually

Send = Callable[..., str]
MOMENTS = 100
TWO_SWEEPS = """
import json, sys
from sfmc_import.tasks import sweep
for _ in range(2):
    sys.stdin.readline()
    print("answer", json.dumps(sweep()), flush=True)
"""


def delete_messages(system: RunningSystem) -> int:
    in_flight = list(system.client.scan_iter(match="*transport:inflight:*"))
    return int(system.client.delete("imports", "imports.upkeep", UNACKED, UNACKED_INDEX, *in_flight))


def test_every_request_ends_though_all_messages_are_deleted_at_a_hundred_moments(
    system: RunningSystem, ask: Send
) -> None:
    chance = random.Random(4)
    keys = [f"deleted-{number}" for number in range(20)]
    for key in keys:
        system.sandbox.control.define(key)
    system.sandbox.control.add_fault("fault_13", customer_key="deleted-*", probability=0.3, seed=4)
    system.worker()
    requests, deleted = {}, 0
    moments = iter(range(MOMENTS))

    def all_moments_over() -> bool:
        nonlocal deleted
        if keys and chance.random() < 0.1:
            key = keys.pop()
            requests[key] = ask(key)
        if chance.random() < 0.7:
            return False
        deleted += delete_messages(system)
        return next(moments, None) is None

    eventually(all_moments_over, 60, f"messages were deleted at {MOMENTS} moments")
    outcomes = await_ends(system, requests.values(), 60)

    assert deleted
    assert not keys
    assert set(outcomes.values()) <= {"completed", "completed_empty", "import_failed"}
    assert all(len(system.sandbox.control.performs(key)) == 1 for key in requests)


def let_go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()


def answer_of(process: "subprocess.Popen[str]") -> object:
    assert process.stdout
    answer = next(line for line in process.stdout if line.startswith("answer"))
    return json.loads(answer.removeprefix("answer"))


@pytest.fixture
def gone_worker(system: RunningSystem) -> Iterator[Callable[[], None]]:
    """Take one message as a worker does, and then do nothing, as a worker that was killed."""
    chosen = celery_settings(system.valkey.celery_url)
    address, transport = chosen["broker_url"], chosen["broker_transport"]
    options = {**TRANSPORT_OPTIONS, "unacked_key": UNACKED, "unacked_index_key": UNACKED_INDEX}
    with Connection(address, transport=transport, transport_options=options) as connection:
        taken: list[object] = []
        consumer = Consumer(connection.channel(), [Queue("imports")], on_message=taken.append, accept=["json"])
        consumer.qos(prefetch_count=1)

        def claim() -> None:
            consumer.consume()
            connection.drain_events(timeout=10)
            assert taken
            consumer.channel.connection_errors = ()
            connection.transport.cycle.close()

        yield claim


def test_a_message_in_the_hands_of_a_killed_worker_is_taken_up_by_another(
    system: RunningSystem, send: Send, gone_worker: Callable[[], None]
) -> None:
    system.sandbox.control.define("in-dead-hands")
    request = send("in-dead-hands")
    gone_worker()
    assert not system.names(request)

    system.worker()

    system.await_event("accepted", request)


def test_a_sweep_whose_connection_breaks_while_it_sends_sends_again_on_a_new_one(system: RunningSystem) -> None:
    with Valkey(tcp=True) as valkey, Proxy(valkey.port) as proxy, redis.Redis.from_url(valkey.url) as server:
        apart = system.env | {"SFMC_REDIS_URL": valkey.url, "SFMC_BROKER_URL": f"redis://127.0.0.1:{proxy.port}/0"}
        with Client.from_env(apart) as client:
            request = client.submit(customer_key="swept").request_id
        command = [sys.executable, "-c", TWO_SWEEPS]
        with subprocess.Popen(command, env=apart, stdin=PIPE, stdout=PIPE, text=True) as sweeper:
            server.zadd(KEYS.due, {request: 0})
            let_go(sweeper)
            first = answer_of(sweeper)
            server.zadd(KEYS.due, {request: 0})
            server.delete("imports")
            proxy.inject("deaf")
            let_go(sweeper)
            eventually(lambda: server.llen("imports"), 60, "the wake-up has arrived, and its reply has not")
            proxy.clear()
            second = answer_of(sweeper)

        assert [(each["woken"], each["followed"]) for each in (first, second)] == [(1, 0), (1, 0)]
