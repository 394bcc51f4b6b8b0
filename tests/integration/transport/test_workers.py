"""Real workers, killed and frozen; a real server, killed and restarted: nothing is lost, nothing stops.

`TRANSPORT_CHAOS_ROUNDS` (default 2) says how many kills the longer tests make; from 3 on with both pools.
"""

import os
import random
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from sfmc_local.redis_server import Valkey
from tests.integration.transport.conftest import KEYS
from tests.integration.transport.workers import Worker, let_end, noted, publish
from tests.support.waiting import eventually

ROUNDS = int(os.environ.get("TRANSPORT_CHAOS_ROUNDS", "2"))
CHAOS_POOLS = ["threads", "prefork"] if ROUNDS > 2 else ["threads"]
StartWorker = Callable[..., Worker]


def all_ran(notes: Path, names: list[str]) -> bool:
    return set(names) <= set(noted(notes))


def nothing_held(client: redis.Redis) -> bool:
    lists = list(client.scan_iter(f"{KEYS.in_flight_prefix}*"))
    return not lists and not client.exists("imports", "unacked", "unacked_index")


def freeze_with_a_message(worker: Worker, broker: str, client: redis.Redis) -> None:
    """Freeze an idle worker and publish one message, which the server hands to its pop (of 30 s)."""
    eventually(lambda: client.info("clients")["blocked_clients"] == 1, 60, "the worker waits for a message")
    worker.signal(signal.SIGSTOP)
    publish(broker, ["precious"])
    eventually(lambda: not client.exists("imports"), 60, "the server has handed the message out")


@pytest.mark.parametrize("pool", ["threads", "prefork", "solo"])
def test_a_message_handed_to_a_frozen_worker_that_is_then_killed_is_run_by_another(
    own_valkey: Valkey, valkey_client: redis.Redis, start_worker: StartWorker, notes: Path, pool: str
):
    broker = own_valkey.celery_url
    frozen = start_worker(broker, pool=pool, pop_timeout="30").ready()
    freeze_with_a_message(frozen, broker, valkey_client)
    frozen.kill()

    start_worker(broker, pool=pool).ready()

    eventually(lambda: noted(notes)["precious"] == 1, 60, "another worker ran the message")
    eventually(lambda: nothing_held(valkey_client), 60, "nothing is held any more")


def test_a_worker_that_wakes_up_after_its_message_was_taken_back_does_not_run_it_again(
    own_valkey: Valkey, valkey_client: redis.Redis, start_worker: StartWorker, notes: Path
):
    broker = own_valkey.celery_url
    sleeper = start_worker(broker, pop_timeout="30").ready()
    freeze_with_a_message(sleeper, broker, valkey_client)
    other = start_worker(broker).ready()
    eventually(lambda: noted(notes)["precious"] == 1, 60, "another worker ran the message")
    assert other.end() == 0

    sleeper.signal(signal.SIGCONT)
    publish(broker, ["next"])

    eventually(lambda: noted(notes)["next"] == 1, 60, "the first worker goes on")
    assert noted(notes)["precious"] == 1


@pytest.mark.chaos
def test_the_stock_transport_loses_that_message(
    own_valkey: Valkey, valkey_client: redis.Redis, start_worker: StartWorker, notes: Path
):
    broker = own_valkey.celery_url
    frozen = start_worker(broker, transport="stock", pop_timeout="30").ready()
    freeze_with_a_message(frozen, broker, valkey_client)
    frozen.kill()

    assert noted(notes)["precious"] == 0
    assert nothing_held(valkey_client)


@pytest.mark.chaos
@pytest.mark.parametrize("pool", CHAOS_POOLS)
def test_workers_killed_at_random_instants_lose_nothing(
    own_valkey: Valkey, valkey_client: redis.Redis, start_worker: StartWorker, notes: Path, pool: str
):
    broker, chance = own_valkey.celery_url, random.Random(7)
    names = [f"{pool}-{number}" for number in range(150 * ROUNDS)]
    for part in range(ROUNDS):
        worker = start_worker(broker, pool=pool, visibility="2").ready()
        enough = noted(notes).total() + chance.randrange(20, 100)
        with ThreadPoolExecutor() as producers:
            producers.submit(publish, broker, names[150 * part : 150 * (part + 1)])
            eventually(lambda least=enough: noted(notes).total() >= least, 60, "the worker is in the midst")
            worker.kill()

    start_worker(broker, pool=pool, visibility="2").ready()

    eventually(lambda: all_ran(notes, names), 60, "every message ran")
    eventually(lambda: nothing_held(valkey_client), 60, "nothing is held any more")


