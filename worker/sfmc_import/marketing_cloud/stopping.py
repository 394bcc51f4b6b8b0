"""How a process that ends gives up waiting: queries at once, a start that was sent after some seconds."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sfmc_import.marketing_cloud.http import Failed

ENDS = Failed("not_sent", "nothing was sent: this process ends")


class OpenCalls:
    """The connections of one kind that wait for an answer; another thread may cut them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._is_cut = False
        self.is_closed = False

    @contextmanager
    def holding(self, connection: socket.socket) -> Iterator[None]:
        """Count a connection as open for the time of a call; one that comes after the cut is cut before it sends."""
        with self._lock:
            self._open.add(connection)
            is_late = self._is_cut
        if is_late:
            _shut(connection)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)

    def close(self) -> None:
        """Let no further call begin."""
        self.is_closed = True

    def cut(self) -> None:
        """End all calls: who waits for an answer sees a connection that was closed."""
        self.close()
        with self._lock:
            self._is_cut = True
            for connection in self._open:
                _shut(connection)


def _shut(connection: socket.socket) -> None:
    # The method of the plain socket: that of TLS also takes its state apart, which belongs to the thread that reads.
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class Stopping:
    """The end of a process, as its calls to Marketing Cloud see it; safe for threads."""

    def __init__(self) -> None:
        self.queries = OpenCalls()
        self.starts = OpenCalls()
        self._has_begun = threading.Event()

    def pause(self, seconds: float) -> None:
        """Sleep, unless the process ends."""
        self._has_begun.wait(seconds)

    def begin(self, seconds: float) -> None:
        """Cut queries and let nothing new begin; what was sent to start an import is cut `seconds` later.

        A query changes nothing. A start that is cut is ambiguous, so it is looked for before anything is sent again.
        """
        self.starts.close()
        self._has_begun.set()
        self.queries.cut()
        cut = threading.Timer(seconds, self.starts.cut)
        cut.daemon = True
        cut.start()
