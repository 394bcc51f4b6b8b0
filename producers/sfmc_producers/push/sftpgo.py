"""The form `sftpgo`: the action hook of SFTPGo, and the CloudEvent that its event manager can send."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sfmc_producers.push.posts import PLACE, Form, Place, Post, arrival, events_of, inside, json_of, text_at, whole_at
from sfmc_producers.sources.arrivals import Arrival, Ignored, Record

TYPES = "com.sftpgo.fs."
PATHS = {"upload": "virtual_path", "rename": "virtual_target_path"}
OK = 1


def split(post: Post) -> Sequence[Any]:
    """Give the one event of a POST."""
    return events_of(json_of(post.body))


def read(event: Any, place: Place = PLACE) -> Record:
    """Read one event of the hook.

    Zeros are left out, so an empty file has no size. Its time stamp is that of the event, not of the file: with
    session, user and path it makes the id of the event, and the file was not changed after it.
    """
    if inside(event, "specversion") is not None:
        identity = f"{text_at(event, 'source')}#{text_at(event, 'id')}"
        return read_cloudevent(
            text_at(event, "type"), text_at(event, "source"), inside(event, "data"), place.location, identity
        )
    action = text_at(event, "action")
    if action not in PATHS:
        return Ignored("not_created")
    if inside(event, "status") != OK:
        return Ignored("upload_failed")
    user, path = text_at(event, "username"), text_at(event, PATHS[action])
    parts = (user, path, inside(event, "session_id"), inside(event, "timestamp"))
    event_id = hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "replace")).hexdigest()
    found = _arrival(user, path, place.location, whole_at(event, "file_size") or 0, event_id)
    return _at(found, whole_at(event, "timestamp"))


def read_cloudevent(kind: str, source: str, data: Any, location: str, event_id: str) -> Record:
    """Read an event of the event manager, as the page of push sources writes its rule."""
    action = kind.removeprefix(TYPES)
    if action not in PATHS:
        return Ignored("not_created")
    if inside(data, "status") != OK:
        return Ignored("upload_failed")
    path = text_at(data, "target" if action == "rename" else "path")
    found = _arrival(source.rpartition("/")[2], path, location, whole_at(data, "size"), event_id)
    return _at(found, whole_at(data, "timestamp"))


def _at(found: Record, timestamp_ns: int | None) -> Record:
    """Note when the event was, where it says so: the content of a file that was changed later is another."""
    if timestamp_ns is None or not isinstance(found, Arrival):
        return found
    return replace(found, changed_at=timestamp_ns / 1e9)


def _arrival(user: str, path: str, location: str, size: int | None, event_id: str) -> Record:
    return arrival(location.rstrip("/") or f"sftpgo://{user}", path.removeprefix("/"), size=size, event_id=event_id)


FORM = Form(split, read)
