"""One import from its definition to its outcome; the order of the steps stands here, their meaning elsewhere."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from ops.sandbox.importing.batching import Batch
from ops.sandbox.importing.dates import date_reader
from ops.sandbox.importing.definition import Options, read_definition
from ops.sandbox.importing.destinations import Destination
from ops.sandbox.importing.finding import destination_of, files_of, source_extension
from ops.sandbox.importing.interpreting import interpreter
from ops.sandbox.importing.mapping import bind
from ops.sandbox.importing.outcome import Account, BadRowError, LeftOutError, Outcome, RefusedError, Tally
from ops.sandbox.importing.reading import Unreadable
from ops.sandbox.importing.rows import RowStore
from ops.sandbox.importing.sources import Table, open_extension, open_file
from ops.sandbox.importing.updating import UpdateType, check_update_type
from ops.sandbox.importing.values import Style

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
    """Run an ImportDefinition to its end and return how it ended; what is wrong with it is in the outcome.

    `definition` has the names of the Marketing Cloud WSDL; absent properties mean their defaults. `files`
    holds one folder per file transfer location. `now` (with a zone) is the moment of the start. `progress`
    hears "Processing" and, when rows are read, "IOWork". Raises sqlite3.Error where the store fails.
    """
    progress("Processing")
    run = _Run(account, rows, files, task_id, now)
    try:
        run.follow(read_definition(definition), progress)
    except (RefusedError, OSError, UnicodeError) as error:
        return run.outcome("Error", str(error))
    return run.outcome(*run.verdict())


@dataclass(slots=True)
class _Run:
    """What one import knows while it goes on."""

    account: Account
    store: RowStore
    files: Path
    task_id: int
    now: datetime
    tally: Tally = field(default_factory=Tally)
    names: list[str] = field(default_factory=list)
    import_type: str = "Data Extensions"
    identifier: str = ""
    stopped: str = ""

    def follow(self, options: Options, progress: Progress) -> None:
        """Take the steps of the import; RefusedError, OSError or UnicodeError end it."""
        paths = files_of(options, self.files, self._moment())
        progress("IOWork")
        run = self.store.new_run(self.task_id)
        destination = destination_of(options, self.account, self.store, run)
        self.import_type, self.identifier = destination.import_type, destination.identifier
        check_update_type(
            options.update_type, into_list=destination.into_list, has_primary_key=destination.has_primary_key
        )
        with self.store.alone(f"{self.account.mid}/{destination.import_type}/{destination.identifier}"):
            self._write(options, paths, destination)

    def _moment(self) -> datetime:
        return self.now.astimezone(ZoneInfo(self.account.time_zone))

    def _write(self, options: Options, paths: list[Path], destination: Destination) -> None:
        style = Style(options.null_text, date_reader(options.locale), self._moment().strftime("%Y-%m-%dT%H:%M:%S"))
        if options.update_type is UpdateType.OVERWRITE:
            with self.store.database.writing() as connection:
                destination.empty(connection)
        try:
            for table in self._tables(options, paths):
                self.names.append(table.name)
                self._import(table, options, destination, style)
                if self.stopped:
                    break
        finally:
            with self.store.database.reading() as connection:
                destination.finish(connection, self.tally)

    def _tables(self, options: Options, paths: list[Path]) -> Iterator[Table]:
        extension = source_extension(options, self.account, self.store)
        if extension is not None:
            with open_extension(extension, options, self.store) as table:
                yield table
        for path in paths:
            with open_file(path, options, self.account) as opened:
                if opened is not None:
                    yield opened

    def _import(self, table: Table, options: Options, destination: Destination, style: Style) -> None:
        bindings = bind(options, table.headings, destination.shape)
        read = interpreter(options, table.headings, bindings, destination, style)
        batch = Batch(self.store, destination.sink(bindings, style), self.tally, self.task_id, table.name)
        with contextlib.closing(iter(table.rows)) as rows:
            for row in rows:
                try:
                    if type(row) is Unreadable:
                        raise BadRowError(row)
                    batch.good(read(row))
                except LeftOutError:
                    self.tally.restricted += 1
                except BadRowError as error:
                    batch.bad(table.rows.line, table.rows.raw, str(error))
                    if not options.allow_errors:
                        self.stopped = f"line {table.rows.line} of {table.name}: {error}"
                        break
        batch.flush()

    def verdict(self) -> tuple[Literal["Completed", "Error"], str]:
        """Return how the import ended, and the sentence that says so."""
        if self.stopped:
            return "Error", f"Stopped at the first error: {self.stopped}"
        return "Completed", f"{self.tally.successful} of {self.tally.total} rows imported"

    def outcome(self, status: Literal["Completed", "Error"], message: str) -> Outcome:
        """Return the outcome with the counts so far."""
        tally = self.tally
        return Outcome(
            status=status,
            successful=tally.successful,
            duplicated=tally.duplicated,
            restricted=tally.restricted,
            errors=tally.errors,
            total=tally.total,
            import_type=self.import_type,
            destination_id=self.identifier,
            message=message,
            file=", ".join(self.names) or None,
        )
