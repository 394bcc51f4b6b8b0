"""Decides right before a start whether the definition still imports the file that the request is for."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from math import inf

from sfmc_import.routing import composed, is_dated, selected_name
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

    `despite` says what speaks against it, where the policy lets it start all the same.
    """

    seconds: float = inf
    despite: str = ""


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
        return Mismatch(f"the definition was changed after the request: {changes}")
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
    names = (selected_name(spec, before), selected_name(spec, after))
    if None in names:
        return Holds()
    if composed(file_name) not in {composed(name) for name in names if name}:
        return Mismatch(f"the request is for {file_name}, but FileSpec {spec} selects {_said(names, days)}")
    if names[0] != names[1]:
        text = f"from midnight on FileSpec {spec} selects {_said(names[1:], days)}; no start is sent so near to it"
        return NearMidnight(days.begin(after) + days.margin - now, text)
    return Holds(days.begin(after + timedelta(days=1)) - days.margin - now if is_dated(spec) else inf)


def _said(names: tuple[str | None, ...], days: Days) -> str:
    return f"{' or '.join(str(name) for name in dict.fromkeys(names))} (dates in {days.zone})"
