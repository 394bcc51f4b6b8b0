"""Connections of uvicorn with a deadline for the head of a request and for reading answers; the body has its own."""

import asyncio
import socket
import struct
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""From the connection, or from the first byte of a further request, to the end of its head."""

READ_SECONDS = 30.0
"""How long a client may let what waits for it stand: above what is buffered (64 KiB), or once all is said."""


class TimedConnection(H11Protocol):
    """Ends a connection whose head does not come or whose answers are not read: uvicorn would wait without limit."""

    head_seconds = HEAD_SECONDS
    read_seconds = READ_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait on, unless a request is there."""
        super().data_received(data)
        if self._is_between():
            self._wait()
        else:
            self._stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop()
        self._is_read()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to wait until the client reads."""
        super().pause_writing()
        self._await_reading()

    def resume_writing(self) -> None:
        """Go on, as the client has read."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._is_read()

    def on_response_complete(self) -> None:
        """Go on with the next request, or see that what was said last is read."""
        super().on_response_complete()
        self._end_soon()

    def timeout_keep_alive_handler(self) -> None:
        """Close, and see that what was said last is read."""
        super().timeout_keep_alive_handler()
        self._end_soon()

    def send_400_response(self, msg: str) -> None:
        """Refuse, and see that this is read."""
        super().send_400_response(msg)
        self._end_soon()

    def shutdown(self) -> None:
        """Close, and see that what was said last is read."""
        super().shutdown()
        self._end_soon()

    def _end_soon(self) -> None:
        if self.transport.is_closing():
            self._await_reading()

    def _await_reading(self) -> None:
        if self._unread is None:
            waiting = self.transport.get_write_buffer_size()
            self._unread = self.loop.call_later(self.read_seconds, self._look_at_reading, waiting)

    def _look_at_reading(self, before: int) -> None:
        """Wait on for a client that reads, however slowly."""
        self._unread = None
        if self.transport.get_write_buffer_size() < before:
            self._await_reading()
        else:
            self._cut()

    def _cut(self) -> None:
        """Drop what is not read: close() would wait for the client, and so would the kernel with what it has."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _is_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _is_between(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        if self._head is None:
            self._head = self.loop.call_later(self.head_seconds, self._give_up)

    def _stop(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _give_up(self) -> None:
        self._head = None
        if self._is_between():
            self.transport.close()
            self._end_soon()
