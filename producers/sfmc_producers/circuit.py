"""Pauses calls to a backend that does not answer, and logs one line when an outage begins and one when it ends."""

from collections.abc import Callable
from typing import TypeVar

import structlog

from sfmc_import.client import ServiceUnavailableError
from sfmc_import.faults import NotApplied
from sfmc_import.retrying import NO_JITTER, WATCHER, Retry, Times, after

T = TypeVar("T")


class Circuit:
    """One backend: the ledger, or the definitions of a business unit. `clock` gives seconds."""

    def __init__(self, of: str, clock: Callable[[], float]) -> None:
        self._log = structlog.get_logger(__name__).bind(part=of)
        self._clock = clock
        self._since: float | None = None
        self._failures = 0
        self._next_try = 0.0

    def call(self, action: Callable[[], T]) -> T | None:
        """Do `action`; None during a pause or when the backend is unavailable. Other errors pass."""
        if self.is_waiting:
            return None
        try:
            answer = action()
        except ServiceUnavailableError as error:
            self._open(str(error))
            return None
        self._close()
        return answer

    @property
    def is_waiting(self) -> bool:
        """Whether an outage is on and the next try is still ahead."""
        return self._since is not None and self._clock() < self._next_try

    @property
    def next_in(self) -> float | None:
        """Seconds until the next try; None without an outage."""
        return None if self._since is None else max(0.0, self._next_try - self._clock())

    def _open(self, reason: str) -> None:
        if self._since is None:
            self._since = self._clock()
            self._log.error("backend_unavailable", reason=reason)
        self._failures += 1
        # All files of a watcher share a circuit, so its tries need not be spread.
        step = after(NotApplied("unavailable", reason), self._failures, Times(chance=NO_JITTER), WATCHER)
        assert isinstance(step, Retry)
        self._next_try = self._clock() + step.after

    def _close(self) -> None:
        if self._since is not None:
            self._log.info("backend_available", seconds=round(self._clock() - self._since, 1))
        self._since, self._failures = None, 0
