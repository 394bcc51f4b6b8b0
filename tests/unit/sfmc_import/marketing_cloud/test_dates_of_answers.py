"""Which time an answer names, and from when a date in Retry-After counts."""

import pytest

from sfmc_import.marketing_cloud.http import Reply

NOON = 1_800_000_000.0
"""Fri, 15 Jan 2027 08:00:00 GMT."""

DATE = "Fri, 15 Jan 2027 08:00:00 GMT"


def reply(**headers: str) -> Reply:
    return Reply(200, {name.replace("_", "-"): value for name, value in headers.items()}, b"")


@pytest.mark.parametrize(
    ("headers", "date"),
    [
        ({"date": DATE}, NOON),
        ({"date": f" {DATE} "}, NOON),
        ({"date": "Fri, 15 Jan 2027 09:00:00 +0100"}, NOON),
        ({"date": DATE, "age": "30"}, NOON + 30),
        ({"date": DATE, "age": " 30 "}, NOON + 30),
        ({"date": DATE, "age": "-30"}, NOON),
        ({"date": DATE, "age": "9" * 400}, NOON),
        ({"date": DATE, "age": "\u0663"}, NOON),
        ({"age": "30"}, None),
        ({}, None),
        ({"date": ""}, None),
        ({"date": "yesterday"}, None),
        ({"date": "Fri, 99 Jan 2027 08:00:00 GMT"}, None),
        ({"date": "Fri, 15 Jan 2027 08:00:00"}, None),
        ({"date": "Fri, 15 Jan 99999999999 08:00:00 GMT"}, None),
    ],
)
def test_the_date_of_an_answer_is_that_of_its_server_and_what_is_none_names_no_time(headers, date):
    assert reply(**headers).date == date


def test_a_date_in_retry_after_counts_from_that_of_the_answer():
    found = reply(date=DATE, retry_after="Fri, 15 Jan 2027 08:01:00 GMT")

    assert found.retry_after == 60.0
