"""A POST of a sender, and what the forms have in common: JSON, fields that must be there, and files by path."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sfmc_producers.sources import fields
from sfmc_producers.sources.arrivals import Record, Unreadable
from sfmc_producers.sources.fields import NotReadableError, arrival, inside, text_at, whole_at

__all__ = [
    "PLACE", "Form", "NotReadableError", "Place", "Post", "UnusablePostError", "arrival", "decoded", "events_of",
    "inside", "json_of", "readable", "text_at", "whole_at",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Post:
    """What a sender posted: header names in lower case, the body unpacked."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """The type of the body, without parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Place:
    """What the lines of a source say of the place of its files, as in PushOptions."""

    location: str = ""
    hierarchical: bool = False


PLACE = Place()
"""That of a source that says nothing of it."""


class UnusablePostError(Exception):
    """A POST that no repetition makes right; `status` answers it, the text says why, without its content."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Form:
    """How a sender writes: `split` gives the events of a POST as JSON values, `read` says what one of them is.

    `split` raises UnusablePostError, or NotReadableError for a body that is kept whole. `read` raises
    NotReadableError; it takes what the source says of the place of its files too. What it reads can be written as
    JSON and read again, so that a dead letter is one event and not its batch.
    """

    split: Callable[[Post], Sequence[Any]]
    read: Callable[[Any, Place], Record]


def readable(form: Form, event: Any, place: Place) -> Record:
    """Read one event; what is not of the form is an Unreadable."""
    try:
        return form.read(event, place)
    except NotReadableError as error:
        return Unreadable(str(error))


def json_of(body: bytes) -> Any:
    """Read a body, whose size the server has limited, as JSON; raises NotReadableError."""
    return fields.json_of(body, most=None)


def events_of(value: Any) -> Sequence[Any]:
    """Give the events of a body that is one event or an array of them."""
    return value if isinstance(value, list) else [value]


def decoded(text: str) -> bytes:
    """Decode base64; raises NotReadableError."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NotReadableError("its data is not base64") from None
