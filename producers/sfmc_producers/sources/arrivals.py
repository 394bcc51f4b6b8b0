"""What a source reports: an arrival, something that starts nothing, or a record that cannot be read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sfmc_import.request import FileInfo
from sfmc_producers.checked_files import OpenContent


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A file that has arrived completely.

    `event_id` is the source's own; it is the identity only where nothing else tells one content from another
    (`FileInfo.has_fingerprint`): a later scan does not know it. `customer_key` is given where the source itself names
    the definition, `mid` where it names the business unit; else the routes decide. `changed_at` is when the file was
    last changed, in seconds since 1970, where a listing says it: it is no part of the identity, for events do not.
    `open_content` opens the file for the preflight and the delivery of a route, where the source can.
    """

    file: FileInfo
    event_id: str | None = None
    customer_key: str | None = None
    mid: str | None = None
    open_content: OpenContent | None = field(default=None, compare=False)
    changed_at: float | None = field(default=None, compare=False)

    @property
    def last_changed(self) -> float | None:
        """When the file was last changed; None where nothing says it."""
        if self.changed_at is None and self.file.modified_ns is not None:
            return self.file.modified_ns / 1e9
        return self.changed_at


@dataclass(frozen=True, slots=True)
class Ignored:
    """A record that is sound and is no arrival, such as a deletion; `reason` is a static name for logs."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that no repetition will make readable; `text` says what is wrong, without its content."""

    text: str


Record = Arrival | Ignored | Unreadable

Parse = Callable[[bytes], Sequence[Record]]
"""Reads the body of one message; one bad record among others is an `Unreadable` beside them. Raises nothing."""
