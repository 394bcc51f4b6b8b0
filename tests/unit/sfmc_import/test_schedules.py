"""When schedules tick: time zones, changes of the clock, ends of months, missed ticks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_import.schedules import Look, Schedule, Tick, check_cron, look, seconds_to_next, ticks

BERLIN = "Europe/Berlin"
GAP, REPEATED = datetime(2026, 3, 28, 22, tzinfo=UTC), datetime(2026, 10, 24, 21, tzinfo=UTC)
CHANGES = (
    (BERLIN, GAP),
    (BERLIN, REPEATED),
    ("America/New_York", datetime(2026, 3, 8, 3, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 3, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 10, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 10, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2026, 10, 29, 17, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(2026, 9, 6, tzinfo=UTC)),
)
LINES = ("30 2 * * *", "0 2,3 * * *", "15,45 2 * * *", "*/20 2 * * *", "30 * * * *", "0 1-4 * * *", "30 0 * * *")


def schedule(*cron: str, time_zone: str = BERLIN, **more: Any) -> Schedule:
    return Schedule(source="nightly", customer_key="k", cron=cron, time_zone=time_zone, **more)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def between(which: Schedule, after: datetime, until: datetime) -> list[datetime]:
    return list(takewhile(lambda tick: tick <= until, ticks(which, after)))


def texts(which: Schedule, after: datetime, hours: float) -> list[str]:
    return [f"{tick:%d %H:%M}" for tick in between(which, after, after + timedelta(hours=hours))]


@pytest.mark.parametrize(
    ("line", "after", "expected"),
    [
        # 02:00 to 03:00 does not exist: once, when the gap is over.
        ("30 2 * * *", GAP, ["29 01:00", "30 00:30"]),
        ("0 2,3 * * *", GAP, ["29 01:00", "30 00:00", "30 01:00"]),
        ("15,45 2 * * *", GAP, ["29 01:00", "30 00:15", "30 00:45"]),
        # 02:00 to 03:00 comes twice: once, the first time.
        ("30 2 * * *", REPEATED, ["25 00:30", "26 01:30"]),
        ("30 2 * * *", at("2026-10-25T01:10"), ["26 01:30"]),
        ("*/30 2 * * *", REPEATED, ["25 00:00", "25 00:30", "26 01:00", "26 01:30"]),
        ("*/30 2 * * *", GAP, ["29 01:00", "30 00:00", "30 00:30"]),
    ],
)
def test_a_change_of_the_clock_neither_loses_nor_doubles_a_tick(line: str, after: datetime, expected: list[str]):
    assert texts(schedule(line), after, 30) == expected


def test_a_line_of_every_hour_ticks_in_each_real_hour_of_both_changes():
    for start in (GAP, REPEATED):
        assert len(texts(schedule("0 * * * *"), start, 24)) == 24


def test_the_last_day_of_a_month_and_days_that_not_every_month_has():
    ends = [f"{tick:%m-%d}" for tick in between(schedule("0 12 L * *"), at("2027-12-31T23:00"), at("2028-04-30T23:00"))]
    long_ones = between(schedule("0 12 31 * *"), at("2026-01-01"), at("2026-12-31T23:00"))

    assert ends == ["01-31", "02-29", "03-31", "04-30"]
    assert [tick.month for tick in long_ones] == [1, 3, 5, 7, 8, 10, 12]


def test_several_lines_are_one_schedule_and_a_common_time_is_one_tick():
    assert texts(schedule("0 5 * * *", "0 */5 * * *", time_zone="UTC"), at("2026-05-01"), 10) == [
        "01 05:00",
        "01 10:00",
    ]


@given(st.sampled_from(CHANGES), st.sampled_from(LINES), st.integers(0, 12 * 3600))
def test_where_a_beat_begins_to_look_changes_no_tick(change: tuple[str, datetime], line: str, seconds: int):
    zone, start = change
    which, middle, end = schedule(line, time_zone=zone), start + timedelta(seconds=seconds), start + timedelta(hours=12)

    assert between(which, start, middle) + between(which, middle, end) == between(which, start, end)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("* * * *", "4 fields instead of 5"),
        ("0 0 1 1 * *", "6 fields instead of 5"),
        ("@daily", "1 fields instead of 5"),
        ("61 * * * *", "bad minute"),
        ("0 0 30 2 *", "bad day-of-month"),
        ("*/0 * * * *", "bad minute"),
        ("0 0 * 2 MON#6", "bad day-of-week"),
    ],
)
def test_a_line_that_is_none_says_what_is_wrong(line: str, wrong: str):
    with pytest.raises(ValueError, match=wrong):
        check_cron(line)


@given(st.text(alphabet="0123456789*/,-#L MONW?²\n", max_size=40))
def test_any_text_is_a_line_or_a_value_error(text: str):
    try:
        check_cron(text)
    except ValueError:
        return
    assert next(ticks(schedule(text), at("2026-01-01"))) > at("2026-01-01")


FIVE = schedule("0 5 * * *", time_zone="UTC")
SKIP, WEEK = replace(FIVE, missed="skip"), replace(FIVE, missed_within=7 * 86400.0)


@pytest.mark.parametrize(
    ("which", "seen", "now", "tick", "missed"),
    [
        (FIVE, "2026-05-01T04:59:50", "2026-05-01T04:59:59.900", None, []),
        (FIVE, "2026-05-01T04:59:50", "2026-05-01T05:00:00", "01", []),
        (FIVE, "2026-05-01T05:00:00", "2026-05-01T05:00:00.5", None, []),
        (FIVE, "2026-05-01T04:00:00", "2026-05-01T05:59:00", "01", []),
        (FIVE, "2026-05-01T04:00:00", "2026-05-01T06:00:01", None, ["01"]),
        (FIVE, "2026-04-28T06:00:00", "2026-05-01T05:30:00", "01", ["29", "30"]),
        (SKIP, "2026-05-01T04:00", "2026-05-01T05:01:01", None, ["01"]),
        (SKIP, "2026-05-01T04:00", "2026-05-01T05:00:59", "01", []),
        (WEEK, "2026-01-01", "2026-05-01T04:00", "30", ["24", "25", "26", "27", "28", "29"]),
    ],
)  # fmt: skip
def test_a_look_submits_the_newest_tick_that_is_not_too_old(
    which: Schedule, seen: str, now: str, tick: str | None, missed: list[str]
):
    found = look(which, at(seen), at(now))

    assert (found.tick and f"{found.tick.at:%d}") == tick
    assert [f"{each:%d}" for each in found.missed] == missed


def test_a_look_at_no_time_finds_nothing():
    assert look(FIVE, at("2026-05-01T05:00"), at("2026-05-01T05:00")) == Look()


def test_the_identity_of_a_tick_is_its_schedule_and_its_time_in_utc():
    tick = Tick("nightly", at("2026-05-01T05:00"))

    assert tick.event_id == "nightly/2026-05-01T05:00:00Z"
    assert tick.request_id == Tick("nightly", at("2026-05-01T05:00")).request_id
    assert (
        len({tick.request_id, Tick("nightly", at("2026-05-02T05:00")).request_id, Tick("x", tick.at).request_id}) == 3
    )


def test_the_next_tick_is_so_many_seconds_away():
    assert seconds_to_next(FIVE, at("2026-05-01T04:59:30.5")) == 29.5
    assert seconds_to_next(schedule("0 0 1 1 *", time_zone="UTC"), at("2026-12-31T23:00")) == 3600.0
