"""Counts what the threads of a worker do, to tell whether one that waits for others is missed."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class ThreadUse:
    """Counts the threads that carry a start, and those of them that wait for a Perform; safe for threads.

    Threads are scarce while Performs hold more than half of them: then more threads would start more. Else the
    processor is what limits, and a thread that waits leaves it to the others. `changed` guards the numbers, and wakes
    whoever waits on it when threads become scarce.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.changed = threading.Condition()
        self.scarce_since: float | None = None
        """Since when threads are scarce; None when they are not."""
        self._clock = clock
        self._carrying = 0
        self._starting = 0

    @contextmanager
    def carrying(self) -> Iterator[None]:
        """Count a thread that carries a start for the length of a block."""
        self._add(carrying=1)
        try:
            yield
        finally:
            self._add(carrying=-1)

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Count a thread that waits for a Perform for the length of a block."""
        self._add(starting=1)
        try:
            yield
        finally:
            self._add(starting=-1)

    def _add(self, carrying: int = 0, starting: int = 0) -> None:
        with self.changed:
            self._carrying += carrying
            self._starting += starting
            if 2 * self._starting <= self._carrying:
                self.scarce_since = None
            elif self.scarce_since is None:
                self.scarce_since = self._clock()
                self.changed.notify_all()
