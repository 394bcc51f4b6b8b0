"""Rows flow from their source to the destination, each counted once; nothing is looked up or decided here."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ops.sandbox.importing.batching import Batch
from ops.sandbox.importing.definition import Options
from ops.sandbox.importing.destinations import Destination
from ops.sandbox.importing.interpreting import Interpreter, interpreter
from ops.sandbox.importing.mapping import bind
from ops.sandbox.importing.outcome import BadRowError, LeftOutError, Tally
from ops.sandbox.importing.rows import RowStore
from ops.sandbox.importing.sources import Table
from ops.sandbox.importing.updating import UpdateType
from ops.sandbox.importing.values import Style


@dataclass(slots=True)
class Transfer:
    """The rows of one run; `names` are the tables read so far, `stopped` says at which row it was given up."""

    store: RowStore
    task_id: int
    tally: Tally
    names: list[str] = field(default_factory=list)
    stopped: str = ""
    _emptied: bool = False

    def run(self, options: Options, tables: Iterator[Table], destination: Destination, style: Style) -> None:
        """Move all rows, or those before the first bad one where AllowErrors is false.

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
        batch = Batch(self.store, destination.sink(bindings, style), self.tally, self.task_id, table.name)
        self._empty(options, destination)
        try:
            self._rows(table, read, batch, allow_errors=options.allow_errors)
        finally:
            batch.flush()

    def _empty(self, options: Options, destination: Destination) -> None:
        """Remove the old rows under Overwrite: once, and not before the file is known to fit."""
        if options.update_type is UpdateType.OVERWRITE and not self._emptied:
            with self.store.database.writing() as connection:
                destination.empty(connection)
        self._emptied = True

    def _rows(self, table: Table, read: Interpreter, batch: Batch, *, allow_errors: bool) -> None:
        for row in table.rows:
            try:
                batch.good(read(row))
            except LeftOutError:
                self.tally.restricted += 1
            except BadRowError as error:
                batch.bad(table.rows.line, table.rows.raw, str(error))
                if not allow_errors:
                    self.stopped = f"line {table.rows.line} of {table.name}: {error}"
                    return
