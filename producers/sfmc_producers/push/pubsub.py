"""The form `pubsub`: notifications of Google Cloud Storage by Pub/Sub, wrapped or not, and by Eventarc."""

import base64
from collections.abc import Sequence
from typing import Any

from sfmc_producers.push import binding
from sfmc_producers.push.posts import (
    PLACE,
    Form,
    NotReadableError,
    Place,
    Post,
    UnusablePostError,
    arrival,
    decoded,
    inside,
    json_of,
    text_at,
    whole_at,
)
from sfmc_producers.sources.arrivals import Ignored, Record

OBJECT_TYPES = "google.cloud.storage.object.v1."
FINALIZED = f"{OBJECT_TYPES}finalized"
MESSAGE_ID = "x-goog-pubsub-message-id"
ATTRIBUTES = {name.lower(): name for name in ("bucketId", "objectId", "objectGeneration", "eventType", "payloadFormat")}


def split(post: Post) -> Sequence[Any]:
    """Give the one message of a POST; one that is not wrapped becomes what it would be wrapped."""
    if binding.is_cloudevent(post):
        return binding.split(post)
    if MESSAGE_ID in post.headers:
        return [_wrapped(post)]
    value = json_of(post.body)
    if inside(value, "message") is None:
        raise UnusablePostError("this is no message of Pub/Sub: wrap it, or let the subscription write metadata", 415)
    return [value]


def _wrapped(post: Post) -> dict[str, Any]:
    attributes = {ATTRIBUTES[name]: value for name, value in post.headers.items() if name in ATTRIBUTES}
    data = base64.b64encode(post.body).decode()
    return {"message": {"attributes": attributes, "data": data, "messageId": post.headers[MESSAGE_ID]}}


def read(event: Any, _place: Place = PLACE) -> Record:
    """Read one message; only OBJECT_FINALIZE is an arrival."""
    if inside(event, "specversion") is not None:
        data = inside(event, "data")
        packed = inside(event, "data_base64")
        return read_object_event(text_at(event, "type"), json_of(decoded(packed)) if packed else data)
    attributes = inside(event, "message", "attributes")
    if text_at(attributes, "eventType") != "OBJECT_FINALIZE":
        return Ignored("not_created")
    size = None
    if inside(attributes, "payloadFormat") != "NONE":
        size = whole_at(json_of(decoded(text_at(event, "message", "data"))), "size")
    bucket, name = text_at(attributes, "bucketId"), text_at(attributes, "objectId")
    # The name is not encoded.
    return arrival(f"gs://{bucket}", name, size=size, version=text_at(attributes, "objectGeneration"))


def read_object_event(kind: str, data: Any) -> Record:
    """Read a CloudEvent of Google Cloud Storage; its data is the object."""
    if kind != FINALIZED:
        return Ignored("not_created")
    generation = inside(data, "generation")
    if isinstance(generation, bool) or not isinstance(generation, str | int):
        raise NotReadableError("data.generation is missing")
    bucket, name = text_at(data, "bucket"), text_at(data, "name")
    return arrival(f"gs://{bucket}", name, size=whole_at(data, "size"), version=str(generation))


FORM = Form(split, read)
