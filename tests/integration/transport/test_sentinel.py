"""The same delivery where the server is found through Sentinel."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery

from sfmc_local.processes import spawn, stop
from sfmc_local.redis_server import Valkey, find_server, free_port
from tests.integration.transport.conftest import KEYS
from tests.integration.transport.workers import Worker, let_end, noted
from tests.support.waiting import eventually

MASTER = "imports-master"


@pytest.fixture
def sentinel_port(own_valkey: Valkey, tmp_path: Path) -> Iterator[int]:
    port = free_port()
    settings = tmp_path / "sentinel.conf"
    lines = [f"port {port}", "bind 127.0.0.1", f"dir {tmp_path}"]
    settings.write_text("\n".join([*lines, f"sentinel monitor {MASTER} 127.0.0.1 {own_valkey.port} 1"]) + "\n")
    with (tmp_path / "sentinel.log").open("wb") as log:
        process = spawn([str(find_server()), str(settings), "--sentinel"], output=log, death_signal=signal.SIGKILL)
    with redis.Redis(port=port, socket_timeout=5) as client:
        eventually(lambda: knows_its_master(client), 60, "the sentinel knows its master")
    yield port
    stop(process)


def knows_its_master(client: redis.Redis) -> bool:
    try:
        return MASTER in client.sentinel_masters()
    except redis.ConnectionError:
        return False


def test_a_worker_behind_sentinel_holds_its_messages_safely(
    valkey_client: redis.Redis, sentinel_port: int, start_worker: Callable[..., Worker], notes: Path
):
    broker = f"sentinel://127.0.0.1:{sentinel_port}/0"
    start_worker(broker, master=MASTER).ready()
    with Celery(broker=broker) as app:
        app.conf.broker_transport_options = {"master_name": MASTER}
        app.send_task("probe.linger", ["a"], queue="imports")
        eventually(lambda: noted(notes)["a began"], 60, "the message is delivered")
        assert valkey_client.hlen("unacked") == 1
        assert valkey_client.zcard(KEYS.consumers) == 1
        let_end(notes)

    eventually(lambda: noted(notes)["a ended"], 60, "the message ran")
    eventually(lambda: not valkey_client.exists("unacked"), 60, "it is acknowledged")
