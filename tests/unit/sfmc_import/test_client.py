import os

import pytest

from sfmc_import import client
from sfmc_import.client import ServiceUnavailableError
from sfmc_import.request import BadRequestError, FileInfo
from tests.support.fake_client import FakeClient

FILE = FileInfo(location="/in", name="a.csv", size=3, modified_ns=7)


def test_a_wish_is_recorded_with_all_that_was_said():
    door = FakeClient()
    receipt = client.submit(
        door, customer_key="k", mid="7", file=FILE, event_id="e1", source="shop", force=True, reason="again"
    )

    [request] = door.requests.values()
    assert (receipt.request_id, receipt.is_new) == (request.request_id, True)
    assert (request.customer_key, request.mid, request.file) == ("k", "7", FILE)
    assert (request.event_id, request.source, request.force, request.reason) == ("e1", "shop", True, "again")


def test_the_business_unit_is_that_of_the_settings_unless_given():
    door = FakeClient(mid="42")
    client.submit(door, customer_key="k")

    assert [each.mid for each in door.requests.values()] == ["42"]


def test_each_wish_is_a_new_request_unless_it_brings_its_id():
    door = FakeClient()
    first, second = client.submit(door, customer_key="k"), client.submit(door, customer_key="k")
    third = client.submit(door, customer_key="k", request_id=first.request_id)

    assert first.request_id != second.request_id
    assert (third.request_id, third.is_new) == (first.request_id, False)
    assert len(door.requests) == 2


def test_a_path_as_text_is_a_file_known_by_name():
    door = FakeClient()
    client.submit(door, customer_key="k", file="/in/a.csv")

    [request] = door.requests.values()
    assert request.file == FileInfo(location="/in", name="a.csv")


@pytest.mark.parametrize(
    ("wish", "complaint"),
    [
        ({"customer_key": ""}, "customer_key is missing"),
        ({"customer_key": "k" * 37}, "37 characters"),
        ({"customer_key": "k", "mid": "north"}, "mid must be the number"),
        ({"customer_key": "k", "file": {"location": "/in"}}, "file.name is missing"),
        ({"customer_key": "k", "file": 7}, "file must be a path"),
        ({"customer_key": "k", "request_id": "two words"}, "request id"),
        ({"customer_key": "k", "event_id": ""}, "event_id"),
    ],
)
def test_an_impossible_wish_is_refused_with_every_problem_and_nothing_is_recorded(wish, complaint):
    door = FakeClient()
    with pytest.raises(BadRequestError, match=complaint):
        client.submit(door, **wish)

    assert door.requests == {}


def test_a_closed_door_is_the_callers_to_hear():
    with pytest.raises(ServiceUnavailableError):
        client.submit(FakeClient(ledger_is_down=True), customer_key="k")


def test_a_file_is_described_as_the_folder_watcher_describes_it(tmp_path):
    (tmp_path / "a.csv").write_text("12345")
    os.utime(tmp_path / "a.csv", ns=(0, 10**18 + 1))

    assert client.file_at(tmp_path / "a.csv") == FileInfo(
        location=tmp_path.as_posix(), name="a.csv", size=5, modified_ns=10**18 + 1
    )
    assert client.file_at(tmp_path / "a.csv", "drop").location == "drop"
