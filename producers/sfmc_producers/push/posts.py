"""A POST of a sender, and what the forms have in common: JSON, fields that must be there, and files by path."""

import base64
import binascii
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from sfmc_import.request import BadRequestError, read_request
from sfmc_producers.sources.arrivals import Arrival, Ignored, Record, Unreadable
from sfmc_producers.sources.stream import ANY_MID


@dataclass(frozen=True, slots=True)
class Post:
    """What a sender posted: header names in lower case, the body unpacked."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """The type of the body, without parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class UnusablePostError(Exception):
    """A POST that no repetition makes right; `status` answers it, the text says why, without its content."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


class NotReadableError(Exception):
    """A body or an event that is not of the form; the text says why, without its content."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a sender writes: `split` gives the events of a POST as JSON values, `read` says what one of them is.

    `split` raises UnusablePostError, or NotReadableError for a body that is kept whole. `read` raises
    NotReadableError; it takes the line `location` of the source too. What it reads can be written as JSON and read
    again, so that a dead letter is one event and not its batch.
    """

    split: Callable[[Post], Sequence[Any]]
    read: Callable[[Any, str], Record]


def readable(form: Form, event: Any, location: str) -> Record:
    """Read one event; what is not of the form is an Unreadable."""
    try:
        return form.read(event, location)
    except NotReadableError as error:
        return Unreadable(str(error))


def json_of(body: bytes) -> Any:
    """Read a body as JSON; raises NotReadableError."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise NotReadableError(f"it is not JSON: {error}") from None


def events_of(value: Any) -> Sequence[Any]:
    """Give the events of a body that is one event or an array of them."""
    return value if isinstance(value, list) else [value]


def inside(value: Any, *path: str) -> Any:
    """Give what stands at a path of JSON objects; None where nothing does."""
    return functools.reduce(lambda each, name: each.get(name) if isinstance(each, Mapping) else None, path, value)


def text_at(value: Any, *path: str) -> str:
    """Give the text at a path; raises NotReadableError where there is none."""
    found = inside(value, *path)
    if not isinstance(found, str) or not found:
        raise NotReadableError(f"{'.'.join(path)} is missing or no text")
    return found


def whole_at(value: Any, *path: str) -> int | None:
    """Give the whole number at a path, also where a sender writes it as text; raises NotReadableError."""
    found = inside(value, *path)
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) < 20:
        return int(found)
    if found is None or (isinstance(found, int) and not isinstance(found, bool)):
        return found
    raise NotReadableError(f"{'.'.join(path)} is no whole number")


def decoded(text: str) -> bytes:
    """Decode base64; raises NotReadableError."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NotReadableError("its data is not base64") from None


def etag(text: str | None) -> str | None:
    """Give an etag without quotes: some senders write them, and a listing does not."""
    return (text or "").strip('"') or None


def arrival(root: str, path: str, **known: Any) -> Record:
    """Give the arrival of the file at `path` below `root`; `known` are further fields of FileInfo, and `event_id`.

    A path that ends with a slash is a folder. Raises NotReadableError for what no request can carry.
    """
    folder, slash, name = path.rpartition("/")
    if not name:
        return Ignored("folder")
    file = {"location": f"{root}/{folder}" if slash else root, "name": name, **known}
    event_id = file.pop("event_id", None)
    given = {"customer_key": "any", "event_id": event_id, "file": {n: v for n, v in file.items() if v is not None}}
    try:
        request = read_request("arrival", ANY_MID, given)
    except BadRequestError as error:
        raise NotReadableError("; ".join(error.problems)) from None
    assert request.file is not None
    return Arrival(file=request.file, event_id=event_id)
