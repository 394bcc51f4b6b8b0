"""What a start would import is what the request is for: names by day and zone, midnight, changed definitions."""

from datetime import date, datetime, timedelta
from math import inf
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sfmc_import.checking import Ahead, Days, Holds, Mismatch, NearMidnight, TooOld, check, days_of
from sfmc_import.file_spec import resolve
from sfmc_import.runs import Definition
from sfmc_import.states import FirstRead

DATED = "in_%%Year%%%%MONTH%%%%DAY%%.csv"
MARGIN = 60.0


def days(zone: str = "Europe/Berlin", margin: float = MARGIN) -> Days:
    return Days(zone=ZoneInfo(zone), margin=margin)


def at(text: str, zone: str = "Europe/Berlin") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def verdict(name: str | None, spec: str | None, when: str, **more: str):
    zone = more.get("zone", "Europe/Berlin")
    return check(Definition(customer_key="k", file_spec=spec), None, (name, None), at(when, zone), days(zone))


def test_the_file_of_today_holds_until_the_margin_before_midnight():
    assert verdict("in_20260301.csv", DATED, "2026-03-01T23:00:00") == Holds(3600 - MARGIN)


def test_the_file_of_yesterday_is_not_what_a_start_imports_today():
    found = verdict("in_20260301.csv", DATED, "2026-03-02T12:00:00")

    assert isinstance(found, Mismatch)
    assert "in_20260301.csv" in found.text
    assert "in_20260302.csv" in found.text
    assert "Europe/Berlin" in found.text


def test_the_zone_decides_which_day_it_is():
    moment = at("2026-03-02T03:00:00", "UTC")
    definition = Definition(customer_key="k", file_spec=DATED)

    assert isinstance(check(definition, None, ("in_20260301.csv", None), moment, days("America/Chicago")), Holds)
    assert isinstance(check(definition, None, ("in_20260301.csv", None), moment, days("UTC")), Mismatch)


@pytest.mark.parametrize(
    ("when", "wait"),
    [("2026-03-01T23:59:00", 120.0), ("2026-03-01T23:59:59", 61.0), ("2026-03-02T00:00:00", 60.0)],
)
@pytest.mark.parametrize("name", ["in_20260301.csv", "in_20260302.csv"])
def test_near_midnight_neither_the_file_before_nor_the_one_after_is_started(name: str, when: str, wait: float):
    found = verdict(name, DATED, when)

    assert isinstance(found, NearMidnight)
    assert found.seconds == wait


def test_after_the_margin_the_new_day_holds():
    assert isinstance(verdict("in_20260302.csv", DATED, "2026-03-02T00:01:00"), Holds)
    assert isinstance(verdict("in_20260301.csv", DATED, "2026-03-02T00:01:00"), Mismatch)


def test_a_name_that_is_the_same_on_both_sides_of_midnight_does_not_wait():
    assert verdict("m_03.csv", "m_%%MONTH%%.csv", "2026-03-01T23:59:30") == Holds(86400 - 60 + 30)
    assert isinstance(verdict("m_03.csv", "m_%%MONTH%%.csv", "2026-03-31T23:59:30"), NearMidnight)


def test_a_name_of_neither_side_is_a_mismatch_even_near_midnight():
    assert isinstance(verdict("in_20260228.csv", DATED, "2026-03-01T23:59:30"), Mismatch)


def test_a_name_without_a_date_holds_for_ever():
    assert verdict("orders.csv", "orders.csv", "2026-03-01T23:59:59") == Holds(inf)
    assert isinstance(verdict("orders_1.csv", "orders.csv", "2026-03-01T12:00:00"), Mismatch)
    assert isinstance(verdict("Orders.csv", "orders.csv", "2026-03-01T12:00:00"), Mismatch)


@pytest.mark.parametrize("spec", [None, "", "_CustomObject", "*", "in_*.csv", "in_?.csv"])
def test_a_file_spec_without_a_date_that_can_mean_the_file_leaves_the_word_to_who_routed(spec: str | None):
    assert verdict("in_1.csv", spec, "2026-03-01T23:59:59") == Holds(inf)


def test_a_file_spec_with_a_date_and_a_wildcard_selects_the_files_of_today_until_midnight():
    spec = "in_%%YEAR%%%%MONTH%%%%DAY%%_*.csv"

    assert verdict("in_20260301_17.csv", spec, "2026-03-01T23:00:00") == Holds(3600 - MARGIN)
    assert isinstance(verdict("in_20260228_17.csv", spec, "2026-03-01T23:00:00"), Mismatch)
    assert isinstance(verdict("in_20260301_17.csv", spec, "2026-03-01T23:59:30"), NearMidnight)
    assert isinstance(verdict("in_20260302_17.csv", spec, "2026-03-01T23:59:30"), NearMidnight)
    assert isinstance(verdict("out_20260301_17.csv", spec, "2026-03-01T23:59:30"), Mismatch)


