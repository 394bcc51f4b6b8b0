"""Delimited text becomes rows of columns, one at a time, with line numbers and raw text for the bad ones."""

import csv
from collections.abc import Iterable, Iterator
from typing import TextIO

from ops.sandbox.importing.dialect import Dialect

_CHUNK = 65_536
_STAND_IN = "\x1f"  # the "unit separator" control character; stands for a delimiter of several characters
_OWN_LINE_ENDS = ("", "\n", "\r", "\r\n")


def newline_mode(dialect: Dialect) -> str:
    """Return what `open(newline=…)` needs so that lines end as the dialect says and nothing is translated."""
    return dialect.line_end if dialect.line_end in _OWN_LINE_ENDS else ""


def lines_of(text: TextIO, dialect: Dialect) -> Iterator[str]:
    """Return the lines of an open text; an end that no text file knows is cut off."""
    return iter(text) if dialect.line_end in _OWN_LINE_ENDS else _split(text, dialect.line_end)


def _split(text: TextIO, line_end: str) -> Iterator[str]:
    rest = ""
    while chunk := text.read(_CHUNK):
        *whole, rest = (rest + chunk).split(line_end)
        yield from whole
    if rest.strip("\r\n"):
        yield rest


class Unreadable(list[str]):
    """Stands, without columns, in the place of a row that cannot be read."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class Rows:
    """The rows of one text, read once from front to back; blank lines are no rows.

    `line` is the number of the last line read, counted from 1, `raw` the text of the latest row.
    """

    def __init__(self, lines: Iterator[str], dialect: Dialect) -> None:
        self._lines = lines
        self._dialect = dialect
        self._wide = len(dialect.delimiter) > 1
        self._skipped = 0
        self._latest: list[str] = []
        self._damaged = False
        self._reader = csv.reader(
            self._feed(),
            delimiter=_STAND_IN if self._wide else dialect.delimiter,
            quoting=csv.QUOTE_MINIMAL if dialect.quoted else csv.QUOTE_NONE,
            strict=False,
        )

    @property
    def line(self) -> int:
        """The number of the last line read."""
        return self._skipped + self._reader.line_num

    @property
    def raw(self) -> str:
        """The text of the latest row, as it stands in the file."""
        return "".join(self._latest).rstrip("\r\n").encode("utf-8", "replace").decode("utf-8")

    def skip_lines(self, count: int) -> None:
        """Pass over the next `count` lines, whatever they hold."""
        for _ in range(count):
            if next(self._lines, None) is None:
                return
            self._skipped += 1

    def __iter__(self) -> Iterator[list[str]]:
        while True:
            try:
                yield from self._readable()
            except csv.Error as error:
                yield Unreadable(f"the row cannot be read: {error}")
            else:
                return

    def _readable(self) -> Iterator[list[str]]:
        """Yield rows up to the end, or to one that raises csv.Error; the next call goes on behind it."""
        self._latest.clear()  # an earlier reader may have stopped at a row
        for row in self._reader:
            if self._damaged:
                self._damaged = False
                yield Unreadable("the bytes of this row are not text in the file's encoding")
            elif row:
                yield self._restored(row) if self._wide else row
            self._latest.clear()

    def _feed(self) -> Iterator[str]:
        latest = self._latest
        for line in self._lines:
            latest.append(line)
            if not line.isascii() and _has_undecoded_bytes(line):
                self._damaged = True
            yield line.replace(self._dialect.delimiter, _STAND_IN) if self._wide else line

    def _restored(self, row: Iterable[str]) -> list[str]:
        """Put a wide delimiter back where it stood inside quotes."""
        return [column.replace(_STAND_IN, self._dialect.delimiter) for column in row]


def _has_undecoded_bytes(line: str) -> bool:
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
