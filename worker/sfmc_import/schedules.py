"""When schedules tick: cron lines in a time zone, and which tick is to be submitted after a look at the clock."""

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

    A time that a change of the clock leaves out comes when the gap is over; one that comes twice counts once. Lines
    that repeat within the hours (a minute or hour that begins with *) follow the real hours instead.
    """
    lines = (_ticks_of(line, schedule.time_zone, after) for line in schedule.cron)
    return map(itemgetter(0), groupby(merge(*lines)))


def _ticks_of(line: str, time_zone: str, after: datetime) -> Iterator[datetime]:
    found = CronSim(line, after.astimezone(ZoneInfo(time_zone)))
    # In the hour that comes twice, a line is read as wall time, of which the first one may be over.
    return filter(lambda at: at > after, (each.astimezone(UTC) for each in found))


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
