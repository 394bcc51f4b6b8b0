"""Counts the last 24 hours by definition and hour, from the events of the stream in their order; bounded in memory."""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from heapq import nlargest

from sfmc_import.events import Entry, kind
from sfmc_import.request import fold_key
from sfmc_import.states import AS_EXPECTED, FAILED, TERMINAL

HOURS = 24
MS = 3_600_000
MAX_DEFINITIONS = 10_000
"""Of more the one whose last event is the oldest is forgotten."""

MAX_WAITING = 100_000
"""Requests whose start is waited for, to know how long it took."""

NEWEST = 20
"""Requests of each definition that are known."""

COUNTED = {
    "accepted": "accepted",
    "started": "started",
    **dict.fromkeys(AS_EXPECTED, "completed"),
    **dict.fromkeys(FAILED, "failed"),
}
"""Which counter an event raises."""

LIMITS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, float("inf"))
"""Upper limits of the classes of seconds from a request to its start."""


@dataclass(slots=True)
class Hour:
    """What happened in one hour."""

    accepted: int = 0
    started: int = 0
    completed: int = 0
    failed: int = 0
    waits: list[int] = field(default_factory=list)
    """Starts in each class of LIMITS; empty without one, and for the hours of a definition."""

    def quantile(self, share: float) -> float | None:
        """Give the limit that this share of the starts did not pass, in seconds; None without starts."""
        whole = sum(self.waits)
        left = share * whole
        for limit, number in zip(LIMITS, self.waits, strict=False):
            left -= number
            if left <= 0 and whole:
                return limit
        return None


@dataclass(slots=True)
class Line:
    """One definition: its hours that had events, its last end and its newest requests, the last one last."""

    mid: str
    customer_key: str
    hours: dict[int, Hour] = field(default_factory=dict)
    newest_hour: int = 0
    failed_hour: int = 0
    """The last hour with an event, and with a failure: ten thousand definitions are put in order by them."""
    last: str = ""
    last_ms: int = 0
    newest: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DefinitionDay:
    """The last 24 hours of a definition, oldest first; `last` is its last end, `newest` are ids of requests."""

    mid: str
    customer_key: str
    hours: tuple[Hour, ...]
    started: int
    completed: int
    failed: int
    last: str
    last_at: datetime | None
    newest: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Day:
    """The last 24 hours of everything, oldest first; `begin` is when the first of them began."""

    begin: datetime
    hours: tuple[Hour, ...]
    definitions: int

    def total(self, name: str) -> int:
        """Give the sum of a counter."""
        return sum(getattr(hour, name) for hour in self.hours)


class Activity:
    """Takes events from one thread, and answers any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all = Line("", "")
        self._lines: OrderedDict[tuple[str, str], Line] = OrderedDict()
        self._waiting: OrderedDict[str, int] = OrderedDict()

    def add(self, entries: Iterable[Entry]) -> None:
        """Count some events; each comes once, in the order of the stream."""
        with self._lock:
            for position, event in entries:
                word = kind(event)
                if word in COUNTED or word in TERMINAL:
                    self._count(int(position.partition("-")[0]), word, str(event["subject"]), event["data"])

    def _count(self, ms: int, word: str, key: str, data: dict[str, object]) -> None:
        name = COUNTED.get(word)
        if name is not None:
            _raise(self._all, ms, name)
        self._note_start(ms, word, str(data.get("request_id")))
        if not data.get("request_id"):
            return
        line = self._line(str(data.get("mid", "")), key)
        if name is not None:
            _raise(line, ms, name)
        if word == "accepted":
            _note(line, str(data["request_id"]))
        if word in TERMINAL:
            line.last, line.last_ms = word, ms

    def _line(self, mid: str, key: str) -> Line:
        place = (mid, fold_key(key))
        line = self._lines.get(place)
        if line is None:
            line = self._lines[place] = Line(mid, key)
            if len(self._lines) > MAX_DEFINITIONS:
                self._lines.popitem(last=False)
        self._lines.move_to_end(place)
        return line

    def _note_start(self, ms: int, word: str, request_id: str) -> None:
        if word == "accepted":
            self._waiting[request_id] = ms
            if len(self._waiting) > MAX_WAITING:
                self._waiting.popitem(last=False)
        elif word == "started":
            since = self._waiting.pop(request_id, None)
            if since is not None:
                _note_wait(self._all.hours[ms // MS], (ms - since) / 1000)
        elif word in TERMINAL:
            self._waiting.pop(request_id, None)

    def day(self, now: float) -> Day:
        """Give the last 24 hours of everything; `now` in seconds since 1970."""
        first = _first(now)
        with self._lock:
            hours = _hours(self._all, first)
            count = sum(1 for line in self._lines.values() if line.newest_hour >= first)
        return Day(datetime.fromtimestamp(first * MS / 1000, UTC), hours, count)

    def definitions(self, now: float, limit: int = 50) -> list[DefinitionDay]:
        """Give the definitions with events in the last 24 hours: those with failures first, then the newest."""
        first = _first(now)
        with self._lock:
            ranked = nlargest(limit, self._lines.values(), key=lambda line: _rank(line, first))
            return [_definition(line, first) for line in ranked if line.newest_hour >= first]

    def definitions_like(self, text: str, limit: int = 50) -> list[tuple[str, str]]:
        """Give MID and CustomerKey of known definitions whose key contains a text, in any case; the newest first."""
        wanted = fold_key(text)
        with self._lock:
            found = [(line.mid, line.customer_key) for (_, key), line in self._lines.items() if wanted in key]
        return found[::-1][:limit]

    def definition(self, mid: str, customer_key: str, now: float) -> DefinitionDay:
        """Give the last 24 hours of one definition."""
        with self._lock:
            line = self._lines.get((mid, fold_key(customer_key))) or Line(mid, customer_key)
            return _definition(line, _first(now))


def _first(now: float) -> int:
    return int(now * 1000) // MS - HOURS + 1


def _raise(line: Line, ms: int, name: str) -> None:
    number = ms // MS
    hour = line.hours.get(number)
    if hour is None:
        hour = line.hours[number] = Hour()
        for old in [each for each in line.hours if each <= number - HOURS]:
            del line.hours[old]
    setattr(hour, name, getattr(hour, name) + 1)
    line.newest_hour = number
    if name == "failed":
        line.failed_hour = number


def _note(line: Line, request_id: str) -> None:
    # One that is taken up anew is accepted once more.
    line.newest.pop(request_id, None)
    line.newest[request_id] = None
    if len(line.newest) > NEWEST:
        del line.newest[next(iter(line.newest))]


def _note_wait(hour: Hour, seconds: float) -> None:
    if not hour.waits:
        hour.waits = [0] * len(LIMITS)
    hour.waits[next(place for place, limit in enumerate(LIMITS) if seconds <= limit)] += 1


def _hours(line: Line, first: int) -> tuple[Hour, ...]:
    return tuple(line.hours.get(number) or Hour() for number in range(first, first + HOURS))


def _rank(line: Line, first: int) -> tuple[bool, int, int]:
    return line.failed_hour >= first, line.newest_hour, line.last_ms


def _definition(line: Line, first: int) -> DefinitionDay:
    hours = _hours(line, first)
    sums = {name: sum(getattr(hour, name) for hour in hours) for name in ("started", "completed", "failed")}
    last_at = datetime.fromtimestamp(line.last_ms / 1000, UTC) if line.last_ms else None
    newest = tuple(reversed(line.newest))
    return DefinitionDay(line.mid, line.customer_key, hours, **sums, last=line.last, last_at=last_at, newest=newest)
