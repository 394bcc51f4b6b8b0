"""Posts and reads the whole answer within one deadline and one size, on a new connection or on one that was kept."""

import http.client
import os
import re
import socket
import ssl
import weakref
import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from sfmc_import.marketing_cloud.http import (
    MAX_HEAD_BYTES,
    Connector,
    Deadline,
    Failed,
    NotConnectedError,
    OversizedError,
    Reply,
    TimedReader,
    boottime,
    describe_error,
    final_answer,
    place,
    proxy_headers,
    send_all,
)
from sfmc_import.marketing_cloud.plain_answers import Answer, read_plain
from sfmc_import.marketing_cloud.stopping import ENDS, OpenCalls

MAX_ANSWER_BYTES = 1_048_576
"""An answer to Perform or from the token endpoint, before and after decompression; usual ones have 2,000 bytes."""

MAX_PAGE_BYTES = 8_388_608
"""A page of rows. 2,500 rows, the most that the service gives, have about 2,000,000 bytes."""

MAX_KEPT = 64
MAX_IDLE_SECONDS = 30.0
"""Routers forget a connection that says nothing, some without telling; the next call would wait for nothing."""

MAX_IDLE_BEFORE_START = 1.0
"""A start goes over a connection that answered a moment ago: no server closes one so soon for being idle."""

LAST_BYTES = 16
"""Sent after everything else of a Perform: without the end of its XML a request cannot be carried out."""

MAX_HEADER_BYTES = 8192
"""So far into an answer its SOAP header reaches; usual ones have 900 bytes."""

_MESSAGE_ID = re.compile(rb"MessageID(?: [^>]*)?>([^<]+)<")
# contract: RelatesTo repeats the MessageID that was sent.
# Nothing in it can be read in two ways, so that no answer takes long.
_RELATES_TO = re.compile(rb"RelatesTo(?: [^>]{0,300}+)?+>([^<]*+)<")

