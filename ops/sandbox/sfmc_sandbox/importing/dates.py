"""Reads the dates of a file in the order of its locale (pure)."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from sfmc_sandbox.importing.outcome import RefusedError

DateReader = Callable[[str], str | None]

_MONTH_FIRST = ("en-us", "es-us", "fil-ph", "en-ph")
_YEAR_FIRST = ("ja", "zh", "ko", "hu", "lt", "mn", "sv", "en-ca", "fr-ca", "en-za")
_DAY_FIRST = (
    *("en", "de", "fr", "es", "it", "pt", "nl", "da", "nb", "nn", "no", "fi", "pl", "cs", "sk", "sl", "hr", "sr"),
    *("ro", "bg", "el", "tr", "ru", "uk", "et", "lv", "he", "ar", "hi", "id", "ms", "th", "vi", "is", "ga", "ca"),
)
_ORDERS = {"mdy": (3, 1, 2), "dmy": (3, 2, 1), "ymd": (1, 2, 3)}
_NUMBERS = re.compile(
    r"([0-9]{1,4})[/.\- ]([0-9]{1,2})[/.\- ]([0-9]{1,4})\.?"
    r"(?:,?[ T]+([0-9]{1,2})(?::([0-9]{2}))?(?::([0-9]{2})(?:[.,][0-9]{1,7})?)?(?: ?([AaPp])\.?[Mm]\.?)?)?"
)
_NAMES = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_MONTHS = {short: number for number, name in enumerate(_NAMES, start=1) for short in (name, name[:3])} | {"sept": 9}
_MONTH = rf"({'|'.join(sorted(_MONTHS, key=len, reverse=True))})\.?"
# English names of months: May 9, 2024 and 9 May 2024, with a time as above.
_NAMED = (
    (re.compile(rf"{_MONTH} ([0-9]{{1,2}}),? ([0-9]{{4}})(.*)", re.IGNORECASE), (3, 1, 2)),
    (re.compile(rf"([0-9]{{1,2}})[ -]{_MONTH}[ -]([0-9]{{4}})(.*)", re.IGNORECASE), (3, 2, 1)),
)
# Spaces that programs write before AM and PM.
_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " "})
_PIVOT = 50
_NOON = 12


def order_of(locale: str) -> str:
    """Return "mdy", "dmy" or "ymd" for a locale code such as "en-US" or "de"; RefusedError for an unknown one."""
    code = locale.strip().replace("_", "-").casefold()
    language = code.partition("-")[0]
    for order, codes in (("mdy", _MONTH_FIRST), ("ymd", _YEAR_FIRST), ("dmy", _DAY_FIRST)):
        if code in codes or (language in codes and code not in _MONTH_FIRST + _YEAR_FIRST):
            return order
    raise RefusedError(f"DateFormattingLocale {locale!r} is not known here: use a code such as en-US or de-DE")


def date_reader(locale: str) -> DateReader:
    """Return a function from a date, with or without a time, to ISO text with seconds; None if it is not a date.

    A text that begins with a year of four digits is year, month, day in every locale, and so is an English name of a
    month the month. Two digits of a year mean 1950 to 2049.
    """
    order = _ORDERS[order_of(locale)]

    @lru_cache(maxsize=65_536)
    def read(text: str) -> str | None:
        found = _NUMBERS.fullmatch(_in_numbers(text.translate(_SPACES).strip()))
        if found is None or (found[4] and not found[5] and not found[7]):
            return _iso_with_zone(text)
        year, month, day = (1, 2, 3) if len(found[1]) == len("2024") else order
        try:
            moment = datetime(_year(found[year]), int(found[month]), int(found[day]), *_time(found))  # noqa: DTZ001 - a file's dates have no zone
        except ValueError:
            return None
        return moment.isoformat(timespec="seconds")

    return read


def _in_numbers(text: str) -> str:
    """Write a date with the name of a month in numbers, the year first; leave all others."""
    for pattern, (year, month, day) in _NAMED:
        found = pattern.fullmatch(text)
        if found is not None:
            return f"{found[year]}-{_MONTHS[found[month].lower()]}-{found[day]}{found[4]}"
    return text


def _year(text: str) -> int:
    year = int(text)
    if len(text) > len("24"):
        return year
    return year + (2000 if year < _PIVOT else 1900)


def _time(found: re.Match[str]) -> tuple[int, int, int]:
    hour, minute, second = (int(found[group] or 0) for group in (4, 5, 6))
    if found[7]:
        if not 1 <= hour <= _NOON:
            raise ValueError
        hour = hour % _NOON + (_NOON if found[7] in "pP" else 0)
    return hour, minute, second


def _iso_with_zone(text: str) -> str | None:
    """Read the remaining ISO forms; a moment with a zone is kept as UTC."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="seconds")
