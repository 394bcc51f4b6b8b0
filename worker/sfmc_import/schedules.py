"""When schedules tick: cron lines in a time zone, and which tick is to be submitted after a look at the clock."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import groupby, takewhile
from operator import itemgetter
from typing import Literal
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

MAX_MISSED_SECONDS = 7 * 86400.0
"""How far back a missed tick can be made up for: the ledger remembers the last look a day longer."""

ON_TIME_SECONDS = 60.0
"""A tick that is noticed later than this was missed."""

HOURS_OF_A_DAY = 24

# A name space of our own, so that no other program's uuid5 of the same text is equal.
TICKS_NAMESPACE = UUID("0d1c6b4e-7a35-5c52-8f0e-2f9a3e6b71c4")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Starts a definition by the clock; `source` is the name of its [[source]].

    `missed` says what follows when no beat ran at a tick: nothing, or one request for all that were missed, if the
    newest of them is not older than `missed_within` seconds.
    """

    source: str
    customer_key: str
    cron: tuple[str, ...]
    time_zone: str
    mid: str | None = None
    missed: Literal["skip", "once"] = "once"
    missed_within: float = 3600.0


@dataclass(frozen=True, slots=True)
class Tick:
    """One time at which a schedule ticks; its identity is the schedule and the time in UTC, whoever notices it."""

    source: str
    at: datetime

    @property
    def event_id(self) -> str:
        """The id of the source event."""
        return f"{self.source}/{self.at:%Y-%m-%dT%H:%M:%SZ}"

    @property
    def request_id(self) -> str:
        """The id of its request; the ledger takes it once."""
        return str(uuid5(TICKS_NAMESPACE, self.event_id))


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at the clock found: the tick to submit, and those for which it is too late."""

    tick: Tick | None = None
    missed: tuple[datetime, ...] = ()


def check_cron(line: str) -> str:
    """Accept a line of cron with five fields; raises ValueError saying what is wrong."""
    fields = line.split()
    if len(fields) != 5:
        raise ValueError(f"{len(fields)} fields instead of 5: minute, hour, day of the month, month, day of the week")
    try:
        CronSim(line, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ValueError(f"not a line of cron: {str(error).lower()}") from None
    return line


def ticks(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """Give the times at which a schedule ticks after `after`, in UTC, without end.

    A line says times of the local clock. One that a change of the clock leaves out comes at the first instant after
    the gap. One that comes twice counts once, the first time; for a line of every hour of the day it counts twice.
    """
    lines = (_ticks_of(line, ZoneInfo(schedule.time_zone), after) for line in schedule.cron)
    return map(itemgetter(0), groupby(merge(*lines)))


def _ticks_of(line: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    found = _instants(_walls_after(line, zone, after), zone, repeats=is_of_every_hour(line))
    # In the time that comes twice, the first of a wall time may be over.
    return filter(lambda at: at > after, found)


def is_of_every_hour(line: str) -> bool:
    """Say whether a line names no hour: then a time that comes twice is two, and no hour is without its tick."""
    return len(CronSim(line, datetime(2000, 1, 1, tzinfo=UTC)).hours) == HOURS_OF_A_DAY


def _walls_after(line: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Give the local times of a line, without a zone, from which a tick after `after` can follow.

    CronSim counts without a zone here: with one it steps by whole hours, and clocks change by half an hour, too.
    """
    local = after.astimezone(zone)
    # The first time that comes twice, also earlier wall times come once more.
    again = local.replace(fold=0).utcoffset() - local.replace(fold=1).utcoffset()  # type: ignore[operator]
    back = again if again > timedelta() and not local.fold else timedelta()
    return CronSim(line, local.replace(tzinfo=None, fold=0) - back)


def _instants(walls: Iterator[datetime], zone: ZoneInfo, *, repeats: bool) -> Iterator[datetime]:
    """Give the instants in UTC of wall times in order; with `repeats` both of those that come twice."""
    later: deque[datetime] = deque()
    for wall in walls:
        first, second = _both(wall, zone)
        while later and later[0] < first:
            yield later.popleft()
        yield first
        if repeats and second is not None:
            later.append(second)


def _both(wall: datetime, zone: ZoneInfo) -> tuple[datetime, datetime | None]:
    """Give the instant of a wall time, and the second one where it comes twice."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if second < first:
        return _end_of_gap(second, first, zone), None
    return first, second if second > first else None


def _end_of_gap(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Give the first instant on the new clock; it lies after `before`, and `after` is on the new clock."""
    old = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after


def look(schedule: Schedule, seen: datetime, now: datetime) -> Look:
    """Decide what follows from a look at `now`, when the look before was at `seen`.

    Of several ticks one is submitted, the newest: each of them would start the same import.
    """
    within = max(schedule.missed_within, ON_TIME_SECONDS) if schedule.missed == "once" else ON_TIME_SECONDS
    earliest = max(seen, now - timedelta(seconds=MAX_MISSED_SECONDS))
    found = list(takewhile(lambda at: at <= now, ticks(schedule, earliest)))
    if found and now - found[-1] <= timedelta(seconds=within):
        return Look(Tick(schedule.source, found[-1]), tuple(found[:-1]))
    return Look(None, tuple(found))


def seconds_to_next(schedule: Schedule, now: datetime) -> float:
    """Give the seconds until a schedule ticks again."""
    return (next(ticks(schedule, now)) - now).total_seconds()
