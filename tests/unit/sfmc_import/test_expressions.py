"""A regular expression means what Python's means, and no name makes it slow."""

import re
import sys
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_import.expressions import BadExpressionError, Expression

pytest.importorskip("re2")
PIECES = st.sampled_from([
    "a", "b", ".", "_", r"\.", r"\w", r"\W", r"\d", r"\D", r"\s", r"\S", "[ab]", "[^ab]", r"[\w.-]", r"[^\d_]", "[]a]",
    "(a)", "(.+)", "(.*?)", r"(\w+)", r"(?P<day>\d+)", "(a|b)", "(?:a|bc)", "(?i:A)", "a?", "a+", "b*", ".{1,2}",
    "a{,2}",
    "$", r"\Z", "^", r"\u00e9", "é", "(_)?", "[b[:alpha:]]", "[^[:alpha:]]", "[a[:]",
])  # fmt: skip
TEXTS = st.text("ab_c.é1 Ä٣\n-", max_size=9)


def groups(found: object, number: int) -> list[str | None] | None:
    return None if found is None else [found[each] for each in range(number + 1)]  # type: ignore[index]


@given(st.lists(PIECES, min_size=1, max_size=6).map("".join), TEXTS)
def test_a_name_gives_the_groups_that_python_gives(pattern: str, text: str):
    try:
        known = re.compile(pattern)
    except re.error:
        return  # a group of one name twice, or several repetitions
    if "$" in pattern and text.endswith("\n"):
        return  # in Python $ stands before a last line break too, in RE2 at the end alone

    read = Expression(pattern)

    assert groups(read.fullmatch(text), read.groups) == groups(known.fullmatch(text), known.groups)


@pytest.mark.parametrize("members", [r"\w", r"\W", r"\d", r"\D", r"\s", r"\S"])
def test_letters_digits_and_blanks_are_those_of_python(members: str):
    ours, pythons = Expression(members), re.compile(members)
    every = [chr(code) for code in range(0x3000) if not 0xD800 <= code < 0xE000]

    differ = [each for each in every if bool(ours.fullmatch(each)) != bool(pythons.fullmatch(each))]

    assert differ == []


@pytest.mark.parametrize(
    "pattern", ["(.+)_(.+)_(.+)_(.+)[.]csv", "(a+)+b", "(a|a)*b", r"(\w+\s?)+[.]csv", "(.*)(.*)(.*)(.*)(.*)x"]
)
@pytest.mark.parametrize("letter", ["_", "a"])
def test_no_name_takes_long(pattern: str, letter: str):
    """With Python's these take hours: a test that does not end is what this would be."""
    assert Expression(pattern).fullmatch(letter * 5000) is None


@pytest.mark.parametrize(
    "pattern", ["(?=a)b", "(?!a)b", "(?<=a)b", r"(a)\1", "(?P<x>a)(?P=x)", r"\bword\b", "(?>a+)b", "a++", r"[\W]", "("]
)
def test_what_re2_cannot_compare_is_refused_in_one_line(pattern: str):
    with pytest.raises(BadExpressionError) as refusal:
        Expression(pattern)

    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "pattern",
    [
        r"\C", r"\Qa.b\E", r"a\z", r"\x{41}", "(?<n>a)", "(?P<n>a)(?P<n>b)", "(?U)a+", "a(?i)b", "(?i)(?-i)a",
        r"[\w-z]", r"[\d-z]", r"[\pL-z]", "(?P<1a>a)", "[[:alpha:]]", "[a--b]", "[a&&b]", "[a||b]", "[a~~b]",
        "(?L)a", "a{99999999999}", "(" * 5000, r"\p", r"\pl", r"\p{L", r"[\p]",
    ],
)  # fmt: skip
def test_what_python_refuses_or_warns_of_is_refused_in_one_line(pattern: str):
    with pytest.raises(BadExpressionError) as refusal:
        Expression(pattern)

    assert "\n" not in str(refusal.value)


@given(st.lists(st.sampled_from([*"[]-^&|~:a\\wQEzpL{}(?)<P>,1", "[:a:]", "--", r"\d"]), max_size=12).map("".join))
def test_what_is_taken_is_taken_by_python_without_a_warning_but_for_kinds_of_letters(pattern: str):
    try:
        Expression(pattern)
    except BadExpressionError:
        return

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        re.compile(re.sub(r"\\([pP](?:L|\{\^?\w+\})|.)", lambda found: r"\w" if found[1][1:] else found[0], pattern))


@pytest.mark.parametrize(
    ("pattern", "fits"), [(r"\pL+", "ä"), (r"[\pL_]+", "ä_"), (r"\p{Greek}", "\u03b1"), (r"\PL", "1")]
)
def test_kinds_of_letters_are_beyond_python(pattern: str, fits: str):
    assert Expression(pattern).fullmatch(fits) is not None
    assert Expression(pattern).fullmatch("-") is None or pattern == r"\PL"


def test_groups_are_known_by_name_and_number():
    read = Expression(r"(?P<region>[a-z]+)(\d*)")

    assert (read.groups, read.groupindex) == (2, {"region": 1})
    assert read.fullmatch("eu42")["region"] == "eu"


def test_a_name_that_is_no_text_is_compared_too():
    assert Expression("(a.)b").fullmatch("a\udcfcb")[1] == "a\udcfc"
    assert Expression("ab").fullmatch("a\udcfcb") is None


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "re2", None)

    with pytest.raises(BadExpressionError, match=r"pip install 'sfmc-import\[patterns\]'"):
        Expression("a")
