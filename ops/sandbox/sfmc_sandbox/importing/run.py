"""Runs one import, from its definition to its outcome."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sfmc_sandbox.importing.columns import Binding, DataExtension, Values, bind, column_of, columns_needed
from sfmc_sandbox.importing.dates import date_reader
from sfmc_sandbox.importing.definition import (
    Action,
    Options,
    UpdateType,
    action_by_value,
    action_of_every_row,
    check_update_type,
    read_definition,
)
from sfmc_sandbox.importing.destinations import Destination, Sink
from sfmc_sandbox.importing.filters import compile_filter
from sfmc_sandbox.importing.notification import notify
from sfmc_sandbox.importing.outcome import Account, BadRowError, LeftOutError, Outcome, RefusedError, Status, Tally
from sfmc_sandbox.importing.reading import Unreadable
from sfmc_sandbox.importing.rows import RowStore
from sfmc_sandbox.importing.sources import Table, destination_of, files_of, open_extension, open_file, source_extension
from sfmc_sandbox.importing.values import Style

_SIZE = 2_000
_CHARACTERS_AT_ONCE = 16 * 1024 * 1024
_LONGEST_RAW = 4_000
_ACTION = itemgetter(0)


class Batch:
    """Collects good and bad rows of one file; `flush` stores both in one transaction. Memory use has a limit.

    Raises RefusedError when the destination would have more rows than the store allows.
    """

    def __init__(
        self, store: RowStore, sink: Sink, count: Callable[[sqlite3.Connection], int], tally: Tally, of: tuple[int, str]
    ) -> None:
        self._store = store
        self._sink = sink
        self._count = count
        self._tally = tally
        self._of = of
        self._at_most: int | None = None
        self._good: list[tuple[Action, Values]] = []
        self._bad: list[tuple[int, int, str, str, str, int]] = []

    def good(self, row: tuple[Action, Values]) -> None:
        """Add a row that can be stored."""
        self._good.append(row)
        if len(self._good) >= _SIZE:
            self.flush()

    def bad(self, number: int, line: int, raw: str, reason: str) -> None:
        """Add a row that cannot be stored, with its reason, and count it as an error."""
        task_id, file = self._of
        self._tally.errors += 1
        if self._tally.errors > self._store.most_bad_rows:
            return
        self._bad.append((task_id, line, raw[:_LONGEST_RAW], reason, file, number))
        if len(self._bad) >= _SIZE:
            self.flush()

    def flush(self) -> None:
        """Store the collected rows, in the order of the file."""
        if not self._good and not self._bad:
            return
        tally = replace(self._tally)
        with self._store.database.writing() as connection:
            for action, rows in groupby(self._good, key=_ACTION):
                self._sink(connection, action, [values for _, values in rows], tally)
            self._check_room(connection)
            connection.executemany("INSERT INTO bad_row VALUES (?, ?, ?, ?, ?, ?)", self._bad)
        self._tally.become(tally)
        self._good.clear()
        self._bad.clear()

    def _check_room(self, connection: sqlite3.Connection) -> None:
        """Count the rows when there may be too many; until then the sum of all batches is enough."""
        most = self._store.most_rows
        if self._at_most is not None:
            self._at_most += len(self._good)
        if self._at_most is None or self._at_most > most:
            self._at_most = self._count(connection)
        if self._at_most > most:
            self._good.clear()
            raise RefusedError(f"the destination would have more than {most} rows (--max-rows)")


Interpreter = Callable[[Sequence[str]], tuple[Action, Values]]


def interpreter(
    options: Options,
    headings: Sequence[str] | None,
    bindings: Sequence[Binding],
    destination: Destination,
    style: Style,
) -> Interpreter:
    """Return the function that reads a row: its action, and its values in the order of `bindings` (Delete: keys only).

    The function raises BadRowError with the reason, LeftOutError for a row that is left out. Raises RefusedError
    if the definition names columns that do not exist.
    """
    steps = [(destination.converter(item.field, style), item.column) for item in bindings]
    keys = [step for step, item in zip(steps, bindings, strict=True) if item.field.is_primary_key]
    least, most = columns_needed(options, headings, bindings)
    keep, width = _filter(options, headings)
    least = max(least, width)
    choose = _choice_of_action(options, headings)

    def read(row: Sequence[str]) -> tuple[Action, Values]:
        if not least <= len(row) <= most:
            raise BadRowError(_misfit(row, least))
        if keep is not None and not keep(row):
            raise LeftOutError
        action = choose(row)
        wanted = keys if action is Action.DELETE else steps
        return action, [convert(row[column]) for convert, column in wanted]

    return read


def _filter(options: Options, headings: Sequence[str] | None) -> tuple[Callable[[Sequence[str]], bool] | None, int]:
    if not options.filter:
        return None, 0
    compiled = compile_filter(options.filter, headings)
    return compiled.test, compiled.width


def _misfit(row: Sequence[str], least: int) -> str:
    if isinstance(row, Unreadable):
        return row.reason
    return f"the row has {len(row)} columns, {least} are expected"


def _choice_of_action(options: Options, headings: Sequence[str] | None) -> Callable[[Sequence[str]], Action]:
    every = action_of_every_row(options.update_type)
    if every is not None:
        return lambda _row: every
    if not options.control_column:
        raise RefusedError("UpdateType ColumnBased needs a ControlColumn")
    column = column_of(options.control_column, headings, "ControlColumn")
    return action_by_value(column, options.control_actions, options.control_default)


@dataclass(slots=True)
class Transfer:
    """The rows of one run; `names`: the tables read so far; `stopped`: at which row the run stopped."""

    store: RowStore
    task_id: int
    tally: Tally
    names: list[str] = field(default_factory=list)
    stopped: str = ""
    _emptied: bool = False

    def run(self, options: Options, tables: Iterator[Table], destination: Destination, style: Style) -> None:
        """Move all rows, or those before the first bad one if AllowErrors is false.

        Raises RefusedError, OSError and UnicodeError; the rows before that are stored and counted.
        """
        try:
            for table in tables:
                self.names.append(table.name)
                self._move(table, options, destination, style)
                if self.stopped:
                    return
            self._empty(options, destination)
        finally:
            with self.store.database.reading() as connection:
                destination.finish(connection, self.tally)

    def _move(self, table: Table, options: Options, destination: Destination, style: Style) -> None:
        bindings = bind(options, table.headings, destination.shape)
        read = interpreter(options, table.headings, bindings, destination, style)
        of = (self.task_id, table.name)
        batch = Batch(self.store, destination.sink(bindings, style), destination.count, self.tally, of)
        self._empty(options, destination)
        try:
            self._rows(table, read, batch, allow_errors=options.allow_errors)
        finally:
            batch.flush()

    def _empty(self, options: Options, destination: Destination) -> None:
        """Remove the old rows under Overwrite: once, after the file is known to fit."""
        if options.update_type is UpdateType.OVERWRITE and not self._emptied:
            with self.store.database.writing() as connection:
                destination.empty(connection)
        self._emptied = True

    def _rows(self, table: Table, read: Interpreter, batch: Batch, *, allow_errors: bool) -> None:
        stored = 0
        for number, row in enumerate(table.rows, start=1):
            if table.rows.characters - stored > _CHARACTERS_AT_ONCE:
                batch.flush()
                stored = table.rows.characters
            try:
                batch.good(read(row))
            except LeftOutError:
                self.tally.restricted += 1
            except BadRowError as error:
                batch.bad(number, table.rows.line, table.rows.raw, str(error))
                if not allow_errors:
                    self.stopped = f"line {table.rows.line} of {table.name}: {error}"
                    return


Progress = Callable[[str], None]


def run_import(
    definition: Mapping[str, Any],
    account: Account,
    rows: RowStore,
    files: Path,
    task_id: int,
    now: datetime,
    progress: Progress,
) -> Outcome:
    """Run an ImportDefinition to its end. Errors of the definition and of the file are in the outcome.

    `definition` has the names of the Marketing Cloud WSDL; absent properties mean their defaults. `files`
    holds one folder per file transfer location. `now` (with a zone) is the moment of the start. `progress`
    is called with "Processing" and, when rows are read, "IOWork". Raises sqlite3.Error if the store fails.
    """
    progress("Processing")
    run = _Run(account, rows, files, task_id)
    try:
        outcome = run.follow(read_definition(definition), now.astimezone(ZoneInfo(account.time_zone)), progress)
    except (RefusedError, OSError, UnicodeError) as error:
        outcome = run.outcome("Error", str(error))
    notify(definition, files, task_id, outcome, rows, now)
    return outcome


class _Run:
    """The steps of one import and what is known of it so far."""

    def __init__(self, account: Account, store: RowStore, files: Path, task_id: int) -> None:
        self._account = account
        self._store = store
        self._files = files
        self._transfer = Transfer(store, task_id, Tally())
        self._number = store.new_run()
        self._import_type = "Data Extensions"
        self._identifier = ""

    def follow(self, options: Options, moment: datetime, progress: Progress) -> Outcome:
        """Take the steps; `moment` is the start in the account's zone. RefusedError, OSError, UnicodeError end it."""
        style = Style(options.null_text, date_reader(options.locale), f"{moment:%Y-%m-%dT%H:%M:%S}")
        paths = files_of(options, self._files, moment)
        source = source_extension(options, self._account, self._store)
        progress("IOWork")
        self._fill(options, source, paths, style)
        if self._transfer.stopped:
            return self.outcome("Error", f"Stopped at the first error: {self._transfer.stopped}")
        if options.delete_file:
            _delete(paths)
        tally = self._transfer.tally
        lost = tally.errors - self._store.most_bad_rows
        more = f"; {lost} bad rows are counted and not kept (--max-bad-rows)" if lost > 0 else ""
        return self.outcome("Completed", f"{tally.successful} of {tally.total} rows imported{more}")

    def _fill(self, options: Options, source: DataExtension | None, paths: Sequence[Path], style: Style) -> None:
        def tables() -> Iterator[Table]:
            return self._tables(options, source, paths)

        found = destination_of(options, self._account, self._store, self._number, lambda: _headings(tables()))
        self._import_type, self._identifier = found.import_type, found.identifier
        check_update_type(options.update_type, into_list=found.into_list, has_primary_key=found.has_primary_key)
        with self._store.alone(f"{self._account.mid}/{found.import_type}/{found.identifier}"):
            self._transfer.run(options, tables(), found, style)

    def _tables(self, options: Options, source: DataExtension | None, paths: Sequence[Path]) -> Iterator[Table]:
        if source is not None:
            with open_extension(source, options, self._store) as table:
                yield table
        for path in paths:
            with open_file(path, options, self._account) as opened:
                if opened is not None:
                    yield opened

    def outcome(self, status: Status, message: str) -> Outcome:
        """Return the outcome with the counts so far."""
        tally = self._transfer.tally
        return Outcome(
            status=status,
            successful=tally.successful,
            duplicated=tally.duplicated,
            restricted=tally.restricted,
            errors=tally.errors,
            total=tally.total,
            import_type=self._import_type,
            destination_id=self._identifier,
            message=message,
            file=", ".join(self._transfer.names) or None,
        )


def _headings(tables: Iterator[Table]) -> Sequence[str] | None:
    for table in tables:
        return table.headings
    return None


def _delete(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