# Alerts of a handshake: the server has not accepted the connection, so it has decrypted nothing (RFC 8446, 6.2).
HANDSHAKE_ALERTS = frozenset({
    "CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE", "PROTOCOL_VERSION",
    "CERTIFICATE_EXPIRED", "CERTIFICATE_UNKNOWN", "CERTIFICATE_REVOKED", "UNSUPPORTED_CERTIFICATE", "ACCESS_DENIED",
    "INSUFFICIENT_SECURITY", "UNRECOGNIZED_NAME",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one call may take: seconds in all, seconds from the first byte sent, and bytes of the answer."""

    whole: float
    answer: float
    size: int = MAX_ANSWER_BYTES


class Post(Protocol):
    """Sends one POST."""

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str], limits: Limits) -> Reply | Failed:
        """Give the complete answer, or why there is none."""
        ...


Hear = Callable[[Reply | Failed, float], None]
"""Is given each answer, and the boottime at which its question was sent."""


def _not_heard(_answer: Reply | Failed, _sent: float) -> None:
    """Let the answer pass."""


class Call:
    """One request and its answer on a connection that exists."""

    def __init__(self, server: str, deadline: Deadline, limit: int) -> None:
        self._server = server
        self._deadline = deadline
        self._limit = limit

    def send(self, connection: socket.socket, request: bytes, *, is_last: bool = False) -> bytes | Failed:
        """Send a part of a request; give what the server has answered before the next part, or that it took no more.

        After the last part nothing is looked at: from then on only the answer counts.
        """
        try:
            send_all(connection, request, self._deadline)
            return b"" if is_last else received(connection)
        except OSError as error:
            text = f"{self._server} did not take the whole request: {describe_error(error)}"
            return Failed("not_sent", text)

    def read(self, connection: socket.socket, early: bytes = b"") -> Answer:
        """Read the whole answer."""
        source = TimedReader(connection, self._deadline, self._limit + MAX_HEAD_BYTES, early)
        try:
            return read_plain(source, self._limit) or _read(source, self._limit)
        except TimeoutError:
            return self._failed("read_timeout", "gave no whole answer in time")
        except ssl.SSLError as error:
            return self._failed("tls" if _ended_handshake(error) else "reset", f"broke off: {describe_error(error)}")
        except OSError as error:
            return self._failed("reset", f"cut the connection: {describe_error(error)}")
        except OversizedError:
            return self._failed("oversized_reply", f"sent an answer of more than {self._limit} bytes")
        except (http.client.HTTPException, zlib.error, ValueError) as error:
            return self._failed("broken_reply", f"sent a broken answer: {type(error).__name__}")

    def _failed(self, situation: str, text: str) -> Answer:
        return Answer(Failed(situation, f"{self._server} {text}"))


def received(connection: socket.socket) -> bytes:
    """Give what has come in by now without waiting; raise ConnectionError when the other side has closed."""
    connection.settimeout(0)
    try:
        data = connection.recv(65536)
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return b""
    if not data:
        raise ConnectionAbortedError("closed")
    return data


def _ended_handshake(error: ssl.SSLError) -> bool:
    return str(error.reason or "").partition("ALERT_")[2] in HANDSHAKE_ALERTS


def _read(source: TimedReader, limit: int) -> Answer:
    response = final_answer(source, "POST")
    content = _content(response, limit)
    headers = {name.lower(): value for name, value in response.getheaders()}
    reusable = not response.will_close and response.length in {None, 0} and not source.has_more()
    return Answer(Reply(response.status, headers, content), reusable)


def of_this(request: bytes, answer: Answer) -> Answer:
    """Refuse an answer that names another request than this one; the service names it where it gave its MessageID.

    Its connection is not used again: it is one answer behind.
    """
    sent, named = _MESSAGE_ID.search(request), None
    if isinstance(answer.reply, Reply):
        named = _RELATES_TO.search(answer.reply.content, 0, MAX_HEADER_BYTES)
    if sent is None or named is None or named[1].strip() == sent[1]:
        return answer
    return Answer(Failed("broken_reply", "the server sent an answer to another request"))


def _content(response: http.client.HTTPResponse, limit: int) -> bytes:
    """Read and unpack the body, never more than `limit` bytes of it."""
    packed = response.headers.get("Content-Encoding", "").strip().lower() in {"gzip", "x-gzip", "deflate"}
    # 32 more than the window size: zlib recognises both forms by their beginning.
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 32) if packed else None
    pieces: list[bytes] = []
    size = 0
    while piece := response.read(65536):
        whole = piece if unpack is None else unpack.decompress(piece, limit - size + 1)
        size += len(whole)
        if size > limit:
            raise OversizedError
        pieces.append(whole)
    if response.length or (unpack is not None and size and not unpack.eof):
        raise http.client.IncompleteRead(b"")
    return b"".join(pieces)


def _head(address: SplitResult, headers: Mapping[str, str], connector: Connector, *, keep: bool) -> bytes:
    target = (address.path or "/") + (f"?{address.query}" if address.query else "")
    host = address.netloc.rpartition("@")[2]
    proxy = connector.proxy_to(address) if address.scheme == "http" else None
    if proxy is not None:
        # Without TLS there is no tunnel: the proxy gets the whole address (RFC 9112, 3.2.2).
        target = f"http://{host}{target}"
    lines = [f"POST {target} HTTP/1.1", f"Host: {host}", "Accept-Encoding: identity"]
    lines += [] if keep else ["Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [] if proxy is None else proxy_headers(proxy)
    return "\r\n".join([*lines, "Content-Length: "]).encode("latin-1")


class KeptConnections:
    """The connections of a process that are used again; safe for threads and after a fork."""

    def __init__(self, clock: Callable[[], float] = boottime) -> None:
        self._clock = clock
        self._kept: Kept = defaultdict(list)
        self._process = os.getpid()
        weakref.finalize(self, _close_all, self._kept)

    def take(self, address: SplitResult, most_idle: float = MAX_IDLE_SECONDS) -> socket.socket | None:
        """Give the connection that answered last, if that is not longer ago, and the server has said nothing since."""
        pool = self._pool(address)
        while pool:
            try:
                since, connection = pool.pop()
            except IndexError:
                return None
            idle = self._clock() - since
            if idle < most_idle and _is_open(connection):
                return connection
            if most_idle <= idle < MAX_IDLE_SECONDS:
                # Those below it answered before it. It is good enough for a query.
                pool.append((since, connection))
                return None
            connection.close()
        return None

    def give_back(self, address: SplitResult, connection: socket.socket) -> None:
        """Keep a connection whose answer was read to its end, or close it where there are enough."""
        pool = self._pool(address)
        if len(pool) < MAX_KEPT:
            pool.append((self._clock(), connection))
        else:
            connection.close()

    def _pool(self, address: SplitResult) -> list[tuple[float, socket.socket]]:
        # A child process must not write into its parent's connections; to close them does the parent no harm.
        if self._process != os.getpid():
            self._process = os.getpid()
            _close_all(self._kept)
        return self._kept[address.scheme, address.netloc]


Kept = dict[tuple[str, str], list[tuple[float, socket.socket]]]
"""Connections that wait for their next call, by scheme and host, with the time of their last one."""


def _close_all(kept: Kept) -> None:
    for pool in kept.values():
        while pool:
            pool.pop()[1].close()


def _is_open(connection: socket.socket) -> bool:
    try:
        return not received(connection)
    except OSError:
        return False


class PooledPost:
    """Posts over connections that are used again; no retries, no redirects; safe for threads and after a fork."""

    def __init__(
        self,
        connector: Connector,
        calls: OpenCalls | None = None,
        kept: KeptConnections | None = None,
        hear: Hear = _not_heard,
    ) -> None:
        self._hear = hear
        self._connector = connector
        self._calls = calls or OpenCalls()
        self._kept = kept or KeptConnections()
        # Two: tokens and queries; the headers of neither have anything of one call.
        self._targets: dict[tuple[str, tuple[tuple[str, str], ...]], tuple[SplitResult, str, bytes]] = {}

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str], limits: Limits) -> Reply | Failed:
        """Send one POST and read the whole answer."""
        if self._calls.is_closed:
            return ENDS
        address, server, head = self._target(url, tuple(headers.items()))
        deadline = Deadline(limits.whole)
        request = b"%s%d\r\n\r\n%s" % (head, len(body), body)

        def exchange(connection: socket.socket) -> Reply | Failed:
            call = Call(server, deadline.at_most(limits.answer), limits.size)
            with self._calls.holding(connection):
                return self._exchange(address, connection, request, call)

        while kept := self._kept.take(address):
            answer = exchange(kept)
            if not (isinstance(answer, Failed) and answer.situation == "not_sent"):
                return answer
        try:
            return exchange(self._connector.connect(address, deadline))
        except NotConnectedError as error:
            return error.failed

    def _target(self, url: str, headers: tuple[tuple[str, str], ...]) -> tuple[SplitResult, str, bytes]:
        found = self._targets.get((url, headers))
        if found is None:
            address = urlsplit(url)
            found = address, place(address), _head(address, dict(headers), self._connector, keep=True)
            self._targets[url, headers] = found
        return found

    def _exchange(self, address: SplitResult, connection: socket.socket, request: bytes, call: Call) -> Reply | Failed:
        begun, sent = boottime(), call.send(connection, request, is_last=True)
        answer = Answer(sent) if isinstance(sent, Failed) else of_this(request, call.read(connection))
        self._hear(answer.reply, begun)
        if answer.is_reusable:
            self._kept.give_back(address, connection)
        else:
            connection.close()
        return answer.reply


LEASE_OVER = Failed("lease_over", "the time to send this start was over before it was sent")
GONE = Failed("not_sent", "a connection that was kept was closed before the end of the request was written")


class SplitPost:
    """Posts to one address, the end of the request after everything else; `read_timeout` is for all of it.

    Each call has a new connection, or one of `kept` that answered a moment ago.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        connector: Connector,
        read_timeout: float,
        calls: OpenCalls | None = None,
        kept: KeptConnections | None = None,
        hear: Hear = _not_heard,
    ) -> None:
        self._hear = hear
        self._address = urlsplit(url)
        self._place = place(self._address)
        self._head = _head(self._address, headers, connector, keep=kept is not None)
        self._connector = connector
        self._read_timeout = read_timeout
        self._calls = calls or OpenCalls()
        self._kept = kept

    def __call__(self, body: bytes, may_send: Callable[[], bool]) -> Reply | Failed:
        """Take or make a connection, ask `may_send` one last time, send, and read the whole answer."""
        request = b"%s%d\r\n\r\n%s" % (self._head, len(body), body)
        kept = None if self._kept is None else self._kept.take(self._address, MAX_IDLE_BEFORE_START)
        if kept is not None:
            answer = self._post(kept, request, may_send, is_kept=True)
            if answer is not GONE:
                return answer
        try:
            connection = self._connector.connect(self._address, Deadline(float("inf")))
        except NotConnectedError as error:
            return error.failed
        return self._post(connection, request, may_send)

    def _post(
        self, connection: socket.socket, request: bytes, may_send: Callable[[], bool], *, is_kept: bool = False
    ) -> Reply | Failed:
        answer = Answer(LEASE_OVER)
        try:
            if may_send():
                with self._calls.holding(connection):
                    answer = Answer(ENDS) if self._calls.is_closed else self._exchange(connection, request, is_kept)
        finally:
            if self._kept is not None and answer.is_reusable:
                self._kept.give_back(self._address, connection)
            else:
                connection.close()
        return answer.reply

    def _exchange(self, connection: socket.socket, request: bytes, is_kept: bool) -> Answer:
        call = Call(self._place, Deadline(self._read_timeout), MAX_ANSWER_BYTES)
        early = call.send(connection, request[:-LAST_BYTES])
        if early and is_kept:
            # Closed, or an answer to something else: this request is not there, and goes over a new connection.
            return Answer(GONE)
        if isinstance(early, Failed):
            return Answer(early)
        if early:
            # The server answers a request that it does not have: whatever it says, the rest stays here.
            reply = call.read(connection, early).reply
            return Answer(replace(reply, situation="not_sent") if isinstance(reply, Failed) else reply)
        begun, late = boottime(), call.send(connection, request[-LAST_BYTES:], is_last=True)
        answer = Answer(late) if isinstance(late, Failed) else of_this(request, call.read(connection, late))
        self._hear(answer.reply, begun)
        return answer
