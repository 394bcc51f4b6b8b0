import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_sandbox.importing.filters import compile_filter
from sfmc_sandbox.importing.outcome import RefusedError

HEADINGS = ["Country", "Age", "Opt In", "Note"]
ROWS = {
    "ann": ["DE", "30", "yes", ""],
    "bob": ["de", "9", "", "it's here"],
    "cat": ["US", "100", "no", "AND"],
    "dan": ["", "old", "yes", "x"],
}


def kept(text):
    test = compile_filter(text, HEADINGS).test
    return [name for name, row in ROWS.items() if test(row)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Country = 'DE'", ["ann", "bob"]),
        ("Country <> DE", ["cat", "dan"]),
        ("country != 'de'", ["cat", "dan"]),
        ("Age >= 30", ["ann", "cat", "dan"]),
        ("Age < 30", ["bob"]),
        ("Age = 30.0", ["ann"]),
        ("[Opt In] IS NULL", ["bob"]),
        ("[Opt In] is not null", ["ann", "cat", "dan"]),
        ("Note = 'it''s here'", ["bob"]),
        ("Note contains HERE", ["bob"]),
        ("Note = 'AND'", ["cat"]),
        ("Country = 'DE' AND Age > 10", ["ann"]),
        ("Country = 'US' OR Country = 'DE' AND Age > 10", ["ann", "cat"]),
        ("(Country = 'US' OR Country = 'DE') AND Age > 10", ["ann", "cat"]),
        ("(Country = 'US' OR Country = 'DE') AND (Age > 99 OR Age<=9)", ["bob", "cat"]),
    ],
)
def test_filter_keeps_the_rows_it_describes(text, names):
    assert kept(text) == names


def test_filter_names_columns_by_number_where_there_are_no_headings():
    compiled = compile_filter("[2] = 'x' OR 1 = y", None)
    assert compiled.test(["a", "x"])
    assert compiled.width == 2


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "a column is expected at the end"),
        ("Country", "a comparison is expected at the end"),
        ("Country =", "a value is expected at the end"),
        ("Country = =", "a value is expected at '='"),
        ("Country ( 1", r"a comparison is expected at '\('"),
        ("Country = 1 Age = 2", "AND, OR or the end is expected at 'Age'"),
        ("(Country = 1", "a closing bracket is expected"),
        ("Country IS 1", "NULL is expected at '1'"),
        ("'Country' = 1", "a column is expected at 'Country'"),
        ("Height = 1", "Filter: the file has no column 'Height'"),
        ("Country = 'open", "cannot be read from"),
        ("(" * 60 + "Age = 1" + ")" * 60, "brackets inside each other"),
    ],
)
def test_a_filter_that_cannot_be_read_says_where(text, why):
    with pytest.raises(RefusedError, match=why):
        compile_filter(text, HEADINGS)


@given(st.text(st.sampled_from("Age()='[] <>!=ANDOR15x"), max_size=40))
def test_any_text_is_a_filter_or_refused(text):
    try:
        compiled = compile_filter(text, HEADINGS)
    except RefusedError:
        return
    assert compiled.test(["1", "2", "3", "4"]) in {True, False}
