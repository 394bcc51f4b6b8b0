"""The form `s3-webhook`: bucket notifications of MinIO, RustFS and Ceph, of S3 itself, and those of EventBridge."""

from collections.abc import Mapping, Sequence
from typing import Any

from sfmc_producers.push.posts import PLACE, Form, Place, Post, events_of, json_of
from sfmc_producers.sources import s3_events
from sfmc_producers.sources.arrivals import Record


def split(post: Post) -> Sequence[Any]:
    """Give the records of a notification, each on its own; an array is one of events."""
    value = json_of(post.body)
    return s3_events.events_of(value) if isinstance(value, Mapping) else events_of(value)


def read(event: Any, _place: Place = PLACE) -> Record:
    """Read one event, as a queue would bring it."""
    return s3_events.read(event)


FORM = Form(split, read)
