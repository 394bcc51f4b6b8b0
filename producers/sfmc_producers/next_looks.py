"""Which files of a folder are looked at when, and which belong together in a look."""

import heapq
from collections.abc import Iterable


class NextLooks:
    """The times at which files that are not stable yet are looked at again."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, str]] = []

    def replace(self, looks: Iterable[tuple[float, str]]) -> None:
        """Plan these and no others: each a time and the name of a file."""
        self._heap = list(looks)
        heapq.heapify(self._heap)

    def add(self, at: float, name: str) -> None:
        """Plan one more; a file may be planned any number of times."""
        heapq.heappush(self._heap, (at, name))

    def take(self, now: float) -> set[str]:
        """Give the files whose time has come."""
        names = set()
        while self._heap and self._heap[0][0] <= now:
            names.add(heapq.heappop(self._heap)[1])
        return names

    def next_in(self, now: float) -> float | None:
        """Give the seconds until the next one; None when none is planned."""
        return max(0.0, self._heap[0][0] - now) if self._heap else None


def with_markers(names: Iterable[str], marker: str | None) -> set[str]:
    """Add to each file its marker, and to each marker its file: one says nothing without the other."""
    found = set(names)
    if marker is None:
        return found
    files = {name.removesuffix(marker) for name in found}
    return found | files | {name + marker for name in files}