def test_a_name_that_a_wildcard_lets_hold_on_both_sides_of_midnight_does_not_wait():
    assert verdict("in_0102.csv", "in_*%%DAY%%*.csv", "2026-03-01T23:59:30") == Holds(86400 - 60 + 30)


def test_an_unknown_part_is_left_open_and_named_and_the_rest_is_compared():
    spec = "%%NAME%%_%%DAY%%.csv"

    assert verdict("in_01.csv", spec, "2026-03-01T23:00:00") == Holds(3600 - MARGIN, not_compared="%%NAME%%")
    assert isinstance(verdict("in_02.csv", spec, "2026-03-01T23:00:00"), Mismatch)


def test_a_name_that_differs_in_case_alone_is_a_mismatch_that_says_so():
    found = verdict("IN_20260301.csv", DATED, "2026-03-01T12:00:00")

    assert isinstance(found, Mismatch)
    assert "differ in upper and lower case" in found.text
    assert "upper and lower" not in verdict("in_20260302.csv", DATED, "2026-03-01T12:00:00").text


def test_a_request_without_a_file_asks_for_what_the_definition_imports_now():
    changed = Definition(customer_key="k", file_spec=DATED, update_type="Overwrite", max_file_age=1)
    noon = at("2026-03-01T12:00:00")

    assert isinstance(check(changed, FirstRead(update_type="AddAndUpdate"), (None, 0.0), noon, days()), Holds)


@pytest.mark.parametrize(
    ("when", "wait"),
    [("2026-03-01T23:59:00", 120.0), ("2026-03-01T23:59:59", 61.0), ("2026-03-02T00:00:59", 1.0)],
)
def test_near_midnight_a_request_without_a_file_waits_as_the_day_before_and_the_one_after_differ(
    when: str, wait: float
):
    found = verdict(None, DATED, when)

    assert isinstance(found, NearMidnight)
    assert found.seconds == wait


@pytest.mark.parametrize(
    ("when", "ahead", "wait"),
    [
        ("2026-03-01T23:57:30", Ahead(180.0), 210.0),
        ("2026-03-02T00:02:30", Ahead(0.0, -180.0), 90.0),
        ("2026-03-01T15:57:30", Ahead(28980.0, 28800.0), 210.0),
    ],
)
def test_a_request_without_a_file_waits_for_midnight_on_the_same_clocks(when: str, ahead: Ahead, wait: float):
    found = check(Definition(customer_key="k", file_spec=DATED), None, (None, None), at(when), days(), ahead)

    assert isinstance(found, NearMidnight)
    assert found.seconds == wait


def test_a_request_without_a_file_has_until_the_margin_before_the_next_midnight():
    assert verdict(None, DATED, "2026-03-01T23:00:00") == Holds(3600 - MARGIN)
    assert verdict(None, "in_%%MONTH%%.csv", "2026-03-01T23:59:30") == Holds(86400 - 60 + 30)
    assert verdict(None, "%%NAME%%_%%DAY%%.csv", "2026-03-01T23:00:00") == Holds(3600 - MARGIN)


@pytest.mark.parametrize("spec", [None, "", "_CustomObject", "orders.csv", "in_*.csv", "%%NAME%%.csv"])
def test_a_request_without_a_file_does_not_wait_where_file_spec_has_no_date(spec: str | None):
    assert verdict(None, spec, "2026-03-01T23:59:59") == Holds(inf)


@pytest.mark.parametrize("offset", range(-12, 15))
def test_the_wait_ends_where_the_new_day_holds_in_every_zone(offset: int):
    zone = f"Etc/GMT{-offset:+d}" if offset else "UTC"
    found = verdict("in_20260302.csv", DATED, "2026-03-01T23:59:10", zone=zone)
    assert isinstance(found, NearMidnight)
    later = at("2026-03-01T23:59:10", zone) + found.seconds

    now = Definition(customer_key="k", file_spec=DATED)
    assert isinstance(check(now, None, ("in_20260302.csv", None), later, days(zone)), Holds)


