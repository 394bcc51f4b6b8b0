"""The SQLite tables of data extensions: create, drop, find, read and write."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict

from sfmc_sandbox.importing.columns import DataExtension, Field, Value, Values
from sfmc_sandbox.importing.definition import Action
from sfmc_sandbox.importing.outcome import RefusedError, Tally

_MOST_FIELDS, _MOST_KEYS = 1000, 50
_AFFINITY = {"Number": "INTEGER", "Boolean": "INTEGER"}


def create_table(extension: DataExtension) -> str:
    """Return the CREATE TABLE of an extension; a key of text has a second column with its folded form."""
    columns = [f"c{index} {_AFFINITY.get(field.type, 'TEXT')}" for index, field in enumerate(extension.fields)]
    folded = [f"k{index} TEXT" for index in _folded_keys(extension)]
    keys = _key_columns(extension)
    key = f", PRIMARY KEY ({', '.join(keys)})" if keys else ""
    rowid = " WITHOUT ROWID" if keys else ""
    return f"CREATE TABLE {extension.table} ({', '.join([*columns, *folded])}, run INTEGER{key}){rowid}"


def _folded_keys(extension: DataExtension) -> list[int]:
    fields = enumerate(extension.fields)
    return [index for index, field in fields if field.is_primary_key and field.type not in _AFFINITY]


def _key_columns(extension: DataExtension) -> list[str]:
    """The columns of the primary key, in the order of the fields."""
    folded = _folded_keys(extension)
    keys = [index for index, field in enumerate(extension.fields) if field.is_primary_key]
    return [f"k{index}" if index in folded else f"c{index}" for index in keys]


def row_statement(
    extension: DataExtension, columns: Sequence[int], defaults: dict[int, Value], action: Action, run: int
) -> str:
    """Return the statement that does `action` with one row.

    The row's values are in the order of `columns`; for Delete, only those of the keys.
    `run` marks each row it touches. A key that this run has already written is written again (the last row
    of a file wins); under AddButDoNotUpdate that holds only for the run's own rows.
    """
    if action is Action.ADD_AND_UPDATE or action is Action.ADD_BUT_DO_NOT_UPDATE:
        return _insert(extension, columns, defaults, run) + _on_conflict(extension, columns, action, run)
    if action is Action.DELETE:
        columns = [column for column in columns if extension.fields[column].is_primary_key]
    folded = _folded_keys(extension)
    sets = [f"c{column} = ?{place}" for place, column in _places(columns)]
    keys = " AND ".join(
        f"k{column} = fold(?{place})" if column in folded else f"c{column} = ?{place}"
        for place, column in _places(columns)
        if extension.fields[column].is_primary_key
    )
    if action is Action.DELETE:
        return f"DELETE FROM {extension.table} WHERE {keys}"  # noqa: S608 - numbers only
    return f"UPDATE {extension.table} SET {', '.join(sets)}, run = {run} WHERE {keys}"  # noqa: S608


def _places(columns: Sequence[int]) -> list[tuple[int, int]]:
    return list(enumerate(columns, start=1))


def _insert(extension: DataExtension, columns: Sequence[int], defaults: dict[int, Value], run: int) -> str:
    folded = [(place, column) for place, column in _places(columns) if column in _folded_keys(extension)]
    names = [*(f"c{column}" for column in (*columns, *defaults)), *(f"k{column}" for _, column in folded)]
    values = [
        *(f"?{place}" for place, _ in _places(columns)),
        *map(_literal, defaults.values()),
        *(f"fold(?{place})" for place, _ in folded),
    ]
    return (
        f"INSERT INTO {extension.table} ({', '.join(names)}, run)"  # noqa: S608 - numbers and quoted text only
        f" VALUES ({', '.join(values)}, {run})"
    )


def _on_conflict(extension: DataExtension, columns: Sequence[int], action: Action, run: int) -> str:
    if not extension.has_primary_key:
        return ""
    keys = _key_columns(extension)
    sets = [f"c{column} = excluded.c{column}" for column in columns]
    guard = f" WHERE {extension.table}.run = {run}" if action is Action.ADD_BUT_DO_NOT_UPDATE else ""
    return f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {', '.join(sets)}, run = {run}{guard}"


def _literal(value: Value) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


SCHEMA = """
CREATE TABLE IF NOT EXISTS data_extension (
  number INTEGER PRIMARY KEY AUTOINCREMENT, mid TEXT, key TEXT, object_id TEXT COLLATE NOCASE, name TEXT, fields TEXT,
  folded TEXT, UNIQUE (mid, folded), UNIQUE (mid, object_id)
);
"""
_COLUMNS = "number, mid, key, object_id, name, fields"


def create(
    connection: sqlite3.Connection, mid: str, key: str, object_id: str, name: str, fields: Sequence[Field]
) -> DataExtension:
    """Make a data extension with its table; ValueError without fields, for a wrong field, a name or a key in use."""
    names = [field.name.casefold() for field in fields]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"data extension {key!r} needs fields with different names")
    keys = sum(field.is_primary_key for field in fields)
    if len(names) > _MOST_FIELDS or keys > _MOST_KEYS:
        raise ValueError(f"data extension {key!r} may have {_MOST_FIELDS} fields and {_MOST_KEYS} keys at most")
    for field in fields:
        field.check()
    text = json.dumps([asdict(field) for field in fields])
    try:
        number = connection.execute(
            "INSERT INTO data_extension (mid, key, object_id, name, fields, folded)"
            " VALUES (?1, ?2, ?3, ?4, ?5, fold(?2))",
            (mid, key, object_id, name, text),
        ).lastrowid
    except sqlite3.IntegrityError:
        raise ValueError(f"a data extension {key!r} exists already") from None
    assert number is not None
    extension = DataExtension(number, mid, key, object_id, name, tuple(fields))
    connection.execute(create_table(extension))
    return extension


def drop(connection: sqlite3.Connection, extension: DataExtension) -> None:
    """Remove a data extension and its rows."""
    connection.execute("DELETE FROM data_extension WHERE number = ?", (extension.number,))
    connection.execute(f"DROP TABLE IF EXISTS {extension.table}")


def find(connection: sqlite3.Connection, mid: str, name: str) -> DataExtension | None:
    """Return the data extension whose key or ObjectID is `name`, None if there is none."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM data_extension WHERE mid = ?1 AND (folded = fold(?2) OR object_id = ?2)",  # noqa: S608
        (mid, name),
    ).fetchone()
    return row and _described(row)


