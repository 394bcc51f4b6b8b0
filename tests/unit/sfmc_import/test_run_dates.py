"""What a StartDate proves: it has no zone, and whether the month or the day comes first is not documented."""

from datetime import UTC, datetime, timedelta

import pytest

from sfmc_import.run_dates import CLOCKS_APART, began_at, is_older, seems_newer, seems_older

NOON = datetime(2024, 5, 9, 17, 58, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("text", ["5/9/2024 11:58:00 AM", "2024-05-09T11:58:00", "2024-05-09T11:58:00.0"])
def test_a_date_of_marketing_cloud_is_in_central_standard_time(text: str):
    assert began_at(text) == NOON


@pytest.mark.parametrize("text", [None, "", "yesterday", "99/99/2024 1:00:00 AM"])
def test_a_date_in_another_form_is_none_and_proves_nothing(text: str | None):
    assert began_at(text) is None
    assert not seems_older(text, 2**40)
    assert not is_older(text, 2**40)


@pytest.mark.parametrize(
    "text",
    [
        "12/31/9999 11:59:59 PM",
        "9999-12-31T23:59:59",
        "1/1/0001 12:00:00 AM",
        "1/1/1900 12:00:00 AM",
        "0001-01-01T00:00:00",
    ],
)
def test_the_first_and_the_last_date_of_a_database_stand_for_none(text: str):
    assert began_at(text) is None
    assert not seems_older(text, NOON)
    assert not seems_newer(text, NOON)
    assert not is_older(text, 2**40)


def test_a_run_seems_older_where_the_clocks_cannot_be_that_far_apart():
    assert seems_older("5/9/2024 11:58:00 AM", NOON + CLOCKS_APART + 1)
    assert not seems_older("5/9/2024 11:58:00 AM", NOON + CLOCKS_APART)


@pytest.mark.parametrize("text", ["5/20/2024 11:58:00 AM", "2024-05-20T11:58:00"])
def test_a_run_is_older_when_its_time_is_over_by_every_clock_of_the_world(text: str):
    last = datetime(2024, 5, 20, 23, 58, tzinfo=UTC).timestamp() + CLOCKS_APART

    assert is_older(text, last + 1)
    assert not is_older(text, last)


def test_a_run_is_older_only_if_it_is_so_with_the_day_first_too():
    moment = datetime(2024, 5, 12, tzinfo=UTC)

    assert not is_older("5/9/2024 11:58:00 AM", moment.timestamp())
    assert is_older("5/9/2024 11:58:00 AM", (moment + timedelta(days=120)).timestamp())
