"""Which rows and which files belong to an import: the Filter and the FileSpec of a definition (pure).

The vendor documents the property Filter, but no grammar. docs/sandbox-imports.md describes the grammar used here.
"""

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import PurePath
from typing import Any

from sfmc_sandbox.importing.columns import column_of
from sfmc_sandbox.importing.outcome import RefusedError

Row = Sequence[str]
Test = Callable[[Row], bool]

_TOKEN = re.compile(
    r"""\s*(?: (?P<text>'(?:[^']|'')*') | \[(?P<column>[^\]]+)\]
        | (?P<sign><>|!=|<=|>=|[=<>()]) | (?P<word>[^\s'\[\]=<>!()]+) )""",
    re.VERBOSE,
)
_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class Filter:
    """Whether a row belongs to the import; a row must have `width` columns to be asked."""

    test: Test
    width: int


def compile_filter(text: str, headings: Sequence[str] | None) -> Filter:
    """Return the filter of a Filter such as `Country = 'DE' AND (Age >= 18 OR [Opt In] IS NOT NULL)`.

    Columns without headings are named by number from 1. Raises RefusedError, saying what was expected where.
    """
    parser = _Parser(text, headings)
    test = parser.either(0)
    parser.end()
    return Filter(test, max(parser.columns) + 1)


class _Parser:
    """Reads a filter from left to right; AND binds stronger than OR."""

    def __init__(self, text: str, headings: Sequence[str] | None) -> None:
        self._headings = headings
        self._text = text
        self._tokens = _tokens(text)
        self._next = 0
        self.columns: set[int] = set()

    def either(self, depth: int) -> Test:
        """Read tests joined by OR."""
        tests = [self._both(depth)]
        while self._take_word("OR"):
            tests.append(self._both(depth))
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)

    def _both(self, depth: int) -> Test:
        tests = [self._one(depth)]
        while self._take_word("AND"):
            tests.append(self._one(depth))
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def _one(self, depth: int) -> Test:
        if depth > _DEEPEST:
            raise RefusedError(f"Filter: more than {_DEEPEST} brackets inside each other")
        if self._take_sign("("):
            test = self.either(depth + 1)
            if not self._take_sign(")"):
                raise self._expected("a closing bracket")
            return test
        return self._comparison(self._column())

    def _comparison(self, column: int) -> Test:
        if self._take_word("IS"):
            wanted = not self._take_word("NOT")
            if not self._take_word("NULL"):
                raise self._expected("NULL")
            return lambda row: (row[column] == "") is wanted
        if self._take_word("CONTAINS"):
            part = self._value().casefold()
            return lambda row: part in row[column].casefold()
        kind, sign = self._take("a comparison")
        if kind != "sign" or sign not in _ORDERINGS:
            self._next -= 1
            raise self._expected("a comparison")
        return _compare(column, _ORDERINGS[sign], self._value())

    def _column(self) -> int:
        kind, name = self._take("a column")
        if kind not in {"word", "column"}:
            self._next -= 1
            raise self._expected("a column")
        column = column_of(name, self._headings, "Filter")
        self.columns.add(column)
        return column

    def _value(self) -> str:
        kind, value = self._take("a value")
        if kind not in {"text", "word"}:
            self._next -= 1
            raise self._expected("a value")
        return value

    def end(self) -> None:
        """Nothing may follow."""
        if self._next < len(self._tokens):
            raise self._expected("AND, OR or the end")

    def _take(self, wanted: str) -> tuple[str, str]:
        if self._next >= len(self._tokens):
            raise self._expected(wanted)
        self._next += 1
        return self._tokens[self._next - 1]

    def _take_word(self, word: str) -> bool:
        return self._take_if("word", word)

    def _take_sign(self, sign: str) -> bool:
        return self._take_if("sign", sign)

    def _take_if(self, kind: str, text: str) -> bool:
        there = self._next < len(self._tokens) and self._tokens[self._next]
        if there and there[0] == kind and there[1].upper() == text:
            self._next += 1
            return True
        return False

    def _expected(self, wanted: str) -> RefusedError:
        at = repr(self._tokens[self._next][1]) if self._next < len(self._tokens) else "the end"
        return RefusedError(f"Filter {self._text!r}: {wanted} is expected at {at}")


def _tokens(text: str) -> list[tuple[str, str]]:
    found, position, text = [], 0, text.rstrip()
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None or token.lastgroup is None:
            raise RefusedError(f"Filter {text!r}: cannot be read from {text[position : position + 20]!r} on")
        value = token[token.lastgroup]
        found.append((token.lastgroup, value[1:-1].replace("''", "'") if token.lastgroup == "text" else value))
        position = token.end()
    return found


