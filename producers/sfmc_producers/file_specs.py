"""The FileSpecs of business units, as old as a start may use them, or newer than a file that they do not name."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from sfmc_import.circuits import failed_code
from sfmc_import.definitions import CachedDefinitions, ReadList
from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.request import FileInfo
from sfmc_import.routing import FileSpecs
from sfmc_producers.circuit import Circuit

FRESH_FOR = 1.0
"""Seconds in which all files of a scan share one reading of the definitions."""

ANEW_SECONDS = 1.0
"""Seconds between two readings for files that no definition names, however many of them come."""

MOST_UNNAMED = 100_000


class DefinitionsUnavailableError(ServiceUnavailableError):
    """The definitions of a business unit cannot be read now; `code` says why, as for a start."""

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class _Read:
    asked_at: float
    taken_at: float
    specs: FileSpecs


class ReadFileSpecs:
    """Reads them through the `circuits` of their business units; safe for threads.

    `max_age` is how old they may be for a start, in seconds. That no definition names a file is its end, so that is
    only said by definitions that were asked for after the file was seen first.
    """

    def __init__(
        self,
        definitions: CachedDefinitions,
        max_age: float,
        clock: Callable[[], float],
        circuits: Callable[[str], Circuit],
        *,
        most: int = MOST_UNNAMED,
    ) -> None:
        self._definitions, self._max_age, self._clock, self._circuits = definitions, max_age, clock, circuits
        self._most = most
        self._read: dict[str, _Read] = {}
        # When a file that none names was seen first: who comes later must not keep it waiting.
        self._unnamed: dict[tuple[str, FileInfo], float] = {}
        self._noting = threading.Lock()

    def usual(self, mid: str) -> FileSpecs | None:
        """Give them for a start; None: not now."""
        kept = self._read.get(mid)
        if kept is None or self._clock() - kept.taken_at >= FRESH_FOR:
            kept = self._take(mid, self._max_age)
        return None if kept is None else kept.specs

    def newer(self, mid: str, file: FileInfo, since: float) -> FileSpecs | None:
        """Give what was asked for after this file was seen, at `since` or before; None: not now, ask again."""
        seen = self._seen(mid, file, since)
        kept = self._read.get(mid)
        if kept is None or not self._is_newer(kept, seen):
            # A list that cannot be read anew is given on for a while: that says where a file goes, not that none does.
            kept = None if self._is_too_soon(kept) else self._take(mid, 0.0)
        if kept is None or not self._is_newer(kept, seen):
            return None
        with self._noting:
            self._unnamed.pop((mid, file), None)
        return kept.specs

    def is_new(self, mid: str) -> bool:
        """Tell whether they were read so lately that files which none names wait for the next reading."""
        return self._is_too_soon(self._read.get(mid))

    def _is_newer(self, kept: _Read, seen: float) -> bool:
        return kept.asked_at >= seen and self._clock() - kept.asked_at <= self._max_age

    def _is_too_soon(self, kept: _Read | None) -> bool:
        return kept is not None and self._clock() - kept.asked_at < ANEW_SECONDS

    def _seen(self, mid: str, file: FileInfo, since: float) -> float:
        with self._noting:
            if (mid, file) not in self._unnamed and len(self._unnamed) >= self._most:
                del self._unnamed[next(iter(self._unnamed))]
            return self._unnamed.setdefault((mid, file), since)

    def _take(self, mid: str, max_age: float) -> _Read | None:
        read = self._circuits(mid).call(lambda: self._ask(mid, max_age))
        if read is None:
            return None
        # The time comes before the age: what passes between the two makes the list older, and never newer.
        now = self._clock()
        found = self._read[mid] = _Read(now - read.age(), now, FileSpecs(read.definitions, mid))
        return found

    def _ask(self, mid: str, max_age: float) -> ReadList:
        found = self._definitions.list_of(mid, max_age=max_age)
        if isinstance(found, (NotApplied, Rejected)):
            code = failed_code(found.code, found.text)
            # The code comes first: the end of a long text is cut off where it is shown.
            text = f"Cannot read the definitions of business unit {mid} ({code}): {found.text}"
            raise DefinitionsUnavailableError(text, code)
        return found
