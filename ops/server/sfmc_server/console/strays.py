"""Files that start nothing: looked for once among the newest events, and then kept up with those that follow."""

import threading

from sfmc_import.events import Event, EventStream, kind
from sfmc_import.operations.unmatched import LOOKED_AT, UNMATCHED, UnmatchedFile, unmatched_files

BATCH = 1000
MAX_KEPT = 5000


class Strays:
    """What `status --unmatched` shows, without reading as much for each look at the page."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._position = ""
        self._found: list[UnmatchedFile] = []

    @property
    def count(self) -> str:
        """How many files there were at the last look, as a person reads it; `?` before the first."""
        if not self._position:
            return "?"
        return f"{MAX_KEPT}+" if len(self._found) >= MAX_KEPT else str(len(self._found))

    def read(self, stream: EventStream) -> list[UnmatchedFile]:
        """Give the files, newest first."""
        with self._lock:
            position, new = self._new_events(stream) if self._position else ("", None)
            if new is None:
                newest = stream.before("+", 1)
                self._found = unmatched_files(stream.backwards(LOOKED_AT))[:MAX_KEPT]
                self._position = newest[0][0] if newest else "0-0"
            else:
                self._take(new)
                self._position = position
            return self._found

    def _new_events(self, stream: EventStream) -> tuple[str, list[Event] | None]:
        """Give what came since the last look and its end; None where it is so much that looking anew is cheaper."""
        found: list[Event] = []
        begin = self._position
        while len(found) < LOOKED_AT:
            end, entries = stream.some_after(begin, BATCH)
            if end == begin:
                return end, found
            begin = end
            found += [event for _, event in entries]
        return begin, None

    def _take(self, new: list[Event]) -> None:
        settled = {_fingerprint(event) for event in new if kind(event) in UNMATCHED or kind(event) == "accepted"}
        kept = [file for file in self._found if file.fingerprint not in settled]
        self._found = [*unmatched_files(reversed(new)), *kept][:MAX_KEPT]


def _fingerprint(event: Event) -> str | None:
    file = event["data"].get("file")
    return file.get("fingerprint") if isinstance(file, dict) else None