def _compare(column: int, compare: Callable[[Any, Any], bool], value: str) -> Test:
    """Compare as numbers where both sides are numbers, else as text in any case."""
    number, folded = _number(value), value.casefold()

    def test(row: Row) -> bool:
        found = row[column]
        if number is not None and (other := _number(found)) is not None:
            return compare(other, number)
        return compare(found.casefold(), folded)

    return test


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


_PART = re.compile(r"%%(YEAR|MONTH|DAY)%%", re.IGNORECASE)
_DIGITS = {"year": "[0-9]{4}", "month": "[0-9]{2}", "day": "[0-9]{2}"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a folder: its name and when it was last written (with a zone)."""

    name: str
    modified: datetime


def resolve(file_spec: str, today: date) -> str:
    """Return the FileSpec with %%YEAR%%, %%MONTH%% and %%DAY%% (any case) filled in; the rest is literal."""
    parts = {"year": f"{today:%Y}", "month": f"{today:%m}", "day": f"{today:%d}"}
    return _PART.sub(lambda found: parts[found[1].casefold()], file_spec)


def young_enough(entries: Iterable[Entry], now: datetime, max_age: int, offset: int) -> list[Entry]:
    """Return the entries not older than `max_age` plus `offset` hours; a `max_age` of 0 keeps all."""
    if not max_age:
        return list(entries)
    oldest = now - timedelta(hours=max_age + offset)
    return [entry for entry in entries if entry.modified >= oldest]


def select(file_spec: str, entries: Sequence[Entry], today: date, *, several: bool) -> list[str]:
    """Return the names to import, empty where none matches.

    The name of today wins; else the file whose name carries the nearest other date (the earlier of two that
    are as near). Names match letter by letter, upper and lower case differ. With `several`
    (HasMultipleFiles) the numbered parts of that name belong to it: name.csv, name_1.csv, name-2.csv.
    """
    names = sorted(entry.name for entry in entries)
    for spelled in (resolve(file_spec, today), *_nearest(file_spec, names, today, several=several)):
        found = _parts(spelled, names) if several else [name for name in names if name == spelled]
        if found:
            return found
    return []


def _parts(spelled: str, names: Iterable[str]) -> list[str]:
    """Return the file and its numbered parts, in the order of their numbers."""
    path = PurePath(spelled)
    pattern = re.compile(f"{re.escape(path.stem)}(?:[._-]?([0-9]+))?{re.escape(path.suffix)}")
    numbered = {name: found[1] for name in names if (found := pattern.fullmatch(name))}
    return sorted(numbered, key=lambda name: (int(numbered[name] or -1), name))


def _nearest(file_spec: str, names: Iterable[str], today: date, *, several: bool) -> list[str]:
    """Return the spellings of the FileSpec for the other dates found in `names`, the nearest first."""
    if not _PART.search(file_spec):
        return []
    pattern = _dated(file_spec, several=several)
    dates = {_date_of(found, today) for name in names if (found := pattern.fullmatch(name))}
    known = sorted(day for day in dates if day is not None)
    return [resolve(file_spec, day) for day in sorted(known, key=lambda day: abs(day - today))]


def _dated(file_spec: str, *, several: bool) -> re.Pattern[str]:
    """Return the pattern of a FileSpec with any date; a part that comes twice must be the same twice."""
    path = PurePath(file_spec)
    stem, suffix = (path.stem, path.suffix) if several else (file_spec, "")
    seen: set[str] = set()
    text = _pattern(stem, seen) + (r"(?:[._-]?[0-9]+)?" if several else "") + _pattern(suffix, seen)
    return re.compile(text)


def _pattern(text: str, seen: set[str]) -> str:
    literal_then_part = _PART.split(text)
    pieces = [re.escape(literal_then_part[0])]
    for part, literal in zip(literal_then_part[1::2], literal_then_part[2::2], strict=True):
        name = part.casefold()
        pieces.append(f"(?P={name})" if name in seen else f"(?P<{name}>{_DIGITS[name]})")
        pieces.append(re.escape(literal))
        seen.add(name)
    return "".join(pieces)


def _date_of(found: re.Match[str], today: date) -> date | None:
    """Return the date in a name; parts the FileSpec does not have are today's, the day at most the 28th."""
    parts = found.groupdict()
    day = int(parts.get("day") or min(today.day, 28))
    try:
        return date(int(parts.get("year") or today.year), int(parts.get("month") or today.month), day)
    except ValueError:
        return None
