"""Where Marketing Cloud is, who we are there, and what comes back over HTTP: an answer, or why there is none."""

import http.client
import io
import ipaddress
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

from sfmc_import.clocks import Clocks
from sfmc_import.proxies import Proxies, Proxy
from sfmc_import.retrying import MAX_RETRY_AFTER_SECONDS

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
    `read_timeout` is for sending and the whole answer, `reading_timeout` for all attempts and pages of one query.
    A start goes over a connection that answered a moment ago if `starts_on_kept`, else over a new one.
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
    reading_timeout: float = 80.0
    verify: bool | str = True
    starts_on_kept: bool = True
    proxies: Proxies = field(default_factory=Proxies)

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


def boottime() -> float:
    """Seconds since an arbitrary start: steady, never set back, and counting while the machine sleeps."""
    return time.clock_gettime(_CLOCK)


class BootClock(Clocks):
    """CLOCK_BOOTTIME and the clock of this machine as the port Clock, with what answers say of other clocks."""

    def __init__(self) -> None:
        super().__init__(boottime, time.time)


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete HTTP answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)

    @property
    def retry_after(self) -> float | None:
        """Give the seconds that the header Retry-After names, as a number or as a date (RFC 9110, 10.2.3).

        They are finite and at most MAX_RETRY_AFTER_SECONDS; what is neither of both counts as absent. A date counts
        from that of the answer, which is of the same clock.
        """
        value = self.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit():
            return min(float(value), MAX_RETRY_AFTER_SECONDS)
        until, now = read_date(value), self.date
        if until is None:
            return None
        return min(max(0.0, until - (time.time() if now is None else now)), MAX_RETRY_AFTER_SECONDS)

    @property
    def date(self) -> float | None:
        """Give the time of the clock that made this answer, in seconds since 1970; None where it names none.

        What a server between has kept for a while (header Age) is older by that.
        """
        made, age = read_date(self.headers.get("date", "")), self.headers.get("age", "").strip()
        return made + int(age) if made is not None and _AGE.fullmatch(age) else made


_AGE = re.compile("[0-9]{1,9}")


def read_date(text: str) -> float | None:
    """Read a date of HTTP (RFC 9110, 5.6.7) as seconds since 1970; None for what is none, or names no zone."""
    try:
        found = parsedate_to_datetime(text)
        return None if found.tzinfo is None else found.timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):
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


NO_PLACE = "no server"


def place(address: SplitResult) -> str:
    """Name a server without path, query or credentials."""
    if not address.hostname:
        return NO_PLACE
    return f"{address.scheme}://{address.hostname}:{port_of(address)}"


def port_of(address: SplitResult) -> int:
    """Give the port of an address, by default that of its scheme."""
    return address.port or (443 if address.scheme == "https" else 80)


def not_connected(server: str, error: Exception) -> Failed:
    """Name a failure before the first byte was sent."""
    if server == NO_PLACE:
        return Failed("unreachable", "the address is not set: see what is missing with sfmc-import doctor")
    return Failed(_before_sending(error), f"cannot connect to {server}: {describe_error(error)}")


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


MAX_HEAD_BYTES = 131_072
"""The status line and all headers of an answer."""


class OversizedError(Exception):
    """An answer has more bytes than it may have."""


