"""One import from its definition to its outcome; the order of the steps stands here, their meaning elsewhere."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ops.sandbox.importing.dates import date_reader
from ops.sandbox.importing.definition import Options, read_definition
from ops.sandbox.importing.fields import DataExtension
from ops.sandbox.importing.finding import destination_of, source_extension
from ops.sandbox.importing.locations import files_of
from ops.sandbox.importing.notification import notify
from ops.sandbox.importing.outcome import Account, Outcome, RefusedError, Status, Tally
from ops.sandbox.importing.rows import RowStore
from ops.sandbox.importing.sources import Table, open_extension, open_file
from ops.sandbox.importing.transferring import Transfer
from ops.sandbox.importing.updating import check_update_type
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
        return self.outcome("Completed", f"{tally.successful} of {tally.total} rows imported")

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
