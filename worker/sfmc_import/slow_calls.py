"""Keeps threads free for calls that answer: work that takes long goes on by itself, and its thread takes other work."""

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class TooManySlowCallsError(Exception):
    """So much work is slow that no more is begun; the ledger gives it again later."""


class SlowCalls(Generic[T]):
    """Runs work for the threads of a worker; safe for all of them.

    After `seconds` the work goes on in a thread of its own, for at most `limit` pieces of work at once. Beyond them
    half of the `threads` of the worker may wait for slow work; then no more is begun until some of it has ended.
    """

    def __init__(self, seconds: float, limit: int, threads: int) -> None:
        self._seconds = seconds
        self._limit = limit
        self._most_waiting = max(1, threads // 2)
        self._lock = threading.Lock()
        self._detached = 0
        self._waiting = 0
        self._threads = ThreadPoolExecutor(threads + limit, thread_name_prefix="call")

    def run(
        self, work: Callable[[], T], may_detach: Callable[[], bool], later: Callable[["Future[T]"], object]
    ) -> T | None:
        """Give what `work` gives or raise what it raises; None when it goes on, and `later` then gets its end.

        It goes on if `may_detach` says that the work is remembered elsewhere. Raises TooManySlowCallsError without
        beginning it.
        """
        if self._is_full():
            raise TooManySlowCallsError
        future = self._threads.submit(contextvars.copy_context().run, work)
        try:
            return future.result(self._seconds)
        except TimeoutError:
            if future.done():
                return future.result()
        if may_detach() and self._detach():
            future.add_done_callback(lambda ended: self._end(ended, later))
            return None
        return self._wait(future)

    def close(self) -> None:
        """Wait for what still goes on; each call has its deadline."""
        self._threads.shutdown(wait=True)

    def _is_full(self) -> bool:
        with self._lock:
            return self._detached >= self._limit and self._waiting >= self._most_waiting

    def _detach(self) -> bool:
        with self._lock:
            if self._detached >= self._limit:
                return False
            self._detached += 1
            return True

    def _end(self, ended: "Future[T]", later: Callable[["Future[T]"], object]) -> None:
        with self._lock:
            self._detached -= 1
        later(ended)

    def _wait(self, future: "Future[T]") -> T:
        with self._lock:
            self._waiting += 1
        try:
            return future.result()
        finally:
            with self._lock:
                self._waiting -= 1
