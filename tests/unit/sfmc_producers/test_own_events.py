"""Events in the product's own form, as programs put them on a stream and into CloudEvents."""

from sfmc_import.request import FileInfo
from sfmc_producers.sources.arrivals import Arrival, Unreadable
from sfmc_producers.sources.stream import read_event

FILE = {"location": "/in", "name": "orders.csv", "size": 120, "version": "v1"}


def test_an_event_with_a_file_alone_is_an_arrival_of_no_definition_and_no_business_unit() -> None:
    assert read_event({"file": FILE}) == Arrival(file=FileInfo(**FILE))


def test_an_event_can_name_definition_business_unit_and_its_id() -> None:
    event = {"file": FILE, "customer_key": "orders", "mid": "510001234", "event_id": "e1"}
    found = Arrival(file=FileInfo(**FILE), customer_key="orders", mid="510001234", event_id="e1")
    assert read_event(event) == found


def test_an_event_without_a_file_or_with_a_field_that_there_is_not_is_unreadable() -> None:
    assert [type(read_event(event)) for event in ({}, {"file": FILE, "size": 1})] == [Unreadable, Unreadable]
