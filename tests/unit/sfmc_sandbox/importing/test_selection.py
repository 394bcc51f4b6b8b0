from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_sandbox.importing.filters import Entry, resolve, select, young_enough

TODAY = date(2024, 5, 9)
NOW = datetime(2024, 5, 9, 12, tzinfo=UTC)


def entries(*names):
    return [Entry(name, NOW) for name in names]


def chosen(file_spec, *names, several=False):
    return select(file_spec, entries(*names), TODAY, several=several)


@pytest.mark.parametrize("spec", ["a_%%YEAR%%-%%MONTH%%-%%DAY%%.csv", "a_%%Year%%-%%month%%-%%dAy%%.csv"])
def test_file_spec_parts_of_the_date_are_filled_in_any_case(spec):
    assert resolve(spec, TODAY) == "a_2024-05-09.csv"


def test_file_spec_text_that_is_no_part_of_a_date_stays_as_it_is():
    assert resolve("%%HOUR%% 50%% .*[a].csv", TODAY) == "%%HOUR%% 50%% .*[a].csv"


def test_file_spec_is_no_pattern():
    assert chosen("a*.csv", "ab.csv", "a.csv") == []
    assert chosen("a.csv", "axcsv") == []


def test_file_spec_distinguishes_upper_and_lower_case():
    assert chosen("People.csv", "people.csv") == []


def test_the_file_of_today_wins_over_all_others():
    assert chosen("a%%YEAR%%%%MONTH%%%%DAY%%.csv", "a20240508.csv", "a20240509.csv", "a20240510.csv") == [
        "a20240509.csv"
    ]


def test_without_a_file_of_today_the_nearest_date_is_taken():
    assert chosen("a%%YEAR%%%%MONTH%%%%DAY%%.csv", "a20240401.csv", "a20240512.csv", "a20240601.csv") == [
        "a20240512.csv"
    ]


def test_of_two_dates_as_near_the_earlier_is_taken():
    assert chosen("a%%YEAR%%%%MONTH%%%%DAY%%.csv", "a20240510.csv", "a20240508.csv") == ["a20240508.csv"]


def test_names_that_carry_no_date_are_not_near_any():
    assert chosen("a%%YEAR%%%%MONTH%%%%DAY%%.csv", "a20241399.csv", "a2024.csv", "b20240509.csv") == []


def test_a_part_of_the_date_that_comes_twice_must_be_the_same_twice():
    assert chosen("%%DAY%%/%%DAY%%".replace("/", "-"), "08-07", "08-08") == ["08-08"]


def test_parts_the_file_spec_leaves_out_are_those_of_today():
    assert chosen("%%MONTH%%.csv", "03.csv", "06.csv") == ["06.csv"]


def test_has_multiple_files_takes_the_numbered_parts_in_their_order():
    names = ("a_10.csv", "a_2.csv", "a.csv", "ab.csv", "a_x.csv", "a-3.csv", "a_2.csv.gz")
    assert chosen("a.csv", *names, several=True) == ["a.csv", "a_2.csv", "a-3.csv", "a_10.csv"]


def test_has_multiple_files_false_takes_one_file():
    assert chosen("a.csv", "a_2.csv", "a.csv") == ["a.csv"]


def test_has_multiple_files_with_the_nearest_date_takes_all_its_parts():
    names = ("d20240501_1.csv", "d20240501_2.csv", "d20240401_1.csv")
    assert chosen("d%%YEAR%%%%MONTH%%%%DAY%%.csv", *names, several=True) == ["d20240501_1.csv", "d20240501_2.csv"]


@pytest.mark.parametrize(
    ("max_age", "offset", "kept"), [(0, 0, 3), (2, 0, 1), (3, 0, 2), (2, 1, 2), (2, 100, 3), (0, 5, 3)]
)
def test_max_file_age_and_its_offset_leave_older_files_out(max_age, offset, kept):
    files = [Entry(f"{age}", NOW - timedelta(hours=age)) for age in (1, 3, 50)]
    assert len(young_enough(files, NOW, max_age, offset)) == kept


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.dates(date(1900, 1, 1), date(2100, 1, 1)))
def test_a_lone_dated_file_is_found_from_any_day(written, today):
    spec = "x_%%DAY%%.%%MONTH%%.%%YEAR%%(1).txt"
    name = resolve(spec, written)
    assert select(spec, entries(name), today, several=False) == [name]


@given(st.lists(st.dates(date(2000, 1, 1), date(2050, 1, 1)), min_size=1), st.dates(date(2000, 1, 1), date(2050, 1, 1)))
def test_no_other_file_is_nearer_than_the_one_taken(days, today):
    found = select("%%YEAR%%%%MONTH%%%%DAY%%", entries(*{f"{day:%Y%m%d}" for day in days}), today, several=False)
    taken = date.fromisoformat(found[0])
    assert abs(taken - today) == min(abs(day - today) for day in days)
