"""The proxy of the chaos program has the faults that it names, seen from both ends."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from sfmc_harness.chaos.faults import Proxy


class Ends:
    """A client and the server's side of its connection through a proxy."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.proxy = Proxy(self.listener.getsockname()[1])

    def connect(self) -> tuple[socket.socket, socket.socket]:
        client = socket.create_connection(("127.0.0.1", self.proxy.port), timeout=5)
        server, _ = self.listener.accept()
        for end in (client, server):
            end.settimeout(5)
        client.sendall(b"hello")
        assert server.recv(5) == b"hello"
        return client, server


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    with made.listener, made.proxy:
        yield made


def is_reset(end: socket.socket) -> bool:
    with suppress(ConnectionResetError):
        return end.recv(1) == b""
    return True


def hears_nothing(end: socket.socket) -> bool:
    end.settimeout(0.2)
    try:
        return end.recv(1) == b""
    except TimeoutError:
        return True
    finally:
        end.settimeout(5)


def still_carries(end: socket.socket) -> bool:
    end.settimeout(0.2)
    try:
        return end.recv(1) != b""
    except TimeoutError:
        return True
    except ConnectionResetError:
        return False


def test_without_a_fault_bytes_go_both_ways(ends: Ends) -> None:
    client, server = ends.connect()

    with client, server:
        server.sendall(b"world")
        assert client.recv(5) == b"world"


def test_a_cut_connection_is_reset_at_both_ends(ends: Ends) -> None:
    client, server = ends.connect()

    with client, server:
        ends.proxy.inject("cut")
        assert is_reset(client)
        assert is_reset(server)


def test_a_deaf_connection_forwards_requests_and_drops_replies_until_it_is_reset(ends: Ends) -> None:
    client, server = ends.connect()

    with client, server:
        ends.proxy.inject("deaf")
        client.sendall(b"start")
        assert server.recv(5) == b"start"
        server.sendall(b"done")
        assert hears_nothing(client)
        ends.proxy.clear()
        assert is_reset(client)


def test_a_blackholed_connection_stays_open_and_carries_nothing(ends: Ends) -> None:
    client, server = ends.connect()

    with client, server:
        ends.proxy.inject("blackhole")
        client.sendall(b"start")
        assert hears_nothing(server)
        ends.proxy.clear()
        assert is_reset(server)


def test_while_it_refuses_new_connections_end_at_once_and_afterwards_they_work(ends: Ends) -> None:
    ends.proxy.refuse()
    with socket.create_connection(("127.0.0.1", ends.proxy.port), timeout=5) as client:
        assert is_reset(client)

    ends.proxy.clear()
    client, server = ends.connect()
    client.close()
    server.close()


def test_only_a_share_of_the_connections_gets_the_fault(ends: Ends) -> None:
    pairs = [ends.connect() for _ in range(12)]

    ends.proxy.inject("cut", share=0.5)

    with ExitStack() as opened:
        for pair in pairs:
            for end in pair:
                opened.enter_context(end)
        cut = [client for client, _ in pairs if not still_carries(client)]
        assert 0 < len(cut) < 12
