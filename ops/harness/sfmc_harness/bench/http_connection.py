"""Reads requests of HTTP/1.1 for the small servers of the bench; they answer faster than any framework."""

import asyncio
import re
from abc import ABC, abstractmethod

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


class HttpConnection(asyncio.Protocol, ABC):
    """One connection; requests are read one after the other, and each is given to `answer`."""

    def __init__(self) -> None:
        self._read = b""

    @abstractmethod
    def answer(self, head: bytes, body: bytes) -> None:
        """Answer one request, now or later, with `send`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what is written to."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            head = self._read[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length.group(1)) if length else 0)
            if len(self._read) < whole:
                return
            body, self._read = self._read[end + 4 : whole], self._read[whole:]
            self.answer(head, body)

    def send(self, reply: bytes, closes: bool = False) -> None:
        """Write a whole answer, unless the client has gone."""
        if not self._transport.is_closing():
            self._transport.write(reply)
            if closes:
                self._transport.close()
