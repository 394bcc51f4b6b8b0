"""The form `s3-webhook`: bucket notifications of MinIO, RustFS and Ceph, of S3 itself, and those of EventBridge."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote_plus

from sfmc_producers.push.posts import (
    Form,
    NotReadableError,
    Post,
    arrival,
    etag,
    events_of,
    inside,
    json_of,
    text_at,
    whole_at,
)
from sfmc_producers.sources.arrivals import Ignored, Record

CEPH = "ceph:s3"
CEPH_COMPLETE = frozenset({"Put", "Copy", "CompleteMultipartUpload"})
"""Ceph says `ObjectCreated:Post` when an upload in parts begins."""


def split(post: Post) -> Sequence[Any]:
    """Give the records of a notification, each on its own."""
    return records_of(json_of(post.body))


def records_of(value: Any) -> Sequence[Any]:
    """Give the records of a notification; another event is one record."""
    if not isinstance(value, Mapping) or "Records" not in value:
        return events_of(value)
    if not isinstance(value["Records"], list):
        raise NotReadableError("Records is no array")
    return value["Records"]


def read(event: Any, _location: str = "") -> Record:
    """Read one record of a notification, an event of EventBridge, or the test event of S3."""
    if inside(event, "Event") == "s3:TestEvent":
        return Ignored("test_event")
    return _read_bridge(event) if inside(event, "detail-type") is not None else _read_record(event)


def _read_record(event: Any) -> Record:
    ceph = inside(event, "eventSource") == CEPH
    major = text_at(event, "eventVersion").partition(".")[0]
    kind, _, how = text_at(event, "eventName").removeprefix("s3:").partition(":")
    if kind != "ObjectCreated":
        return Ignored("not_created")
    if ceph and how not in CEPH_COMPLETE:
        return Ignored("not_complete")
    if major != "2":
        raise NotReadableError("its eventVersion is not 2")
    key = text_at(event, "s3", "object", "key")
    item = inside(event, "s3", "object")
    # An empty object has no size where the sender leaves zeros out.
    size = whole_at(item, "size") or 0
    # Ceph writes keys as they are.
    return _object(text_at(event, "s3", "bucket", "name"), key if ceph else _unquoted(key), item, size, "eTag")


def _read_bridge(event: Any) -> Record:
    if inside(event, "source") != "aws.s3" or inside(event, "detail-type") != "Object Created":
        return Ignored("not_created")
    detail = inside(event, "detail")
    # Keys are not encoded here.
    item, key = inside(detail, "object"), text_at(detail, "object", "key")
    return _object(text_at(detail, "bucket", "name"), key, item, whole_at(item, "size"), "etag")


def _object(bucket: str, key: str, item: Any, size: int | None, tag: str) -> Record:
    version = etag(inside(item, tag)) if isinstance(inside(item, tag), str) else None
    event_id = inside(item, "sequencer") if version is None else None
    return arrival(f"s3://{bucket}", key, size=size, version=version, event_id=event_id)


def _unquoted(key: str) -> str:
    try:
        # Once: a key that holds %20 arrives as %2520.
        return unquote_plus(key, errors="strict")
    except UnicodeDecodeError:
        raise NotReadableError("s3.object.key is no UTF-8") from None


FORM = Form(split, read)
