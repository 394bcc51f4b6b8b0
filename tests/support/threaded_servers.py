"""Servers in threads of the test process that end with all they do: a connection kept by a client holds a thread."""

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import ThreadingHTTPServer
from typing import Any

from tests.support.waiting import eventually


class Ending(socketserver.ThreadingMixIn):
    """Knows its open connections, and ends them and their threads with itself."""

    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        self._open: set[Any] = set()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        super().shutdown_request(request)  # type: ignore[misc]
        self._open.discard(request)

    def end(self, release: Callable[[], object] = lambda: None) -> None:
        """Close the server and its connections; `release` lets go the answers that wait, each time it is called."""
        self.server_close()
        for each in list(self._open):
            with suppress(OSError):
                # What it answers now it can still say.
                each.shutdown(socket.SHUT_RD)
        eventually(lambda: not self._open or (release() and False), 10, "every connection is closed")


class EndingServer(Ending, ThreadingHTTPServer):
    """An HTTP server."""


@contextmanager
def serving(server: Any, release: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Serve from a thread for the length of a block."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join(10)
        server.end(release)
