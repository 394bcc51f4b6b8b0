"""What calls of a process held when Redis went away: that the process lives is reported when Redis is back."""

import threading
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Protocol

from sfmc_import.ports import LedgerUnavailableError

MAX_HOLDS = 10_000
"""Calls that are remembered at most; older ones count as lost with their worker."""


class Hearer(Protocol):
    """The part of the ledger that hears it."""

    def outlived(self, owner: str, request_ids: Collection[str]) -> None:
        """See sfmc_import.ports.Ledger.outlived."""
        ...


class Outlived:
    """The holds of this process that no step has ended although the process lives; safe for threads."""

    def __init__(self) -> None:
        self._holds: deque[tuple[str, tuple[str, ...]]] = deque(maxlen=MAX_HOLDS)
        self._lock = threading.Lock()

    @contextmanager
    def noting(self, owner: str, request_ids: Collection[str]) -> Iterator[None]:
        """Remember what `owner` holds if Redis goes away before the end of this block."""
        try:
            yield
        except LedgerUnavailableError:
            self._holds.append((owner, tuple(request_ids)))
            raise

    @property
    def holds(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The owners that are not reported yet, each with its requests."""
        return tuple(self._holds)

    def report(self, ledger: Hearer) -> None:
        """Report to the ledger, if it can be reached; costs nothing when nothing is remembered."""
        if not self._holds or not self._lock.acquire(blocking=False):
            return
        try:
            while self._holds:
                ledger.outlived(*self._holds[0])
                self._holds.popleft()
        except LedgerUnavailableError:
            return
        finally:
            self._lock.release()
