"""HTTP with Marketing Cloud: addresses and time limits, a connection for each Perform, pooled ones for the rest."""

import http.client
import io
import os
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError, SSLError

TOKEN_PATH = "/v2/token"  # noqa: S105 - a path, not a secret
SOAP_PATH = "/Service.asmx"


class SecretValue(Protocol):
    """A text that does not show itself; pydantic's SecretStr is one."""

    def get_secret_value(self) -> str:
        """Give the text."""
        ...


class PlainSecret:
    """The plainest Secret, for programs without pydantic; it shows itself as pydantic's SecretStr does."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def get_secret_value(self) -> str:
        """Give the text."""
        return self._value

    def __repr__(self) -> str:
        return f"PlainSecret('{self}')"

    def __str__(self) -> str:
        return "**********" if self._value else ""


NO_SECRET = PlainSecret("")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketingCloudConfig:
    """Where Marketing Cloud is and who we are there; times in seconds.

    `auth_url` and `soap_url` may be given with or without `/v2/token` and `/Service.asmx`.
    `client_id` and `client_secret` are those of an installed package with a server-to-server component;
    without a client id, `username` and `password` are sent as a WS-Security UsernameToken instead,
    and the service acts in that user's own business unit.
    `verify` is True for the system's certificates, the path of a CA bundle, or False for none.
    """

    soap_url: str
    auth_url: str = ""
    client_id: str = ""
    client_secret: SecretValue = NO_SECRET
    account_id: str = ""
    username: str = ""
    password: SecretValue = NO_SECRET
    connect_timeout: float = 3.0
    read_timeout: float = 60.0
    token_timeout: float = 10.0
    query_deadline: float = 15.0
    query_attempts: int = 4
    verify: bool | str = True

    @property
    def uses_tokens(self) -> bool:
        """Whether calls carry an OAuth2 token; otherwise user name and password."""
        return bool(self.client_id)

    @property
    def token_address(self) -> str:
        """Give the whole address of the token endpoint."""
        return _complete(self.auth_url, TOKEN_PATH)

    @property
    def soap_address(self) -> str:
        """Give the whole address of the SOAP endpoint."""
        return _complete(self.soap_url, SOAP_PATH)


def _complete(url: str, path: str) -> str:
    parts = urlsplit(url.strip())
    return parts._replace(path=parts.path if len(parts.path) > 1 else path, fragment="").geturl()


# Only Linux has CLOCK_BOOTTIME; elsewhere the monotonic clock stands in and may stop while a machine sleeps.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class BootClock:
    """CLOCK_BOOTTIME: steady, never set back, and counting while the machine sleeps."""

    def boottime(self) -> float:
        """Seconds since an arbitrary start."""
        return time.clock_gettime(_CLOCK)


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete HTTP answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)

    @property
    def retry_after(self) -> float | None:
        """Give the seconds that the header Retry-After names, as a number or as a date (RFC 9110, 10.2.3)."""
        value = self.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit():
            return float(value)
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Failed:
    """No complete answer: `situation` is a word of sfmc_import.faults.SITUATIONS."""

    situation: str
    text: str


def tls_context(verify: bool | str) -> ssl.SSLContext:
    """Make the one TLS context of a process: the system's certificates, those of a CA bundle, or no check."""
    context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def place(address: SplitResult) -> str:
    """Name a server without path, query or credentials."""
    return f"{address.scheme}://{address.hostname}:{port_of(address)}"


def port_of(address: SplitResult) -> int:
    """Give the port of an address, by default that of its scheme."""
    return address.port or (443 if address.scheme == "https" else 80)


def not_connected(address: SplitResult, error: Exception) -> Failed:
    """Name a failure before the first byte was sent."""
    return Failed(_before_sending(error), f"cannot connect to {place(address)}: {describe_error(error)}")


def describe_error(error: Exception) -> str:
    """Put a network error in a few words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "timed out"
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


def _before_sending(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return "tls"
    if isinstance(error, socket.gaierror | UnicodeError):
        return "dns"
    if isinstance(error, TimeoutError):
        return "connect_timeout"
    return "refused" if isinstance(error, ConnectionRefusedError) else "unreachable"


class SingleUsePost:
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
            return Failed("reset", f"{place(self._address)} cut the connection: {describe_error(error)}")
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


class Post(Protocol):
    """Sends one POST; `timeout` in seconds bounds each wait for the answer."""

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Reply | Failed:
        """Give the complete answer, or why there is none."""
        ...


class PooledPost:
    """The one HTTP session of a process: keep-alive, no retries, no redirects; safe for threads and after a fork."""

    def __init__(self, tls: Callable[[], ssl.SSLContext], connect_timeout: float, connections: int = 64) -> None:
        self._tls = tls
        self._connect_timeout = connect_timeout
        self._connections = connections
        self._pool: urllib3.PoolManager | None = None
        self._process = 0

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Reply | Failed:
        """Send one POST and read the whole answer."""
        limits = urllib3.Timeout(connect=self._connect_timeout, read=timeout)
        pool = self._pool_for(url)
        try:
            answer = pool.request("POST", url, body=body, headers=headers, timeout=limits, retries=False)
        except HTTPError as error:
            return _failed(urlsplit(url), error)
        return Reply(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.data)

    def _pool_for(self, url: str) -> urllib3.PoolManager:
        # A child process must not write into its parent's connections.
        if self._pool is None or self._process != os.getpid():
            context = self._tls() if url.lower().startswith("https") else None
            self._pool = urllib3.PoolManager(num_pools=8, maxsize=self._connections, ssl_context=context)
            self._process = os.getpid()
        return self._pool


def _failed(address: SplitResult, error: HTTPError) -> Failed:
    # NewConnectionError first: it is a kind of ConnectTimeoutError in urllib3 2.
    if isinstance(error, NewConnectionError | SSLError):
        cause = error.__cause__ or error.__context__
        return not_connected(address, cause if isinstance(cause, Exception) else error)
    if isinstance(error, ConnectTimeoutError):
        return not_connected(address, TimeoutError())
    if isinstance(error, ReadTimeoutError):
        return Failed("read_timeout", f"{place(address)} gave no answer in time")
    return Failed("reset", f"{place(address)} broke off: {type(error).__name__}")
