"""What operators wait for: `status` over many definitions, the first page of the console, readers of its changes."""

import json
import resource
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

from redis import Redis

from sfmc_harness.bench.figures import Figure, MeasurementError
from sfmc_harness.bench.ledger import whole_life
from sfmc_harness.bench.processes import ACCOUNT_ID, cpu_seconds, running, wait_for
from sfmc_harness.bench.rounds import request_for
from sfmc_import.access import ReadAccess
from sfmc_import.ledger import LedgerSettings, RedisLedger
from sfmc_import.operations import sessions, tokens
from sfmc_import.settings import load
from sfmc_local.redis_server import Valkey, free_port
from sfmc_server.console.login import COOKIE

DEFINITIONS, REQUESTS, ENDED, READERS = 10_000, 100_000, 10_000, 200
_ENDING = 500
"""Definitions whose requests have ended."""

_ROUNDS, _IDLE_SECONDS, _FIRST_COUNT_SECONDS = 9, 20.0, 120.0


def figures(definitions: int = DEFINITIONS, requests: int = REQUESTS, ended: int = ENDED) -> Iterator[Figure]:
    """Fill one ledger through its own scripts: few ended requests, then many, then requests that wait."""
    with ExitStack() as stack:
        server = stack.enter_context(Valkey(options={"appendonly": "no", "save": ""}))
        settings = {"SFMC_REDIS_URL": server.url, "SFMC_ACCOUNT_ID": ACCOUNT_ID}
        ledger = RedisLedger(Redis(unix_socket_path=str(server.socket_path)), LedgerSettings())
        _end(ledger, range(ended // 10))
        pid, port = _serve(stack, settings)
        cookie = _log_in(settings)
        _page(port, cookie)
        few = _page_seconds(pid, port, cookie)
        _end(ledger, range(ended // 10, ended))
        many = _page_seconds(pid, port, cookie)
        _wait(ledger, definitions, requests)
        full = _page_seconds(pid, port, cookie)
        yield Figure("ms of server time of the first page", full * 1000, 100, f"{requests} requests wait", 400)
        detail = f"{few * 1000:.0f} ms at {ended // 10}, {many * 1000:.0f} at {ended} that ended"
        yield Figure("first page at ten times the ended requests ÷ before", many / few, 1.5, detail, 4.0)
        yield _status(settings, definitions)
        yield _readers(pid, port, cookie)


def _end(ledger: RedisLedger, numbers: range) -> None:
    for number in numbers:
        asked = request_for(f"ended-{number % _ENDING:04}", f"e{number:031x}")
        assert asked.file is not None
        asked = replace(asked, file=replace(asked.file, modified_ns=number))
        whole_life(ledger, asked, str(20_000_000 + number), window=0)


def _wait(ledger: RedisLedger, definitions: int, requests: int) -> None:
    """Let requests wait for a worker, spread over the definitions."""
    for begin in range(0, requests, 500):
        numbers = range(begin, min(begin + 500, requests))
        asked = [request_for(f"waits-{number % definitions:06}", f"a{number:031x}") for number in numbers]
        ledger.accept_many(asked, report=True)


def _serve(stack: ExitStack, settings: dict[str, str]) -> tuple[int, int]:
    port = free_port()
    child = stack.enter_context(running("-m", "sfmc_import", "serve", "--port", str(port), **settings))

    def listens() -> bool:
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", port)) == 0

    wait_for(listens, "a server that listens", 60, pause=0.1)
    return child.pid, port


def _log_in(settings: dict[str, str]) -> str:
    access = ReadAccess(load(settings))
    session = sessions.begin(access, tokens.add(access, "bench", "viewer", "bench"))
    if session is None:
        raise MeasurementError("the console does not know its token")
    return f"{COOKIE}={session}"


def _page(port: int, cookie: str) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Cookie": cookie})
    with urllib.request.urlopen(request, timeout=_FIRST_COUNT_SECONDS) as answer:  # noqa: S310 - always http
        if b"</html>" not in answer.read() or "/login" in answer.url:
            raise MeasurementError("this is no first page")


def _page_seconds(pid: int, port: int, cookie: str) -> float:
    """Give the CPU seconds of a page, when the console has counted what is new."""
    wait_for(lambda: _is_idle(pid), "a console that has counted", _FIRST_COUNT_SECONDS)
    spent = []
    for _ in range(_ROUNDS):
        before = cpu_seconds(pid)
        for _ in range(5):
            _page(port, cookie)
        spent.append((cpu_seconds(pid) - before) / 5)
    return statistics.median(spent)


def _is_idle(pid: int) -> bool:
    before = cpu_seconds(pid)
    time.sleep(1.0)
    return cpu_seconds(pid) - before < 0.1


def _status(settings: dict[str, str], definitions: int) -> Figure:
    """Run the command whole, and one that only starts; the rest is what `status` takes, in CPU time of its process."""
    whole = statistics.median(_seconds(settings, "status", "--json") for _ in range(5))
    start = statistics.median(_seconds(settings, "status", "--help") for _ in range(5))
    detail = f"{whole:.2f} s with its start-up of {start:.2f} s; {definitions} definitions"
    return Figure("seconds of status after its start-up", whole - start, 0.3, detail, 2.0)


def _seconds(settings: dict[str, str], *command: str) -> float:
    begun = _of_children()
    done = subprocess.run(
        [sys.executable, "-m", "sfmc_import", *command], env=settings, capture_output=True, check=False
    )
    taken = _of_children() - begun
    if "--json" in command and not json.loads(done.stdout):
        raise MeasurementError("status says nothing")
    return taken


def _of_children() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _readers(pid: int, port: int, cookie: str) -> Figure:
    with ExitStack() as stack:
        head = f"GET /console/changes HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode()
        for _ in range(READERS):
            reader = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            reader.sendall(head)
            if b" 200 " not in reader.recv(1000):
                raise MeasurementError("a reader of changes was refused")
        wait_for(lambda: _is_idle(pid), "idle readers", 60)
        before, begun = cpu_seconds(pid), time.perf_counter()
        time.sleep(_IDLE_SECONDS)
        share = (cpu_seconds(pid) - before) / (time.perf_counter() - begun) * 100
    return Figure(f"% of a core for {READERS} readers of changes", share, 5, f"idle, {_IDLE_SECONDS:.0f} s", 20)
