"""Decides right before a start whether the definition still imports the file that the request is for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
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


@dataclass(frozen=True, slots=True)
class TooOld:
    """A start would leave the file out: it is older than MaxFileAge and its offset allow."""

    text: str


Verdict = Holds | NearMidnight | Mismatch | TooOld
FileAtUse = tuple[str | None, float | None]
"""Name of the file of a request, and when it was last modified, in seconds since 1970; None where that is not known."""


MOST_APART = 600.0
"""Of two clocks that differ by more seconds one is wrong: then the day is that of one alone, for all workers alike."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """By how many seconds two clocks are ahead of that of Redis: this machine's and Marketing Cloud's, if it is known.

    Marketing Cloud reads FileSpec by its own clock: where that is known it says the day, else that of Redis does.
    """

    worker: float = 0.0
    service: float | None = None

    def day_clock(self) -> tuple[float, float, float]:
        """Give how far ahead the clock is that says the day, and how far others are behind and ahead of that one."""
        counts = self.service or 0.0
        others = [off for off in (0.0, -counts, self.worker - counts) if abs(off) <= MOST_APART]
        return counts, -min(others), max(others)


def days_of(now: float, days: Days, ahead: Ahead) -> tuple[date, ...]:
    """Give the days that it may be for a FileSpec: that of the clock that counts, then those across a near midnight.

    A file that is named for one of these is not refused now: `check` lets it start, or wait.
    """
    counts, behind, before = ahead.day_clock()
    at = now + counts
    sides = days.day(at - days.margin - behind), days.day(at + days.margin + before)
    return tuple(dict.fromkeys((days.day(at), *sides)))


def check(
    definition: Definition, first: FirstRead | None, file: FileAtUse, now: float, days: Days, ahead: Ahead | None = None
) -> Verdict:
    """Compare a definition, as it is now, with the request: its file, and the definition as it was read `first`.

    `now` is in seconds since 1970, other clocks may be `ahead` of it: between midnight on the one and the other the
    name must hold on both sides. A request without a file asks for whatever the definition imports now, which must be
    the same there.
    """
    file_name, modified_at = file
    changes = "" if file_name is None else _changes(first, definition)
    if changes:
        return Mismatch(f"the definition is not what it was when it was read for the request: {changes}")
    counts, behind, before = (ahead or Ahead()).day_clock()
    named = _check_name(definition.file_spec or "", file_name, now + counts, days, (behind, before))
    if file_name is None:
        return named
    aged = _check_age(definition, modified_at, now)
    if isinstance(named, Holds) and isinstance(aged, Holds):
        return replace(named, seconds=min(named.seconds, aged.seconds))
    return aged if isinstance(aged, TooOld) and not isinstance(named, Mismatch) else named


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


def _check_name(spec: str, file_name: str | None, now: float, days: Days, apart: tuple[float, float]) -> Verdict:
    # How long before and after now nothing is sent near midnight.
    since, until = days.margin + apart[0], days.margin + apart[1]
    before, after = days.day(now - since), days.day(now + until)
    sides = [side for side in (selection(spec, before), selection(spec, after)) if side is not None]
    if not sides:
        return Holds()
    selecting = [side for side in sides if _is_meant(side, file_name, sides[0])]
    if file_name is not None and not selecting:
        return Mismatch(_other_name(spec, file_name, sides, days))
    if len(selecting) < len(sides):
        text = f"from midnight on FileSpec {spec} selects {_said(sides[1:], days)}; no start is sent so near to it"
        return NearMidnight(days.begin(after) + since - now, text)
    left = days.begin(after + timedelta(days=1)) - until - now if is_dated(spec) else inf
    return Holds(left, not_compared="" if file_name is None else ", ".join(unknown_parts(spec)))


def _is_meant(side: Selection, file_name: str | None, first: Selection) -> bool:
    """Tell whether a start on this side of midnight imports the file; without one, what it does on the first side."""
    return side.text == first.text if file_name is None else side.selects(file_name)


HOUR = 3600.0


def _check_age(definition: Definition, modified_at: float | None, now: float) -> Holds | TooOld:
    """Say whether MaxFileAge lets the file in, and for how long still; 0 is no limit."""
    if modified_at is None or not definition.max_file_age or definition.max_file_age < 0:
        return Holds()
    hours = definition.max_file_age + max(0, definition.max_file_age_offset or 0)
    left = modified_at + hours * HOUR - now
    if left > 0:
        return Holds(left)
    age = (now - modified_at) / HOUR
    return TooOld(f"the file is {age:.1f} h old (modified {_as_time(modified_at)}): MaxFileAge allows {hours} h")


def _as_time(moment: float) -> str:
    try:
        return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        # A file system of 64 bits can date a file beyond the calendar.
        return f"{moment:.0f} s after 1970"


def _other_name(spec: str, file_name: str, sides: Sequence[Selection], days: Days) -> str:
    text = f"the request is for {file_name}, but FileSpec {spec} selects {_said(sides, days)}"
    differs = any(side.selects(file_name, any_case=True) for side in sides)
    return f"{text}: they differ in upper and lower case" if differs else text


def _said(sides: Sequence[Selection], days: Days) -> str:
    return f"{' or '.join(dict.fromkeys(side.text for side in sides))} (dates in {days.zone})"
