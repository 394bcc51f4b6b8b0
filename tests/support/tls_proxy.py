"""A port that speaks TLS and passes everything on to a port that does not."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

CERTIFICATE = Path(__file__).parents[1] / "integration" / "marketing_cloud" / "localhost.pem"
"""Certificate and key of localhost, 127.0.0.1 and ::1, signed by itself; it can sign no other."""


@contextlib.contextmanager
def tls_in_front_of(port: int, *, client_certificate: bool = False) -> Iterator[int]:
    """Yield the port; with `client_certificate` only clients with one signed by CERTIFICATE get through."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    if client_certificate:
        context.load_verify_locations(CERTIFICATE)
        context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, context, port), daemon=True).start()
        yield listener.getsockname()[1]
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, context: ssl.SSLContext, port: int) -> None:
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(plain, context, port), daemon=True).start()


def _serve(plain: socket.socket, context: ssl.SSLContext, port: int) -> None:
    try:
        with context.wrap_socket(plain, server_side=True) as outside, socket.create_connection(
            ("127.0.0.1", port)
        ) as inside:  # fmt: skip
            back = threading.Thread(target=_pump, args=(inside, outside), daemon=True)
            back.start()
            _pump(outside, inside)
            back.join()
    except OSError:
        plain.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    # ValueError: the other direction shut this TLS socket down in the middle of the call.
    with contextlib.suppress(OSError, ValueError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
