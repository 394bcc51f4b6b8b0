"""One event of the stream as a value with types, and the gap that stands for events that are gone."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sfmc_import.events.stream import TYPE, entries_of_events
from sfmc_import.request import FileInfo
from sfmc_import.states import TERMINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportEvent:
    """An event: `name` is its type without `sfmc.import.`, `position` its id in the stream, `id` its own.

    The same `id` is the same event, however often it is read. `data` has all that the event says; `cloud_event` is the
    whole as it was published. `deliveries` counts how often a group has given it, 1 for a plain reader.
    """

    position: str
    id: str
    name: str
    time: datetime
    customer_key: str
    mid: str
    request_id: str | None
    attempt: int
    file: FileInfo | None
    task_id: str | None
    data: Mapping[str, Any] = field(repr=False)
    cloud_event: Mapping[str, Any] = field(repr=False)
    deliveries: int = field(default=1, compare=False)

    @property
    def is_end(self) -> bool:
        """Whether a request has ended with this event."""
        return self.name in TERMINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Events between two positions of the stream that were removed before this reader came to them, as far as known.

    The stream keeps SFMC_STREAM_MAXLEN events. `count` is None where nothing says how many are missing; at the edge of
    what is kept it may be none.
    """

    after: str
    before: str
    count: int | None = None


Read = ImportEvent | Gap
"""What a reader gives."""


def typed(entries: Iterable[Any], deliveries: Mapping[bytes, int] | None = None) -> Iterator[ImportEvent]:
    """Read raw entries of the stream; what is no event of ours is left out."""
    for position, event in entries_of_events(entries):
        found = _typed(position, event, (deliveries or {}).get(position.encode(), 1))
        if found is not None:
            yield found


def _typed(position: str, event: Mapping[str, Any], deliveries: int) -> ImportEvent | None:
    data = event["data"]
    try:
        time = datetime.fromisoformat(event["time"])
    except ValueError:
        return None
    return ImportEvent(
        position=position,
        id=str(event.get("id") or position),
        name=str(event["type"]).removeprefix(TYPE),
        time=time,
        customer_key=event["subject"],
        mid=str(data.get("mid") or ""),
        request_id=_text(data.get("request_id")),
        attempt=data["attempt"] if isinstance(data.get("attempt"), int) else 0,
        file=_file(data.get("file")),
        task_id=_text(data.get("task_id")),
        data=data,
        cloud_event=event,
        deliveries=deliveries,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _file(fields: object) -> FileInfo | None:
    if not isinstance(fields, Mapping) or not isinstance(fields.get("name"), str):
        return None
    size, modified = fields.get("size"), str(fields.get("modified_ns") or "")
    return FileInfo(
        location=str(fields.get("location") or ""),
        name=fields["name"],
        size=size if isinstance(size, int) else None,
        modified_ns=int(modified) if modified.removeprefix("-").isdecimal() else None,
        version=_text(fields.get("version")),
        content_hash=_text(fields.get("content_hash")),
        arrived_as=_text(fields.get("arrived_as")),
    )
