"""Gives calls of a library a deadline over all their parts: they run in a thread that can be left behind."""

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class DeadlineError(Exception):
    """A call did not return in time; it may still go on."""


class Call(Generic[T]):
    """A call that is under way."""

    def __init__(self, action: Callable[[], T]) -> None:
        self._action = action
        self._ended = threading.Event()
        self._answer: T | None = None
        self._error: Exception | None = None
        self._begun = time.monotonic()

    def run(self) -> None:
        """Do it; what it raises is kept for `result`."""
        try:
            self._answer = self._action()
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is wanted
            self._error = error
        finally:
            self._ended.set()

    def wait(self, seconds: float) -> bool:
        """Wait for its end; False when it has not ended in `seconds`."""
        return self._ended.wait(seconds)

    @property
    def seconds(self) -> float:
        """How long ago it was begun."""
        return time.monotonic() - self._begun

    def result(self) -> T:
        """Give its answer, or raise what it raised."""
        if self._error is not None:
            raise self._error
        return self._answer  # type: ignore[return-value]


class Caller:
    """A thread that does one call after the other; it ends with the process, whatever it waits for."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Call[Any] | None] = SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def begin(self, action: Callable[[], T]) -> Call[T]:
        """Begin a call when the ones before have ended."""
        call = Call(action)
        self._calls.put(call)
        return call

    def within(self, seconds: float, action: Callable[[], T]) -> T:
        """Do a call; raises DeadlineError when it did not return in time."""
        call = self.begin(action)
        if not call.wait(seconds):
            raise DeadlineError(f"no answer within {seconds:g} s")
        return call.result()

    def stop(self) -> None:
        """End the thread after the calls that were begun."""
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call.run()
