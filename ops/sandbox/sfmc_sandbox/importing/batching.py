"""Rows of a run wait here and go to the store many at a time; memory stays the same for any file."""

from itertools import groupby
from operator import itemgetter

from sfmc_sandbox.importing.columns import Values
from sfmc_sandbox.importing.definition import Action
from sfmc_sandbox.importing.destinations import Sink
from sfmc_sandbox.importing.outcome import Tally
from sfmc_sandbox.importing.rows import RowStore

_SIZE = 2_000
_ACTION = itemgetter(0)


class Batch:
    """Collects good and bad rows of one file; `flush` stores both in one transaction."""

    def __init__(self, store: RowStore, sink: Sink, tally: Tally, task_id: int, file: str) -> None:
        self._store = store
        self._sink = sink
        self._tally = tally
        self._of = (task_id, file)
        self._good: list[tuple[Action, Values]] = []
        self._bad: list[tuple[int, int, str, str, str]] = []

    def good(self, row: tuple[Action, Values]) -> None:
        """Take a row that can be stored."""
        self._good.append(row)
        if len(self._good) >= _SIZE:
            self.flush()

    def bad(self, line: int, raw: str, reason: str) -> None:
        """Take a row that cannot be stored, with its reason; it is counted as an error."""
        task_id, file = self._of
        self._tally.errors += 1
        self._bad.append((task_id, line, raw, reason, file))
        if len(self._bad) >= _SIZE:
            self.flush()

    def flush(self) -> None:
        """Store what waits, in the order of the file."""
        if not self._good and not self._bad:
            return
        with self._store.database.writing() as connection:
            for action, rows in groupby(self._good, key=_ACTION):
                self._sink(connection, action, [values for _, values in rows], self._tally)
            connection.executemany("INSERT INTO bad_row VALUES (?, ?, ?, ?, ?)", self._bad)
        self._good.clear()
        self._bad.clear()
