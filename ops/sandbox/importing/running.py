"""One import from its definition to its outcome; the order of the steps stands here, their meaning elsewhere."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import structlog

from ops.sandbox.importing.batching import Batch
from ops.sandbox.importing.dates import date_reader
from ops.sandbox.importing.definition import Options, read_definition
from ops.sandbox.importing.destinations import Destination
from ops.sandbox.importing.fields import DataExtension
from ops.sandbox.importing.finding import destination_of, source_extension
from ops.sandbox.importing.interpreting import interpreter
from ops.sandbox.importing.locations import files_of
from ops.sandbox.importing.mapping import bind
from ops.sandbox.importing.notification import compose, is_wanted, notification_file, write
from ops.sandbox.importing.outcome import Account, BadRowError, LeftOutError, Outcome, RefusedError, Tally
from ops.sandbox.importing.rows import RowStore
from ops.sandbox.importing.sources import Table, open_extension, open_file
from ops.sandbox.importing.updating import UpdateType, check_update_type
from ops.sandbox.importing.values import Style

Progress = Callable[[str], None]
Status = Literal["Completed", "Error"]

_SHOWN_IN_MAIL = 20
_log = structlog.get_logger(__name__)


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
        options = read_definition(definition)
        paths = run.follow(options, progress)
    except (RefusedError, OSError, UnicodeError) as error:
        outcome = run.outcome("Error", str(error))
    else:
        outcome = run.outcome(*run.verdict())
        if options.delete_file and outcome.status == "Completed":
            _delete(paths)
    _notify(definition, run, outcome)
    return outcome


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

    def follow(self, options: Options, progress: Progress) -> list[Path]:
        """Take the steps of the import and return its files; RefusedError, OSError or UnicodeError end it."""
        moment = self.now.astimezone(ZoneInfo(self.account.time_zone))
        style = Style(options.null_text, date_reader(options.locale), f"{moment:%Y-%m-%dT%H:%M:%S}")
        paths = files_of(options, self.files, moment)
        source = source_extension(options, self.account, self.store)
        progress("IOWork")
        destination = self._destination(options, lambda: self._headings(options, source, paths))
        check_update_type(
            options.update_type, into_list=destination.into_list, has_primary_key=destination.has_primary_key
        )
        with self.store.alone(f"{self.account.mid}/{self.import_type}/{self.identifier}"):
            self._write(options, self._tables(options, source, paths), destination, style)
        return paths

    def _destination(self, options: Options, headings: Callable[[], Sequence[str] | None]) -> Destination:
        number = self.store.new_run(self.task_id)
        found = destination_of(options, self.account, self.store, number, headings)
        self.import_type, self.identifier = found.import_type, found.identifier
        return found

    def _write(self, options: Options, tables: Iterator[Table], destination: Destination, style: Style) -> None:
        if options.update_type is UpdateType.OVERWRITE:
            with self.store.database.writing() as connection:
                destination.empty(connection)
        try:
            for table in tables:
                self.names.append(table.name)
                self._import(table, options, destination, style)
                if self.stopped:
                    return
        finally:
            with self.store.database.reading() as connection:
                destination.finish(connection, self.tally)

    def _tables(self, options: Options, source: DataExtension | None, paths: Sequence[Path]) -> Iterator[Table]:
        if source is not None:
            with open_extension(source, options, self.store) as table:
                yield table
        for path in paths:
            with open_file(path, options, self.account) as opened:
                if opened is not None:
                    yield opened

    def _headings(
        self, options: Options, source: DataExtension | None, paths: Sequence[Path]
    ) -> Sequence[str] | None:
        first = next(self._tables(options, source, paths), None)
        return None if first is None else first.headings

    def _import(self, table: Table, options: Options, destination: Destination, style: Style) -> None:
        bindings = bind(options, table.headings, destination.shape)
        read = interpreter(options, table.headings, bindings, destination, style)
        batch = Batch(self.store, destination.sink(bindings, style), self.tally, self.task_id, table.name)
        try:
            for row in table.rows:
                try:
                    batch.good(read(row))
                except LeftOutError:
                    self.tally.restricted += 1
                except BadRowError as error:
                    batch.bad(table.rows.line, table.rows.raw, str(error))
                    if not options.allow_errors:
                        self.stopped = f"line {table.rows.line} of {table.name}: {error}"
                        return
        finally:
            batch.flush()

    def verdict(self) -> tuple[Status, str]:
        """Return how the import ended, and the sentence that says so."""
        if self.stopped:
            return "Error", f"Stopped at the first error: {self.stopped}"
        return "Completed", f"{self.tally.successful} of {self.tally.total} rows imported"

    def outcome(self, status: Status, message: str) -> Outcome:
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


def _delete(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _notify(definition: Mapping[str, Any], run: _Run, outcome: Outcome) -> None:
    """Write the mail a Notification asks for; an unwritable folder is logged, the import has ended anyway."""
    notification, key = definition.get("Notification"), str(definition.get("CustomerKey") or "")
    if not is_wanted(notification, outcome):
        return
    bad = run.store.bad_rows(run.task_id, limit=_SHOWN_IN_MAIL)
    mail = compose(notification or {}, key, run.task_id, outcome, bad, run.now)
    path = notification_file(run.files, run.task_id)
    try:
        write(mail, path)
    except OSError as error:
        _log.warning("import_notification_failed", task_id=run.task_id, path=str(path), error=str(error))
    else:
        _log.info("import_notification_written", task_id=run.task_id, path=str(path), to=mail["To"])
