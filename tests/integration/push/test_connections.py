"""Connections of senders that say nothing, and ours to keys and certificates."""

import select
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sfmc_import.proxies import Proxies
from sfmc_server.application import create_app
from sfmc_server.connection import TimedConnection
from sfmc_server.fetching import MAX_BYTES, FetchError, HttpsFetcher
from tests.integration.marketing_cloud.misbehaving import CERTIFICATE, Behaviour, MisbehavingServer
from tests.support.served_app import served


class Impatient(TimedConnection):
    head_seconds = read_seconds = 0.3


WHOLE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(("whole", "begun"), [(b"", b""), (b"", b"POST /events/drop HT"), (WHOLE, b"GET /hea")])
def test_a_connection_whose_head_does_not_come_is_closed(whole: bytes, begun: bytes) -> None:
    with served(create_app({}, lambda: True), Impatient) as port, socket.create_connection(("127.0.0.1", port)) as slow:
        slow.settimeout(20)
        slow.sendall(whole)
        answer = b""
        while whole and not answer.endswith(b"}"):
            answer += slow.recv(65536)
        slow.sendall(begun)
        assert slow.recv(65536) == b""
    assert answer.startswith(b"HTTP/1.1 200" if whole else b"")


def sends(count: int, *headers: tuple[bytes, bytes]) -> Callable[..., Awaitable[None]]:
    """Make an application whose answers have so many parts of eight megabytes, more than the kernel keeps."""

    async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[..., Any]) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
        for left in reversed(range(count)):
            await send({"type": "http.response.body", "body": b"x" * 8_000_000, "more_body": left > 0})

    return app


@pytest.mark.parametrize(
    "app", [sends(1), sends(1, (b"connection", b"close")), sends(3)], ids=["kept", "last", "parts"]
)
def test_a_connection_whose_answers_are_not_read_is_cut(app: Any) -> None:
    with served(app, Impatient) as port, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(("127.0.0.1", port))
        client.sendall(WHOLE * 20)
        cut = select.poll()
        cut.register(client, 0)

        assert cut.poll(20_000) == [(client.fileno(), select.POLLERR | select.POLLHUP)]


def test_an_answer_that_is_read_for_longer_than_a_client_may_stand_still_comes_whole() -> None:
    with served(sends(3, (b"connection", b"close")), Impatient) as port, socket.socket() as client:  # type: ignore[arg-type]
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.connect(("127.0.0.1", port))
        client.sendall(WHOLE)
        begun, total, pause = time.monotonic(), 0, threading.Event()
        while part := client.recv(262_144):
            total += len(part)
            if time.monotonic() - begun < 3 * Impatient.read_seconds:
                pause.wait(0.01)

    assert total > 24_000_000


@pytest.fixture
def fetch() -> HttpsFetcher:
    return HttpsFetcher(str(CERTIFICATE), Proxies(), seconds=1.0)


def test_what_is_at_an_https_address_is_got_whole(fetch: HttpsFetcher) -> None:
    with MisbehavingServer(lambda each: each.answer(each.read()), tls=True) as server:
        assert fetch(f"{server.url}keys?a=b").startswith(b"GET /keys?a=b HTTP/1.1\r\nHost: localhost:")


@pytest.mark.parametrize(
    "behaviour",
    [
        lambda each: (each.read(), each.answer(b"", "302 Found", Location="https://169.254.169.254/")),
        lambda each: (each.read(), each.answer(b"", "404 Not Found")),
        lambda each: (each.read(), each.answer(b"x" * (MAX_BYTES + 1))),
        lambda each: (each.read(), each.drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000)),
        lambda each: (each.read(), each.wait_for_the_end()),
        lambda each: each.reset(),
    ],
    ids=["redirect", "not found", "too large", "drips", "says nothing", "reset"],
)
def test_anything_else_than_a_whole_answer_in_time_is_an_error(fetch: HttpsFetcher, behaviour: Behaviour) -> None:
    with MisbehavingServer(behaviour, tls=True) as server, pytest.raises(FetchError):
        fetch(server.url)
    assert server.connections == 1


@pytest.mark.parametrize(
    "url", ["http://localhost/", "https://local host/", "https://localhost/\r\nX: y", "file:///etc"]
)
def test_an_address_that_is_not_https_is_never_asked(fetch: HttpsFetcher, url: str) -> None:
    with pytest.raises(FetchError, match="not https"):
        fetch(url)


def test_a_server_whose_certificate_is_unknown_is_not_believed() -> None:
    with MisbehavingServer(lambda each: each.answer(b"{}"), tls=True) as server, pytest.raises(FetchError):
        HttpsFetcher(verify=True, proxies=Proxies(), seconds=1.0)(server.url)
