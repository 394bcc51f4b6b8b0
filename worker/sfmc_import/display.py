"""Makes text and times from outside safe to show: one line, nothing that a terminal obeys; says where colours fit."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

UNSHOWN = (
    "\x00-\x1f\x7f-\x9f"  # C0 with ESC, DEL, C1
    "\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e"  # what Unicode calls format characters: invisible …
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # … or turning the direction of what follows
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f"
    "\ud800-\udfff"  # halves of a character: no file and no terminal takes them
)
"""Characters that are shown by their number."""

FIRST_TIME, LAST_TIME = -62_104_060_800.0, 253_370_764_800.0
"""Begin of the years 2 and 9999, for all that is earlier or later: a calendar shows these in each zone."""

_UNSHOWN = re.compile(f"[{UNSHOWN}]")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_LAST_OF_TWO_BYTES = 0xFFFF


def one_line(text: object) -> str:
    """Give a text as one line; what a terminal would obey or a reader would not see is shown as its number."""
    return _UNSHOWN.sub(_escape, str(text))


def is_blank(text: str | None) -> bool:
    """Tell whether a text has nothing that a person would see."""
    return not _UNSHOWN.sub("", text or "").strip()


def clause(text: object) -> str:
    """Give a text that something follows in the same sentence: without the full stop that others gave it."""
    return str(text).rstrip().removesuffix(".")


def span(seconds: float) -> str:
    """Write a time in the units that fit it: 45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    whole = round(seconds)
    for unit, size, smaller, small in (("d", 86400, "h", 3600), ("h", 3600, "min", 60)):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole // 60} min" if whole >= 120 else f"{whole} s"


def in_calendar(seconds: float) -> float:
    """Give a time, in seconds since 1970; one that no calendar has as the nearest that it has."""
    return min(max(seconds, FIRST_TIME), LAST_TIME)


def date_of(seconds: float) -> datetime:
    """Give a time, in seconds since 1970, as a date of UTC; one that no calendar has as the nearest that it has."""
    return datetime.fromtimestamp(in_calendar(seconds), UTC)


def json_escaped(document: str) -> str:
    """Escape the same characters in a JSON document, where they stand in strings only: it means what it meant."""
    return document if document.isascii() and "\x7f" not in document else _UNSHOWN.sub(_escape_json, document)


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    if found[0] in _SHORT:
        return _SHORT[found[0]]
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _escape_json(found: re.Match[str]) -> str:
    if ord(found[0]) > _LAST_OF_TWO_BYTES:
        pair = found[0].encode("utf-16-be")
        return f"\\u{pair[:2].hex()}\\u{pair[2:].hex()}"
    return f"\\u{ord(found[0]):04x}"


@dataclass(frozen=True, slots=True)
class Coloured:
    """A part of a line with its colour; None is the terminal's own."""

    text: str
    colour: str | None = None


def wants_colours(environ: Mapping[str, str], *, is_terminal: bool) -> bool:
    """Tell whether to write colours: not with NO_COLOR, always with FORCE_COLOR, else on a terminal that can."""
    if environ.get("NO_COLOR"):
        return False
    forced = environ.get("FORCE_COLOR")
    if forced:
        return forced != "0"
    return is_terminal and environ.get("TERM") != "dumb"
