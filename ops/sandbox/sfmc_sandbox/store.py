"""Stores objects as documents in SQLite, and claims the data folder for one process."""

import contextlib
import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any, TextIO

from sfmc_sandbox.comparing import Fold, as_database
from sfmc_sandbox.private_files import make_private_folder, open_private

_TABLES = """
CREATE TABLE IF NOT EXISTS objects (
    kind TEXT NOT NULL, mid INTEGER NOT NULL, customer_key TEXT NOT NULL, object_id TEXT NOT NULL,
    number INTEGER NOT NULL, document TEXT NOT NULL, folded TEXT NOT NULL,
    PRIMARY KEY (kind, mid, folded)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_object_id ON objects (kind, mid, object_id);
CREATE INDEX IF NOT EXISTS by_number ON objects (kind, mid, number);
CREATE TABLE IF NOT EXISTS runs (
    task_id INTEGER PRIMARY KEY, mid INTEGER NOT NULL, customer_key TEXT NOT NULL, definition TEXT NOT NULL,
    started REAL NOT NULL, visible REAL NOT NULL, shown REAL NOT NULL, ended REAL, status TEXT NOT NULL,
    outcome TEXT, faults TEXT NOT NULL, folded TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS runs_by_folded_key ON runs (mid, folded);
CREATE TABLE IF NOT EXISTS forgotten_runs (highest INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS tokens (
    token TEXT PRIMARY KEY, principal TEXT NOT NULL, mid INTEGER NOT NULL, expires REAL NOT NULL);
"""
_COLUMNS = "kind, mid, customer_key, object_id, number, document"


@dataclass(frozen=True)
class StoredObject:
    """One object: its kind (wire type name), business unit, identities and document (wire names)."""

    kind: str
    mid: int
    customer_key: str
    object_id: str
    number: int
    document: Mapping[str, Any]


class Store:
    """The sandbox's SQLite file, or memory when no path is given. Safe to use from several threads.

    Keys with the same folded form are the same key.
    """

    def __init__(self, path: Path | None, fold: Fold = as_database) -> None:
        self.lock = RLock()
        self.fold = fold
        self.connection = sqlite3.connect(
            str(path or ":memory:"), check_same_thread=False, isolation_level=None, cached_statements=256
        )
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=OFF")
        self.connection.executescript(_TABLES)

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            self.connection.close()

    def clear(self) -> None:
        """Forget every object and every run, but not which numbers runs have had; tokens stay."""
        with self.lock:
            self.connection.execute("DELETE FROM objects")
            self.connection.execute("INSERT INTO forgotten_runs SELECT max(task_id) FROM runs HAVING count(*)")
            self.connection.execute("DELETE FROM runs")

    def count(self) -> int:
        """How many objects there are, of all kinds and business units."""
        with self.lock:
            return int(self.connection.execute("SELECT count(*) FROM objects").fetchone()[0])

    def put(self, thing: StoredObject) -> None:
        """Write an object, replacing the one with the same kind, business unit and key."""
        document = json.dumps(thing.document, separators=(",", ":"))
        with self.lock:
            self.connection.execute(
                f"INSERT OR REPLACE INTO objects ({_COLUMNS}, folded) VALUES (?,?,?,?,?,?,?)",  # noqa: S608  a constant
                (thing.kind, thing.mid, thing.customer_key, thing.object_id, thing.number, document,
                 self.fold(thing.customer_key)),
            )  # fmt: skip

    def remove(self, thing: StoredObject) -> None:
        """Forget an object; unknown ones are no error."""
        with self.lock:
            self.connection.execute(
                "DELETE FROM objects WHERE kind=? AND mid=? AND folded=?",
                (thing.kind, thing.mid, self.fold(thing.customer_key)),
            )

    def by_key(self, kind: str, mid: int, customer_key: str) -> StoredObject | None:
        """The object with this CustomerKey, in any spelling that is the same key."""
        return self._one("folded", kind, mid, self.fold(customer_key))

    def by_object_id(self, kind: str, mid: int, object_id: str) -> StoredObject | None:
        """The object with this ObjectID (lower-case guid)."""
        return self._one("object_id", kind, mid, object_id.lower())

    def by_number(self, kind: str, mid: int, number: int) -> StoredObject | None:
        """The object with this numeric ID."""
        return self._one("number", kind, mid, number)

    def all(self, kind: str, mid: int) -> Iterator[StoredObject]:
        """Every object of a kind in a business unit, in order of its key."""
        with self.lock:
            query = f"SELECT {_COLUMNS} FROM objects WHERE kind=? AND mid=? ORDER BY customer_key"  # noqa: S608
            rows = self.connection.execute(query, (kind, mid)).fetchall()
        return map(_stored, rows)

    def _one(self, column: str, kind: str, mid: int, value: str | int) -> StoredObject | None:
        query = f"SELECT {_COLUMNS} FROM objects WHERE kind=? AND mid=? AND {column}=?"  # noqa: S608  a constant
        with self.lock:
            row = self.connection.execute(query, (kind, mid, value)).fetchone()
        return None if row is None else _stored(row)


def _stored(row: tuple[Any, ...]) -> StoredObject:
    kind, mid, customer_key, object_id, number, document = row
    return StoredObject(kind, mid, customer_key, object_id, number, json.loads(document))


try:
    import fcntl
except ImportError:  # Windows: two sandboxes on one folder are not detected there
    fcntl = None  # type: ignore[assignment]

_CLAIM = "sandbox.lock"
_DATABASES = ("sandbox.sqlite", "rows.sqlite")
_OURS = ("sandbox.", "rows.")


class DataFolderError(Exception):
    """The data folder cannot be used; the text says which, why and what to do."""


class DataFolder:
    """A folder that belongs to this process until `release`; a temporary one when no path is given."""

    def __init__(self, path: Path | None) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="sfmc-sandbox-") if path is None else None
        self.path = Path(self._temporary.name) if self._temporary else path or Path()
        self._claim = _claim(self.path)

    def release(self) -> None:
        """Let others use the folder, or remove it when it was temporary."""
        self._claim.close()
        if self._temporary:
            with contextlib.suppress(OSError):
                self._temporary.cleanup()


def _check_links(path: Path) -> None:
    """Refuse a folder in which a file of ours is a link: tokens and rows would go where it leads."""
    for file in path.iterdir():
        if file.name.startswith(_OURS) and file.is_symlink():
            raise OSError(f"{file.name} in it is a link, and links are not followed here")
    for name in _DATABASES:
        # SQLite would make it readable for everybody.
        os.close(open_private(path / name, empty=False))


def _claim(path: Path) -> TextIO:
    try:
        make_private_folder(path)
        _check_links(path)
        claim = os.fdopen(open_private(path / _CLAIM, empty=False), "w")
    except OSError as problem:
        raise DataFolderError(f"cannot use the data folder {path}: {problem.strerror or problem}") from problem
    if fcntl is not None:
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            claim.close()
            raise DataFolderError(
                f"another sandbox uses the data folder {path}: end it or use another folder"
            ) from problem
    return claim
