"""What a message of Azure's blob storage becomes, in both schemas."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_producers.sources.arrivals import Arrival, Ignored, Record, Unreadable
from sfmc_producers.sources.blob_events import parser
from tests.support.events_of_stores import as_cloudevent, blob_created, blob_renamed
from tests.unit.sfmc_producers.sources.test_s3_events import json_values

parse, parse_hierarchical = parser(hierarchical=False), parser(hierarchical=True)


def packed(value: Any) -> bytes:
    return base64.b64encode(json.dumps(value).encode())


def read(value: Any) -> list[Record]:
    return list(parse(packed(value)))


def only(value: Any) -> Arrival:
    [record] = read(value)
    assert isinstance(record, Arrival), record
    return record


def test_both_schemas_alone_and_in_an_array_as_base64_or_plain_are_one_file() -> None:
    event = blob_created("in/orders 1%20+.csv")
    forms = [event, [event], as_cloudevent(event), [as_cloudevent(event)]]
    found = {only(form).file for form in forms}
    found |= {record.file for form in forms for record in parse(json.dumps(form).encode())}  # type: ignore[union-attr]
    [file] = found
    assert (file.location, file.name) == ("azure://acc/drop/in", "orders 1%20+.csv")
    assert (file.size, file.version, file.modified_ns) == (120, "0x8D4B", None)


def test_an_etag_with_quotes_is_the_same_etag() -> None:
    assert only(blob_created(eTag='"0x8D4B"')).file == only(blob_created()).file


@pytest.mark.parametrize("api", ["CopyBlob", "PutBlob", "PutBlockList", "FlushWithClose", "SftpCommit"])
def test_a_call_after_which_the_blob_is_whole_is_an_arrival(api: str) -> None:
    assert only(blob_created(api=api)).file.name == "orders_1.csv"


@pytest.mark.parametrize("api", ["CreateFile", "SftpCreate", "SomethingNew", None])
def test_a_call_before_the_blob_is_whole_is_ignored(api: str | None) -> None:
    assert read(blob_created(api=api)) == [Ignored("not_complete")]  # type: ignore[arg-type]


def test_with_a_hierarchical_namespace_the_begin_of_a_copy_is_ignored() -> None:
    assert parse_hierarchical(packed(blob_created(api="CopyBlob"))) == [Ignored("not_complete")]
    assert isinstance(parse_hierarchical(packed(blob_created(api="FlushWithClose")))[0], Arrival)


def test_blobs_that_are_written_after_they_were_created_are_ignored() -> None:
    assert read(blob_created(api="PutBlob", blobType="AppendBlob")) == [Ignored("not_a_block_blob")]


def test_a_rename_is_an_arrival_under_the_new_name_once_for_each_event() -> None:
    found = only(blob_renamed())
    assert (found.file.location, found.file.name) == ("azure://acc/drop/in", "orders 1.csv")
    assert (found.file.has_fingerprint, found.event_id) == (False, "831e")


def test_an_empty_blob_is_an_arrival_of_0_bytes() -> None:
    assert only(blob_created(contentLength=0)).file.size == 0


def test_other_events_are_ignored_and_other_services_unreadable() -> None:
    deleted = {**blob_created(), "eventType": "Microsoft.Storage.BlobDeleted"}
    other = {**blob_created(), "eventType": "Microsoft.KeyVault.SecretExpired"}
    records = read([deleted, other, blob_created(), {"eventType": "Microsoft.Storage.BlobCreated"}])
    assert [type(each) for each in records] == [Ignored, Unreadable, Arrival, Ignored]


@pytest.mark.parametrize("body", [b"", b"%%%", b"bm8gSlNPTg==", b"{", b"\xff\xfe", b"e30=\xc3", b"YWJj\nZA", b"[1]"])
def test_what_is_neither_base64_nor_json_is_unreadable(body: bytes) -> None:
    assert [type(each) for each in parse(body)] == [Unreadable]


@pytest.mark.parametrize("url", ["", "https://acc/", "https://acc/drop", "https://[/drop/a", "https://acc/drop/%ff", 7])
def test_a_rename_to_no_blob_is_unreadable(url: Any) -> None:
    assert [type(each) for each in read(blob_renamed(url))] == [Unreadable]


@given(json_values, st.sampled_from(["topic", "subject", "eventType", "id", "data", "specversion"]))
def test_no_value_anywhere_raises(value: Any, name: str) -> None:
    assert len(read([{**blob_created(eTag=None), name: value}, {**blob_renamed(), name: value}])) == 2
    read(value)


@given(st.binary(max_size=60))
def test_no_bytes_raise(body: bytes) -> None:
    parse(body)