def test_a_worker_whose_acknowledgements_all_failed_goes_on_when_the_server_is_back(
    own_valkey: Valkey, valkey_client: redis.Redis, start_worker: StartWorker, notes: Path
):
    broker = own_valkey.celery_url
    start_worker(broker, visibility="2").ready()
    publish(broker, ["a", "b"], "probe.linger")
    eventually(lambda: {"a began", "b began"} <= noted(notes).keys(), 60, "every slot is busy")

    own_valkey.kill()
    let_end(notes)
    eventually(lambda: {"a ended", "b ended"} <= noted(notes).keys(), 60, "both ended with no server to tell")
    own_valkey.start()
    publish(broker, ["next"])

    eventually(lambda: noted(notes)["next"] == 1, 60, "the worker goes on")


@pytest.mark.chaos
@pytest.mark.parametrize("pool", CHAOS_POOLS)
def test_a_worker_outlives_crashes_of_the_server_and_loses_nothing(
    own_valkey: Valkey, valkey_client: redis.Redis, start_worker: StartWorker, notes: Path, pool: str
):
    broker = own_valkey.celery_url
    worker = start_worker(broker, pool=pool, visibility="2").ready()
    names: list[str] = []
    for part in range(max(1, ROUNDS // 2)):
        batch = [f"{part}-{number}" for number in range(300)]
        publish(broker, batch)
        names += batch
        own_valkey.kill()
        own_valkey.start()
        publish(broker, [f"{part}-after"])
        names.append(f"{part}-after")
        eventually(lambda known=tuple(names): all_ran(notes, list(known)), 60, "every message ran")

    assert worker.is_alive()
    eventually(lambda: nothing_held(valkey_client), 60, "nothing is held any more")
    assert worker.end() == 0


def test_a_worker_whose_connections_are_cut_again_and_again_goes_on(
    own_valkey: Valkey, valkey_client: redis.Redis, start_worker: StartWorker, notes: Path
):
    broker = own_valkey.tcp_url
    worker = start_worker(broker, visibility="2").ready()
    names = [f"m{number}" for number in range(400)]
    for cut in range(4):
        publish(broker, names[100 * cut : 100 * (cut + 1)])
        valkey_client.client_kill_filter(_type="normal", skipme=True)

    eventually(lambda: all_ran(notes, names), 60, "every message ran")
    assert worker.is_alive()
    eventually(lambda: nothing_held(valkey_client), 60, "nothing is held any more")


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_worker_asked_to_end_finishes_what_runs_and_leaves_the_rest_in_the_queue(
    own_valkey: Valkey, valkey_client: redis.Redis, start_worker: StartWorker, notes: Path, pool: str
):
    broker = own_valkey.celery_url
    worker = start_worker(broker, pool=pool).ready()
    publish(broker, ["a", "b", "c", "d"], "probe.linger")
    eventually(lambda: noted(notes).keys() >= {"a began", "b began"}, 60, "both slots are busy")

    worker.signal(signal.SIGTERM)
    eventually(worker.is_ending, 60, "the worker has heard it")
    let_end(notes)

    assert worker.process.wait(60) == 0

    assert {"a ended", "b ended"} <= noted(notes).keys()
    assert not {"c began", "d began"} & noted(notes).keys()
    assert valkey_client.llen("imports") == 2
    assert not valkey_client.exists("unacked", "unacked_index", KEYS.consumers)


def test_a_message_that_kills_its_process_is_set_aside_and_blocks_nothing(
    own_valkey: Valkey, valkey_client: redis.Redis, start_worker: StartWorker, notes: Path
):
    broker = own_valkey.celery_url
    worker = start_worker(broker, pool="prefork", slots="4").ready()
    publish(broker, ["killer"], "probe.die")
    publish(broker, ["good"])

    eventually(lambda: valkey_client.xlen(KEYS.dead_letters) == 1, 60, "the killer is set aside")
    eventually(lambda: noted(notes)["good"] == 1, 60, "the other message ran")
    assert noted(notes)["killer began"] == 3
    assert worker.is_alive()


def test_a_worker_whose_clock_is_hours_ahead_takes_nothing_from_the_others(
    own_valkey: Valkey, valkey_client: redis.Redis, start_worker: StartWorker, notes: Path
):
    broker = own_valkey.celery_url
    start_worker(broker).ready()
    publish(broker, ["long", "longer"], "probe.linger")
    eventually(lambda: {"long began", "longer began"} <= noted(notes).keys(), 60, "the first worker is busy")

    start_worker(broker, clock_skew="7200").ready()
    publish(broker, ["fresh"])
    eventually(lambda: noted(notes)["fresh"], 60, "the second worker system")
    begun = valkey_client.time()[0]
    eventually(lambda: valkey_client.time()[0] > begun + 2, 60, "it has looked for overdue messages several times")
    let_end(notes)

    eventually(lambda: {"fresh", "long ended", "longer ended"} <= noted(notes).keys(), 60, "all messages ran")
    assert noted(notes)["long began"] == noted(notes)["longer began"] == 1