def every(connection: sqlite3.Connection, mid: str) -> list[DataExtension]:
    """Return the data extensions of a business unit in the order of their making."""
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM data_extension WHERE mid = ? ORDER BY number",  # noqa: S608
        (mid,),
    )
    return [_described(row) for row in found]


def everywhere(connection: sqlite3.Connection) -> list[DataExtension]:
    """Return the data extensions of all business units."""
    found = connection.execute(f"SELECT {_COLUMNS} FROM data_extension")  # noqa: S608
    return [_described(row) for row in found]


def _described(row: tuple[int, str, str, str, str, str]) -> DataExtension:
    number, mid, key, object_id, name, fields = row
    return DataExtension(number, mid, key, object_id, name, tuple(Field(**field) for field in json.loads(fields)))


def read(
    connection: sqlite3.Connection, extension: DataExtension, limit: int, offset: int
) -> Iterator[tuple[Value, ...]]:
    """Yield the rows as tuples in the order of the fields; a `limit` of -1 is all."""
    columns = ", ".join(f"c{index}" for index in range(len(extension.fields)))
    yield from connection.execute(
        f"SELECT {columns} FROM {extension.table} LIMIT ? OFFSET ?",  # noqa: S608
        (limit, offset),
    )


def row_count(connection: sqlite3.Connection, extension: DataExtension) -> int:
    """Return how many rows a data extension has."""
    found: int = connection.execute(f"SELECT count(*) FROM {extension.table}").fetchone()[0]  # noqa: S608
    return found


class TableWriter:
    """Writes the rows of one run into one data extension and counts the results."""

    def __init__(self, extension: DataExtension, run: int) -> None:
        self._extension = extension
        self._run = run

    def statements(self, columns: Sequence[int], defaults: dict[int, Value]) -> Callable[[Action], str]:
        """Return a function from an action to its SQL, for rows with their values in the order of `columns`."""
        known: dict[Action, str] = {}

        def statement(action: Action) -> str:
            if action not in known:
                known[action] = row_statement(self._extension, columns, defaults, action, self._run)
            return known[action]

        return statement

    def empty(self, connection: sqlite3.Connection) -> None:
        """Remove all rows (Overwrite)."""
        self._check_exists(connection)
        connection.execute(f"DELETE FROM {self._extension.table}")  # noqa: S608

    def write(
        self, connection: sqlite3.Connection, statement: str, action: Action, rows: Sequence[Values], tally: Tally
    ) -> None:
        """Apply `action` to `rows`; rows that the action does not touch are counted at once in `tally`."""
        self._check_exists(connection)
        changed = connection.executemany(statement, rows).rowcount
        untouched = len(rows) - changed
        if action is Action.ADD_BUT_DO_NOT_UPDATE:
            tally.duplicated += untouched
        else:
            tally.restricted += untouched
        if action is Action.DELETE:
            tally.successful += changed
        else:
            tally.written += changed

    def finish(self, connection: sqlite3.Connection, tally: Tally) -> None:
        """Count each key that was written once as successful, its further rows as duplicated."""
        kept = self._count_touched(connection, tally.written)
        tally.successful += kept
        tally.duplicated += tally.written - kept

    def _count_touched(self, connection: sqlite3.Connection, written: int) -> int:
        self._check_exists(connection)
        if not written or not self._extension.has_primary_key:
            return written
        query = f"SELECT count(*) FROM {self._extension.table} WHERE run = ?"  # noqa: S608
        found: int = connection.execute(query, (self._run,)).fetchone()[0]
        return found

    def _check_exists(self, connection: sqlite3.Connection) -> None:
        query = "SELECT 1 FROM data_extension WHERE number = ?"
        if connection.execute(query, (self._extension.number,)).fetchone() is None:
            raise RefusedError(f"the data extension {self._extension.key!r} was deleted while the import ran")


def as_text(rows: Iterable[tuple[Value, ...]], fields: Sequence[Field], null_text: str) -> Iterator[list[str]]:
    """Yield stored rows as the columns of a file would spell them."""
    truths = [field.type == "Boolean" for field in fields]
    for row in rows:
        yield [_spelled(value, null_text, truth=truth) for value, truth in zip(row, truths, strict=True)]


def _spelled(value: Value, null_text: str, *, truth: bool) -> str:
    if value is None:
        return null_text
    return str(bool(value)) if truth else str(value)
