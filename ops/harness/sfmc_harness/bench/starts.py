"""CPU of a worker for each started import and each refused duplicate, against a Celery no-op on the same server."""

import os
import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from celery import Celery
from redis import Redis

from sfmc_harness.bench.figures import Figure
from sfmc_harness.bench.processes import ask, cpu_seconds, login, running, sandbox, wait_for
from sfmc_local.redis_server import Valkey
from sfmc_transport.queues import length

ROUNDS, MESSAGES, THREADS = 3, 400, "32"
STREAM = "sfmc-import:events"
WITHOUT = ("--without-gossip", "--without-mingle", "--without-heartbeat")
LONG = "3600"


@dataclass
class Case:
    """One kind of message on a database of its own; `per_message` are CPU seconds of its worker, one each round."""

    name: str
    pid: int
    client: "Redis"
    send: Callable[[int], None]
    done: Callable[[], bool]
    per_message: list[float] = field(default_factory=list)

    def measure(self) -> None:
        """Send the messages and note what the worker spent on them."""
        before = cpu_seconds(self.pid)
        for number in range(MESSAGES):
            self.send(number)
        wait_for(self.done, self.name)
        self.per_message.append((cpu_seconds(self.pid) - before) / MESSAGES)


def figures() -> Iterator[Figure]:
    """Measure all kinds in turn, several rounds, and give the ratios to the no-op."""
    with _cases() as cases:
        for case in cases:
            case.measure()
            case.per_message.clear()
        for _ in range(ROUNDS):
            for case in cases:
                case.measure()
    cost = {case.name: statistics.median(case.per_message) for case in cases}
    for name, limit in (("start", 5.0), ("start without baseline", 4.0), ("duplicate", 1.6)):
        detail = f"{cost[name] * 1e6:.0f} µs against {cost['no-op'] * 1e6:.0f} µs of CPU"
        yield Figure(f"CPU of a {name} / of a Celery no-op", cost[name] / cost["no-op"], limit, detail)


@contextmanager
def _cases() -> Iterator[list[Case]]:
    with ExitStack() as stack:
        server = stack.enter_context(Valkey())
        url = stack.enter_context(sandbox())
        for number in range(MESSAGES):
            ask(f"{url}/_sandbox/definitions", "POST", {"CustomerKey": f"bench-{number}"})
        ask(f"{url}/_sandbox/definitions", "POST", {"CustomerKey": "held", "MaxImportFrequency": 24})
        yield [
            _noop(stack, server),
            _starts(stack, server, url, "start", 1, "query"),
            _starts(stack, server, url, "start without baseline", 2, "ledger"),
            _duplicates(stack, server, url),
        ]


def _database(stack: ExitStack, server: Valkey, number: int) -> tuple["Redis", str, Celery]:
    client = Redis(unix_socket_path=str(server.socket_path), db=number)
    address = f"redis+socket://{server.socket_path}?virtual_host={number}"
    app = stack.enter_context(Celery(f"bench-{number}", broker=address, set_as_current=False))
    return client, address, app


def _noop(stack: ExitStack, server: Valkey) -> Case:
    client, address, app = _database(stack, server, 0)
    command = ("-m", "celery", "-A", "sfmc_harness.bench.noop_app", "worker", "-P", "threads", "-c", THREADS, *WITHOUT)
    child = stack.enter_context(running(*command, "-l", "WARNING", BENCH_BROKER=address))

    def send(number: int) -> None:
        app.send_task("noop", kwargs={"customer_key": f"bench-{number}"}, queue="noop")

    return Case("no-op", child.pid, client, send, lambda: _is_drained(client, "noop"))


def _worker(stack: ExitStack, server: Valkey, url: str, number: int, baseline: str) -> int:
    settings = login(url) | {
        "SFMC_REDIS_URL": f"unix://{server.socket_path}?db={number}",
        "SFMC_KNOWN_RUNS": baseline,
        "SFMC_CONCURRENCY": THREADS,
        "SFMC_FOLLOW_MIN_INTERVAL": LONG,
        "SFMC_FOLLOW_MAX_INTERVAL": LONG,
        "SFMC_DEFINITION_TTL": LONG,
        "SFMC_LOG_LEVEL": "warning",
    }
    return stack.enter_context(running("-m", "sfmc_import", "worker", **settings)).pid


def _starts(stack: ExitStack, server: Valkey, url: str, name: str, number: int, baseline: str) -> Case:
    client, _, app = _database(stack, server, number)
    pid = _worker(stack, server, url, number, baseline)

    def send(index: int) -> None:
        if index == 0:
            client.flushdb()
        app.send_task("imports.start", kwargs={"customer_key": f"bench-{index}"}, queue="imports", ignore_result=True)

    return Case(name, pid, client, send, lambda: _length(client) >= 3 * MESSAGES and _is_drained(client, "imports"))


def _duplicates(stack: ExitStack, server: Valkey, url: str) -> Case:
    client, _, app = _database(stack, server, 3)
    pid = _worker(stack, server, url, 3, "query")

    def send(index: int) -> None:
        if index == 0:
            client.flushdb()
            app.send_task("imports.start", kwargs={"customer_key": "held"}, queue="imports", ignore_result=True)
            wait_for(lambda: _length(client) >= 3, "the first start")
        app.send_task("imports.start", kwargs={"customer_key": "held"}, queue="imports", ignore_result=True)

    return Case("duplicate", pid, client, send, lambda: _length(client) >= 3 + 2 * MESSAGES)


def _length(client: "Redis") -> int:
    length: Any = client.xlen(STREAM)
    return int(length)


def _is_drained(client: "Redis", queue: str) -> bool:
    waiting = length(client, queue)
    held: Any = client.hlen("unacked")
    return bool(waiting == 0 and held == 0)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    for figure in figures():
        print(figure)
