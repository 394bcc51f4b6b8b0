"""How many notifications of S3 a second one source takes from SQS into the ledger, one in each message."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis

from sfmc_harness.bench.figures import Figure, expect
from sfmc_harness.bench.processes import ask, cpu_seconds, login, running, stand_in, wait_for
from sfmc_harness.bench.rounds import STREAM
from sfmc_local.processes import spawn, stop
from sfmc_local.redis_server import Valkey

MESSAGES = 20_000
_SECONDS = 300.0
_POLICY = """
[[source]]
name = "drop"
kind = "sqs"
queue_url = "https://sqs.eu-central-1.amazonaws.com/123456789012/drop"
endpoint_url = "{url}"

[[source.route]]
pattern = "orders_*.csv"
customer_key = "orders"
"""
_LOGIN = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_EC2_METADATA_DISABLED": "true"}


def figures(messages: int = MESSAGES) -> Iterator[Figure]:
    """Count from the first accepted file to the last one, on the clock of Redis."""
    with tempfile.TemporaryDirectory() as folder, Valkey() as server, stand_in() as url, _queue(messages) as queue:
        policy = Path(folder) / "policy.toml"
        policy.write_text(_POLICY.format(url=queue))
        settings = login(url) | _LOGIN | {"SFMC_REDIS_URL": server.url, "SFMC_LOG_LEVEL": "warning"}
        command = ("-m", "sfmc_import", "source", "drop")
        client: Redis
        with (
            Redis(unix_socket_path=str(server.socket_path)) as client,
            running(*command, **settings, SFMC_CONFIG=str(policy)) as source,
        ):
            wait_for(lambda: _deleted(queue) >= messages, f"{messages} deleted messages", _SECONDS, pause=0.2)
            expect("sqs", {"accepted": messages}, {"accepted": _accepted(client)})
            seconds = _milliseconds(client.xrevrange(STREAM, count=1)) - _milliseconds(client.xrange(STREAM, count=1))
            cpu = cpu_seconds(source.pid) / messages * 1e6
    detail = f"{messages} messages of one event; {cpu:.0f} µs of CPU for each, with the start of the process"
    rate = messages / (seconds / 1000)
    yield Figure("events a second from SQS", rate, 2000.0, detail, 300.0, at_least=True)


@contextmanager
def _queue(messages: int) -> Iterator[str]:
    command = [sys.executable, "-m", "sfmc_harness.bench.queue_stub", str(messages)]
    child = spawn(command, output=subprocess.PIPE, errors=None)
    try:
        assert child.stdout is not None
        with child.stdout as printed:
            yield printed.readline().decode().strip()
    finally:
        stop(child)


def _deleted(url: str) -> int:
    return int(ask(f"{url}/counts").get("deleted", 0))


def _accepted(client: "Redis") -> int:
    number: Any = client.xlen(STREAM)
    return int(number)


def _milliseconds(entries: Any) -> int:
    [(name, _)] = entries
    return int(name.split(b"-")[0])