class NotConnectedError(Exception):
    """There is no connection; `failed` says why."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.text)
        self.failed = failed


class Deadline:
    """One end for all parts of a call."""

    def __init__(self, seconds: float) -> None:
        self._at = boottime() + seconds

    def left(self) -> float:
        """Seconds until the end; raises TimeoutError when it has come."""
        left = self._at - boottime()
        if left <= 0:
            raise TimeoutError
        return left

    def at_most(self, seconds: float) -> "Deadline":
        """Give the earlier one of this deadline and one `seconds` from now."""
        sooner = Deadline(seconds)
        sooner._at = min(sooner._at, self._at)
        return sooner


class TimedReader(io.RawIOBase):
    """A socket to read from until one deadline and up to `limit` bytes, however slowly or fast they come in."""

    def __init__(self, connection: socket.socket, deadline: Deadline, limit: int, first: bytes = b"") -> None:
        self._connection = connection
        self._deadline = deadline
        self._left = limit
        self._first = first
        self.buffered: io.BufferedReader | None = None
        self.is_done = False

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Give the file that http.client reads from."""
        # One for all answers of a call: what the reader of an interim one has read ahead is of the next.
        self.buffered = self.buffered or _KeptOpen(self)
        return self.buffered

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what is there, within the time that is left."""
        if self.is_done:
            return None
        if self._first:
            size = min(len(buffer), len(self._first))
            buffer[:size], self._first = self._first[:size], self._first[size:]
            return size
        if self._left <= 0:
            raise OversizedError
        self._connection.settimeout(self._deadline.left())
        size = self._connection.recv_into(buffer)
        self._left -= size
        return size

    def take(self) -> bytes:
        """Give what comes in next, as `readinto` reads it."""
        data = bytearray(65536)
        return bytes(data[: self.readinto(data) or 0])

    def put_back(self, data: bytes) -> None:
        """Let the next reader begin with these bytes."""
        self._first = data + self._first

    def has_more(self) -> bool:
        """Tell whether bytes came in that belong to no answer."""
        self.is_done = True
        return bool(self.buffered is not None and self.buffered.peek())


class _KeptOpen(io.BufferedReader):
    """Is looked into after http.client has closed its file."""

    def close(self) -> None:
        """Do nothing: the socket is closed by its owner."""


def send_all(connection: socket.socket, data: bytes, deadline: Deadline) -> None:
    """Send until one deadline; `sendall` of a TLS socket would begin a new time limit with each piece."""
    view = memoryview(data)
    while view:
        connection.settimeout(deadline.left())
        view = view[connection.send(view) :]


class Resolver:
    """Looks up names in threads, one for each name: getaddrinfo has no time limit of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: dict[tuple[str, int], Future[Any]] = {}
        self._process = os.getpid()

    def addresses(self, host: str, port: int, deadline: Deadline) -> Sequence[Any]:
        """Give what getaddrinfo gives, or raise what it raises; a gaierror too at the deadline."""
        if _is_address(host):
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        try:
            found: Sequence[Any] = self._looking_up((host, port)).result(deadline.left())
        except TimeoutError:
            raise socket.gaierror(socket.EAI_AGAIN, "its name was not found in time") from None
        return found

    def _looking_up(self, name: tuple[str, int]) -> "Future[Any]":
        if self._process != os.getpid():
            # The threads of the parent process do not live on in its child.
            self._pending, self._lock, self._process = {}, threading.Lock(), os.getpid()
        with self._lock:
            answer = self._pending.get(name)
            if answer is None:
                answer = self._pending[name] = Future()
                threading.Thread(target=self._look_up, args=(name, answer), name="resolver", daemon=True).start()
        return answer

    def _look_up(self, name: tuple[str, int], answer: "Future[Any]") -> None:
        try:
            found = socket.getaddrinfo(*name, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            self._pending.pop(name, None)
            answer.set_exception(error)
        else:
            self._pending.pop(name, None)
            answer.set_result(found)


def _is_address(host: str) -> bool:
    with suppress(ValueError):
        return bool(ipaddress.ip_address(host))
    return False


class Connector:
    """Makes connections to any server, through a proxy where one leads there; safe for threads."""

    def __init__(self, tls: Callable[[], ssl.SSLContext], proxies: Proxies, seconds: float) -> None:
        self._tls = tls
        self._proxies = proxies
        self._seconds = seconds
        self._resolver = Resolver()

    def proxy_to(self, address: SplitResult) -> Proxy | None:
        """Give the proxy that leads to this address."""
        return self._proxies.to(address.scheme, address.hostname or "", port_of(address))

    def connect(self, address: SplitResult, deadline: Deadline) -> socket.socket:
        """Connect within the time limit for that, and not after the deadline; raise NotConnectedError."""
        try:
            own = deadline.at_most(self._seconds)
            proxy = self.proxy_to(address)
            if proxy is None:
                return self._secured(self._open(address.hostname or "", port_of(address), own), address, own)
            return self._through(proxy, address, own)
        except (OSError, UnicodeError) as error:
            raise NotConnectedError(not_connected(place(address), error)) from error

    def _through(self, proxy: Proxy, address: SplitResult, deadline: Deadline) -> socket.socket:
        try:
            connection = self._open(proxy.host, proxy.port, deadline)
        except (OSError, UnicodeError) as error:
            raise NotConnectedError(not_connected(f"the proxy {proxy.shown}", error)) from error
        if address.scheme == "http":
            return connection
        try:
            ask_for_tunnel(connection, proxy, address, deadline)
        except BaseException:
            connection.close()
            raise
        return self._secured(connection, address, deadline)

    def _open(self, host: str, port: int, deadline: Deadline) -> socket.socket:
        found = self._resolver.addresses(host, port, deadline)
        for number, (family, kind, protocol, _, target) in enumerate(found, start=1):
            # A share of the time for each address: the first may be one that does not answer.
            share = deadline.left() / (len(found) - number + 1)
            try:
                return _connected(socket.socket(family, kind, protocol), target, share)
            except OSError:
                if number == len(found):
                    raise
        raise OSError("the name has no address")

    def _secured(self, connection: socket.socket, address: SplitResult, deadline: Deadline) -> socket.socket:
        if address.scheme != "https":
            return connection
        try:
            host = address.hostname
            connection = self._tls().wrap_socket(connection, server_hostname=host, do_handshake_on_connect=False)
            connection.settimeout(deadline.left())
            connection.do_handshake()
        except BaseException:
            connection.close()
            raise
        return connection


def _connected(connection: socket.socket, target: Any, seconds: float) -> socket.socket:
    try:
        connection.settimeout(seconds)
        connection.connect(target)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        connection.close()
        raise
    return connection


MAX_INTERIM = 20
"""Answers of 1xx before the final one."""


def final_answer(source: TimedReader, method: str) -> http.client.HTTPResponse:
    """Read the head of the final answer; interim ones stand before it, any number of them (RFC 9110, 15.2)."""
    for _ in range(MAX_INTERIM):
        # HTTPResponse asks of its socket nothing but makefile, and skips no interim answer but 100.
        response = http.client.HTTPResponse(source, method=method)  # type: ignore[arg-type]
        response.begin()
        if not HTTPStatus.CONTINUE <= response.status < HTTPStatus.OK:
            return response
        if response.status == HTTPStatus.SWITCHING_PROTOCOLS:
            break
    raise http.client.BadStatusLine("an interim answer where the final one should be")


def ask_for_tunnel(connection: socket.socket, proxy: Proxy, address: SplitResult, deadline: Deadline) -> None:
    """Ask a proxy for a way to the server; raise NotConnectedError with the answer of a proxy that refuses."""
    host = address.hostname or ""
    target = f"{f'[{host}]' if ':' in host else host}:{port_of(address)}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", *proxy_headers(proxy)]
    try:
        send_all(connection, ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), deadline)
        answer = final_answer(TimedReader(connection, deadline, MAX_HEAD_BYTES), "CONNECT")
    except (OSError, http.client.HTTPException, OversizedError) as error:
        text = f"the proxy {proxy.shown} gives no way to {target}: {describe_error(error)}"
        raise NotConnectedError(Failed("proxy_refused", text)) from error
    if not 200 <= answer.status < 300:
        # The words of a proxy are not shown: it may quote the login.
        text = f"the proxy {proxy.shown} refuses the way to {target}: HTTP {answer.status}{_hint(answer.status)}"
        raise NotConnectedError(Failed("proxy_refused", text))


def proxy_headers(proxy: Proxy) -> list[str]:
    """Give the header line that logs in at a proxy, if it has a login."""
    return [f"Proxy-Authorization: {proxy.authorization}"] if proxy.authorization else []


def _hint(status: int) -> str:
    return ", it wants another user and password" if status == 407 else ""
