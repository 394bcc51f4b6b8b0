"""A file that a queue, a post in each form and a listing show is one arrival: decision 15 with real events."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from sfmc_import.routing import Routed
from sfmc_producers.file_ids import own_event, request_id_of
from sfmc_producers.push.forms import FORMS
from sfmc_producers.push.options import PushOptions
from sfmc_producers.push.posts import Post, readable
from sfmc_producers.sources import blob_events, s3_events
from sfmc_producers.sources.arrivals import Arrival, Ignored, Record
from sfmc_producers.sources.questions import read_given
from sfmc_producers.sources.s3_objects import read_item
from tests.support import events_of_stores as queued
from tests.support import posts
from tests.unit.sfmc_producers.test_one_identity import rows

TARGET = Routed(customer_key="orders", mid="510001234", by="route")
KEY = "in/orders 2026+01 %20 ü.csv"
UNWRAPPED = {"x-goog-pubsub-message-id": "7", "bucketid": "drop", "objectid": KEY, "eventtype": "OBJECT_FINALIZE"}
UNWRAPPED |= {"objectgeneration": "1736046600123456"}
EVENTARC = {"ce-specversion": "1.0", "ce-id": "1207", "ce-source": "//storage.googleapis.com/projects/_/buckets/drop"}
EVENTARC |= {"ce-type": "google.cloud.storage.object.v1.finalized"}

Sighting = Callable[[], Sequence[Record]]


def from_queue(parse: Callable[[bytes], Sequence[Record]], *messages: Any) -> Sighting:
    return lambda: [record for each in messages for record in parse(json.dumps(each).encode())]


def pushed(form: str, *bodies: Any, **headers: str) -> Sighting:
    """Events in bodies of a form, and recognised by `auto` too, where that reads the form."""
    options = PushOptions.model_validate({"form": "cloudevents", "auth": "none"})
    given = posts.JSON | {name.replace("_", "-"): value for name, value in headers.items()}
    found = [Post(given, posts.packed(each)) for each in bodies]
    forms = [form] if form == "sns" else [form, "auto"]
    return lambda: [
        readable(FORMS[name], event, options.place)
        for name in forms
        for post in found
        for event in FORMS[name].split(post)
    ]


def listed() -> list[Record]:
    found = read_item("drop", {"Key": KEY, "Size": 120, "ETag": '"9b2c"'})
    assert found is not None
    return [found]


def sns_of(message: Any) -> dict[str, Any]:
    return posts.sns_envelope(message, "arn:aws:sns:eu-central-1:111122223333:drop")


def own(location: str, version: str) -> dict[str, Any]:
    """What a program of one's own says of the same object."""
    name = KEY.removeprefix("in/")
    file = {"location": f"{location}/in", "name": name, "size": 120, "version": version}
    return posts.cloudevent(data={"file": file})


CLASSIC, BRIDGE = queued.notification(queued.s3_record(quote_plus(KEY))), queued.bridge(KEY)
LATER = queued.notification(queued.s3_record(quote_plus(KEY), eventTime="2027-01-01T00:00:00Z"))
MINIO = posts.minio(posts.s3_record(quote(KEY, safe="")))
CEPH = {"Records": [posts.s3_record(KEY, eventSource="ceph:s3", eventName="ObjectCreated:Put")]}
AZURE = blob_events.parser(hierarchical=False)
BLOB = queued.blob_created(KEY)