@pytest.mark.parametrize("zone", ["Africa/Cairo", "America/Havana", "Asia/Beirut", "America/Santiago", "Europe/Berlin"])
@given(moment=st.floats(1.7e9, 1.9e9), margin=st.sampled_from([1.0, 60.0, 3600.0]))
def test_while_it_holds_the_name_is_that_of_every_moment_within_the_margin(zone: str, moment: float, margin: float):
    read = days(zone, margin)
    name = resolve(DATED, read.day(moment))
    found = check(Definition(customer_key="k", file_spec=DATED), None, (name, None), moment, read)

    assert not isinstance(found, Mismatch)
    if isinstance(found, Holds):
        for beyond in (-margin, 0.0, found.seconds, found.seconds + margin - 0.001):
            assert resolve(DATED, read.day(moment + beyond)) == name


FIRST = FirstRead(object_id="o", file_spec="x.csv", update_type="AddAndUpdate", destination="d", location="l")
NOW = {"object_id": "o", "file_spec": "x.csv", "update_type": "AddAndUpdate", "destination": "d", "location": "l"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"update_type": "Overwrite"}, "UpdateType was AddAndUpdate and is Overwrite"),
        ({"update_type": None}, "UpdateType was AddAndUpdate and is not set"),
        ({"destination": "other"}, "DestinationObject was d and is other"),
        ({"location": "other"}, "RetrieveFileTransferLocation was l and is other"),
        ({"object_id": "other"}, "ObjectID was o and is other"),
    ],
)
def test_a_definition_that_changed_in_what_matters_is_not_started_for_the_file(change: dict, said: str):
    found = check(Definition(customer_key="k", **{**NOW, **change}), FIRST, ("x.csv", None), 0.0, days())

    assert isinstance(found, Mismatch)
    assert said in found.text


@pytest.mark.parametrize("change", [{}, {"destination": None}, {"location": None}, {"max_import_frequency": 3}])
def test_what_is_the_same_or_cannot_be_read_or_does_not_matter_is_no_change(change: dict):
    assert check(Definition(customer_key="k", **{**NOW, **change}), FIRST, ("x.csv", None), 0.0, days()) == Holds(inf)


HOUR = 3600.0


def aged(modified_at: float | None, now: float, name: str = "x.csv", **limits: int | None):
    return check(Definition(customer_key="k", file_spec="x.csv", **limits), None, (name, modified_at), now, days())


@pytest.mark.parametrize("limits", [{}, {"max_file_age": 0}, {"max_file_age": -1}, {"max_file_age_offset": 5}])
def test_without_a_limit_a_file_is_never_too_old(limits: dict):
    assert aged(0.0, 1e9, **limits) == Holds(inf)


def test_a_file_without_a_time_is_never_too_old():
    assert aged(None, 1e9, max_file_age=1) == Holds(inf)


def test_a_file_is_too_old_from_the_hour_on_that_max_file_age_and_its_offset_name():
    limits = {"max_file_age": 4, "max_file_age_offset": 2}

    assert aged(0.0, 5 * HOUR, **limits) == Holds(HOUR)
    assert aged(0.0, 5 * HOUR, max_file_age=5) == TooOld(
        "the file is 5.0 h old (modified 1970-01-01T00:00:00+00:00): MaxFileAge allows 5 h"
    )
    assert isinstance(aged(0.0, 6 * HOUR, **limits), TooOld)
    assert aged(0.0, 3 * HOUR, max_file_age=4, max_file_age_offset=-2) == Holds(HOUR)


def test_a_file_of_another_name_is_a_mismatch_whatever_its_age():
    assert isinstance(aged(0.0, 9 * HOUR, name="y.csv", max_file_age=1), Mismatch)


def test_near_midnight_a_file_that_is_too_old_does_not_wait():
    now = at("2026-03-01T23:59:30")
    dated = Definition(customer_key="k", file_spec=DATED, max_file_age=1)

    assert isinstance(check(dated, None, ("in_20260301.csv", now - 2 * HOUR), now, days()), TooOld)
    assert isinstance(check(dated, None, ("in_20260301.csv", now), now, days()), NearMidnight)


@pytest.mark.parametrize("modified_at", [-1e12, -9.3e18])
def test_a_time_beyond_the_calendar_is_given_in_seconds(modified_at: float):
    assert "s after 1970" in aged(modified_at, 0.0, max_file_age=1).text


