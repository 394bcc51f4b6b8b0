"""The SQL text for the rows of one data extension; pure: nothing is executed here."""

from collections.abc import Sequence

from ops.sandbox.importing.fields import DataExtension, Field, Value
from ops.sandbox.importing.updating import Action

_AFFINITY = {"Number": "INTEGER", "Boolean": "INTEGER"}


def create_table(extension: DataExtension) -> str:
    """Return the CREATE TABLE of an extension; keys compare without case, as the service's database does."""
    columns = [_column(index, field) for index, field in enumerate(extension.fields)]
    keys = [f"c{index}" for index, field in enumerate(extension.fields) if field.is_primary_key]
    key = f", PRIMARY KEY ({', '.join(keys)})" if keys else ""
    rowid = " WITHOUT ROWID" if keys else ""
    return f"CREATE TABLE {extension.table} ({', '.join(columns)}, run INTEGER{key}){rowid}"


def _column(index: int, field: Field) -> str:
    affinity = _AFFINITY.get(field.type, "TEXT")
    collation = " COLLATE NOCASE" if field.is_primary_key and affinity == "TEXT" else ""
    return f"c{index} {affinity}{collation}"


def row_statement(
    extension: DataExtension, columns: Sequence[int], defaults: dict[int, Value], action: Action, run: int
) -> str:
    """Return the statement that does `action` with one row.

    The row's values stand in the order of `columns`, for Delete only those of the keys among them.
    `run` marks each row it touches. A key that this run has already written is written again (the last row
    of a file wins); under AddButDoNotUpdate that holds only for the run's own rows.
    """
    if action is Action.ADD_AND_UPDATE or action is Action.ADD_BUT_DO_NOT_UPDATE:
        return _insert(extension, columns, defaults, run) + _on_conflict(extension, columns, action, run)
    if action is Action.DELETE:
        columns = [column for column in columns if extension.fields[column].is_primary_key]
    sets = [f"c{column} = ?{place}" for place, column in _places(columns)]
    keys = " AND ".join(
        text for text, column in zip(sets, columns, strict=True) if extension.fields[column].is_primary_key
    )
    if action is Action.DELETE:
        return f"DELETE FROM {extension.table} WHERE {keys}"  # noqa: S608 - numbers only
    return f"UPDATE {extension.table} SET {', '.join(sets)}, run = {run} WHERE {keys}"  # noqa: S608


def _places(columns: Sequence[int]) -> list[tuple[int, int]]:
    return list(enumerate(columns, start=1))


def _insert(extension: DataExtension, columns: Sequence[int], defaults: dict[int, Value], run: int) -> str:
    names = [f"c{column}" for column in (*columns, *defaults)]
    values = [*(f"?{place}" for place, _ in _places(columns)), *map(_literal, defaults.values())]
    return (
        f"INSERT INTO {extension.table} ({', '.join(names)}, run)"  # noqa: S608 - numbers and quoted text only
        f" VALUES ({', '.join(values)}, {run})"
    )


def _on_conflict(extension: DataExtension, columns: Sequence[int], action: Action, run: int) -> str:
    if not extension.has_primary_key:
        return ""
    keys = [f"c{index}" for index, field in enumerate(extension.fields) if field.is_primary_key]
    sets = [f"c{column} = excluded.c{column}" for column in columns]
    guard = f" WHERE {extension.table}.run = {run}" if action is Action.ADD_BUT_DO_NOT_UPDATE else ""
    return f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {', '.join(sets)}, run = {run}{guard}"


def _literal(value: Value) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
