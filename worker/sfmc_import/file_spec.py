"""Reads a FileSpec: which file names it selects on a day, and which of its parts no document explains."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal

DATE_PART = re.compile(r"%%(YEAR|MONTH|DAY)%%", re.IGNORECASE)
_NO_FILE = "_CustomObject"
_UNKNOWN_PART = re.compile(r"%%[^%/]+%%")
_OPEN_PART = re.compile(rf"({_UNKNOWN_PART.pattern}|[*?])")
Form = Literal["NFC", "NFD"]
_FORMS: tuple[Form, ...] = ("NFC", "NFD")


def resolve(spec: str, day: date) -> str:
    """Give the file name that a FileSpec means on a day; month and day have two digits."""
    values = {"YEAR": f"{day.year:04}", "MONTH": f"{day.month:02}", "DAY": f"{day.day:02}"}
    return DATE_PART.sub(lambda part: values[part[1].upper()], spec)


def composed(name: str) -> str:
    """Give the form of a name in which an accent and its letter are one character (NFC), for comparing."""
    return unicodedata.normalize("NFC", name)


def is_dated(spec: str) -> bool:
    """Tell whether a FileSpec means another file on another day."""
    return DATE_PART.search(spec) is not None


def unknown_parts(spec: str) -> tuple[str, ...]:
    """Give the parts of a FileSpec with which no name can be compared: unknown ones, and folders.

    No document says what %%FILENAME_FROM_TRIGGER%% and the like mean for a start by API, nor whether a FileSpec may
    name a folder.
    """
    folders, slash, name = spec.rpartition("/")
    # The names of the date parts stand at the odd places.
    unknown = [part for text in DATE_PART.split(name)[::2] for part in _UNKNOWN_PART.findall(text)]
    return tuple(dict.fromkeys([folders + slash, *unknown] if slash else unknown))


@dataclass(frozen=True, slots=True)
class Selection:
    """What a FileSpec selects on one day. `text` is it with the date of that day, for people."""

    text: str
    _patterns: tuple[tuple[Form, str | re.Pattern[str]], ...]

    def selects(self, name: str, *, any_case: bool = False) -> bool:
        """Tell whether a file of this name can be meant, in any of the forms in which Unicode writes it.

        Folders are not compared: a request names the place where its file arrived, not the one that is imported.
        """
        forms = [(pattern, unicodedata.normalize(form, name.rpartition("/")[2])) for form, pattern in self._patterns]
        return any(_fits(pattern, text, any_case=any_case) for pattern, text in forms)


def _fits(pattern: str | re.Pattern[str], text: str, *, any_case: bool) -> bool:
    if isinstance(pattern, str):
        if not any_case:
            return pattern == text
        pattern = re.compile(re.escape(pattern), re.DOTALL)
    if any_case:
        pattern = re.compile(pattern.pattern, pattern.flags | re.IGNORECASE)
    return pattern.fullmatch(text) is not None


@lru_cache(512)
def selection(spec: str, day: date) -> Selection | None:
    """Give what a FileSpec selects on a day; None where it names no file: without one, and for a data extension.

    `*` stands for any text, `?` for one character, an unknown part for any text. Whoever reads them literally means
    less, so a name that is not selected is meant by no reading.
    """
    if not spec or spec == _NO_FILE:
        return None
    name = spec.rpartition("/")[2]
    patterns = [(form, _pattern(unicodedata.normalize(form, name), day)) for form in _FORMS]
    return Selection(resolve(spec, day), tuple(patterns))


def _pattern(name: str, day: date) -> str | re.Pattern[str]:
    """Make the pattern of a name: itself where it is fixed, else its fixed pieces with any text between them.

    Each piece but the last is taken where it fits first and never anywhere else, so that no name takes long.
    """
    if not _OPEN_PART.search(name):
        return name
    first, *others = _pieces(name, day)
    if not others:
        return re.compile(first, re.DOTALL)
    *middle, last = others
    return re.compile("".join([first, *(f"(?>.*?{piece})" for piece in middle), ".*", last]), re.DOTALL)


def _pieces(name: str, day: date) -> list[str]:
    pieces = [""]
    # The names of the date parts stand at the odd places; what is between two of these parts is no unknown part.
    for at, text in enumerate(DATE_PART.split(name)):
        for part in [resolve(f"%%{text}%%", day)] if at % 2 else _OPEN_PART.split(text):
            if part == "*" or _UNKNOWN_PART.fullmatch(part):
                pieces.append("")
            else:
                pieces[-1] += "." if part == "?" else re.escape(part)
    return pieces
