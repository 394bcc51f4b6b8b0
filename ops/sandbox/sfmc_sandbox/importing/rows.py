"""The row store: data extensions, lists and bad rows of all business units in one SQLite file."""

import contextlib
import queue
import shutil
import sqlite3
import tempfile
import threading
import weakref
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from sfmc_sandbox.comparing import Fold, as_database
from sfmc_sandbox.importing import lists, tables
from sfmc_sandbox.importing.columns import DataExtension, Field, Value
from sfmc_sandbox.importing.lists import MailingList, Subscriber

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",  # readers see the last commit while an import writes
    "PRAGMA synchronous = OFF",  # a sandbox may lose its last rows when the machine, not the process, dies
    "PRAGMA cache_size = -16000",
    "PRAGMA temp_store = MEMORY",
)


class Database:
    """A pool of connections, safe from any thread; without a path the file is private and is deleted at the end."""

    def __init__(self, path: Path | None, fold: Fold) -> None:
        self.path = path or _private_file(self)
        self._fold = fold
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._writing = threading.Lock()
        self._writer = self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=30)
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        connection.create_function("fold", 1, self._fold, deterministic=True)
        return connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection for reading; it does not wait for a writer."""
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = self._connect()
        try:
            yield connection
        finally:
            self._idle.put(connection)

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give the one connection for writing, in a transaction: committed at the end, rolled back by an error."""
        with self._writing:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")

    def close(self) -> None:
        """Close every connection that is not in use."""
        with self._writing:
            self._writer.close()
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()


def _private_file(owner: object) -> Path:
    folder = tempfile.mkdtemp(prefix="sfmc-sandbox-rows-")
    weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
    return Path(folder) / "rows.db"


