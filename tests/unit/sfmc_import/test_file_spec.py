"""Which names a FileSpec selects on a day, against a slow matcher that expands day by day."""

import unicodedata
from datetime import date, timedelta
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_import.file_spec import is_dated, resolve, selection, unknown_parts

DAY = date(2026, 3, 1)
PARTS = ("%%YEAR%%", "%%Month%%", "%%day%%", "*", "?", "%%NUMBER%%")
LITERALS = st.text("aA1_.\u00e9e\u0301%([ ", min_size=1, max_size=4).filter(lambda text: "%%" not in text)


def are_apart(pieces: list[str]) -> bool:
    """Whether no percent sign of a text makes a part of another name out of its neighbour."""
    pairs = (pair for pair in pairwise(pieces) if not set(pair) <= set(PARTS))
    return not any(left.endswith("%") and right.startswith("%") for left, right in pairs)


PIECES = st.lists(st.one_of(st.sampled_from(PARTS), LITERALS), min_size=1, max_size=6).filter(are_apart)
DAYS = st.dates(date(2025, 12, 28), date(2026, 3, 3))


def expanded(pieces: list[str], day: date) -> list[str]:
    """The pieces with the date of a day in place of its parts."""
    values = {"%%year%%": f"{day:%Y}", "%%month%%": f"{day:%m}", "%%day%%": f"{day:%d}"}
    return [values.get(piece.lower(), piece) for piece in pieces]


def means(pieces: list[str], name: str) -> bool:
    """Whether the pieces can stand for a name: every way to share the name among them is tried."""

    @cache
    def fits(at: int, start: int) -> bool:
        if at == len(pieces):
            return start == len(name)
        piece = pieces[at]
        if piece in {"*", "%%NUMBER%%"}:
            return any(fits(at + 1, end) for end in range(start, len(name) + 1))
        if piece == "?":
            return start < len(name) and fits(at + 1, start + 1)
        return name.startswith(piece, start) and fits(at + 1, start + len(piece))

    return fits(0, 0)


def filled(pieces: list[str], day: date, texts: list[str]) -> str:
    """A name that a FileSpec of these pieces stands for."""
    left = iter(texts)
    return "".join(
        next(left) if piece in {"*", "%%NUMBER%%"} else "x" if piece == "?" else piece
        for piece in expanded(pieces, day)
    )


def selects(spec: str, name: str, day: date = DAY) -> bool:
    found = selection(spec, day)
    assert found is not None
    return found.selects(name)


@given(pieces=PIECES, named_for=DAYS, texts=st.lists(st.text("aA1_.20", max_size=6), min_size=6, max_size=6))
def test_a_name_is_selected_on_just_the_days_on_which_the_slow_matcher_finds_it(pieces, named_for, texts):
    spec, name = "".join(pieces), filled(pieces, named_for, texts)
    for ahead in (-366, -365, -31, -2, -1, 0, 1, 2, 28, 365):
        day = named_for + timedelta(days=ahead)
        ways = [
            means(
                [unicodedata.normalize(form, piece) for piece in expanded(pieces, day)],
                unicodedata.normalize(form, name),
            )
            for form in ("NFC", "NFD")
        ]
        assert selects(spec, name, day) is any(ways)


@given(pieces=PIECES, day=DAYS, texts=st.lists(st.text(max_size=6), min_size=6, max_size=6))
@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC"])
def test_a_name_that_it_can_stand_for_is_selected_in_every_form_of_unicode(form, pieces, day, texts):
    texts = [text.replace("/", "") for text in texts]
    name = filled(pieces, day, texts)
    if form == "NFKC" and unicodedata.normalize("NFC", name) != unicodedata.normalize("NFKC", name):
        return

    assert selects("".join(pieces), unicodedata.normalize(form, name), day)


@given(pieces=st.lists(st.one_of(st.sampled_from(PARTS[:3]), LITERALS), min_size=1), day=DAYS, other=DAYS)
def test_without_an_open_part_the_one_name_of_the_day_is_selected(pieces, day, other):
    spec = "".join(pieces)
    if unknown_parts(spec) or "*" in spec or "?" in spec:
        return
    is_same = unicodedata.normalize("NFC", resolve(spec, day)) == unicodedata.normalize("NFC", resolve(spec, other))
    assert selects(spec, resolve(spec, other), day) is is_same


