"""What a thread asks the file system now, and since when: another thread sees by it that a mount hangs."""

from collections.abc import Callable
from typing import NamedTuple


class Step(NamedTuple):
    """One question to the file system: about which path, and when it was asked."""

    path: str
    since: float


class Progress:
    """Written by one thread, read by others; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.step: Step | None = None
        """The question that has no answer yet; None while nothing is asked."""

    def at(self, path: str) -> None:
        """Say that the file system is asked about `path` from now on."""
        self.step = Step(path, self._clock())

    def answered(self) -> None:
        """Say that nothing is asked any more."""
        self.step = None