_SCHEMA = """
CREATE TABLE IF NOT EXISTS bad_row (
  task_id INTEGER, line INTEGER, raw TEXT, reason TEXT, file TEXT, number INTEGER
);
CREATE INDEX IF NOT EXISTS bad_row_of_task ON bad_row (task_id);
CREATE TABLE IF NOT EXISTS opening (number INTEGER PRIMARY KEY AUTOINCREMENT);
"""
_ALL = -1
_MANY = 2**63
_RUNS_OF_AN_OPENING = 2**32


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that could not be imported: the line at which it begins in the file, its text, and why.

    `row` counts the rows of the file from 1, without headings and blank lines; a row may have several lines.
    """

    line: int
    raw: str
    reason: str
    file: str
    row: int


class RowStore:
    """Data extensions, lists and their rows. Safe to use from several threads.

    `most_rows` is how many rows one destination may hold, `most_bad_rows` how many bad rows of one run are kept.
    Without a `path` the rows are in a private temporary file, which is deleted with the store. Keys with the same
    folded form are the same key.
    """

    def __init__(self, path: Path | None = None, fold: Fold = as_database) -> None:
        self.database = Database(path, fold)
        self.most_rows, self.most_bad_rows = _MANY, _MANY
        self._guard = threading.Lock()
        self._in_use: dict[str, threading.Lock] = defaultdict(threading.Lock)
        with self.database.writing() as connection:
            for statement in (_SCHEMA + tables.SCHEMA + lists.SCHEMA).split(";\n"):
                connection.execute(statement)
            opening = connection.execute("INSERT INTO opening DEFAULT VALUES").lastrowid or 0
        self._numbers = count(opening * _RUNS_OF_AN_OPENING)

    def clear(self) -> None:
        """Remove every data extension, list, subscriber and bad row; numbers of lists are not used again."""
        with self.database.writing() as connection:
            for extension in tables.everywhere(connection):
                tables.drop(connection, extension)
            for table in ("list", "membership", "subscriber", "bad_row"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608  a constant

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def create_data_extension(
        self, mid: str, key: str, object_id: str, name: str, fields: Sequence[Field]
    ) -> DataExtension:
        """Make a data extension; ValueError without fields, for a field twice or a key that is in use."""
        with self.database.writing() as connection:
            return tables.create(connection, mid, key, object_id, name, fields)

    def drop_data_extension(self, mid: str, key: str) -> bool:
        """Remove the data extension with this key or ObjectID and its rows; False if there is none."""
        with self.database.writing() as connection:
            found = tables.find(connection, mid, key)
            if found is not None:
                tables.drop(connection, found)
            return found is not None

    def data_extension(self, mid: str, key: str) -> DataExtension | None:
        """Return the data extension with this key or ObjectID, None if there is none."""
        with self.database.reading() as connection:
            return tables.find(connection, mid, key)

    def data_extensions(self, mid: str) -> list[DataExtension]:
        """Return the data extensions of a business unit, the oldest first."""
        with self.database.reading() as connection:
            return tables.every(connection, mid)

    def rows(self, mid: str, key: str, limit: int = _ALL, offset: int = 0) -> Iterator[dict[str, Value | bool]]:
        """Yield rows as field name to value: Number is int, Boolean bool, Date ISO text, Decimal text, null None.

        Raises KeyError if the business unit has no such data extension.
        """
        extension = self.data_extension(mid, key)
        if extension is None:
            raise KeyError(key)
        names = [field.name for field in extension.fields]
        truths = [field.type == "Boolean" for field in extension.fields]
        with self.database.reading() as connection:
            for row in tables.read(connection, extension, limit, offset):
                shown = [
                    bool(value) if truth and value is not None else value
                    for value, truth in zip(row, truths, strict=True)
                ]
                yield dict(zip(names, shown, strict=True))

    def row_count(self, mid: str, key: str) -> int:
        """Return how many rows a data extension holds; KeyError if there is none."""
        extension = self.data_extension(mid, key)
        if extension is None:
            raise KeyError(key)
        with self.database.reading() as connection:
            found: int = connection.execute(f"SELECT count(*) FROM {extension.table}").fetchone()[0]  # noqa: S608
            return found

    def create_list(self, mid: str, name: str, list_id: int | None = None, *, all_subscribers: bool = False) -> int:
        """Make a list and return its ID; ValueError if `list_id` is taken."""
        with self.database.writing() as connection:
            return lists.create(connection, mid, name, list_id, is_all=all_subscribers)

    def mailing_list(self, mid: str, list_id: int) -> MailingList | None:
        """Return a list by its ID, None if the business unit has none."""
        with self.database.reading() as connection:
            return lists.find(connection, mid, list_id)

    def list_exists(self, mid: str, list_id: int) -> bool:
        """Return whether the business unit has this list."""
        return self.mailing_list(mid, list_id) is not None

    def subscribers(self, mid: str, list_id: int) -> Iterator[Subscriber]:
        """Yield the subscribers of a list by address; none if there is no such list."""
        target = self.mailing_list(mid, list_id)
        if target is not None:
            with self.database.reading() as connection:
                yield from lists.members(connection, target)

    def set_status(self, mid: str, address: str, status: str) -> bool:
        """Set a subscriber's status (Active, Bounced, Held, Unsubscribed); False if no subscriber has the address."""
        with self.database.writing() as connection:
            return lists.set_status(connection, mid, address, status)

    def bad_rows(self, task_id: int, limit: int = 100, offset: int = 0) -> list[BadRow]:
        """Return bad rows of a run in the order of the file."""
        query = "SELECT line, raw, reason, file, number FROM bad_row WHERE task_id = ? ORDER BY rowid LIMIT ? OFFSET ?"
        with self.database.reading() as connection:
            return [BadRow(*row) for row in connection.execute(query, (task_id, limit, offset))]

    def forget_bad_rows(self, task_id: int) -> None:
        """Remove the bad rows of a run that begins anew."""
        with self.database.writing() as connection:
            connection.execute("DELETE FROM bad_row WHERE task_id = ?", (task_id,))

    def new_run(self) -> int:
        """Return the number that marks the rows of one run; it is unique, also after a restart."""
        return next(self._numbers)

    @contextlib.contextmanager
    def alone(self, destination: str) -> Iterator[None]:
        """Let one run at a time write into a destination, so that the marks of two runs do not mix."""
        with self._guard:
            lock = self._in_use[destination]
        with lock:
            yield
