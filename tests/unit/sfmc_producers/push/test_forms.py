"""Each form gives the arrivals of a body, with the identity that a later scan sees too."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_import.request import FileInfo
from sfmc_producers.push.forms import FORMS
from sfmc_producers.push.posts import PLACE, NotReadableError, Place, Post, UnusablePostError, json_of, readable
from sfmc_producers.sources.arrivals import Arrival, Ignored, Record, Unreadable
from tests.support import posts
from tests.support.posts import JSON, packed


def read(form: str, body: Any, headers: dict[str, str] | None = None, location: str = "") -> list[Record]:
    raw = body if isinstance(body, bytes) else packed(body)
    return [readable(FORMS[form], each, Place(location)) for each in FORMS[form].split(Post(headers or JSON, raw))]


def only_file(records: list[Record]) -> FileInfo:
    [record] = records
    assert isinstance(record, Arrival), record
    return record.file


def file(location: str, name: str = "orders.csv", **known: Any) -> FileInfo:
    return FileInfo(location=location, name=name, size=120, **known)


S3 = file("s3://drop/in", version="9b2c")
AZURE = file("azure://acc/drop/in", version="0x8D4B")
GOOGLE = file("gs://drop/in", version="1736046600123456")
OWN = file("/in", version="v1")
UNWRAPPED = {
    "content-type": "application/json",
    "x-goog-pubsub-message-id": "1207",
    "bucketid": "drop",
    "objectid": "in/orders.csv",
    "objectgeneration": "1736046600123456",
    "eventtype": "OBJECT_FINALIZE",
}
EVENTARC = {
    "content-type": "application/json",
    "ce-specversion": "1.0",
    "ce-id": "1207",
    "ce-type": "google.cloud.storage.object.v1.finalized",
    "ce-source": "//storage.googleapis.com/projects/_/buckets/drop",
}
STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}
BATCH = {"content-type": "Application/CloudEvents-Batch+JSON"}
CASES = [
    ("s3-webhook", posts.minio(), JSON, S3),
    ("s3-webhook", {"Records": [posts.s3_record(eventSource="ceph:s3", eventName="ObjectCreated:Put")]}, JSON, S3),
    ("event-grid", [posts.blob_created()], JSON, AZURE),
    ("event-grid", posts.blob_cloudevent(), STRUCTURED, AZURE),
    ("pubsub", posts.pubsub(), JSON, GOOGLE),
    ("pubsub", posts.google_object(), UNWRAPPED, GOOGLE),
    ("pubsub", posts.google_object(), EVENTARC, GOOGLE),
    ("cloudevents", posts.google_object(), EVENTARC, GOOGLE),
    ("cloudevents", posts.cloudevent(), STRUCTURED, OWN),
    ("cloudevents", posts.cloudevent(), JSON, OWN),
    ("cloudevents", [posts.cloudevent()], BATCH, OWN),
    ("cloudevents", posts.blob_cloudevent(), STRUCTURED, AZURE),
]


@pytest.mark.parametrize(("form", "body", "headers", "expected"), CASES)
def test_a_body_of_each_form_is_the_file_as_a_scan_would_see_it(form, body, headers, expected) -> None:
    assert only_file(read(form, body, headers)) == expected


@pytest.mark.parametrize(("body", "headers", "expected"), [case[1:] for case in CASES])
def test_auto_reads_each_form_alike(body, headers, expected) -> None:
    assert only_file(read("auto", body, headers)) == expected


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("in/orders+2026%2B01.csv", "orders 2026+01.csv"),
        ("in/a%2520b.csv", "a%20b.csv"),
        ("in/%C3%A9.csv", "é.csv"),
        ("in/-rf.csv", "-rf.csv"),
        ("in/a%0Ab.csv", "a\nb.csv"),
    ],
)
def test_the_key_of_a_notification_is_decoded_once(key: str, name: str) -> None:
    assert only_file(read("s3-webhook", posts.minio(posts.s3_record(key)))).name == name


def test_the_key_of_an_event_of_eventbridge_is_not_decoded() -> None:
    assert only_file(read("s3-webhook", posts.bridge("in/a+b%20.csv"))).name == "a+b%20.csv"


def test_a_key_that_is_no_utf8_is_unreadable() -> None:
    assert isinstance(read("s3-webhook", posts.minio(posts.s3_record("in/%C0%A0.csv")))[0], Unreadable)


def test_dots_in_a_path_stay_what_they_are() -> None:
    found = only_file(read("s3-webhook", posts.minio(posts.s3_record("in/../../etc/passwd"))))
    assert (found.location, found.name) == ("s3://drop/in/../../etc", "passwd")


def test_a_size_as_text_is_a_number_and_an_empty_object_has_none() -> None:
    text = posts.s3_record()
    text["s3"]["object"]["size"] = "120"
    empty = posts.s3_record()
    del empty["s3"]["object"]["size"]
    sizes = [record.file.size for record in read("s3-webhook", posts.minio(text, empty)) if isinstance(record, Arrival)]
    assert sizes == [120, 0]


@pytest.mark.parametrize(
    ("form", "event", "reason"),
    [
        ("s3-webhook", {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "drop"}, "test_event"),
        ("s3-webhook", posts.minio(posts.s3_record(eventName="s3:ObjectRemoved:Delete")), "not_created"),
        (
            "s3-webhook",
            posts.minio(posts.s3_record(eventSource="ceph:s3", eventName="ObjectCreated:Post")),
            "not_complete",
        ),
        ("s3-webhook", posts.minio(posts.s3_record("in/")), "folder"),
        ("event-grid", [posts.blob_created(api="CreateFile", contentLength=0)], "not_complete"),
        ("event-grid", [{**posts.blob_created(), "eventType": "Microsoft.Storage.BlobDeleted"}], "not_created"),
        ("pubsub", posts.pubsub(eventType="OBJECT_DELETE"), "not_created"),
        ("sftpgo", posts.sftpgo(status=2), "upload_failed"),
        ("sftpgo", posts.sftpgo(action="delete"), "not_created"),
    ],
)
def test_what_is_no_arrival_is_ignored(form: str, event: Any, reason: str) -> None:
    assert read(form, event) == [Ignored(reason)]


@pytest.mark.parametrize("api", ["CopyBlob", "PutBlob", "PutBlockList", "FlushWithClose", "SftpCommit"])
def test_a_blob_is_complete_after_these_calls(api: str) -> None:
    assert only_file(read("event-grid", [posts.blob_created(api=api)])) == AZURE


def test_one_bad_record_leaves_the_others_of_its_batch() -> None:
    records = read("s3-webhook", posts.minio(posts.s3_record(), {"eventVersion": "2.0"}, posts.s3_record("in/b.csv")))
    assert [type(record) for record in records] == [Arrival, Unreadable, Arrival]


def test_a_hook_of_sftpgo_is_known_by_the_id_of_its_event_and_an_empty_file_has_size_0() -> None:
    event = posts.sftpgo("/orders.csv")
    del event["file_size"]
    [first], [again] = read("sftpgo", event), read("sftpgo", event)
    [other] = read("sftpgo", {**event, "timestamp": 1})
    assert first == again
    assert first != other
    assert only_file([first]) == FileInfo(location="sftpgo://acme", name="orders.csv", size=0)


def test_a_rename_of_sftpgo_is_the_arrival_of_the_new_name_at_the_place_that_the_source_names() -> None:
    event = posts.sftpgo("/in/orders.part", action="rename", virtual_target_path="/in/orders.csv")
    found = only_file(read("sftpgo", event, location="sftp://files.example.com:22"))
    assert (found.location, found.name) == ("sftp://files.example.com:22/in", "orders.csv")


def test_the_rule_of_the_event_manager_is_read_in_plain_json() -> None:
    event = posts.cloudevent(
        type="com.sftpgo.fs.upload", source="/sftpgo/acme", data={"path": "/in/orders.csv", "size": 120, "status": 1}
    )
    assert only_file(read("sftpgo", event)) == file("sftpgo://acme/in")


def test_a_binary_event_has_its_attributes_in_headers_which_are_decoded_once() -> None:
    headers = {**EVENTARC, "ce-type": "com.example", "ce-source": '"%2Fshop%20%C3%A9 \\"x\\"+%2520"'}
    [event] = FORMS["cloudevents"].split(Post(headers, packed(posts.cloudevent()["data"])))
    assert event["source"] == '/shop é "x"+%20'
    assert isinstance(readable(FORMS["cloudevents"], event, PLACE), Arrival)


@pytest.mark.parametrize("name", ["ce-id", "ce-source", "ce-type", "ce-specversion"])
def test_a_binary_event_without_a_required_header_is_unusable(name: str) -> None:
    headers = {key: value for key, value in EVENTARC.items() if key != name}
    with pytest.raises(UnusablePostError, match=name):
        FORMS["cloudevents"].split(Post(headers, b"{}"))


def test_a_header_that_is_no_utf8_is_unusable() -> None:
    with pytest.raises(UnusablePostError):
        FORMS["cloudevents"].split(Post({**EVENTARC, "ce-subject": "%C0%A0"}, b"{}"))


def test_other_event_formats_than_json_are_415() -> None:
    with pytest.raises(UnusablePostError) as refused:
        FORMS["cloudevents"].split(Post({"content-type": "application/cloudevents+xml"}, b"<a/>"))
    assert refused.value.status == 415


def test_an_empty_batch_is_legal() -> None:
    assert read("cloudevents", [], BATCH) == []


def test_data_in_base64_are_read() -> None:
    event = posts.cloudevent(data_base64="eyJmaWxlIjogeyJuYW1lIjogIm9yZGVycy5jc3YifX0=")
    del event["data"]
    assert only_file(read("cloudevents", event, STRUCTURED)).name == "orders.csv"


def test_a_file_without_version_is_known_by_source_and_id_of_its_event() -> None:
    [record] = read("cloudevents", posts.cloudevent(data={"file": {"name": "orders.csv"}}), STRUCTURED)
    assert isinstance(record, Arrival)
    assert record.event_id == "/shop#e1"


@pytest.mark.parametrize("form", FORMS)
def test_a_body_that_is_not_json_is_not_readable(form: str) -> None:
    with pytest.raises(NotReadableError):
        FORMS[form].split(Post(JSON, b"{"))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
NAMES = (
    "specversion",
    "type",
    "source",
    "id",
    "data",
    "message",
    "attributes",
    "s3",
    "bucket",
    "object",
    "key",
    "name",
)


@given(st.sampled_from(sorted(FORMS)), st.dictionaries(st.sampled_from(NAMES), JSON_VALUES) | JSON_VALUES)
def test_any_json_is_read_as_a_record_and_raises_nothing_else(form: str, event: Any) -> None:
    assert isinstance(readable(FORMS[form], event, PLACE), Record)


@given(st.sampled_from(sorted(FORMS)), st.binary(max_size=200), st.dictionaries(st.text(), st.text(), max_size=3))
def test_any_body_is_split_or_refused(form: str, body: bytes, headers: dict[str, str]) -> None:
    try:
        events = FORMS[form].split(Post({**JSON, **headers}, body))
    except (NotReadableError, UnusablePostError):
        return
    assert isinstance(events, list)


@pytest.mark.parametrize(("form", "body", "headers", "expected"), CASES)
def test_what_is_split_can_be_written_as_json_and_read_again(form, body, headers, expected) -> None:
    [event] = FORMS[form].split(Post(headers, packed(body)))
    again = FORMS[form].read(json_of(packed(event)), PLACE)
    assert only_file([again]) == expected
