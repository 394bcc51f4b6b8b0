import pytest

from sfmc_sandbox.importing.dates import date_reader, order_of
from sfmc_sandbox.importing.outcome import RefusedError


@pytest.mark.parametrize(
    ("locale", "order"),
    [
        ("en-US", "mdy"),
        ("EN_us", "mdy"),
        ("en-GB", "dmy"),
        ("de-DE", "dmy"),
        ("de", "dmy"),
        ("fr-FR", "dmy"),
        ("fr-CA", "ymd"),
        ("en-CA", "ymd"),
        ("ja-JP", "ymd"),
        ("zh-CN", "ymd"),
        ("sv-SE", "ymd"),
        ("pt-BR", "dmy"),
        ("es-US", "mdy"),
    ],
)
def test_date_formatting_locale_decides_the_order_of_day_month_and_year(locale, order):
    assert order_of(locale) == order


@pytest.mark.parametrize("locale", ["", "xx-YY", "english", "tlh"])
def test_an_unknown_date_formatting_locale_is_refused_by_name(locale):
    with pytest.raises(RefusedError, match="DateFormattingLocale"):
        order_of(locale)


@pytest.mark.parametrize(
    ("locale", "text", "moment"),
    [
        ("en-US", "5/9/2024", "2024-05-09T00:00:00"),
        ("en-GB", "5/9/2024", "2024-09-05T00:00:00"),
        ("en-US", "5/9/2024 12:00:00 AM", "2024-05-09T00:00:00"),
        ("en-US", "5/9/2024 12:05 pm", "2024-05-09T12:05:00"),
        ("en-US", "5/9/24 1:02:03 p.m.", "2024-05-09T13:02:03"),
        ("de-DE", "9.5.49", "2049-05-09T00:00:00"),
        ("de-DE", "9.5.50", "1950-05-09T00:00:00"),
        ("en-US", "2024-05-09", "2024-05-09T00:00:00"),
        ("en-GB", "2024-05-09T23:59:58", "2024-05-09T23:59:58"),
        ("en-US", "2024-05-09 23:59:58.123", "2024-05-09T23:59:58"),
        ("en-US", "2024-05-09T23:00:00-02:00", "2024-05-10T01:00:00"),
        ("ja-JP", "24/05/09", "2024-05-09T00:00:00"),
        ("en-US", "5/9/2024 3 PM", "2024-05-09T15:00:00"),
        ("en-US", "5/9/2024, 3:15 PM", "2024-05-09T15:15:00"),
        ("en-US", "5/9/2024 3:15\u202fPM", "2024-05-09T15:15:00"),
        ("en-US", "5/9/2024\u00a012:15 AM", "2024-05-09T00:15:00"),
        ("en-US", "May 9, 2024", "2024-05-09T00:00:00"),
        ("en-US", "Sept. 9 2024 3:15 PM", "2024-09-09T15:15:00"),
        ("en-GB", "9 May 2024", "2024-05-09T00:00:00"),
        ("de-DE", "09-May-2024 15:15:07", "2024-05-09T15:15:07"),
    ],
)
def test_a_date_is_read_as_its_locale_writes_it(locale, text, moment):
    assert date_reader(locale)(text) == moment


NO_DATES = [
    "13/13/2024",
    "2/30/2024",
    "soon",
    "5/9/2024 25:00",
    "5/9/2024 13:00 PM",
    "5/9/0000",
    "",
    "5/9/2024 3",
    "May 32, 2024",
    "May 9",
]


@pytest.mark.parametrize("text", NO_DATES)
def test_what_is_no_date_is_none(text):
    assert date_reader("en-US")(text) is None