@pytest.mark.parametrize(
    ("spec", "name", "is_selected"),
    [
        ("in_%%YEAR%%%%MONTH%%%%DAY%%_*.csv", "in_20260301_0915.csv", True),
        ("in_%%YEAR%%%%MONTH%%%%DAY%%_*.csv", "in_20260228_0915.csv", False),
        ("in_%%YEAR%%_??.csv", "in_2026_17.csv", True),
        ("in_%%YEAR%%_??.csv", "in_2026_7.csv", False),
        ("%%FILENAME_FROM_TRIGGER%%", "anything.csv", True),
        ("%%BASEFILENAME_FROM_TRIGGER%%_%%DAY%%.csv", "orders_01.csv", True),
        ("%%BASEFILENAME_FROM_TRIGGER%%_%%DAY%%.csv", "orders_02.csv", False),
        # Two digits of a year are no part that a document names.
        ("in_%%YY%%%%MONTH%%.csv", "in_2603.csv", True),
        ("in_%%YY%%%%MONTH%%.csv", "in_2602.csv", False),
        ("100%_%%DAY%%.csv", "100%_01.csv", True),
        ("100%%_%%DAY%%.csv", "100%%_01.csv", True),
        ("100%%_%%DAY%%_100%%.csv", "100%%_02_100%%.csv", False),
        ("50%% off 20%%.csv", "50%% off 20%%.csv", True),
        ("Orders_*.csv", "orders_1.csv", False),
        ("r\u00e9sum\u00e9_*.csv", "re\u0301sume\u0301_1.csv", True),
        ("e*.csv", "\u00e9.csv", True),
        ("in.csv", "inxcsv", False),
        ("in_[1].csv", "in_1.csv", False),
        ("a*.csv", "a\n.csv", True),
        ("out/%%DAY%%/in_%%DAY%%.csv", "in_01.csv", True),
        ("out/in_%%DAY%%.csv", "in_02.csv", False),
        ("in.csv", "sub/in.csv", True),
        ("*.csv", "in.txt", False),
        ("*a*a*", "xaxa", True),
        ("*a*a", "a", False),
        ("a*a", "a", False),
    ],
)
def test_a_file_spec_selects_a_name(spec: str, name: str, is_selected: bool):
    assert selects(spec, name) is is_selected


@pytest.mark.parametrize("spec", ["", "_CustomObject"])
def test_without_a_file_there_is_nothing_to_compare(spec: str):
    assert selection(spec, DAY) is None


def test_a_name_in_other_upper_and_lower_case_is_another_name():
    found = selection("Orders_%%DAY%%_*.csv", DAY)

    assert found is not None
    assert not found.selects("orders_01_1.CSV")
    assert found.selects("orders_01_1.CSV", any_case=True)
    assert not found.selects("orders_02_1.CSV", any_case=True)


def test_many_wildcards_cost_no_time_that_grows_with_every_one_of_them():
    """A matcher that goes back over each wildcard would need longer than the universe is old."""
    assert not selects("*a" * 60 + "b", "a" * 250)


@pytest.mark.parametrize(
    ("spec", "unknown"),
    [
        ("in_%%YEAR%%_*.csv", ()),
        ("in_%%YY%%_%%HOUR%%_%%YY%%.csv", ("%%YY%%", "%%HOUR%%")),
        ("100%%_%%DAY%%_100%%.csv", ()),
        ("out/in.csv", ("out/",)),
        ("", ()),
    ],
)
def test_the_parts_that_no_document_explains_are_named(spec: str, unknown: tuple[str, ...]):
    assert unknown_parts(spec) == unknown


def test_a_file_spec_is_dated_if_it_means_another_file_on_another_day():
    assert is_dated("x_%%DAY%%.csv")
    assert not is_dated("x_%%FILENAME_FROM_TRIGGER%%.csv")
