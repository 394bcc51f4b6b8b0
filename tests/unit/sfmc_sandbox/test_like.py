"""The operator `like` of Retrieve: what it finds, and that no pattern takes long."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_sandbox.filters import Manner, compile_filter

few = st.text("ab%_", max_size=8)


def like(value: str, pattern: str) -> bool:
    part = {"Property": "Name", "SimpleOperator": "like", "Value": [pattern]}
    return compile_filter(part, Manner())({"Name": value})


@given(value=st.text("ab", max_size=8), pattern=few.filter(bool))
def test_it_finds_what_the_pattern_means(value: str, pattern: str) -> None:
    meaning = "".join({"%": ".*", "_": "."}.get(char, char) for char in pattern)
    assert like(value, pattern) == bool(re.fullmatch(meaning, value))


@pytest.mark.parametrize("pattern", ["%a" * 40 + "b", "%_" * 40 + "b", "%" * 1000 + "b", "a%" * 40 + "b"])
def test_no_pattern_takes_long(pattern: str) -> None:
    began = time.process_time()
    assert not like("a" * 1000 + "c", pattern)
    assert time.process_time() - began < 1
