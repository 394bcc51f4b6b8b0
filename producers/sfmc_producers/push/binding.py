"""CloudEvents over HTTP: finds the events of a POST in the modes structured, binary and batched."""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from sfmc_producers.push.posts import NotReadableError, Post, UnusablePostError, events_of, inside, json_of

REQUIRED = ("specversion", "id", "source", "type")
PREFIX = "ce-"
_QUOTED = re.compile(r"\\(.)")


def is_cloudevent(post: Post) -> bool:
    """Tell whether headers or type say that a POST carries CloudEvents."""
    return post.media_type.startswith("application/cloudevents") or "ce-specversion" in post.headers


def split(post: Post) -> Sequence[Any]:
    """Give the events of a POST; one in binary mode becomes what it would be in structured mode.

    The batch has the type of a structured event and more, so it is looked for first. Plain JSON that is a CloudEvent
    counts as one: some senders must not say so.
    """
    media = post.media_type
    if media.startswith("application/cloudevents"):
        return _written(post, is_batch=media.startswith("application/cloudevents-batch"))
    if any(name.startswith(PREFIX) for name in post.headers):
        return [_binary(post)]
    events = events_of(json_of(post.body))
    if not all(inside(event, "specversion") is not None for event in events):
        raise UnusablePostError("this is no CloudEvent: it has no specversion", 415)
    return events


def _written(post: Post, *, is_batch: bool) -> Sequence[Any]:
    if not post.media_type.endswith("+json"):
        raise UnusablePostError("CloudEvents are read as JSON only", 415)
    value = json_of(post.body)
    if isinstance(value, list) is not is_batch:
        raise NotReadableError("a batch is an array, and a single event is an object")
    return events_of(value)


def _binary(post: Post) -> dict[str, Any]:
    attributes = {
        name.removeprefix(PREFIX): _value(value) for name, value in post.headers.items() if name.startswith(PREFIX)
    }
    if missing := [f"ce-{name}" for name in REQUIRED if not attributes.get(name)]:
        raise UnusablePostError(f"headers of the CloudEvent are missing: {', '.join(missing)}")
    return {**attributes, "datacontenttype": post.media_type or "application/json", **_data(post)}


def _value(text: str) -> str:
    """Undo the quotes, then the percent signs, once; `+` is no blank here."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = _QUOTED.sub(r"\1", text[1:-1])
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise UnusablePostError("a header of the CloudEvent is no UTF-8") from None


def _data(post: Post) -> Mapping[str, Any]:
    if not post.body:
        return {}
    if post.media_type in {"", "application/json"} or post.media_type.endswith("+json"):
        try:
            return {"data": json_of(post.body)}
        except NotReadableError:
            # Kept as it is: reading the event says what is wrong with it.
            pass
    return {"data_base64": base64.b64encode(post.body).decode()}
