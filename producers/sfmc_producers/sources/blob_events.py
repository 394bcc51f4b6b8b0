"""Reads events of Azure's blob storage from a Storage Queue, in the schema of Event Grid or as CloudEvents."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from sfmc_producers.sources.arrivals import Ignored, Record, Unreadable
from sfmc_producers.sources.fields import (
    NotReadableError,
    arrival,
    etag_at,
    inside,
    json_of,
    read_each,
    text_at,
    whole_at,
)

CREATED, RENAMED = "Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobRenamed"
COMPLETE = frozenset({"CopyBlob", "PutBlob", "PutBlockList", "FlushWithClose", "SftpCommit"})
"""The calls after which a blob is whole; with a hierarchical namespace CreateFile and SftpCreate come before."""

HIERARCHICAL_COMPLETE = COMPLETE - {"CopyBlob"}
"""With a hierarchical namespace CopyBlob is said when a copy begins."""

_SUBJECT = re.compile(r"/blobServices/[^/]+/containers/([^/]+)/blobs/(.+)", re.DOTALL)
_ACCOUNT = re.compile(r"/storageAccounts/([^/]+)", re.IGNORECASE)


def parser(*, hierarchical: bool) -> Callable[[bytes], Sequence[Record]]:
    """Give what reads the messages of one queue."""
    complete = complete_in(hierarchical=hierarchical)

    def parse(body: bytes) -> Sequence[Record]:
        try:
            value = json_of(plain(body))
        except NotReadableError as error:
            return [Unreadable(str(error))]
        events = value if isinstance(value, list) else [value]
        return read_each(events, lambda event: read(event, complete))

    return parse


def complete_in(*, hierarchical: bool) -> frozenset[str]:
    """Give the calls after which a blob is whole in an account of this sort."""
    return HIERARCHICAL_COMPLETE if hierarchical else COMPLETE


def plain(body: bytes) -> bytes:
    """Give the JSON of a message: Event Grid writes base64, other senders may not; raises NotReadableError."""
    text = body.strip()
    if text[:1] in {b"{", b"["}:
        return text
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NotReadableError("it is neither base64 nor JSON") from None


def is_of_azure(event: Any) -> bool:
    """Tell whether an event is of Azure's storage, or of Event Grid itself, in either schema."""
    return str(inside(event, _kind_field(event))).startswith(("Microsoft.Storage.", "Microsoft.EventGrid."))


def _kind_field(event: Any) -> str:
    return "type" if _is_cloudevent(event) else "eventType"


def read(event: Any, complete: frozenset[str] = COMPLETE) -> Record:
    """Read one event of either schema; raises NotReadableError."""
    kind = text_at(event, _kind_field(event))
    if not is_of_azure(event):
        raise NotReadableError("it is no event of Azure's blob storage")
    if kind == RENAMED:
        return _read_renamed(event)
    if kind != CREATED:
        return Ignored("not_created")
    if str(inside(event, "data", "api")) not in complete:
        return Ignored("not_complete")
    if inside(event, "data", "blobType") not in (None, "BlockBlob"):
        # Those are created empty, and written afterwards.
        return Ignored("not_a_block_blob")
    return _read_created(event)


def _read_created(event: Any) -> Record:
    # The subject is not escaped, unlike data.url.
    place = _SUBJECT.fullmatch(text_at(event, "subject"))
    if place is None:
        raise NotReadableError("subject names no blob")
    version = etag_at(event, "data", "eTag")
    event_id = text_at(event, "id") if version is None else None
    size = whole_at(event, "data", "contentLength")
    return arrival(f"azure://{_account(event)}/{place[1]}", place[2], size=size, version=version, event_id=event_id)


def _read_renamed(event: Any) -> Record:
    """Read a rename: it tells neither size nor etag, so its id says which arrival it is."""
    try:
        path = unquote(urlsplit(text_at(event, "data", "destinationUrl")).path, errors="strict")
    except ValueError:
        raise NotReadableError("data.destinationUrl is no address") from None
    container, _, name = path.removeprefix("/").partition("/")
    if not container or not name:
        raise NotReadableError("data.destinationUrl names no blob")
    return arrival(f"azure://{_account(event)}/{container}", name, event_id=text_at(event, "id"))


def _account(event: Any) -> str:
    found = _ACCOUNT.search(text_at(event, "source" if _is_cloudevent(event) else "topic"))
    if found is None:
        raise NotReadableError("topic names no storage account")
    return found[1].lower()


def _is_cloudevent(event: Any) -> bool:
    return inside(event, "specversion") is not None
