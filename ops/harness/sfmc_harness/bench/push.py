"""POSTs a second that a push source takes, against an empty endpoint with one round trip to Redis, in turns."""

import json
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

from redis import Redis

from sfmc_harness.bench.figures import Figure, MeasurementError, expect
from sfmc_harness.bench.processes import ACCOUNT_ID, running, wait_for
from sfmc_harness.bench.rounds import STREAM
from sfmc_local.redis_server import Valkey, free_port

ROUNDS, POSTS, CONNECTIONS = 5, 2000, 8
GOAL, FLOOR = 0.40, 0.15
TOKEN = "bench-token-of-the-sender"  # noqa: S105 - of this bench alone
_POLICY = """
[[source]]
name = "drop"
kind = "push"
form = "cloudevents"
auth = "bearer"
customer_key = "bench"
"""


def figures() -> Iterator[Figure]:
    """Post to both, each round to one after the other, and compare the medians."""
    with ExitStack() as stack:
        server = stack.enter_context(Valkey())
        empty, push = free_port(), free_port()
        stack.enter_context(
            running("-m", "sfmc_harness.bench.empty_app", BENCH_REDIS=server.url, BENCH_PORT=str(empty))
        )
        settings = _settings(Path(stack.enter_context(tempfile.TemporaryDirectory())), server.url)
        stack.enter_context(running("-m", "sfmc_import", "serve", "--port", str(push), **settings))
        rates = _measured(empty, push)
        with Redis(unix_socket_path=str(server.socket_path)) as client:
            posted = POSTS * (ROUNDS + 1)
            accepted: Any = client.xlen(STREAM)
            expect("push", {"accepted": posted}, {"accepted": int(accepted)})
    ratios = [mine / other for other, mine in rates]
    empties, pushes = (statistics.median(each) for each in zip(*rates, strict=True))
    detail = f"{pushes:.0f} against {empties:.0f} POSTs a second over {CONNECTIONS} connections, {ROUNDS} rounds"
    yield Figure(
        "POSTs a second of a push source / empty endpoint", statistics.median(ratios), GOAL, detail, FLOOR, True
    )


def _settings(folder: Path, redis_url: str) -> dict[str, str]:
    policy = folder / "policy.toml"
    policy.write_text(_POLICY)
    named = {"SFMC_REDIS_URL": redis_url, "SFMC_CONFIG": str(policy), "SFMC_SOURCE_DROP_SECRET": TOKEN}
    return named | {"SFMC_ACCOUNT_ID": ACCOUNT_ID, "SFMC_LOG_LEVEL": "warning"}


def _measured(empty: int, push: int) -> list[tuple[float, float]]:
    numbers = count()
    rounds = [(_rate(empty, numbers), _rate(push, numbers)) for _ in range(ROUNDS + 1)]
    # The first one loads what is loaded once.
    return rounds[1:]


def _rate(port: int, numbers: Iterator[int]) -> float:
    wait_for(lambda: _listens(port), f"port {port}", 30, pause=0.05)
    share = POSTS // CONNECTIONS
    posts = [[_post(next(numbers)) for _ in range(share)] for _ in range(CONNECTIONS)]
    begun = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(lambda each: _send(port, each), posts))
    return POSTS / (time.perf_counter() - begun)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _post(number: int) -> bytes:
    file = {"location": "/in", "name": f"{number}.csv", "size": 120, "version": "v1"}
    event = {"specversion": "1.0", "id": str(number), "source": "/bench", "type": "bench", "data": {"file": file}}
    body = json.dumps(event).encode()
    head = (
        "POST /events/drop HTTP/1.1\r\nHost: bench\r\nContent-Type: application/cloudevents+json\r\n"
        f"Authorization: Bearer {TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _send(port: int, posts: list[bytes]) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        for post in posts:
            connection.sendall(post)
            answer = _answer(connection)
            if not answer.startswith(b"HTTP/1.1 200 "):
                raise MeasurementError(f"a POST was refused: {answer[:80]!r}")


def _answer(connection: socket.socket) -> bytes:
    """Read one answer: head, and as many bytes as it says."""
    data = b""
    while True:
        piece = connection.recv(65536)
        if not piece:
            raise MeasurementError("the server closed the connection")
        data += piece
        head, end, body = data.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]):
            return data
