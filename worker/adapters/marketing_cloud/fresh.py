"""One POST on a connection of its own, with the last look at the clock before the first byte; for Perform only.

A connection that was used before may have been closed by the server long ago, and its reset would say nothing
about the request; on a fresh one every failure before the write is certain, and every later one is ambiguous.
"""

import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from worker.adapters.marketing_cloud.wire import Failed, Reply, not_connected, place, port_of, say


class FreshPost:
    """Posts to one address, each time over a new connection; times in seconds, `read_timeout` for the whole answer."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        tls: Callable[[], ssl.SSLContext],
        connect_timeout: float,
        read_timeout: float,
    ) -> None:
        self._address = urlsplit(url)
        self._head = _head(url, headers)
        self._tls = tls
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout

    def __call__(self, body: bytes, may_send: Callable[[], bool]) -> Reply | Failed:
        """Connect, ask `may_send` one last time, send, and read the whole answer."""
        request = b"%s%d\r\n\r\n%s" % (self._head, len(body), body)
        try:
            connection = self._connect()
        except (OSError, UnicodeError) as error:
            return not_connected(self._address, error)
        with connection:
            if not may_send():
                return Failed("lease_over", "the time to send this start was over before it was sent")
            return self._exchange(connection, request)

    def _connect(self) -> socket.socket:
        host = self._address.hostname or ""
        connection = socket.create_connection((host, port_of(self._address)), self._connect_timeout)
        if self._address.scheme == "https":
            connection = self._tls().wrap_socket(connection, server_hostname=host)
        return connection

    def _exchange(self, connection: socket.socket, request: bytes) -> Reply | Failed:
        try:
            connection.settimeout(self._read_timeout)
            deadline = time.monotonic() + self._read_timeout
            connection.sendall(request)
            return _read(TimedReader(connection, deadline))
        except TimeoutError:
            return Failed("read_timeout", f"{place(self._address)} gave no answer in {self._read_timeout:g} s")
        except OSError as error:
            return Failed("reset", f"{place(self._address)} cut the connection: {say(error)}")
        except http.client.HTTPException as error:
            return Failed("broken_reply", f"{place(self._address)} sent a broken answer: {type(error).__name__}")


class TimedReader(io.RawIOBase):
    """A socket to read from until one deadline, however slowly the bytes come in."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Give the file that http.client reads from."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there, within the time that is left."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


def _read(source: TimedReader) -> Reply:
    # HTTPResponse asks of its socket nothing but makefile.
    response = http.client.HTTPResponse(source, method="POST")  # type: ignore[arg-type]
    response.begin()
    content = response.read()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, headers, content)


def _head(url: str, headers: Mapping[str, str]) -> bytes:
    address = urlsplit(url)
    target = (address.path or "/") + (f"?{address.query}" if address.query else "")
    host = address.netloc.rpartition("@")[2]
    lines = [f"POST {target} HTTP/1.1", f"Host: {host}", "Connection: close", "Accept-Encoding: identity"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "Content-Length: "]).encode("latin-1")
