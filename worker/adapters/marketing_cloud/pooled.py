"""Posts over connections that are kept and shared by all threads; for calls that may be repeated, never for Perform."""

import os
import ssl
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from worker.adapters.marketing_cloud.wire import Failed, Reply, not_connected, place


class Post(Protocol):
    """Sends one POST; `timeout` in seconds bounds each wait for the answer."""

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Reply | Failed:
        """Give the complete answer, or why there is none."""
        ...


class PooledPost:
    """The one HTTP session of a process: keep-alive, no retries, no redirects; safe for threads and after a fork."""

    def __init__(self, tls: Callable[[], ssl.SSLContext], connect_timeout: float, connections: int = 64) -> None:
        self._tls = tls
        self._connect_timeout = connect_timeout
        self._connections = connections
        self._pool: urllib3.PoolManager | None = None
        self._process = 0

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Reply | Failed:
        """Send one POST and read the whole answer."""
        limits = urllib3.Timeout(connect=self._connect_timeout, read=timeout)
        pool = self._pool_for(url)
        try:
            answer = pool.request("POST", url, body=body, headers=headers, timeout=limits, retries=False)
        except HTTPError as error:
            return _failed(urlsplit(url), error)
        return Reply(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.data)

    def _pool_for(self, url: str) -> urllib3.PoolManager:
        # A child process must not write into its parent's connections.
        if self._pool is None or self._process != os.getpid():
            context = self._tls() if url.lower().startswith("https") else None
            self._pool = urllib3.PoolManager(num_pools=8, maxsize=self._connections, ssl_context=context)
            self._process = os.getpid()
        return self._pool


def _failed(address: SplitResult, error: HTTPError) -> Failed:
    # NewConnectionError first: it is a kind of ConnectTimeoutError in urllib3 2.
    if isinstance(error, NewConnectionError | SSLError):
        cause = error.__cause__ or error.__context__
        return not_connected(address, cause if isinstance(cause, Exception) else error)
    if isinstance(error, ConnectTimeoutError):
        return not_connected(address, TimeoutError())
    if isinstance(error, ReadTimeoutError):
        return Failed("read_timeout", f"{place(address)} gave no answer in time")
    return Failed("reset", f"{place(address)} broke off: {type(error).__name__}")
