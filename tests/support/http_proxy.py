"""A small HTTP proxy as a process: python -m tests.support.http_proxy [USER:PASSWORD]; prints its port.

It carries CONNECT and plain requests. With a login it refuses others with 407. Each line of its standard output after
the first is the request line of one connection.
"""

import base64
import socket
import sys
import threading
from contextlib import suppress


def main() -> None:
    login = sys.argv[1] if len(sys.argv) > 1 else ""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        _say(str(listener.getsockname()[1]))
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, login), daemon=True).start()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _serve(client: socket.socket, login: str) -> None:
    with client, suppress(OSError):
        head, rest = _head(client)
        lines = head.decode("latin-1").split("\r\n")
        _say(lines[0])
        if login and f"Proxy-Authorization: Basic {base64.b64encode(login.encode()).decode()}" not in lines:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        _carry(client, lines, head, rest)


def _head(client: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(65536)
        if not piece:
            raise ConnectionError
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _carry(client: socket.socket, lines: list[str], head: bytes, rest: bytes) -> None:
    method, target, _ = lines[0].split(" ")
    place = target if method == "CONNECT" else target.split("/")[2]
    host, _, port = place.rpartition(":")
    try:
        server = socket.create_connection((host, int(port)), 5)
    except OSError:
        client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        return
    if method == "CONNECT":
        # Any final answer may come after interim ones.
        client.sendall(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 Connection established\r\n\r\n")
    else:
        server.sendall(head + b"\r\n\r\n" + rest)
    threading.Thread(target=_pump, args=(server, client), daemon=True).start()
    _pump(client, server)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        source.settimeout(None)
        while data := source.recv(65536):
            target.sendall(data)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    main()
