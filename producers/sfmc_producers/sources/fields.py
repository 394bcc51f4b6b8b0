"""What the readers of events have in common: bounded JSON, fields that must be there, and files of object stores."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from sfmc_import.request import BadRequestError, read_request
from sfmc_producers.sources.arrivals import Arrival, Ignored, Record, Unreadable

MOST_BYTES = 1024 * 1024
"""The longest message: more than any of the queues carries."""


class NotReadableError(Exception):
    """A message or an event that is not of its form; the text says why, without its content."""


def json_of(body: bytes, most: int | None = MOST_BYTES) -> Any:
    """Read a message of at most so many bytes as JSON; raises NotReadableError."""
    if most is not None and len(body) > most:
        raise NotReadableError(f"it has {len(body)} bytes: {most} at most are read")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise NotReadableError(f"it is not JSON: {error}") from None


def read_each(events: Sequence[Any], read: Callable[[Any], Record]) -> list[Record]:
    """Read events, each on its own: what is not of the form is an Unreadable beside the others."""
    return [_readable(each, read) for each in events]


def _readable(event: Any, read: Callable[[Any], Record]) -> Record:
    try:
        return read(event)
    except NotReadableError as error:
        return Unreadable(str(error))


def inside(value: Any, *path: str) -> Any:
    """Give what stands at a path of JSON objects; None where nothing does."""
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def text_at(value: Any, *path: str) -> str:
    """Give the text at a path; raises NotReadableError where there is none."""
    found = inside(value, *path)
    if not isinstance(found, str) or not found:
        raise NotReadableError(f"{'.'.join(path)} is missing or no text")
    return found


def whole_at(value: Any, *path: str) -> int | None:
    """Give the whole number at a path, also where it is written as text; raises NotReadableError."""
    found = inside(value, *path)
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) < 20:
        return int(found)
    if found is None or (isinstance(found, int) and not isinstance(found, bool)):
        return found
    raise NotReadableError(f"{'.'.join(path)} is no whole number")


def etag_at(value: Any, *path: str) -> str | None:
    """Give the etag at a path without quotes: some events write them, and some do not."""
    found = inside(value, *path)
    return plain_etag(found) if isinstance(found, str) else None


def plain_etag(text: str) -> str | None:
    """Give an etag without quotes."""
    return text.strip('"') or None


def digest_of(event: Any) -> str:
    """Give an id of an event that has none: the same for each time it is delivered. Raises NotReadableError."""
    try:
        text = orjson.dumps(event, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        raise NotReadableError("it is nested too deeply") from None
    return hashlib.sha256(text).hexdigest()[:32]


def arrival(root: str, path: str, *, event_id: str | None = None, **known: Any) -> Record:
    """Give the arrival of the object `path` of a store; `known` are fields of FileInfo, `root` its first folder.

    A path that ends with a slash is a folder. Raises NotReadableError for what no request can carry.
    """
    folder, slash, name = path.rpartition("/")
    if not name:
        return Ignored("folder")
    file = {"location": f"{root}/{folder}" if slash else root, "name": name, **known}
    given = {"customer_key": "any", "event_id": event_id, "file": {n: v for n, v in file.items() if v is not None}}
    try:
        # A definition and a business unit stand in: here only the file is of interest.
        request = read_request("arrival", "1", given)
    except BadRequestError as error:
        raise NotReadableError("; ".join(error.problems)) from None
    assert request.file is not None
    return Arrival(file=request.file, event_id=event_id)
