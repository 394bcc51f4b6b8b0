"""Checks the beginning of a file against its definition and destination; says where it is wrong, never what is there.

It reads a bounded part, piece by piece. What it cannot judge it accepts: a file is refused only for what
Marketing Cloud would refuse too.
"""

import codecs
import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import BinaryIO

from sfmc_import.file_format import Column, FileDescription, FileFormat, Preflight

MAX_BYTES = 4 * 1024 * 1024
"""How much of a file is read at most."""

LARGEST_PART = MAX_BYTES + 4
"""With the mark at its beginning: what `check` reads of a file at most."""

MAX_LINE = 1024 * 1024
"""Characters of the longest line that Marketing Cloud is expected to take."""

MAX_PROBLEMS = 5
CHUNK = 65_536
_STAND_IN = "\x1f"  # stands for a delimiter of several characters, which the reader of rows does not know
_INFER = "InferFromColumnHeadings"


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found: `problems` for people, and whether the file has no row at all."""

    problems: tuple[str, ...] = ()
    is_empty: bool = False


class _CutError(Exception):
    """The file goes on, and no more of it is read: a row that is open there says nothing."""


class _WrongError(Exception):
    """The file cannot be read on; the text says where and why."""


def check(content: BinaryIO, wanted: Preflight, description: FileDescription) -> Checked:
    """Check the first rows of a file. Raises OSError when it cannot be read, LookupError for an unknown encoding."""
    form = description.format
    problems: list[str] = []
    try:
        rows = _rows(_lines(content, wanted.encoding), form)
        binding = _bind(rows, wanted, description)
        problems += binding.problems
        first = next(rows, None)
        if first is None:
            return Checked(is_empty=True)
        found = _wrong_values(first, rows, binding, wanted.rows, form.null_text or "")
        for each in () if problems else islice(found, MAX_PROBLEMS):
            problems.append(each)
    except _CutError:
        pass
    except _WrongError as error:
        problems.append(str(error))
    return Checked(tuple(problems[:MAX_PROBLEMS]))


# --- From bytes to lines.

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LINE_END = re.compile(r"\r\n|\n|\r(?!\Z)")


def _lines(content: BinaryIO, encoding: str) -> Iterator[str]:
    """Yield the lines with their ends; raises _CutError where the last one goes on beyond what is read."""
    rest, number = "", 0
    for text in _texts(content, encoding):
        if isinstance(text, _End):
            if text.problem:
                raise _WrongError(f"line {number + 1}: {text.problem}")
            if not text.is_whole:
                raise _CutError
            if rest:
                yield rest
            return
        rest += text
        end = 0
        for match in _LINE_END.finditer(rest):
            yield rest[end : match.end()]
            number, end = number + 1, match.end()
        rest = rest[end:]
        if len(rest) > MAX_LINE:
            raise _WrongError(f"line {number + 1}: longer than {MAX_LINE} characters")


@dataclass(frozen=True, slots=True)
class _End:
    """The end of what is read: of the whole file or not, and what is wrong with the bytes there."""

    is_whole: bool
    problem: str = ""


def _texts(content: BinaryIO, encoding: str) -> Iterator[str | _End]:
    beginning = content.read(LARGEST_PART - MAX_BYTES)
    mark, codec = next((each for each in _MARKS if beginning.startswith(each[0])), (b"", encoding))
    decoder = codecs.getincrementaldecoder(codec)("strict")
    chunk, left = beginning.removeprefix(mark), MAX_BYTES
    while True:
        more = content.read(min(CHUNK, left)) if left else b""
        try:
            yield decoder.decode(chunk, final=not more and left > 0)
        except UnicodeDecodeError as error:
            yield _before(error, codec)
            yield _End(is_whole=True, problem=f"bytes that are no text in {codec}")
            return
        if not more:
            yield _End(is_whole=left > 0)
            return
        chunk, left = more, left - len(more)


def _before(error: UnicodeDecodeError, codec: str) -> str:
    """Give what stands before the bytes that cannot be read, to count its lines."""
    return error.object[: error.start].decode(codec, "ignore")


# --- From lines to rows.


class _Numbered(Iterator[tuple[int, list[str]]]):
    """The rows that are not blank, each with the number of the line at which it ends."""

    def __init__(self, lines: Iterator[str], form: FileFormat) -> None:
        delimiter = _delimiter(form)
        self.skipped, self._is_over = 0, False
        lines = self._watched(lines)
        self._delimiter = delimiter
        self._wide = len(delimiter) > 1
        self._rows = csv.reader(
            (line.replace(delimiter, _STAND_IN) for line in lines) if self._wide else lines,
            delimiter=_STAND_IN if self._wide else delimiter,
            quoting=csv.QUOTE_MINIMAL if form.is_quoted else csv.QUOTE_NONE,
        )

    def __next__(self) -> tuple[int, list[str]]:
        row: list[str] = []
        while not row:
            row = self._read()
        row = [each.replace(_STAND_IN, self._delimiter) for each in row] if self._wide else row
        return self.skipped + self._rows.line_num, row

    def _read(self) -> list[str]:
        begin = self.skipped + self._rows.line_num + 1
        try:
            row = next(self._rows)
        except csv.Error:
            text = "cannot be read as a row; a quote may be open"
            raise _WrongError(f"line {self.skipped + self._rows.line_num}: {text}") from None
        # The reader asks for a line beyond that of a row only while a quote is open.
        if self._is_over:
            raise _WrongError(f"line {begin}: a quote stays open to the end of the file")
        return row

    def _watched(self, lines: Iterator[str]) -> Iterator[str]:
        yield from lines
        self._is_over = True


def _rows(lines: Iterator[str], form: FileFormat) -> _Numbered:
    """Skip the header lines; the headings, where they are needed, stay as the first row."""
    rows = _Numbered(lines, form)
    for _ in islice(lines, _skipped_lines(form)):
        rows.skipped += 1
    return rows


def _skipped_lines(form: FileFormat) -> int:
    return max((form.header_lines or 0) - (1 if form.mapping == _INFER else 0), 0)


def _delimiter(form: FileFormat) -> str:
    if form.file_type == "TAB" or form.delimiter in {"\\t", "TAB"}:
        return "\t"
    usable = form.file_type == "Other" and form.delimiter and not set(form.delimiter) & set('"\r\n')
    return form.delimiter or "," if usable else ","


# --- From rows to columns.


@dataclass(frozen=True, slots=True)
class _Binding:
    """Which place of a row fills which column; `width` is how many places a row has, None if that is not known."""

    columns: tuple[tuple[int, Column], ...] = ()
    width: int | None = None
    problems: tuple[str, ...] = ()


def _bind(rows: _Numbered, wanted: Preflight, description: FileDescription) -> _Binding:
    by_name = {each.name.casefold(): each for each in description.columns}
    if description.format.mapping == _INFER:
        header = next(rows, None)
        return _Binding() if header is None else _by_heading(header[1], by_name)
    pairs = [(place, by_name.get(name.strip().casefold())) for place, name in enumerate(wanted.columns)]
    strange = [
        f"preflight: the destination has no column {wanted.columns[place]}"
        for place, column in pairs
        if column is None and wanted.columns[place] and by_name
    ]
    bound = tuple((place, column) for place, column in pairs if column is not None)
    return _Binding(bound, len(wanted.columns) or None, tuple(strange))


def _by_heading(headings: Sequence[str], by_name: dict[str, Column]) -> _Binding:
    """Say what is wrong with the names of columns alone: without a header line, the headings would be values."""
    names = [each.strip().casefold() for each in headings]
    bound = tuple((place, by_name[name]) for place, name in enumerate(names) if name in by_name)
    missing = [column.name for name, column in by_name.items() if column.needs_value and name not in names]
    twice = dict.fromkeys(column.name for _, column in bound if names.count(column.name.casefold()) > 1)
    problems = [f"header: column {name} is missing, and a value is required" for name in missing]
    problems += [f"header: column {name} stands there twice" for name in twice]
    if by_name and not bound:
        problems = ["header: it names no column of the destination; look at delimiter, encoding and HeaderLines"]
    return _Binding(bound, len(headings), tuple(problems))


def _wrong_values(
    first: tuple[int, list[str]], rows: Iterator[tuple[int, list[str]]], binding: _Binding, most: int, null_text: str
) -> Iterator[str]:
    number, row = first
    for _ in range(most):
        if binding.width is not None and len(row) != binding.width:
            yield f"line {number}: {len(row)} columns instead of {binding.width}"
        else:
            yield from _wrong_in(number, row, binding, null_text)
        following = next(rows, None)
        if following is None:
            return
        number, row = following


def _wrong_in(number: int, row: Sequence[str], binding: _Binding, null_text: str) -> Iterator[str]:
    for place, column in binding.columns:
        what = wrong_class(column, row[place], null_text)
        if what is not None:
            yield f"line {number}, column {column.name}: {what}"


# --- Values. Each rule accepts at least what Marketing Cloud may accept.

_SMALLEST, _LARGEST = -(2**31), 2**31 - 1
_WHOLE = re.compile(r"[+-]?[0-9]+")
_TRUTH = frozenset({"true", "1", "yes", "y", "t", "on", "false", "0", "no", "n", "f", "off"})
_WORD = re.compile(r"[^\W\d_]+")
_MAX_DATE, _MIN_DIGITS, _MAX_WORDS, _MAX_EMAIL = 60, 3, 5, 254


def wrong_class(column: Column, text: str, null_text: str = "") -> str | None:
    """Name the class of what is wrong with a value; None where it fits. It never has the value itself."""
    if not text or (null_text and text == null_text):
        return "empty, and a value is required" if column.needs_value else None
    rule = _RULES.get(column.type)
    return None if rule is None else rule(text, column)


def _wrong_text(text: str, column: Column) -> str | None:
    return f"text longer than {column.length}" if column.length and len(text) > column.length else None


def _wrong_number(text: str, _: Column) -> str | None:
    number = text.strip()
    if not _WHOLE.fullmatch(number):
        return "no whole number"
    # Zeros in front change nothing, and int() refuses thousands of digits.
    fits = len(number.lstrip("+-0")) <= len(str(_LARGEST)) and _SMALLEST <= int(number) <= _LARGEST
    return None if fits else f"a number outside {_SMALLEST} to {_LARGEST}"


def _wrong_decimal(text: str, column: Column) -> str | None:
    """A comma may be that of thousands or that of the fraction."""
    read = map(_decimal, (text, text.replace(",", "."), text.replace(",", "")))
    values = [value for value in read if value is not None]
    if not values:
        return "no decimal number"
    digits = (column.length or 18) - (column.scale or 0)
    fits = any(value.copy_abs() < Decimal(1).scaleb(digits) for value in values)
    return None if fits else f"more than {digits} digits before the point"


def _decimal(text: str) -> Decimal | None:
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _wrong_date(text: str, _: Column) -> str | None:
    """Refuse only what is no date in any locale: a date has digits of a day, a month and a year, and few words."""
    digits = sum(each.isdigit() for each in text)
    is_date = len(text) <= _MAX_DATE and digits >= _MIN_DIGITS and len(_WORD.findall(text)) <= _MAX_WORDS
    return None if is_date else "no date"


def _wrong_boolean(text: str, _: Column) -> str | None:
    return None if text.strip().casefold() in _TRUTH else "neither true nor false"


def _wrong_email(text: str, column: Column) -> str | None:
    address, longest = text.strip(), column.length or _MAX_EMAIL
    if len(address) > longest:
        return f"an email address longer than {longest}"
    name, _, host = address.rpartition("@")
    return None if name and host and not any(each.isspace() for each in address) else "no email address"


_RULES: Mapping[str, Callable[[str, Column], str | None]] = {
    "Text": _wrong_text,
    "Number": _wrong_number,
    "Decimal": _wrong_decimal,
    "Date": _wrong_date,
    "Boolean": _wrong_boolean,
    "EmailAddress": _wrong_email,
}
"""Of the other types too little is documented to refuse a value."""
