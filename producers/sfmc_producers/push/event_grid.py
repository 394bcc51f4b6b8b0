"""The form `event-grid`: events of Azure's blob storage, in the schema of Event Grid or as CloudEvents."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from sfmc_producers.push.posts import (
    Form,
    NotReadableError,
    Post,
    UnusablePostError,
    arrival,
    etag,
    events_of,
    inside,
    json_of,
    text_at,
    whole_at,
)
from sfmc_producers.sources.arrivals import Ignored, Record

TYPES = ("Microsoft.Storage.", "Microsoft.EventGrid.")
VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"
COMPLETE = frozenset({"CopyBlob", "PutBlob", "PutBlockList", "FlushWithClose", "SftpCommit"})
"""The calls after which a blob is whole; with a hierarchical namespace CreateFile comes before its content."""

_SUBJECT = re.compile(r"/blobServices/[^/]+/containers/([^/]+)/blobs/(.+)", re.DOTALL)
_ACCOUNT = re.compile(r"/storageAccounts/([^/]+)", re.IGNORECASE)


def split(post: Post) -> Sequence[Any]:
    """Give the events of a POST: an array of them, or one."""
    return events_of(json_of(post.body))


def validation_code(events: Sequence[Any]) -> str | None:
    """Give the code that the answer to a handshake repeats; None for ordinary events."""
    if len(events) != 1 or inside(events[0], "eventType") != VALIDATION:
        return None
    code = inside(events[0], "data", "validationCode")
    if not isinstance(code, str) or not 0 < len(code) <= 512:
        raise UnusablePostError("data.validationCode is missing")
    return code


def read(event: Any, _location: str = "") -> Record:
    """Read one event of either schema."""
    kind = text_at(event, "type" if inside(event, "specversion") is not None else "eventType")
    if kind == "Microsoft.Storage.BlobRenamed":
        return _read_renamed(event)
    if kind != "Microsoft.Storage.BlobCreated":
        return Ignored("not_created")
    if inside(event, "data", "api") not in COMPLETE:
        return Ignored("not_complete")
    place = _SUBJECT.fullmatch(text_at(event, "subject"))
    if place is None:
        raise NotReadableError("subject names no blob")
    tag = inside(event, "data", "eTag")
    version = etag(tag) if isinstance(tag, str) else None
    known = {"size": whole_at(event, "data", "contentLength"), "version": version}
    event_id = text_at(event, "id") if version is None else None
    # The subject is not escaped, unlike data.url.
    return arrival(f"azure://{_account(event)}/{place[1]}", place[2], **known, event_id=event_id)


def _read_renamed(event: Any) -> Record:
    """Read a rename: it tells neither size nor etag, so its id says which arrival it is."""
    path = unquote(urlsplit(text_at(event, "data", "destinationUrl")).path, errors="surrogateescape")
    container, _, name = path.removeprefix("/").partition("/")
    return arrival(f"azure://{_account(event)}/{container}", name, event_id=text_at(event, "id"))


def _account(event: Any) -> str:
    found = _ACCOUNT.search(text_at(event, "source" if inside(event, "specversion") is not None else "topic"))
    if found is None:
        raise NotReadableError("topic names no storage account")
    return found[1]


FORM = Form(split, read)
