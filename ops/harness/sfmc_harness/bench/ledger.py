"""The ledger at size: what a start with a file leaves, a sweep of a hundred thousand due requests."""

import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

from redis import Redis

from sfmc_harness.bench.figures import Figure, expect
from sfmc_harness.bench.processes import ACCOUNT_ID
from sfmc_harness.bench.rounds import request_for
from sfmc_harness.bench.stand_in import NAME_LENGTH
from sfmc_import.ledger import LedgerSettings, RedisLedger
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.schema import SEEN
from sfmc_import.policy import Policy
from sfmc_import.request import StartRequest
from sfmc_import.runs import Accepted, Run
from sfmc_import.states import StartNow
from sfmc_local.redis_server import Valkey

DEFINITIONS, DUE, BATCH = 200_000, 100_000, 250


def figures(definitions: int = DEFINITIONS) -> Iterator[Figure]:
    """Measure on a server without persistence: the disk is not what is asked about."""
    with Valkey(options={"appendonly": "no", "save": ""}) as server:
        client = Redis(unix_socket_path=str(server.socket_path))
        yield from _memory(client, definitions)
        client.flushall()
        yield from _sweep(client)


def _ledger(client: "Redis", **settings: Any) -> RedisLedger:
    return RedisLedger(client, LedgerSettings(stream_maxlen=1000, **settings))


def _memory(client: "Redis", definitions: int) -> Iterator[Figure]:
    """Let each definition have one import of a file that ended, and measure what its keys hold."""
    ledger, before = _ledger(client), _used(client)
    for number in range(definitions):
        whole_life(ledger, request_for(key_of(number), f"{number:032x}"), task_of(number))
        if sys.stderr.isatty() and number % 10_000 == 0:
            print(f"\r{number} of {definitions} definitions", end="", file=sys.stderr)
    each = (_used(client) - before) / definitions
    records = sum(1 for _ in client.scan_iter(Keys().request("*"), count=10_000))
    expect("starts that ended", {"records": definitions}, {"records": records})
    left = statistics.median(_left_by(client, number) for number in range(0, definitions, max(1, definitions // 100)))
    detail = (
        f"record, seen and task; file names of {NAME_LENGTH} characters; with its definition Redis grows by {each:.0f}"
    )
    yield Figure("bytes that a start with a file leaves", left, 600, detail, 1000)


def _left_by(client: "Redis", number: int) -> int:
    """Give the bytes of the keys that are of one request alone."""
    keys, asked = Keys(), request_for(key_of(number), f"{number:032x}")
    assert asked.file is not None
    seen = keys.name_of(SEEN, ACCOUNT_ID, asked.customer_key, asked.file.fingerprint)
    names = (keys.request(asked.request_id), seen, keys.task(ACCOUNT_ID, task_of(number)))
    sizes: list[Any] = [client.memory_usage(name, samples=0) for name in names]
    expect("keys of a start", {"keys": 3}, {"keys": sum(size is not None for size in sizes)})
    return sum(sizes)


def _used(client: "Redis") -> int:
    info: Any = client.info("memory")
    return int(info["used_memory"])


def key_of(number: int) -> str:
    """Name a definition."""
    return f"definition-{number:07}"


def task_of(number: int) -> str:
    """Give the TaskResultID of its first run."""
    return str(10_000_000 + number)


def whole_life(ledger: RedisLedger, asked: StartRequest, task_id: str, *, window: float = 24) -> None:
    """Carry a request from its claim to the end of its run; `window` in hours."""
    policy = Policy()
    decision = ledger.claim(asked, "bench", policy)
    assert isinstance(decision, StartNow)
    ledger.record_intent(decision.lease, ())
    ledger.started(decision.lease, Accepted(task_id=task_id, soap_request_id=None), window, policy)
    [run] = ledger.followed([asked.request_id])
    result = Run(task_id=run.task_id, customer_key=run.customer_key, status="Completed", total=1)
    ledger.ended(run, "completed", result, policy)


def _sweep(client: "Redis") -> Iterator[Figure]:
    """Make many requests due, take them in batches, and hold each batch against the time Redis was not free."""
    ledger = _ledger(client, accept_grace=0.0)
    for number in range(DUE):
        request = StartRequest(request_id=f"{number:032x}", customer_key=f"definition-{number:07}", mid=ACCOUNT_ID)
        ledger.accept(request)
    client.config_set("slowlog-log-slower-than", 200)
    client.config_set("slowlog-max-len", 2 * DUE // BATCH)
    client.slowlog_reset()
    taken, begun = 0, time.perf_counter()
    while taken < DUE:
        taken += len(ledger.due(BATCH, 3600.0))
    detail = f"batches of {BATCH}"
    yield Figure(f"seconds to sweep {DUE} due requests", time.perf_counter() - begun, 5.0, detail)
    blocked = _script_milliseconds(client)
    detail = f"median {statistics.median(blocked):.1f} of {len(blocked)} calls, by the server's own clock"
    yield Figure("ms that Redis is blocked by one batch", max(blocked), 20.0, detail)


def _script_milliseconds(client: "Redis") -> list[float]:
    entries: Any = client.slowlog_get(2 * DUE // BATCH)
    return [entry["duration"] / 1000 for entry in entries if entry["command"].upper().startswith(b"EVAL")]


if __name__ == "__main__":
    for figure in figures():
        print(figure)
