"""No schedule loses or doubles a tick when clocks change: all zones, compared with a count of every minute."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo, available_timezones

import pytest
from cronsim import CronSim

from sfmc_import.schedules import Schedule, is_of_every_hour, ticks

BEGIN, END = datetime(2024, 12, 1, tzinfo=UTC), datetime(2028, 12, 1, tzinfo=UTC)
WEEK, MINUTE, AROUND = timedelta(days=7), timedelta(minutes=1), timedelta(hours=4)
LINES = (
    "0 2 * * *",
    "15 2 * * *",
    "30 0,1,2,3,23 * * *",
    "*/10 1-3 * * *",
    "5 */2 * * *",
    "0 0 * * *",
    "0 * * * *",
    "*/15 * * * *",
    "59 23 L * *",
)


def changes_of(zone: ZoneInfo) -> Iterator[tuple[datetime, timedelta, timedelta]]:
    """The first instant after each change of a clock, and what it shows more than UTC before and after."""
    week = BEGIN
    while week < END:
        if offset(week, zone) != offset(week + WEEK, zone):
            yield first_other(week, zone)
        week += WEEK


def offset(at: datetime, zone: ZoneInfo) -> timedelta:
    found = at.astimezone(zone).utcoffset()
    assert found is not None
    return found


def first_other(week: datetime, zone: ZoneInfo) -> tuple[datetime, timedelta, timedelta]:
    old = offset(week, zone)
    hour = next(at for n in range(169) if offset(at := week + timedelta(hours=n), zone) != old) - timedelta(hours=1)
    at = next(at for n in range(61) if offset(at := hour + n * MINUTE, zone) != old)
    return at, old, offset(at, zone)


def all_changes() -> dict[tuple[datetime, timedelta, timedelta], str]:
    """Every change of these years, with one of the zones that have it: it is the same in all of them."""
    zones = sorted(name for name in available_timezones() if "/" in name)
    return {change: name for name in zones for change in changes_of(ZoneInfo(name))}


SAMPLE = (
    ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("Africa/El_Aaiun", datetime(2027, 2, 7, 2, tzinfo=UTC)),
    ("America/Santiago", datetime(2026, 9, 6, 4, tzinfo=UTC)),
)
"""Forward and back, by an hour and by half an hour, at midnight, and a zone that changes for Ramadan."""


@dataclass(frozen=True)
class Minute:
    """A minute: what the clock shows, what it left out just before, and whether it showed the same already."""

    at: datetime
    wall: datetime
    skipped: frozenset[datetime]
    is_again: bool


def minutes(zone: ZoneInfo, begin: datetime, end: datetime) -> list[Minute]:
    found, done, at = [], set[datetime](), begin - AROUND
    last = at.astimezone(zone).replace(tzinfo=None) - MINUTE
    while at <= end:
        wall = at.astimezone(zone).replace(tzinfo=None, fold=0)
        skipped = frozenset(last + n * MINUTE for n in range(1, max(1, (wall - last) // MINUTE)))
        found.append(Minute(at, wall, skipped, wall in done))
        done.add(wall)
        last, at = wall, at + MINUTE
    return found


def counted(line: str, of: list[Minute], begin: datetime) -> list[datetime]:
    """Count minute by minute, as the page says: what a gap leaves out comes after it, what comes twice counts once."""
    last = max(each.wall for each in of)
    wanted = set(takewhile(lambda wall: wall <= last, CronSim(line, min(each.wall for each in of) - MINUTE)))
    repeats = is_of_every_hour(line)
    ticking = (each for each in of if (each.wall in wanted and (repeats or not each.is_again)) or each.skipped & wanted)
    return [each.at for each in ticking if each.at > begin]


@pytest.mark.parametrize(("name", "change"), SAMPLE, ids=str)
def test_around_a_change_of_a_clock_a_schedule_ticks_as_the_page_says(name: str, change: datetime) -> None:
    assert offset(change - MINUTE, ZoneInfo(name)) != offset(change, ZoneInfo(name))
    compare(name, change)


@pytest.mark.nightly
def test_around_each_change_of_a_clock_of_every_zone_a_schedule_ticks_as_the_page_says() -> None:
    changes = all_changes()
    assert "Australia/Lord_Howe" in changes.values()
    assert len(changes) > 50
    for (change, _, _), name in changes.items():
        compare(name, change)


def compare(name: str, change: datetime) -> None:
    begin, end = change - AROUND, change + AROUND
    all_minutes = minutes(ZoneInfo(name), begin, end)
    for line in LINES:
        found = ticks(Schedule(source="s", customer_key="k", cron=(line,), time_zone=name), begin)
        assert until(end, found) == counted(line, all_minutes, begin), (line, name, change)


@pytest.mark.parametrize("late", range(-45, 46, 15))
def test_a_look_that_begins_within_a_change_by_half_an_hour_finds_the_rest(late: int) -> None:
    for change in (datetime(2026, 4, 4, 15, tzinfo=UTC), datetime(2026, 10, 3, 15, 30, tzinfo=UTC)):
        begin, end = change + timedelta(minutes=late, seconds=1), change + AROUND
        for line in LINES:
            which = Schedule(source="s", customer_key="k", cron=(line,), time_zone="Australia/Lord_Howe")
            all_of_it = until(end, ticks(which, change - AROUND))
            assert until(end, ticks(which, begin)) == [at for at in all_of_it if at > begin], line


def until(end: datetime, found: Iterator[datetime]) -> list[datetime]:
    return list(takewhile(lambda at: at <= end, found))
