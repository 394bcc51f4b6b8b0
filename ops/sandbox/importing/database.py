"""Connections to the row store's SQLite file: many readers, one writer at a time; no tables of ours here."""

import contextlib
import queue
import shutil
import sqlite3
import tempfile
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",  # readers see the last commit while an import writes
    "PRAGMA synchronous = OFF",  # a sandbox may lose its last rows when the machine, not the process, dies
    "PRAGMA cache_size = -16000",
    "PRAGMA temp_store = MEMORY",
)


class Database:
    """A pool of connections, safe from any thread; without a path the file is private and goes with it."""

    def __init__(self, path: Path | None) -> None:
        self.path = path or _private_file(self)
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._writing = threading.Lock()
        self._writer = self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=30)
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        return connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection; it never waits for a writer."""
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
        """Lend the one writing connection inside a transaction: committed at the end, undone by an error."""
        with self._writing:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")

    def close(self) -> None:
        """Close every connection that is not lent."""
        with self._writing:
            self._writer.close()
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()


def _private_file(owner: object) -> Path:
    folder = tempfile.mkdtemp(prefix="sfmc-sandbox-rows-")
    weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
    return Path(folder) / "rows.db"
