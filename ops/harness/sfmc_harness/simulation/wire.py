"""A connection to the server of a simulation that costs little: one, for one thread at a time, without retries."""

import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import hiredis
from redis import Redis
from redis.exceptions import ResponseError

WAIT_SECONDS = 20.0


class QuickRedis:
    """Stands for redis.Redis on a unix socket; scripts and reads of records take the short way, the rest the usual one.

    A schedule makes 110 calls, and redis.Redis would take half of its time.
    """

    def __init__(self, url: str) -> None:
        self.usual = Redis.from_url(url, socket_timeout=WAIT_SECONDS)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(WAIT_SECONDS)
        self._socket.connect(urlsplit(url).path)
        self._reader = hiredis.Reader(replyError=ResponseError)

    def evalsha(self, sha: str, count: int, *given: Any) -> Any:
        """See redis.Redis.evalsha."""
        return self._call("EVALSHA", sha, count, *given)

    def hgetall(self, key: str) -> dict[bytes, bytes]:
        """See redis.Redis.hgetall."""
        flat = self._call("HGETALL", key)
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """See redis.Redis.mget."""
        found: list[bytes | None] = self._call("MGET", *keys)
        return found

    def evalsha_and(self, then: Sequence[Any], sha: str, count: int, *given: Any) -> tuple[Any, Any]:
        """Carry out a script and another command right after it; gives both replies, each an exception if it failed."""
        self._socket.sendall(hiredis.pack_command(("EVALSHA", sha, count, *given)) + hiredis.pack_command(tuple(then)))
        return self._reply(), self._reply()

    def _call(self, *words: Any) -> Any:
        self._socket.sendall(hiredis.pack_command(words))
        reply = self._reply()
        if isinstance(reply, Exception):
            raise reply
        return reply

    def _reply(self) -> Any:
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(65536))
        return reply

    def __getattr__(self, name: str) -> Any:
        """Any other command."""
        return getattr(self.usual, name)

    def close(self) -> None:
        """Close the connections."""
        with suppress(OSError):
            self._socket.close()
        self.usual.close()
