"""A glob gives what a regular expression gives, and no name makes it slow."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_import.globs import Glob

PARTS = st.sampled_from(["*", "**", "?", "[ab]", "[!ab]", "a", "b", "ab", "/", "_", "\n"])


def groups(found: object, number: int) -> list[str] | None:
    return None if found is None else [found[each] for each in range(number + 1)]  # type: ignore[index]


@given(st.lists(PARTS, max_size=9).map("".join), st.text("ab_/\n", max_size=14))
def test_both_ways_to_match_give_the_same_groups(pattern: str, text: str):
    glob = Glob(pattern)

    assert groups(glob.in_one_pass(text), glob.groups) == groups(glob.fullmatch(text), glob.groups)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("*_*.csv", "a_b_c.csv", ["a_b", "c"]),
        ("**/*.csv", "in/x/a.csv", ["in/x", "a"]),
        ("orders_[0-9]?.csv", "orders_12.csv", ["1", "2"]),
        ("*.csv", "in/a.csv", None),
        ("[!a]*", "abc", None),
    ],
)
def test_the_first_wildcard_takes_as_much_as_it_can(pattern: str, text: str, expected: list[str] | None):
    for found in (Glob(pattern).fullmatch(text), Glob(pattern).in_one_pass(text)):
        assert (groups(found, Glob(pattern).groups) or [None])[1:] == (expected or [])


@pytest.mark.parametrize("stars", [4, 12])
def test_a_long_name_of_one_character_is_answered_at_once(stars: int):
    """With a regular expression it takes hours: a test that does not end is what this would be."""
    assert Glob("*_" * stars + "*.csv").fullmatch("_" * 1000) is None
    found = Glob("*_" * stars + "*.csv").fullmatch("_" * 1000 + ".csv")

    assert groups(found, 2)[1:] == ["_" * (1000 - stars), ""]  # type: ignore[index]


def test_a_set_of_characters_that_is_none_is_refused():
    with pytest.raises(re.error):
        Glob("[z-a].csv")
