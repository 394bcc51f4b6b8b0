"""What is read of a message is what kombu reads."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kombu.utils.json import dumps
from kombu.utils.json import loads as loads_of_kombu

from sfmc_transport.unpacking import read_json

NAMES = st.one_of(st.text(max_size=8), st.sampled_from(["__type__", "__value__", "uuid", "base64"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=10,
)


def read(by: Any, raw: bytes) -> Any:
    """What a reader makes of these bytes: a value as text (which also compares NaN), or the kind of its error."""
    try:
        return repr(by(raw))
    except Exception as error:  # noqa: BLE001 - any error is an answer here
        return type(error)


@given(VALUES, st.booleans())
@example({"__type__": "base64", "__value__": "YQ=="}, False)
def test_a_value_is_read_as_kombu_reads_it(value: Any, is_ascii: bool):
    raw = json.dumps(value, ensure_ascii=is_ascii).encode("utf-8", "replace")

    assert read(read_json, raw) == read(loads_of_kombu, raw)


@pytest.mark.parametrize(
    "raw",
    [
        dumps({"at": b"bytes"}).encode(),
        b'{"\\u005f_type__": "base64", "__value__": "YQ=="}',
        b'{"__t\\u0079pe__": "base64", "__value__": "YQ=="}',
        b'{"__type__": "unknown", "__value__": 1}',
        b'\xef\xbb\xbf{"a": 1}',
        b"\xff\xfe{",
        b'{"a": 1, "a": 2, "b": 123456789012345678901234567890, "c": NaN, "d": -0, "e": 1e400}',
        b"[" * 100_000,
        b"",
    ],
)
def test_odd_bytes_are_read_as_kombu_reads_them(raw: bytes):
    with suppress(RecursionError):
        assert read(read_json, raw) == read(loads_of_kombu, raw)