@pytest.mark.parametrize("name", ["in_20260301.csv", "in_20260302.csv"])
@pytest.mark.parametrize(
    ("when", "apart", "wait"),
    [
        ("2026-03-01T23:57:30", 180.0, 210.0),  # it is midnight on the other clock already
        ("2026-03-02T00:02:30", -180.0, 90.0),  # it is not yet midnight there
    ],
)
def test_between_midnight_on_one_clock_and_on_the_other_no_file_is_started(
    name: str, when: str, apart: float, wait: float
):
    definition = Definition(customer_key="k", file_spec=DATED)
    found = check(definition, None, (name, None), at(when), days(), Ahead(apart))

    assert isinstance(found, NearMidnight)
    assert found.seconds == wait


@pytest.mark.parametrize("name", ["in_20260301.csv", "in_20260302.csv"])
@pytest.mark.parametrize(
    ("when", "ahead", "wait"),
    [
        # Marketing Cloud is ahead of Redis and of the worker, and past midnight.
        ("2026-03-01T23:57:30", Ahead(0.0, 180.0), 210.0),
        # It is behind both.
        ("2026-03-02T00:02:30", Ahead(0.0, -180.0), 90.0),
        # Only the worker is past midnight, and Redis eight hours away.
        ("2026-03-01T15:57:30", Ahead(28980.0, 28800.0), 210.0),
        # Each is within ten minutes of it, though not of the other.
        ("2026-03-01T23:45:00", Ahead(1000.0, 500.0), 960.0),
    ],
)
def test_near_a_midnight_of_marketing_cloud_or_of_a_clock_that_is_close_to_it_no_file_is_started(
    name: str, when: str, ahead: Ahead, wait: float
):
    definition = Definition(customer_key="k", file_spec=DATED)
    found = check(definition, None, (name, None), at(when), days(), ahead)

    assert isinstance(found, NearMidnight)
    assert found.seconds == wait


@pytest.mark.parametrize(("service", "today"), [(28800.0, "in_20260302.csv"), (-86400.0, "in_20260228.csv")])
@pytest.mark.parametrize("worker", [0.0, 28800.0, -86400.0])
def test_the_day_is_that_of_marketing_cloud_where_other_clocks_are_hours_away(
    worker: float, service: float, today: str
):
    definition, when = Definition(customer_key="k", file_spec=DATED), at("2026-03-01T20:00:00")
    found = check(definition, None, (today, None), when, days(), Ahead(worker, service))

    assert isinstance(found, Holds)
    other = check(definition, None, ("in_20260301.csv", None), when, days(), Ahead(worker, service))
    assert isinstance(other, Mismatch)


def test_the_age_of_a_file_is_counted_on_the_clock_of_redis():
    definition = Definition(customer_key="k", file_spec="x.csv", max_file_age=1)
    now = at("2026-03-01T12:00:00")

    assert isinstance(check(definition, None, ("x.csv", now), now, days(), Ahead(0.0, 28800.0)), Holds)


@pytest.mark.parametrize(
    ("apart", "left"), [(0.0, 7200.0), (180.0, 7020.0), (-180.0, 7200.0), (601.0, 7200.0), (-86400.0, 7200.0)]
)
def test_a_file_of_today_holds_until_the_margin_before_the_first_midnight_of_two_clocks(apart: float, left: float):
    definition = Definition(customer_key="k", file_spec=DATED)
    found = check(definition, None, ("in_20260301.csv", None), at("2026-03-01T22:00:00"), days(), Ahead(apart))

    assert found == Holds(left - MARGIN)


@example(-100.0, 90.0, None, 60.0, 0)
@example(100.0, -90.0, None, 60.0, -1)
@given(
    st.floats(-1500, 1500) | st.floats(-200_000, 200_000),
    st.floats(-700, 700),
    st.none() | st.floats(-700, 700) | st.just(28800.0),
    st.sampled_from([0.0, 60.0, 21600.0]),
    st.integers(-3, 3),
)
def test_a_name_is_selected_on_just_the_days_on_which_a_worker_does_not_refuse_it(
    after: float, worker: float, service: float | None, margin: float, offset: int
):
    read, now, ahead = days("UTC", margin), at("2026-03-08T00:00:00", "UTC") + after, Ahead(worker, service)
    day = date(2026, 3, 8) + timedelta(days=offset)

    verdict = check(Definition(customer_key="k", file_spec=DATED), None, (resolve(DATED, day), None), now, read, ahead)

    assert (day in days_of(now, read, ahead)) == (not isinstance(verdict, Mismatch))


@pytest.mark.parametrize(("after", "first"), [(-8.0, 7), (8.0, 8)])
def test_of_the_days_near_midnight_the_one_that_counts_comes_first(after: float, first: int):
    found = days_of(at("2026-03-08T00:00:00") + after - 40.0, days(), Ahead(0.0, 40.0))

    assert [each.day for each in found] == [first, 15 - first]
