"""Reads delimited text as rows of columns, with line numbers and the raw text of bad rows."""

import codecs
import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TextIO

from sfmc_sandbox.importing.definition import FileType, Options
from sfmc_sandbox.importing.outcome import RefusedError

_NAMED = {
    65001: "utf-8",
    65000: "utf-7",
    1200: "utf-16-le",
    1201: "utf-16-be",
    12000: "utf-32-le",
    12001: "utf-32-be",
    20127: "ascii",
    932: "cp932",
    936: "gbk",
    949: "cp949",
    950: "cp950",
    10000: "mac_roman",
    20866: "koi8_r",
    21866: "koi8_u",
    20932: "euc_jp",
    51932: "euc_jp",
    51936: "gb2312",
    51949: "euc_kr",
    50220: "iso2022_jp",
    54936: "gb18030",
}
_DOS_AND_WINDOWS = (437, 720, 737, 775, 850, 852, 855, 857, 858, 860, 861, 862, 863, 864, 865, 866, 869, 874)
_ISO = {28590 + part: f"iso8859_{part}" for part in (*range(1, 12), *range(13, 17))}


def codec_of(code_page: int, default: str) -> str:
    """Return the Python codec of a Windows code page, or of the account's `default` if it is 0.

    Raises RefusedError for a code page that no codec reads.
    """
    if not code_page:
        return codecs.lookup(default).name
    if code_page in _NAMED:
        return _NAMED[code_page]
    if code_page in _ISO:
        return _ISO[code_page]
    if code_page in _DOS_AND_WINDOWS or code_page in range(1250, 1259):
        return f"cp{code_page}"
    raise RefusedError(f"EncodingCodePage {code_page} is not a code page this sandbox reads (65001 is UTF-8)")


# Those of UTF-32 first: that of UTF-16 is the beginning of one.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LONGEST_MARK = 4


def marked_codec(beginning: bytes, codec: str) -> str:
    """Return the codec that a byte order mark at the beginning of a file names, else `codec`; no mark is text."""
    return next((named for mark, named in _MARKS if beginning.startswith(mark)), codec)


_LINE_ENDS = {"CRLF": "\r\n", "LF": "\n", "CR": "\r", "\\r\\n": "\r\n", "\\n": "\n", "\\r": "\r"}
_NAMED_DELIMITERS = {"\\t": "\t", "TAB": "\t"}
_FORBIDDEN = ('"', "\n", "\r")


@dataclass(frozen=True, slots=True)
class Dialect:
    """`line_end` is "" if any of CR LF, LF and CR ends a line; `quoted` is StandardQuotedStrings."""

    delimiter: str
    line_end: str
    quoted: bool


def dialect_of(options: Options) -> Dialect:
    """Return the dialect a definition describes; RefusedError if FileType is Other and Delimiter is not usable."""
    return Dialect(_delimiter(options), _line_end(options.end_of_line), options.quoted_strings)


def _delimiter(options: Options) -> str:
    if options.file_type is not FileType.OTHER:
        return "," if options.file_type is FileType.CSV else "\t"
    delimiter = _NAMED_DELIMITERS.get(options.delimiter, options.delimiter)
    if not delimiter or any(letter in delimiter for letter in _FORBIDDEN):
        raise RefusedError(f"FileType Other needs a Delimiter, not {options.delimiter!r}")
    return delimiter


def _line_end(text: str) -> str:
    """Return the characters of EndOfLineRepresentation, spelled as they are, as an escape or as LF, CR, CRLF."""
    return _LINE_ENDS.get(text, _LINE_ENDS.get(text.upper(), text))


_CHUNK = 65_536
_LONGEST_LINE = 1024 * 1024
_STAND_IN = "\x1f"  # the "unit separator" control character; stands for a delimiter of several characters
_OWN_LINE_ENDS = ("", "\n", "\r", "\r\n")


def newline_mode(dialect: Dialect) -> str:
    """Return what `open(newline=…)` needs so that lines end as the dialect says and nothing is translated."""
    return dialect.line_end if dialect.line_end in _OWN_LINE_ENDS else ""


def lines_of(text: TextIO, dialect: Dialect) -> Iterator[str]:
    """Return the lines of an open text; an end that no text file knows is cut off.

    Raises RefusedError for a line so long that it would fill the memory.
    """
    return _limited(text) if dialect.line_end in _OWN_LINE_ENDS else _split(text, dialect.line_end)


def _limited(text: TextIO) -> Iterator[str]:
    while line := text.readline(_LONGEST_LINE + 1):
        if len(line) > _LONGEST_LINE:
            raise _too_long()
        yield line


def _too_long() -> RefusedError:
    return RefusedError(f"the file has a line of more than {_LONGEST_LINE} characters")


def _split(text: TextIO, line_end: str) -> Iterator[str]:
    rest = ""
    while chunk := text.read(_CHUNK):
        *whole, rest = (rest + chunk).split(line_end)
        yield from whole
        if len(rest) > _LONGEST_LINE:
            raise _too_long()
    if rest.strip("\r\n"):
        yield rest


class Unreadable(list[str]):
    """Stands, without columns, in the place of a row that cannot be read."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class Rows:
    """The rows of one text, read once from front to back; blank lines are no rows.

    `line` is the number of the line at which the latest row begins, counted from 1, `raw` its text; `characters` is
    how much was read so far.
    """

    def __init__(self, lines: Iterator[str], dialect: Dialect) -> None:
        self._lines = lines
        self._dialect = dialect
        self._wide = len(dialect.delimiter) > 1
        self.characters = 0
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
        """The number of the line at which the latest row begins."""
        return self._skipped + self._reader.line_num - max(len(self._latest) - 1, 0)

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
            self.characters += len(line)
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
