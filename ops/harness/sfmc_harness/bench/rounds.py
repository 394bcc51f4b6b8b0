"""One round of messages through one worker: sent all at once, then what it cost and what really happened."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from celery import Celery
from redis import Redis

from sfmc_harness.bench.figures import MeasurementError, expect
from sfmc_harness.bench.processes import ACCOUNT_ID, ask, cpu_seconds, login, running, stand_in, wait_for
from sfmc_harness.bench.stand_in import file_of
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.loss_keys import SERVER
from sfmc_import.request import QUEUE, START, UNACKED, FileInfo, StartRequest
from sfmc_local.redis_server import Valkey
from sfmc_transport.queues import lists_of

STREAM = "sfmc-import:events"
THREADS = "32"
_QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING")
_OUTBOX = 15
_ROUND_SECONDS, _AT_ONCE = 900.0, 0.1


def make_known(client: "Redis") -> None:
    """Note the server, as a ledger has it that is not new.

    In the first minutes of a new one starts list all runs, because it may be one that was emptied.
    """
    info: Any = client.info("server")
    client.set(Keys().name_of(SERVER), info["run_id"])


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
        """Whether no message waits or is worked on; one between two lists is not seen."""
        with self.client.pipeline() as pipe:
            for key in lists_of(self.queue):
                pipe.llen(key)
            pipe.hlen(UNACKED)
            pipe.hlen("unacked")
            return not any(pipe.execute())


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

    Nothing is deleted between two rounds: each round has keys of its own. A round in which nothing happens for
    `settle_seconds` is over.
    """

    def __init__(self, stack: ExitStack, settle_seconds: float) -> None:
        self._stack = stack
        self._settle_seconds = settle_seconds
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
        """Start a worker of ours with its usual settings, on a ledger that is not new."""
        make_known(self._client(database))
        pid = self._start("-m", "sfmc_import", "worker", **self._settings(database) | settings)
        return Worker(pid, self._client(database), database, START, QUEUE)

    def beat(self, worker: Worker) -> int:
        """Start a beat beside a worker of ours; gives its process."""
        return self._start("-m", "sfmc_import", "beat", **self._settings(worker.database))

    def watcher(self, worker: Worker, folder: str) -> int:
        """Start a watcher of a folder beside a worker of ours; gives its process."""
        return self._start("-m", "sfmc_import", "watch", folder, **self._settings(worker.database))

    def measure(
        self, worker: Worker, what: str, messages: Sequence[dict[str, Any]], expected: Mapping[str, int]
    ) -> Spent:
        """Send the messages and divide what they cost by their number, if what is expected happened, and nothing else.

        `expected` has events by name, and Performs as the stand-in counted them.
        """
        for message in messages:
            self._sender.send_task(worker.task, kwargs=message, queue=worker.queue, ignore_result=True)
        since = _after_newest(worker)
        before = self._read(worker, since)
        if not self._outbox.move(worker.queue, worker.database):
            raise MeasurementError(f"{what}: the messages of the round before are not read")
        _wait_until_drained(worker, what)
        drained = time.perf_counter()
        after = self._settled(worker, since, before, expected)
        expect(what, expected, after.counts - before.counts)
        end = drained if after.time - drained < _AT_ONCE else after.time
        return _each(before, after, end - before.time, len(messages))

    def _settled(self, worker: Worker, since: str, before: _Meter, expected: Mapping[str, int]) -> _Meter:
        """Read the meter when what is expected has happened, or nothing happens any more.

        A worker gives a message back whose call takes long, and goes on with its request.
        """
        after = newest = self._read(worker, since)

        def is_over() -> bool:
            nonlocal after, newest
            if all((after.counts - before.counts)[name] == number for name, number in expected.items()):
                return True
            newest = newest if newest.counts == after.counts else after
            after = self._read(worker, since)
            return after.time - newest.time > self._settle_seconds

        wait_for(is_over, "the rest of the round", _ROUND_SECONDS, pause=0.25)
        return after

    def _read(self, worker: Worker, since: str) -> _Meter:
        info: Any = worker.client.info("cpu")
        redis_cpu = float(info["used_cpu_user"]) + float(info["used_cpu_sys"])
        cpu, now = cpu_seconds(worker.pid), time.perf_counter()
        entries: Any = worker.client.xrange(STREAM, min=since)
        events = Counter(json.loads(fields[b"event"])["type"].split("import.", 1)[1] for _, fields in entries)
        return _Meter(cpu, redis_cpu, now, events + Counter(ask(f"{self.url}/counts")))

    def _settings(self, database: int) -> dict[str, str]:
        address = f"unix://{self._server.socket_path}?db={database}"
        return login(self.url) | {
            "SFMC_REDIS_URL": address,
            "SFMC_CONCURRENCY": THREADS,
            "SFMC_LOG_FORMAT": "json",
        }

    def _start(self, *command: str, **settings: str) -> int:
        return self._stack.enter_context(running(*command, **settings)).pid

    def _client(self, database: int) -> "Redis":
        client: Redis = Redis(unix_socket_path=str(self._server.socket_path), db=database)
        self._stack.callback(client.close)
        return client

    def _address(self, database: int) -> str:
        return f"redis+socket://{self._server.socket_path}?virtual_host={database}"


def _after_newest(worker: Worker) -> str:
    newest: Any = worker.client.xrevrange(STREAM, count=1)
    return f"({newest[0][0].decode()}" if newest else "-"


def _wait_until_drained(worker: Worker, what: str) -> None:
    """Wait until two looks in a row see no message."""
    empty = 0

    def is_over() -> bool:
        nonlocal empty
        empty = empty + 1 if worker.is_drained else 0
        return empty > 1

    wait_for(is_over, what, _ROUND_SECONDS, pause=0.02)


def _each(before: _Meter, after: _Meter, seconds: float, messages: int) -> Spent:
    happened = after.counts - before.counts
    calls = happened["Perform calls"] + happened["Retrieve calls"]
    spent = (after.cpu - before.cpu, after.redis_cpu - before.redis_cpu, seconds, calls)
    return Spent(*(part / messages for part in spent))


@contextmanager
def bench(settle_seconds: float = 15.0) -> Iterator[Bench]:
    """Make a bench for the length of a block."""
    with ExitStack() as stack:
        yield Bench(stack, settle_seconds)


def starts_of(keys: Sequence[str]) -> list[dict[str, Any]]:
    """Make a message for each definition, with the file that it imports."""
    return [request_for(key, key).as_message() for key in keys]


def request_for(key: str, request_id: str) -> StartRequest:
    """Make a request with the file that the definition imports."""
    file = FileInfo(location="sftp://import", name=file_of(key), size=1_234_567, modified_ns=1_764_061_455_123_456_789)
    return StartRequest(request_id=request_id, customer_key=key, mid=ACCOUNT_ID, file=file)


def all_started(number: int) -> dict[str, int]:
    """Say what happens when each of `number` messages leads to a start, and nothing is tried again."""
    return {"Performs": number, "started": number, "retrying": 0, "reconciling": 0, "deferred": 0}


def middle_rate(performs: Sequence[tuple[str, float]]) -> float:
    """Give the starts a second of a round without its first and its last tenth, as the stand-in recorded them."""
    times = sorted(moment for _, moment in performs)
    tenth = len(times) // 10
    middle = times[tenth : len(times) - tenth]
    return (len(middle) - 1) / (middle[-1] - middle[0])
