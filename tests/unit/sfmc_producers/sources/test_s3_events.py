"""What a message of S3 becomes: each form, each sender, and whatever else lies in a queue."""

import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_producers.sources.arrivals import Arrival, Ignored, Record, Unreadable
from sfmc_producers.sources.fields import MOST_BYTES
from sfmc_producers.sources.s3_events import parse
from sfmc_producers.sources.s3_objects import place_of, read_item
from tests.support.events_of_stores import TEST_EVENT, bridge, envelope, notification, s3_record

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(lambda key: key[-1] != "/")


def read(message: Any) -> list[Record]:
    return list(parse(json.dumps(message).encode()))


def only(message: Any) -> Arrival:
    [record] = read(message)
    assert isinstance(record, Arrival), record
    return record


def key_of(record: Arrival) -> str:
    return place_of(record)[1]


def test_a_classic_key_is_decoded_once() -> None:
    assert key_of(only(notification(s3_record("in/orders+2026%2B01.csv")))) == "in/orders 2026+01.csv"
    assert key_of(only(notification(s3_record("in/a%2520b.csv")))) == "in/a%20b.csv"


def test_a_key_of_eventbridge_is_not_decoded() -> None:
    assert key_of(only(bridge("in/orders+2026%2B01 .csv"))) == "in/orders+2026%2B01 .csv"


@given(names)
def test_all_ways_and_the_listing_tell_one_fingerprint(key: str) -> None:
    classic, bridged = notification(s3_record(quote_plus(key))), bridge(key)
    ways = [classic, bridged, envelope(json.dumps(classic)), envelope(json.dumps(bridged))]
    listed = read_item("drop", {"Key": key, "Size": 120, "ETag": '"9b2c"'})
    assert listed is not None
    assert {only(way).file.fingerprint for way in ways} == {listed.file.fingerprint}
    assert place_of(listed) == ("drop", key)


def test_the_folder_of_the_key_is_the_location_and_its_last_part_the_name() -> None:
    file = only(notification(s3_record("in/de/orders.csv"))).file
    assert (file.location, file.name, file.size, file.version) == ("s3://drop/in/de", "orders.csv", 120, "9b2c")
    assert only(notification(s3_record("orders.csv"))).file.location == "s3://drop"


def test_times_sequencers_and_versions_of_the_bucket_change_no_fingerprint() -> None:
    again = s3_record(eventTime="2027-01-01T00:00:00Z", object={"sequencer": "FF", "versionId": "v2"})
    assert only(notification(again)).file == only(notification(s3_record())).file


def test_new_content_under_the_same_name_is_another_file() -> None:
    other = only(notification(s3_record(object={"eTag": "0000"})))
    assert other.file.fingerprint != only(notification(s3_record())).file.fingerprint


def test_an_upload_without_etag_is_known_by_its_event() -> None:
    first, second = (only(notification(s3_record(object={"eTag": None, "sequencer": each}))) for each in ("A", "B"))
    plain = [s3_record(eventTime=each, object={"eTag": None, "sequencer": None}) for each in ("1", "1", "2")]
    ids = [only(notification(each)).event_id for each in plain]
    assert (first.event_id, second.event_id) == ("A", "B")
    assert ids[0] == ids[1] != ids[2]


def test_ceph_and_minio_write_their_own_dialects() -> None:
    ceph = s3_record("in/a+b%20.csv", eventSource="ceph:s3", eventVersion="2.1", object={"size": "7"})
    minio = s3_record("in%2Fa+b.csv", eventSource="minio:s3", eventVersion="2.0", eventName="s3:ObjectCreated:Put")
    del minio["s3"]["object"]["size"]
    found = only(notification(ceph))
    assert (key_of(found), found.file.size) == ("in/a+b%20.csv", 7)
    found = only({"EventName": "s3:ObjectCreated:Put", "Key": "drop/in/a b.csv", **notification(minio)})
    assert (key_of(found), found.file.size) == ("in/a b.csv", 0)


