"""The form `cloudevents`: events of your own programs, and those of Google, Azure and SFTPGo in this envelope."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sfmc_producers.push import binding, event_grid, pubsub, sftpgo
from sfmc_producers.push.posts import PLACE, Form, NotReadableError, Place, decoded, inside, json_of, text_at
from sfmc_producers.sources.arrivals import Arrival, Record
from sfmc_producers.sources.stream import read_event

MAX_ID = 512
"""Characters of an id that is kept as it is; of a longer one a digest is."""


def read(event: Any, place: Place = PLACE) -> Record:
    """Read one event by its type; of an unknown type its data are the arguments of `imports.start`."""
    if text_at(event, "specversion") != "1.0":
        raise NotReadableError("specversion is not 1.0")
    kind, identity = text_at(event, "type"), identity_of(event)
    if kind.startswith(event_grid.TYPES):
        return event_grid.read(event, place)
    data = _data(event)
    if kind.startswith(pubsub.OBJECT_TYPES):
        return pubsub.read_object_event(kind, data)
    if kind.startswith(sftpgo.TYPES):
        return sftpgo.read_cloudevent(kind, text_at(event, "source"), data, place.location, identity)
    return _read_own(data, identity)


def identity_of(event: Any) -> str:
    """Give what an event is known by: its source and its id together."""
    both = f"{text_at(event, 'source')}#{text_at(event, 'id')}"
    return both if len(both) <= MAX_ID else hashlib.sha256(both.encode()).hexdigest()


def _read_own(data: Any, identity: str) -> Record:
    if not isinstance(data, Mapping):
        raise NotReadableError("data is no JSON object")
    record = read_event(data)
    return replace(record, event_id=record.event_id or identity) if isinstance(record, Arrival) else record


def _data(event: Any) -> Any:
    packed = inside(event, "data_base64")
    return json_of(decoded(packed)) if isinstance(packed, str) else inside(event, "data")


FORM = Form(binding.split, read)
