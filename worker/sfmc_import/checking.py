"""Decides right before a start whether the definition still imports the file that the request is for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from math import inf

from sfmc_import.file_spec import Selection, is_dated, selection, unknown_parts
from sfmc_import.runs import Definition
from sfmc_import.states import FirstRead


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """How the dates of a FileSpec are read: in which time zone, and how near to its midnight nothing is sent.

    Marketing Cloud reads FileSpec when the import runs, a moment after the start and on a clock of its own:
    within `margin` seconds of midnight the name must hold on both sides.
    """

    zone: tzinfo
    margin: float

    def day(self, moment: float) -> date:
        """Give the day of a moment, in seconds since 1970."""
        return datetime.fromtimestamp(moment, self.zone).date()

    def begin(self, day: date) -> float:
        """Give the moment when a day begins."""
        return datetime.combine(day, time.min, self.zone).timestamp()


@dataclass(frozen=True, slots=True)
class Holds:
    """The file of the request is imported by a start within so many `seconds`.

    `despite` says what speaks against it, where the policy lets it start all the same. `not_compared` names the parts
    of FileSpec that cannot be compared with a name.
    """

    seconds: float = inf
    despite: str = ""
    not_compared: str = ""


@dataclass(frozen=True, slots=True)
class NearMidnight:
    """Which file is imported can be said again in so many `seconds`."""

    seconds: float
    text: str


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A start would import another file, or into something else, than when the request was read first."""

    text: str


Verdict = Holds | NearMidnight | Mismatch


def check(definition: Definition, first: FirstRead | None, file_name: str | None, now: float, days: Days) -> Verdict:
    """Compare a definition, as it is now, with the request: its file, and the definition as it was read `first`.

    `now` is in seconds since 1970. A request without a file asks for whatever the definition imports now.
    """
    if file_name is None:
        return Holds()
    changes = _changes(first, definition)
    if changes:
        return Mismatch(f"the definition is not what it was when it was read for the request: {changes}")
    return _check_name(definition.file_spec or "", file_name, now, days)


# Property, what it is called, and whether one that is not set says anything: some are not readable everywhere.
_COMPARED = (
    ("object_id", "ObjectID", False),
    ("destination", "DestinationObject", False),
    ("location", "RetrieveFileTransferLocation", False),
    ("update_type", "UpdateType", True),
)


def _changes(first: FirstRead | None, now: Definition) -> str:
    if first is None:
        return ""
    pairs = [(name, getattr(first, field), getattr(now, field), always) for field, name, always in _COMPARED]
    changed = [(name, old, new) for name, old, new, always in pairs if old != new and (always or (old and new))]
    return ", ".join(f"{name} was {old or 'not set'} and is {new or 'not set'}" for name, old, new in changed)


def _check_name(spec: str, file_name: str, now: float, days: Days) -> Verdict:
    before, after = days.day(now - days.margin), days.day(now + days.margin)
    sides = [side for side in (selection(spec, before), selection(spec, after)) if side is not None]
    if not sides:
        return Holds()
    selecting = [side for side in sides if side.selects(file_name)]
    if not selecting:
        return Mismatch(_other_name(spec, file_name, sides, days))
    if len(selecting) < len(sides):
        text = f"from midnight on FileSpec {spec} selects {_said(sides[1:], days)}; no start is sent so near to it"
        return NearMidnight(days.begin(after) + days.margin - now, text)
    until = days.begin(after + timedelta(days=1)) - days.margin - now if is_dated(spec) else inf
    return Holds(until, not_compared=", ".join(unknown_parts(spec)))


def _other_name(spec: str, file_name: str, sides: Sequence[Selection], days: Days) -> str:
    text = f"the request is for {file_name}, but FileSpec {spec} selects {_said(sides, days)}"
    differs = any(side.selects(file_name, any_case=True) for side in sides)
    return f"{text}: they differ in upper and lower case" if differs else text


def _said(sides: Sequence[Selection], days: Days) -> str:
    return f"{' or '.join(dict.fromkeys(side.text for side in sides))} (dates in {days.zone})"
