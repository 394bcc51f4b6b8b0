"""What an event in the product's own form says, and what is set aside."""

import json

import pytest

from sfmc_producers.sources.arrivals import Arrival, Unreadable
from sfmc_producers.sources.stream import parse

FILE = {"location": "/in", "name": "a.csv", "size": 3, "version": "v1"}


@pytest.mark.parametrize(
    ("more", "mid", "key"),
    [({}, None, None), ({"mid": "0510"}, "510", None), ({"mid": 510, "customer_key": "k"}, "510", "k")],
)
def test_an_event_names_its_file_and_perhaps_business_unit_and_definition(more: dict, mid: str, key: str) -> None:
    [found] = parse(json.dumps({"file": FILE, **more}).encode())

    assert isinstance(found, Arrival)
    assert (found.file.name, found.mid, found.customer_key) == ("a.csv", mid, key)


@pytest.mark.parametrize("event", [b"no", b"[]", b"{}", json.dumps({"file": FILE, "mid": 0}).encode()])
def test_what_cannot_be_read_is_set_aside(event: bytes) -> None:
    [found] = parse(event)

    assert isinstance(found, Unreadable)
