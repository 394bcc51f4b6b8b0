"""The form `s3-webhook`: bucket notifications of MinIO, RustFS and Ceph, of S3 itself, and those of EventBridge."""

from collections.abc import Mapping, Sequence
from typing import Any

from sfmc_producers.push.posts import Form, NotReadableError, Post, events_of, inside, json_of
from sfmc_producers.sources.arrivals import Ignored, Record
from sfmc_producers.sources.s3_events import read_bridge, read_record


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
    return read_bridge(event) if inside(event, "detail-type") is not None else read_record(event)


FORM = Form(split, read)
