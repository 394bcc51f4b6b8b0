"""Compares the watcher's clock with the one that dates ctime, and notices when that was set."""

from collections.abc import Callable

from sfmc_producers.stability import Dating

STEP_SECONDS = 0.05
"""A clock that was set by less between two looks counts as not set: the two clocks are not read at one instant."""


class Clocks:
    """Gives the dating of each look; `wall` gives seconds since 1970 as ctime of a local file system has them."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._offset: float | None = None
        self._scanned_at: float | None = None

    def look(self, now: float) -> Dating | None:
        """Say how ctime is read in a look at `now`; None when no scan came before, or the clock was set since.

        After the clock was set nothing is dated until a scan has seen every file.
        """
        offset, before = now - self._wall(), self._offset
        self._offset = offset
        if before is None or abs(offset - before) > STEP_SECONDS:
            self._scanned_at = None
        return None if self._scanned_at is None else Dating(offset=offset, not_before=self._scanned_at)

    def scanned(self, begun: float) -> None:
        """Note that a scan that began then has seen every file."""
        self._scanned_at = begun

    def forget(self) -> None:
        """Note that what happens now is not seen."""
        self._scanned_at = None
