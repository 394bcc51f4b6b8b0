"""Reads events of S3 and what looks like it: classic notifications, EventBridge, either of them in SNS's envelope."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote_plus

from sfmc_producers.sources.arrivals import Ignored, Record, Unreadable
from sfmc_producers.sources.fields import (
    NotReadableError,
    arrival,
    digest_of,
    etag_at,
    inside,
    json_of,
    read_each,
    text_at,
    whole_at,
)

MAJOR = "2"
"""The eventVersion that is read; each 2.x has all that is needed."""

UPLOADS = frozenset({"Put", "Post", "Copy", "CompleteMultipartUpload"})
"""The ObjectCreated events that bring content; MinIO also has some for tags and locks of an old object."""

NOTIFICATION = "Notification"
"""The type of an envelope of SNS that has a message."""

NEITHER = "it is no event of S3, EventBridge or SNS"

CEPH = "ceph:s3"
CEPH_UPLOADS = UPLOADS - {"Post"}
"""Ceph says `ObjectCreated:Post` when an upload in parts begins."""


def parse(body: bytes) -> Sequence[Record]:
    """Read one message of a queue: what is in it shows its form."""
    try:
        return read_each(_events(json_of(body)), read)
    except NotReadableError as error:
        return [Unreadable(str(error))]


def _events(value: Any) -> Sequence[Any]:
    if inside(value, "TopicArn") is None or inside(value, "Type") is None:
        return events_of(value)
    if value["Type"] != NOTIFICATION:
        raise NotReadableError("a topic of SNS asks to be confirmed: open the SubscribeURL of the message")
    return enveloped(value)


def enveloped(envelope: Mapping[str, Any]) -> Sequence[Any]:
    """Give the events in a notification of SNS, which has JSON as text; raises NotReadableError."""
    try:
        return events_of(json_of(text_at(envelope, "Message").encode(), most=None))
    except NotReadableError as error:
        raise NotReadableError(f"Message: {error}") from None


def events_of(value: Any) -> Sequence[Any]:
    """Give the events of a message without its envelope: its Records, or itself; raises NotReadableError."""
    if not isinstance(value, Mapping):
        raise NotReadableError(NEITHER)
    if "Records" not in value:
        return [value]
    if not isinstance(value["Records"], list):
        raise NotReadableError("Records is no array")
    return value["Records"]


def read(event: Any) -> Record:
    """Read one record of a notification, an event of EventBridge, or the test event of S3; raises NotReadableError."""
    if inside(event, "Event") == "s3:TestEvent":
        return Ignored("test_event")
    if inside(event, "detail-type") is not None:
        return read_bridge(event)
    if inside(event, "eventSource") is None:
        raise NotReadableError(NEITHER)
    return read_record(event)


def read_record(event: Any) -> Record:
    """Read one record of a classic notification; raises NotReadableError."""
    sender = text_at(event, "eventSource")
    if not sender.endswith(":s3"):
        raise NotReadableError("its eventSource is not that of S3")
    if text_at(event, "eventVersion").partition(".")[0] != MAJOR:
        raise NotReadableError(f"its eventVersion is not {MAJOR}.x")
    # MinIO writes the prefix of the filters.
    kind, _, how = text_at(event, "eventName").removeprefix("s3:").partition(":")
    if kind != "ObjectCreated":
        return Ignored("not_created")
    if how not in (CEPH_UPLOADS if sender == CEPH else UPLOADS):
        return Ignored("not_complete")
    key = text_at(event, "s3", "object", "key")
    # Ceph writes keys as they are.
    name = key if sender == CEPH else _decoded(key)
    item = inside(event, "s3", "object")
    # Senders that leave out zeros write no size of an empty object.
    size = whole_at(item, "size") or 0
    version = etag_at(item, "eTag")
    event_id = None if version else _event_id(event, item)
    return arrival(
        f"s3://{text_at(event, 's3', 'bucket', 'name')}", name, size=size, version=version, event_id=event_id
    )


def read_bridge(event: Any) -> Record:
    """Read an event of EventBridge, whose keys are not encoded; raises NotReadableError."""
    if text_at(event, "source") != "aws.s3":
        raise NotReadableError("its source is not aws.s3")
    if text_at(event, "detail-type") != "Object Created":
        return Ignored("not_created")
    bucket, key = text_at(event, "detail", "bucket", "name"), text_at(event, "detail", "object", "key")
    item = inside(event, "detail", "object")
    version = etag_at(item, "etag")
    event_id = None if version else _event_id(event, item)
    return arrival(f"s3://{bucket}", key, size=whole_at(item, "size"), version=version, event_id=event_id)


def _event_id(event: Any, item: Any) -> str:
    """Tell one upload of a key from the next one where there is no etag."""
    sequencer = inside(item, "sequencer")
    return sequencer if isinstance(sequencer, str) and sequencer else digest_of(event)


def _decoded(key: str) -> str:
    try:
        # Once: a key that holds %20 arrives as %2520.
        return unquote_plus(key, errors="strict")
    except UnicodeDecodeError:
        raise NotReadableError("s3.object.key is no UTF-8") from None
