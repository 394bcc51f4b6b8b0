import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_import.display import json_escaped, one_line, wants_colours

ANY_TEXT = st.text(st.characters(exclude_categories=()))
INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("orders\x1b[2J\x1b[31m.csv", r"orders\x1b[2J\x1b[31m.csv"),
        ("a\nb\r\n\tc", r"a\nb\r\n\tc"),
        ("\x9b31m\x7f\x00", r"\x9b31m\x7f\x00"),
        ("vsc.\u202eexe\u2066", r"vsc.\u202eexe\u2066"),
        ("one\u2028two\u2029three\x85", r"one\u2028two\u2029three\x85"),
        ("half\ud83d", r"half\ud83d"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("Bestände 訂單 🙂 \\x1b", "Bestände 訂單 🙂 \\x1b"),
    ],
)
def test_what_steers_a_terminal_or_misleads_a_reader_is_shown_by_its_number(text: str, shown: str) -> None:
    assert one_line(text) == shown


@given(ANY_TEXT)
def test_every_text_becomes_one_line_that_any_terminal_takes(text: str) -> None:
    shown = one_line(text)

    assert len(shown.splitlines()) <= 1
    assert not [each for each in shown if unicodedata.category(each) in INVISIBLE]
    assert shown.encode().decode() == shown


@given(ANY_TEXT, ANY_TEXT)
def test_a_json_document_means_what_it_meant(name: str, value: str) -> None:
    shown = json_escaped(json.dumps({name: value}, ensure_ascii=False))

    assert json.loads(shown) == {name: value}
    assert one_line(shown) == shown


@pytest.mark.parametrize(
    ("environ", "terminal", "wanted"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "0"}, True, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
    ],
)
def test_colours_are_written_where_they_are_wanted(environ: dict[str, str], *, terminal: bool, wanted: bool) -> None:
    assert wants_colours(environ, is_terminal=terminal) is wanted
