from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_sandbox.importing.columns import Field
from sfmc_sandbox.importing.dates import date_reader
from sfmc_sandbox.importing.outcome import BadRowError
from sfmc_sandbox.importing.values import Style, converter, default_of


def style(null_text="", locale="en-US"):
    return Style(null_text, date_reader(locale), "2024-05-09T10:30:00")


def read(text, type_="Text", null_text="", locale="en-US", **properties):
    return converter(Field("Age", type_, **properties), style(null_text, locale))(text)


def reason(*args, **properties):
    with pytest.raises(BadRowError) as error:
        read(*args, **properties)
    return str(error.value)


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("Text", " as it is ", " as it is "),
        ("Number", "42", 42),
        ("Number", " -7 ", -7),
        ("Number", "+2147483647", 2147483647),
        ("Boolean", "True", 1),
        ("Boolean", "no", 0),
        ("Boolean", "1", 1),
        ("EmailAddress", " a.b+c@mail.example.com ", "a.b+c@mail.example.com"),
        ("Phone", "+1 (555) 123-4567", "+1 (555) 123-4567"),
        ("Locale", "en-US", "en-US"),
        ("Date", "5/9/2024", "2024-05-09T00:00:00"),
        ("Base16Encrypted", "00ff", "00ff"),
    ],
)
def test_a_value_of_the_type_is_kept(type_, text, value):
    assert read(text, type_) == value


@pytest.mark.parametrize(
    ("type_", "text", "why"),
    [
        ("Number", "abc", "Age: 'abc' is not a number"),
        ("Number", "1.5", "Age: '1.5' is not a number"),
        ("Number", "1_000", "Age: '1_000' is not a number"),
        ("Number", "١٢", "Age: '١٢' is not a number"),
        ("Number", "2147483648", "Age: '2147483648' is outside -2147483648 to 2147483647"),
        ("Number", "9" * 5000, "is outside"),
        ("Boolean", "maybe", "Age: 'maybe' is not true or false"),
        ("EmailAddress", "unknown", "Age: 'unknown' is not an email address"),
        ("EmailAddress", "a@b", "is not an email address"),
        ("EmailAddress", "a b@example.com", "is not an email address"),
        ("EmailAddress", "zoë@example.com", "is not an email address"),
        ("Phone", "call me", "Age: 'call me' is not a phone number"),
        ("Locale", "english please", "is not a locale such as en-US"),
        ("Date", "31/12/2024", "Age: '31/12/2024' is not a date"),
        ("Decimal", "NaN", "is not a decimal number"),
        ("Decimal", "1,5", "is not a decimal number"),
    ],
)
def test_a_value_of_another_type_is_bad_for_a_reason_that_names_field_and_text(type_, text, why):
    assert why in reason(text, type_)


def test_a_long_text_is_not_repeated_whole_in_the_reason():
    assert len(reason("x" * 10_000, "Number")) < 200


def test_a_text_longer_than_its_field_is_bad():
    assert reason("abcd", max_length=3) == "Age: 4 characters, at most 3 fit"
    assert read("abc", max_length=3) == "abc"


@pytest.mark.parametrize(("text", "value"), [("1.005", "1.01"), ("-0.5", "-0.50"), ("12", "12.00"), ("1e2", "100.00")])
def test_a_decimal_is_rounded_to_its_scale(text, value):
    assert read(text, "Decimal", max_length=5, scale=2) == value


def test_a_decimal_of_the_most_digits_is_kept_to_the_last():
    digits = "9" * 36
    assert read(f"{digits}.25", "Decimal", max_length=38, scale=2) == f"{digits}.25"
    assert "more digits" in reason(f"{digits}9.00", "Decimal", max_length=38, scale=2)


@pytest.mark.parametrize("text", ["1000", "999.999", "1e99", "1e999999"])
def test_a_decimal_with_too_many_digits_is_bad(text):
    assert "more digits than Decimal(5,2) holds" in reason(text, "Decimal", max_length=5, scale=2)


def test_empty_text_is_null_or_the_default():
    assert read("", "Number") is None
    assert read("") is None
    assert read("", "Number", default_value="7") == 7


def test_a_required_field_needs_a_value():
    assert reason("", is_required=True) == "Age: a value is required"
    assert reason("", is_primary_key=True) == "Age: a value is required"
    assert read("", "Number", is_required=True, default_value="7") == 7


def test_null_representation_is_null_and_leaves_empty_text_empty():
    assert read("NULL", null_text="NULL") is None
    assert read("", null_text="NULL") == ""
    assert read("", "Number", null_text="NULL") is None
    assert read("NULL", "Number", null_text="NULL", default_value="7") is None
    assert reason("NULL", null_text="NULL", is_required=True) == "Age: a value is required"


def test_the_default_of_a_date_can_be_the_moment_of_the_import():
    assert default_of(Field("Joined", "Date", default_value="GetDate()"), style()) == "2024-05-09T10:30:00"
    with pytest.raises(BadRowError, match="is not a date"):
        default_of(Field("Joined", "Date", default_value="soon"), style())


@given(st.text())
def test_any_text_is_a_value_or_a_bad_row_for_every_type(text):
    for type_ in ("Text", "Number", "Date", "Boolean", "EmailAddress", "Phone", "Decimal", "Locale"):
        try:
            value = read(text, type_, max_length=10, scale=2)
        except BadRowError as error:
            assert str(error).startswith("Age: ")  # noqa: PT017 - either end is right
        else:
            assert value is None or isinstance(value, (str, int))


@given(st.integers(-(2**31), 2**31 - 1))
def test_every_number_of_the_range_comes_through(number):
    assert read(str(number), "Number") == number


@given(st.dates(date(1000, 1, 1)))
def test_a_date_is_the_same_day_in_every_locale_that_wrote_it(day):
    for locale, form in (("en-US", "%m/%d/%Y"), ("de-DE", "%d.%m.%Y"), ("ja-JP", "%Y/%m/%d")):
        assert read(day.strftime(form), "Date", locale=locale) == f"{day.isoformat()}T00:00:00"
