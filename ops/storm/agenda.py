"""What is to be done at which second; runs it when its time has come and knows nothing of what it is."""

import heapq
import itertools
import time
from collections.abc import Callable


class Agenda:
    """Calls in order of their times, on the monotonic clock, all in the thread that calls `do_due`."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._entries)

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call once, that many seconds from now."""
        heapq.heappush(self._entries, (time.monotonic() + seconds, next(self._numbers), call))

    def do_due(self) -> None:
        """Make every call whose time has come."""
        while self._entries and self._entries[0][0] <= time.monotonic():
            heapq.heappop(self._entries)[2]()
