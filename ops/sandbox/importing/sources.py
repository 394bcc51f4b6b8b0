"""The two places rows come from, a file or a data extension, behind one face for the run."""

import contextlib
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ops.sandbox.importing import tables
from ops.sandbox.importing.definition import Options
from ops.sandbox.importing.dialect import dialect_of
from ops.sandbox.importing.encodings import codec_of
from ops.sandbox.importing.fields import DataExtension
from ops.sandbox.importing.mapping import needs_headings
from ops.sandbox.importing.outcome import Account, RefusedError
from ops.sandbox.importing.reading import Rows, Unreadable, lines_of, newline_mode
from ops.sandbox.importing.rows import RowStore


class RowReader(Protocol):
    """Rows one after the other; `line` and `raw` speak of the latest."""

    @property
    def line(self) -> int:
        """Where the latest row ends, counted from 1."""

    @property
    def raw(self) -> str:
        """The text of the latest row."""

    def __iter__(self) -> Iterator[list[str]]: ...


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a name; `headings` is None where the columns have no names."""

    name: str
    headings: Sequence[str] | None
    rows: RowReader


@contextlib.contextmanager
def open_file(path: Path, options: Options, account: Account) -> Iterator[Table | None]:
    """Open a file as the definition describes it; None for one that has nothing where headings should be.

    Raises RefusedError for a delimiter or code page nobody can read, OSError and UnicodeError for the file.
    """
    dialect = dialect_of(options)
    codec = codec_of(options.code_page, account.default_encoding)
    with path.open(encoding=codec, errors="surrogateescape", newline=newline_mode(dialect)) as text:
        rows = Rows(lines_of(text, dialect), dialect)
        if not needs_headings(options):
            rows.skip_lines(options.header_lines)
            yield Table(path.name, None, rows)
            return
        rows.skip_lines(max(options.header_lines - 1, 0))
        headings = next(iter(rows), None)
        if isinstance(headings, Unreadable):
            raise RefusedError(f"{path.name}: the column headings cannot be read ({headings.reason})")
        yield Table(path.name, headings, rows) if headings else None


class _StoredRows:
    """The rows of a data extension, spelled as a file would."""

    def __init__(self, rows: Iterator[list[str]]) -> None:
        self._rows = rows
        self._latest: list[str] = []
        self.line = 0

    @property
    def raw(self) -> str:
        """The latest row as a line of CSV."""
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow(self._latest)
        return text.getvalue()

    def __iter__(self) -> Iterator[list[str]]:
        for row in self._rows:
            self.line += 1
            self._latest = row
            yield row


@contextlib.contextmanager
def open_extension(extension: DataExtension, options: Options, store: RowStore) -> Iterator[Table]:
    """Open a data extension as the source of an import; its fields are the headings."""
    with store.database.reading() as connection:
        stored = tables.read(connection, extension, limit=-1, offset=0)
        spelled = tables.as_text(stored, extension.fields, options.null_text)
        yield Table(extension.name, [field.name for field in extension.fields], _StoredRows(spelled))