IGNORED = {
    "test_event": TEST_EVENT,
    "not_created": notification(s3_record(eventName="ObjectRemoved:Delete")),
    "folder": notification(s3_record("in/")),
    "not_complete": notification(s3_record(eventSource="ceph:s3", eventName="ObjectCreated:Post")),
}


@pytest.mark.parametrize("reason", IGNORED)
def test_what_brings_no_content_is_ignored(reason: str) -> None:
    assert read(IGNORED[reason]) == [Ignored(reason)]
    assert read(envelope(json.dumps(IGNORED[reason]))) == [Ignored(reason)]


def test_other_uploads_and_deletions_of_eventbridge() -> None:
    assert read(bridge(**{"detail-type": "Object Deleted"})) == [Ignored("not_created")]
    assert read(notification(s3_record(eventName="ObjectCreated:PutTagging"))) == [Ignored("not_complete")]
    for how in ("Post", "Copy", "CompleteMultipartUpload"):
        assert isinstance(only(notification(s3_record(eventName=f"ObjectCreated:{how}"))), Arrival)


@pytest.mark.parametrize(("version", "is_read"), [("2.0", True), ("2.6", True), ("2.17", True), ("3.0", False)])
def test_each_minor_version_is_read_and_no_other_major(version: str, is_read: bool) -> None:
    [record] = read(notification(s3_record(eventVersion=version)))
    assert isinstance(record, Arrival) is is_read


def test_a_bad_record_stands_beside_the_good_ones() -> None:
    bad = s3_record()
    del bad["s3"]["object"]["key"]
    records = read(notification(s3_record("a.csv"), bad, s3_record("%ff.csv"), s3_record("b.csv")))
    assert [type(record) for record in records] == [Arrival, Unreadable, Unreadable, Arrival]
    assert records[1] == Unreadable("s3.object.key is missing or no text")


def test_a_record_that_is_nested_deeply_harms_no_other() -> None:
    deep = json.dumps(s3_record(object={"eTag": None, "sequencer": None}))
    deep = deep[:-1] + ', "more": ' + "[" * 300 + "]" * 300 + "}"
    body = '{"Records": [' + deep + "," + json.dumps(s3_record("b.csv")) + "]}"
    assert [type(record) for record in parse(body.encode())] == [Unreadable, Arrival]


BAD = [
    b"no JSON", b"", b"[]", b"null", b"12", b'"text"', b"{}", b'{"Records": {}}', b'{"Records": [1]}', b"\xff",
    b'{"detail-type": 1}', b'{"Type": "Notification", "TopicArn": "a"}', b"[" * 5000,
    json.dumps(envelope("no JSON")).encode(), json.dumps(envelope("x", Type="SubscriptionConfirmation")).encode(),
    json.dumps(bridge(source="aws.transfer")).encode(), b" " * (MOST_BYTES + 1),
]  # fmt: skip


@pytest.mark.parametrize("body", BAD)
def test_what_is_no_event_of_s3_is_unreadable_and_says_why(body: bytes) -> None:
    [record] = parse(body)
    assert isinstance(record, Unreadable)
    assert record.text


def test_the_reason_does_not_repeat_the_content() -> None:
    [record] = read(notification(s3_record(eventVersion="secret-version")))
    assert "secret" not in str(record)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, st.sampled_from(["eventName", "eventSource", "eventVersion", "s3"]), st.booleans())
def test_no_value_anywhere_raises(value: Any, name: str, is_inside: bool) -> None:
    damaged = s3_record(object={"key": value, "size": value}) if is_inside else {**s3_record(), name: value}
    assert len(read(notification(damaged, s3_record()))) == 2
    read(value)
    read(bridge(detail=value))
    read(envelope(json.dumps(value)))


@given(st.binary(max_size=60))
def test_no_bytes_raise(body: bytes) -> None:
    assert parse(body)
