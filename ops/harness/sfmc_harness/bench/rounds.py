"""One round of messages through one worker: sent all at once, then what it cost and what really happened."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from celery import Celery
from redis import Redis

from sfmc_harness.bench.figures import expect
from sfmc_harness.bench.processes import ACCOUNT_ID, ask, cpu_seconds, login, running, stand_in, wait_for
from sfmc_harness.bench.stand_in import file_of
from sfmc_import.request import QUEUE, START, FileInfo, StartRequest
from sfmc_local.redis_server import Valkey
from sfmc_transport.queues import length

STREAM = "sfmc-import:events"
THREADS = "32"
_QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING")
_OUTBOX = 15
_ROUND_SECONDS, _SETTLE_SECONDS = 900.0, 2.0


@dataclass(frozen=True, slots=True)
class Worker:
    """A running worker, and the database that belongs to it alone."""

    pid: int
    client: "Redis"
    database: int
    task: str
    queue: str

    @property
    def is_drained(self) -> bool:
        """Whether no message waits or is worked on."""
        held: Any = self.client.hlen("unacked")
        return bool(length(self.client, self.queue) == 0 and held == 0)


@dataclass(frozen=True, slots=True)
class Spent:
    """What a round cost for each message: CPU seconds of worker and Redis, seconds, SOAP calls."""

    cpu: float
    redis_cpu: float
    seconds: float
    calls: float


@dataclass(frozen=True, slots=True)
class _Meter:
    """Readings at one moment."""

    cpu: float
    redis_cpu: float
    time: float
    counts: Counter[str]


class Bench:
    """A Redis with the persistence of production, a stand-in over HTTPS, and workers; a worker keeps its database.

    Nothing is deleted between two rounds: each round has keys of its own.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._server = stack.enter_context(Valkey())
        self.url = stack.enter_context(stand_in())
        self._outbox = self._client(_OUTBOX)
        address = self._address(_OUTBOX)
        self._sender = stack.enter_context(Celery("bench", broker=address, set_as_current=False))

    def no_op(self, database: int) -> Worker:
        """Start a Celery worker whose task does nothing."""
        app = ("-m", "celery", "-A", "sfmc_harness.bench.noop_app", "worker", "-P", "threads", "-c", THREADS)
        pid = self._start(*app, *_QUIET, BENCH_BROKER=self._address(database))
        return Worker(pid, self._client(database), database, "noop", "noop")

    def worker(self, database: int, **settings: str) -> Worker:
        """Start a worker of ours with its usual settings."""
        own = login(self.url) | {
            "SFMC_REDIS_URL": f"unix://{self._server.socket_path}?db={database}",
            "SFMC_CONCURRENCY": THREADS,
            "SFMC_LOG_FORMAT": "json",
        }
        pid = self._start("-m", "sfmc_import", "worker", **own | settings)
        return Worker(pid, self._client(database), database, START, QUEUE)

    def measure(
        self, worker: Worker, what: str, messages: Sequence[dict[str, Any]], expected: Mapping[str, int]
    ) -> Spent:
        """Send the messages and divide what they cost by their number, if what is expected happened, and nothing else.

        `expected` has events by name, and Performs as the stand-in counted them.
        """
        for message in messages:
            self._sender.send_task(worker.task, kwargs=message, queue=worker.queue, ignore_result=True)
        newest: Any = worker.client.xrevrange(STREAM, count=1)
        since = f"({newest[0][0].decode()}" if newest else "-"
        before = self._read(worker, since)
        self._outbox.move(worker.queue, worker.database)
        wait_for(lambda: worker.is_drained, what, _ROUND_SECONDS, pause=0.01)
        cost = self._read(worker, since)
        happened = self._settled(worker, since, before, expected)
        expect(what, expected, happened)
        return _each(before, cost, happened, len(messages))

    def _settled(self, worker: Worker, since: str, before: _Meter, expected: Mapping[str, int]) -> Counter[str]:
        """Count what happened; a message between two lists may have looked like none."""

        def happened() -> Counter[str]:
            return self._read(worker, since).counts - before.counts

        def is_expected() -> bool:
            found = happened()
            return all(found[name] == number for name, number in expected.items())

        with suppress(TimeoutError):
            wait_for(is_expected, "the rest", _SETTLE_SECONDS, pause=0.05)
        return happened()

    def _read(self, worker: Worker, since: str) -> _Meter:
        info: Any = worker.client.info("cpu")
        redis_cpu = float(info["used_cpu_user"]) + float(info["used_cpu_sys"])
        cpu, now = cpu_seconds(worker.pid), time.perf_counter()
        entries: Any = worker.client.xrange(STREAM, min=since)
        events = Counter(json.loads(fields[b"event"])["type"].split("import.", 1)[1] for _, fields in entries)
        return _Meter(cpu, redis_cpu, now, events + Counter(ask(f"{self.url}/counts")))

    def _start(self, *command: str, **settings: str) -> int:
        return self._stack.enter_context(running(*command, **settings)).pid

    def _client(self, database: int) -> "Redis":
        client: Redis = Redis(unix_socket_path=str(self._server.socket_path), db=database)
        self._stack.callback(client.close)
        return client

    def _address(self, database: int) -> str:
        return f"redis+socket://{self._server.socket_path}?virtual_host={database}"


def _each(before: _Meter, after: _Meter, happened: Counter[str], messages: int) -> Spent:
    calls = happened["Perform calls"] + happened["Retrieve calls"]
    spent = (after.cpu - before.cpu, after.redis_cpu - before.redis_cpu, after.time - before.time, calls)
    return Spent(*(part / messages for part in spent))


@contextmanager
def bench() -> Iterator[Bench]:
    """Make a bench for the length of a block."""
    with ExitStack() as stack:
        yield Bench(stack)


def starts_of(keys: Sequence[str]) -> list[dict[str, Any]]:
    """Make a message for each definition, with the file that it imports."""
    return [_request(key).as_message() for key in keys]


def _request(key: str) -> StartRequest:
    file = FileInfo(location="sftp://import", name=file_of(key), size=1_234_567, modified_ns=1_764_061_455_123_456_789)
    return StartRequest(request_id=key, customer_key=key, mid=ACCOUNT_ID, file=file)


def all_started(number: int) -> dict[str, int]:
    """Say what happens when each of `number` messages leads to a start, and nothing is tried again."""
    return {"Performs": number, "started": number, "retrying": 0, "reconciling": 0, "deferred": 0}
