"""Receivers of notifications: an HTTP server and an SMTP server that keep what they get and answer as the test says."""

import base64
import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler
from typing import Any

import orjson

from tests.support.threaded_servers import Ending, EndingServer
from tests.support.tls_proxy import CERTIFICATE


@dataclass
class Answer:
    """What a receiver answers once: with `hold` it waits until the test lets it go, and answers then."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    hold: threading.Event | None = None


@dataclass
class Posted:
    """One POST: header names in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return orjson.loads(self.body)


class Receiver:
    """Keeps every POST as soon as it is complete, then answers; `answers` come first, then 200."""

    def __init__(self, port: int = 0) -> None:
        self.posts: list[Posted] = []
        self.answers: list[Answer] = []
        self.gate = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.posts.append(Posted(self.path, headers, body))
                answer = receiver.answers.pop(0) if receiver.answers else Answer()
                if answer.hold is not None:
                    answer.hold.wait(60)
                with contextlib.suppress(OSError):
                    self.send_response(answer.status)
                    for name, value in answer.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(answer.body)))
                    self.end_headers()
                    self.wfile.write(answer.body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = EndingServer(("127.0.0.1", port), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/hook?sig=a-secret-of-this-test"

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.end()


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver."""
    made = Receiver()
    try:
        yield made
    finally:
        made.close()


class MailServer:
    """Takes mail; `answers` are codes and texts by command, also with its words: `{"DATA": "451 later"}`."""

    def __init__(self, *, tls: str = "none", password: str = "") -> None:
        self.mails: list[Message] = []
        self.raw: list[bytes] = []
        self.envelopes: list[tuple[str, list[str]]] = []
        self.answers: dict[str, str] = {}
        self.logins: list[str] = []
        self.tls, self.password = tls, password
        self.greeting = b"220 mail.test ESMTP\r\n"
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(CERTIFICATE)
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError), contextlib.ExitStack() as opened:
                    outer._converse(self.request, opened)

        class Server(Ending, socketserver.TCPServer):
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.end()

    def _converse(self, connection: socket.socket, opened: contextlib.ExitStack) -> None:
        is_secure = self.tls == "tls"
        if is_secure:
            connection = opened.enter_context(self._context.wrap_socket(connection, server_side=True))
        connection.sendall(self.greeting)
        lines, sender, to = opened.enter_context(connection.makefile("rb")), "", []
        while line := lines.readline():
            word, _, rest = line.decode().strip().partition(" ")
            word = word.upper()
            said = self.answers.get(f"{word} {rest}") or self.answers.get(word)
            if said:
                connection.sendall(f"{said}\r\n".encode())
            elif word == "STARTTLS":
                connection.sendall(b"220 go on\r\n")
                connection = opened.enter_context(self._context.wrap_socket(connection, server_side=True))
                lines, is_secure = opened.enter_context(connection.makefile("rb")), True
            elif word == "DATA":
                connection.sendall(b"354 go on\r\n")
                self._take(lines, sender, to)
                connection.sendall(b"250 queued as 42\r\n")
            elif word == "QUIT":
                connection.sendall(b"221 bye\r\n")
                return
            else:
                sender = rest if word == "MAIL" else sender
                to = [*to, rest] if word == "RCPT" else to
                connection.sendall(self._answer(word, rest, is_secure=is_secure))

    def _answer(self, word: str, rest: str, *, is_secure: bool) -> bytes:
        if word == "EHLO":
            offers = ["250-mail.test", "250-AUTH PLAIN"]
            offers += [] if is_secure or self.tls != "starttls" else ["250-STARTTLS"]
            return "\r\n".join([*offers, "250 8BITMIME", ""]).encode()
        if word == "AUTH":
            _, user, password = base64.b64decode(rest.partition(" ")[2]).decode().split("\0")
            self.logins.append(user)
            return b"235 ok\r\n" if password == self.password else b"535 wrong\r\n"
        return b"250 ok\r\n"

    def _take(self, lines: Any, sender: str, to: list[str]) -> None:
        content = b""
        while (line := lines.readline()) not in {b".\r\n", b""}:
            content += line
        self.raw.append(content)
        self.mails.append(message_from_bytes(content, policy=default))
        self.envelopes.append((sender, to))


@contextmanager
def mail_server(**options: Any) -> Iterator[MailServer]:
    """Run a mail server."""
    made = MailServer(**options)
    try:
        yield made
    finally:
        made.close()
