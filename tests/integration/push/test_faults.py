"""What becomes of POSTs when the server is killed, Redis is cut, or a sender is slow."""

import gzip
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import posts
from tests.support.processes import RunningSystem, running_system
from tests.support.push_servers import Server, running_server
from tests.support.waiting import eventually

BATCH = {"content-type": "application/cloudevents-batch+json"}
POLICY = """
[[source]]
name = "drop"
kind = "push"
form = "cloudevents"
auth = "none"
customer_key = "orders"
body_deadline = "1s"
"""


@pytest.fixture
def system() -> Iterator[RunningSystem]:
    # Nothing is started here: without a worker every request stays what it is.
    with running_system() as made:
        yield made


def batch(count: int) -> list[dict[str, Any]]:
    return [posts.cloudevent(f"{number}.csv", id=str(number)) for number in range(count)]


def post(server: Server, events: list[dict[str, Any]]) -> httpx.Response:
    return httpx.post(f"{server.url}/events/drop", content=posts.packed(events), headers=BATCH, timeout=120)


def accepted(system: RunningSystem) -> Counter[str]:
    """How often each file was accepted."""
    return Counter(event["data"]["file"]["name"] for event in system.events() if event["type"].endswith(".accepted"))


def in_the_middle(system: RunningSystem, server: Server, events: list[Any], act: Callable[[], None]) -> "Future[Any]":
    """Post, and act when a part of the batch is in the ledger."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(post, server, events)
        eventually(lambda: system.client.xlen("sfmc-import:events") > 50, 30, "a part is accepted")
        assert not answer.done()
        act()
    return answer


def once_each(events: list[Any]) -> dict[str, int]:
    return {event["data"]["file"]["name"]: 1 for event in events}


@pytest.mark.parametrize("count", [2000, pytest.param(10_000, marks=pytest.mark.nightly)])
def test_all_events_of_one_body_are_taken_once_though_the_server_is_killed_in_the_middle(system, count) -> None:
    events = batch(count)
    with running_server(system, POLICY) as server:
        cut = in_the_middle(system, server, events, lambda: system.kill(server.child))
    assert isinstance(cut.exception(), httpx.HTTPError)
    with running_server(system, POLICY) as server:
        assert post(server, events).json() == {"taken": count, "ignored": 0, "set_aside": 0}
    assert accepted(system) == once_each(events)


def test_while_redis_is_cut_in_the_middle_the_sender_gets_503_and_posts_until_all_is_there_once(system) -> None:
    events = batch(4000)
    with running_server(system, POLICY) as server:
        cut = in_the_middle(system, server, events, system.valkey.kill).result()
        assert (cut.status_code, httpx.get(f"{server.url}/readyz").status_code) == (503, 503)
        assert int(cut.headers["retry-after"]) >= 1
        system.valkey.restart()
        eventually(lambda: post(server, events).status_code == 200, 60, "all is taken")
        assert httpx.get(f"{server.url}/readyz").status_code == 200
    assert accepted(system) == once_each(events)


@pytest.mark.nightly
def test_ten_thousand_events_of_one_body_are_taken_once_each_and_one_more_is_413(system) -> None:
    events = batch(10_000)
    with running_server(system, POLICY) as server:
        assert post(server, events).json() == {"taken": 10_000, "ignored": 0, "set_aside": 0}
        assert post(server, [*events, posts.cloudevent("more.csv")]).status_code == 413
    assert accepted(system) == once_each(events)


def most_memory_of(server: Server) -> int:
    """The most memory that a server has had so far, in bytes."""
    lines = Path(f"/proc/{server.child.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


@pytest.mark.nightly
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the most memory of a process")
def test_gzip_bombs_at_once_are_413_cost_little_memory_and_the_next_post_is_taken(system) -> None:
    bomb = gzip.compress(b" " * (256 << 20), compresslevel=1)
    headers = BATCH | {"content-encoding": "gzip"}
    with running_server(system, POLICY) as server, ThreadPoolExecutor(8) as pool:
        assert post(server, batch(1)).status_code == 200
        before = most_memory_of(server)
        url = f"{server.url}/events/drop"
        sent = [pool.submit(httpx.post, url, content=bomb, headers=headers, timeout=120) for _ in range(16)]
        assert [each.result().status_code for each in sent] == [413] * 16
        assert most_memory_of(server) - before < 200 << 20
        assert post(server, batch(2)).json()["taken"] == 2
    assert accepted(system) == once_each(batch(2))


def test_two_servers_that_get_the_same_events_at_once_and_out_of_order_make_one_request_each(system) -> None:
    events = batch(300)
    with running_server(system, POLICY) as one, running_server(system, POLICY) as two, ThreadPoolExecutor(4) as pool:
        orders = [(one, events), (two, events[::-1]), (one, events[150:] + events[:150])]
        answers = list(pool.map(lambda order: post(*order).status_code, orders))
    assert answers == [200] * 3
    assert accepted(system) == once_each(events)


def test_sigterm_lets_the_server_finish_what_it_works_on(system) -> None:
    events = batch(4000)
    with running_server(system, POLICY) as server:
        answer = in_the_middle(system, server, events, lambda: server.child.send_signal(signal.SIGTERM))
        assert answer.result().status_code == 200
        assert server.child.wait(30) == 0
    assert accepted(system) == once_each(events)


def test_a_body_that_trickles_in_is_408_and_the_connection_is_closed(system) -> None:
    head = b"POST /events/drop HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    with running_server(system, POLICY) as server, socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(head)
        ended = threading.Event()
        threading.Thread(target=trickle, args=(slow, ended), daemon=True).start()
        slow.settimeout(30)
        text = b"".join(iter(lambda: received(slow), b""))
        ended.set()
    assert text.startswith(b"HTTP/1.1 408 ")
    assert accepted(system) == {}


def received(connection: socket.socket) -> bytes:
    """What comes next, empty at the end: a server that closes while it is sent more resets the connection."""
    try:
        return connection.recv(65_536)
    except ConnectionResetError:
        return b""


def trickle(connection: socket.socket, ended: threading.Event) -> None:
    while not ended.wait(0.1):
        try:
            connection.sendall(b" ")
        except OSError:
            return


def test_a_port_that_is_taken_is_one_line(system) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = system.run("serve", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert done.stderr.startswith("sfmc-import: cannot listen on 127.0.0.1 port")


def test_without_the_library_of_the_server_one_line_names_the_command_that_installs_it(system) -> None:
    program = "import sys; sys.modules['fastapi'] = None; from sfmc_import.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "serve"], capture_output=True, text=True, check=False, env=system.env
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "sfmc-import: serve needs fastapi, which is not installed; install it with: pip install 'sfmc-import[serve]'"
    ]
