"""Which files of a folder an import takes; pure: a listing and a date go in, names come out."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import PurePath

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
