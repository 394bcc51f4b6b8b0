"""The table of decision 15 holds: a file that is seen in every way is one request."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from sfmc_import.client import file_at
from sfmc_import.request import FileInfo
from sfmc_import.routing import Deliver, Routed
from sfmc_producers.file_ids import own_event, request_id_of, submitted_as
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.folder import FolderOptions, FolderSource
from sfmc_producers.sources.stream import parse
from tests.support.watched_folder import Watched

PAGE = Path(__file__).parents[3] / "ops" / "docs" / "adr" / "0015-one-identity-of-a-file.md"
TARGET = Routed(customer_key="contacts", mid="510001234", by="route")


def rows() -> list[dict[str, str]]:
    lines = [line.strip("| ").split(" | ") for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    head, *found = lines
    return [dict(zip(head, each, strict=True)) for each in found]


def sighting(row: dict[str, str], number: int) -> tuple[FileInfo, str | None]:
    """What this way of seeing gives: the parts of the identity, and an event id and time of its own."""
    truth = {"size": 5, "modified_ns": 17 * 10**18, "version": "9b2c", "content_hash": "f" * 16}
    parts = {name: value for name, value in truth.items() if row[name] == "yes"}
    event = {"yes": "the-event", "known": f"event-{number}", "-": None}[row["event_id"]]
    return FileInfo(location="place", name="a.csv", **parts), event  # type: ignore[arg-type]


@pytest.mark.parametrize("source", list(dict.fromkeys(row["source"] for row in rows())))
def test_a_file_of_each_source_is_one_request_however_it_is_seen(source: str) -> None:
    seen = [sighting(row, number) for number, row in enumerate(rows()) if row["source"] == source]
    ids = {request_id_of(file, TARGET, own_event(file, event)) for file, event in seen}

    assert len(seen) > 1
    assert len(ids) == 1
    assert all(file.has_fingerprint or event is not None for file, event in seen)


def test_the_time_of_an_event_is_part_of_no_identity() -> None:
    assert {row["time of the event"] for row in rows()} == {"-", "known"}


@pytest.mark.parametrize("change", [{"size": 6}, {"modified_ns": 2}, {"version": "x"}, {"content_hash": "0" * 16}])
def test_other_content_is_another_request(change: dict) -> None:
    known = {"size": 5, "modified_ns": 1, "version": "v", "content_hash": "f" * 16}
    one, other = (FileInfo(location="p", name="a.csv", **fields) for fields in (known, known | change))

    assert request_id_of(one, TARGET) != request_id_of(other, TARGET)


def test_a_file_of_a_folder_is_one_request_for_watchers_scans_and_a_person(tmp_path: Path, client) -> None:
    watched = [Watched(tmp_path, client) for _ in range(2)]
    watched[0].put("contacts.csv")
    for each in watched:
        each.pass_time(2)
    options = FolderOptions(path=str(tmp_path))
    later = os.stat(tmp_path / "contacts.csv").st_ctime + 3600  # noqa: PTH116 - the plain call, as in scandir
    source = FolderSource("drop", options.folder("drop"), None, options, lambda: later)  # type: ignore[arg-type]
    [listed] = source.list_arrivals()

    [(request_id, request)] = client.requests.items()
    assert request.file == listed.file == file_at(tmp_path / "contacts.csv")
    assert request_id == request_id_of(listed.file, TARGET)


@pytest.mark.parametrize(
    "file", [{"location": "/in", "name": "a.csv", "version": "v1"}, {"location": "/in", "name": "a.csv"}]
)
def test_an_event_of_a_stream_that_comes_again_is_one_request(file: dict) -> None:
    body = json.dumps({"file": file, "event_id": "e1"}).encode()
    found = [arrival for _ in range(3) for arrival in parse(body) if isinstance(arrival, Arrival)]

    assert len({request_id_of(each.file, TARGET, own_event(each.file, each.event_id)) for each in found}) == 1
    assert len(found) == 3


DELIVERED = replace(TARGET, deliver=Deliver(target="ftp", name="orders.csv"))


def test_two_files_that_get_one_name_at_their_target_stay_two() -> None:
    files = [FileInfo(location="/in", name=name, size=9, modified_ns=17 * 10**18) for name in ("o_a.csv", "o_b.csv")]
    sent = [submitted_as(each, DELIVERED) for each in files]

    assert {each.name for each in sent} == {"orders.csv"}
    assert len({each.fingerprint for each in sent}) == len({request_id_of(each, DELIVERED) for each in sent}) == 2


def test_a_file_stays_what_it_is_under_its_name_at_the_target() -> None:
    file = FileInfo(location="/in", name="o_a.csv", size=9, version="v")
    sent = submitted_as(file, DELIVERED)

    assert (sent.name, sent.arrived_as) == ("orders.csv", "o_a.csv")
    assert (sent.fingerprint, sent.identity) == (file.fingerprint, file.identity)
    assert request_id_of(sent, DELIVERED) == request_id_of(file, DELIVERED) == request_id_of(file, TARGET)
    assert submitted_as(sent, replace(TARGET, deliver=Deliver(target="ftp", name="new.csv"))).arrived_as == "o_a.csv"


def test_a_file_that_keeps_its_name_says_it_once() -> None:
    file = FileInfo(location="/in", name="orders.csv", size=9, version="v")

    assert submitted_as(file, DELIVERED) is file
    assert submitted_as(file, TARGET) is file
