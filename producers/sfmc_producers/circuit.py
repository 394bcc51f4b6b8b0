"""One pause for all who need a backend that does not answer."""

import threading
from collections.abc import Callable
from typing import TypeVar

import structlog

from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.faults import NotApplied
from sfmc_import.retrying import NO_JITTER, WATCHER, Retry, Times, after

T = TypeVar("T")


class Circuit:
    """One backend: the ledger, or the definitions of a business unit. `clock` gives seconds; safe for threads."""

    def __init__(self, of: str, clock: Callable[[], float]) -> None:
        self._log = structlog.get_logger(__name__).bind(part=of)
        self._clock = clock
        self._since: float | None = None
        self._failures = 0
        self._reason, self._code = "", ""
        self._failed_at = 0.0
        self._next_try = 0.0
        # Held for the lines of `_open` and `_close` only, never while the backend is asked.
        self._lock = threading.Lock()

    def call(self, action: Callable[[], T]) -> T | None:
        """Do `action`; None during a pause or when the backend is unavailable. Other errors pass."""
        if self.is_waiting:
            return None
        begun = self._clock()
        try:
            answer = action()
        except ServiceUnavailableError as error:
            with self._lock:
                self._open(error, begun)
            return None
        with self._lock:
            self._close()
        return answer

    @property
    def is_waiting(self) -> bool:
        """Whether an outage is on and the next try is still ahead."""
        # Each field is read once: another thread may close the circuit at any moment.
        return self._since is not None and self._clock() < self._next_try

    @property
    def next_in(self) -> float | None:
        """Seconds until the next try; None without an outage."""
        return None if self._since is None else max(0.0, self._next_try - self._clock())

    @property
    def next_at(self) -> float | None:
        """When it is tried next, by the clock of this object; None without an outage."""
        return None if self._since is None else self._next_try

    @property
    def outage(self) -> tuple[str, str] | None:
        """What failed last, in words and as a code where it has one; None without an outage."""
        return None if self._since is None else (self._reason, self._code)

    def _open(self, error: ServiceUnavailableError, begun: float) -> None:
        reason = str(error)
        if self._since is None:
            self._since = self._clock()
            self._log.error("backend_unavailable", reason=reason)
        elif begun < self._failed_at:
            # Another thread asked at the same time and has counted this failure.
            return
        self._failed_at = self._clock()
        self._reason, self._code = reason, getattr(error, "code", "")
        self._failures += 1
        # All files of a watcher share a circuit, so its tries need not be spread.
        step = after(NotApplied("unavailable", reason), self._failures, Times(chance=NO_JITTER), WATCHER)
        assert isinstance(step, Retry)
        self._next_try = self._clock() + step.after

    def _close(self) -> None:
        if self._since is not None:
            self._log.info("backend_available", seconds=round(self._clock() - self._since, 1))
        self._since, self._failures = None, 0