SEEN: dict[tuple[str, str], Sighting] = {
    ("s3", "classic event"): from_queue(s3_events.parse, CLASSIC, queued.envelope(json.dumps(CLASSIC))),
    ("s3", "event delivered again"): from_queue(s3_events.parse, CLASSIC, LATER),
    ("s3", "EventBridge event"): from_queue(s3_events.parse, BRIDGE, queued.envelope(json.dumps(BRIDGE))),
    ("s3", "post of the store"): pushed("s3-webhook", CLASSIC, BRIDGE, MINIO, CEPH),
    ("s3", "post of SNS"): pushed("sns", sns_of(CLASSIC), sns_of(BRIDGE)),
    ("s3", "post of a program"): pushed("cloudevents", own("s3://drop", "9b2c")),
    ("s3", "scan"): listed,
    ("azure", "event"): from_queue(AZURE, BLOB, queued.as_cloudevent(BLOB)),
    ("azure", "event delivered again"): from_queue(AZURE, BLOB, {**BLOB, "id": "another", "eventTime": "2027-01-01"}),
    ("azure", "post of Event Grid"): pushed("event-grid", [posts.blob_created(KEY)], [posts.blob_cloudevent(KEY)]),
    ("azure", "post as CloudEvent"): pushed("cloudevents", posts.blob_cloudevent(KEY)),
    ("azure", "post of a program"): pushed("cloudevents", own("azure://acc/drop", "0x8D4B")),
    ("gs", "event"): pushed("pubsub", posts.pubsub(KEY)),
    ("gs", "event delivered again"): pushed("pubsub", {**posts.pubsub(KEY), "subscription": "projects/p/another"}),
    ("gs", "post without envelope"): pushed("pubsub", posts.google_object(KEY), **UNWRAPPED),
    ("gs", "post of Eventarc"): pushed("pubsub", posts.google_object(KEY), **EVENTARC),
    ("gs", "post as CloudEvent"): pushed("cloudevents", posts.google_object(KEY), **EVENTARC),
    ("gs", "post of a program"): pushed("cloudevents", own("gs://drop", "1736046600123456")),
}


def request_ids(records: Sequence[Record]) -> list[str]:
    found = [each for each in records if isinstance(each, Arrival)]
    assert len(found) == len(records), records
    return [request_id_of(each.file, TARGET, own_event(each.file, each.event_id)) for each in found]


@pytest.mark.parametrize("source", ["s3", "azure", "gs"])
def test_an_object_is_one_request_whether_a_queue_a_post_or_a_listing_shows_it(source: str) -> None:
    ids = {place: set(request_ids(see())) for place, see in SEEN.items() if place[0] == source}

    assert len(set().union(*ids.values())) == 1, ids


def test_each_way_of_seeing_that_the_table_names_is_seen_here() -> None:
    named = {(row["source"], row["seen by"]) for row in rows() if row["source"] in {"s3", "azure", "gs"}}

    # Containers of Azure are listed by a server of the tests of that source; nothing lists those of Google.
    assert named == set(SEEN) | {("azure", "scan"), ("gs", "scan")}


RENAMED = queued.blob_created(KEY, destinationUrl=f"https://acc.blob.core.windows.net/drop/{quote(KEY)}")
RENAMED = {**RENAMED, "eventType": "Microsoft.Storage.BlobRenamed"}
BARE = queued.notification(queued.s3_record(quote_plus(KEY), object={"eTag": None}))
NAMED_ONLY = {
    "azure": [
        from_queue(AZURE, RENAMED, queued.as_cloudevent(RENAMED)),
        pushed("event-grid", [RENAMED], [queued.as_cloudevent(RENAMED)]),
        pushed("cloudevents", queued.as_cloudevent(RENAMED)),
    ],
    "s3": [from_queue(s3_events.parse, BARE), pushed("s3-webhook", BARE), pushed("sns", sns_of(BARE))],
}


@pytest.mark.parametrize("source", list(NAMED_ONLY))
def test_what_is_known_by_its_event_alone_is_one_request_in_a_queue_and_in_a_post(source: str) -> None:
    assert len({each for see in NAMED_ONLY[source] for each in request_ids(see())}) == 1


@pytest.mark.parametrize("hierarchical", [False, True])
def test_where_a_copy_begins_a_queue_a_post_and_explain_say_the_same(hierarchical: bool, tmp_path: Path) -> None:
    event = queued.blob_created(KEY, api="CopyBlob")
    options = PushOptions.model_validate({"form": "event-grid", "auth": "none", "hierarchical": hierarchical})
    (tmp_path / "event.json").write_text(json.dumps([event]))
    opened: Any = type("Opened", (), {"options": options, "source": None})()
    said = [
        *blob_events.parser(hierarchical=hierarchical)(json.dumps(event).encode()),
        readable(FORMS["event-grid"], event, options.place),
        readable(FORMS["cloudevents"], queued.as_cloudevent(event), options.place),
        readable(FORMS["auto"], event, options.place),
        *read_given(str(tmp_path / "event.json"), opened),
    ]
    assert [each == Ignored("not_complete") for each in said] == [hierarchical] * 5
