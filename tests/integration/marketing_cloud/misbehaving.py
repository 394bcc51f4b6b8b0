"""A TCP server that misbehaves as a test asks, call by call."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

Behaviour = Callable[["Connection"], None]
CERTIFICATE = Path(__file__).parent / "localhost.pem"


class Connection:
    """One accepted connection, seen from the server."""

    def __init__(self, plain: socket.socket, server: "MisbehavingServer") -> None:
        self.socket = plain
        self.server = server

    def read(self) -> bytes:
        """Read one request, note it, and give it; empty when the client has gone."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.socket.recv(65536)
            if not piece:
                return b""
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        while len(body) < _length(head):
            body += self.socket.recv(65536)
        self.server.requests.append(head + b"\r\n\r\n" + body)
        return self.server.requests[-1]

    def answer(self, content: bytes, status: str = "200 OK", **headers: str) -> None:
        """Send a whole answer."""
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nContent-Length: {len(content)}\r\n{lines}\r\n"
        self.socket.sendall(head.encode() + content)

    def send(self, content: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(content)

    def reset(self) -> None:
        """Close with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def wait_for_the_end(self) -> None:
        """Say nothing until the client gives up."""
        with contextlib.suppress(OSError):
            while self.socket.recv(65536):
                pass

    def drip(self, content: bytes, pause: float = 0.05) -> None:
        """Send byte by byte until the client gives up."""
        with contextlib.suppress(OSError):
            for byte in content:
                self.socket.sendall(bytes([byte]))
                self.server.ended.wait(pause)


class MisbehavingServer:
    """Runs the next of `behaviours` for each connection, the last for ever; use as a context manager."""

    def __init__(self, *behaviours: Behaviour, tls: bool = False) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.ended = threading.Event()
        self._behaviours = list(behaviours)
        self._tls = _tls_context() if tls else None
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._open: list[socket.socket] = []
        self.url = f"{'https' if tls else 'http'}://localhost:{self._listener.getsockname()[1]}/"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for plain in self._open:
            with contextlib.suppress(OSError):
                plain.shutdown(socket.SHUT_RDWR)
            plain.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                self.connections += 1
                self._open.append(plain)
                behaviour = self._behaviours.pop(0) if len(self._behaviours) > 1 else self._behaviours[0]
                threading.Thread(target=self._serve, args=(plain, behaviour), daemon=True).start()

    def _serve(self, plain: socket.socket, behaviour: Behaviour) -> None:
        try:
            wrapped = self._tls.wrap_socket(plain, server_side=True) if self._tls else plain
            self._open.append(wrapped)
            with wrapped:
                behaviour(Connection(wrapped, self))
        except OSError:
            return
        except ValueError:
            # A TLS socket that another thread shuts down in the middle of a call says it with this error.
            if not self.ended.is_set():
                raise


def refused_address() -> str:
    """Give an address where no server listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"


@contextlib.contextmanager
def full_queue():
    """Give an address whose queue of connections is full, so that none is ever made."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


def _length(head: bytes) -> int:
    fields = head.lower().split(b"content-length:")
    return int(fields[1].split(b"\r\n")[0]) if len(fields) > 1 else 0


def _tls_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context
