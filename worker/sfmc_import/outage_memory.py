"""Remembers, for as long as a process lives, since when something that it asks gives no answer."""

import threading
import time
from collections.abc import Callable


class OutageMemory:
    """Safe for threads; `clock` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._since: dict[str, float] = {}
        self._answered: dict[str, float] = {}
        self._lock = threading.Lock()

    def failed(self, what: str) -> float | None:
        """Note that it gave no answer; give since when, or None where this is the first time that it is seen."""
        with self._lock:
            known = self._since.get(what)
            if known is None:
                self._since[what] = self._clock()
        return known

    def answered(self, what: str) -> None:
        """Note that it answered."""
        with self._lock:
            self._since.pop(what, None)
            self._answered[what] = self._clock()

    def last_answer(self, what: str) -> float | None:
        """Give when it answered last, as far as this process has noted it."""
        with self._lock:
            return self._answered.get(what)
