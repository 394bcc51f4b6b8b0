"""The account an import runs in, its counts and outcome, and the errors that end a row or an import."""

from dataclasses import dataclass, fields
from typing import Literal

Status = Literal["Completed", "Error"]


@dataclass(frozen=True, slots=True)
class Account:
    """The business unit an import runs in; `time_zone` is an IANA name, `default_encoding` a Python codec."""

    mid: str
    time_zone: str
    all_subscribers_list_id: int
    default_encoding: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an import ended; the four counts add up to `total`, the rows that were looked at.

    `duplicated`: the key came again in the file, or exists and must not be updated. `restricted`: a rule of
    the definition or of the list left the row out. `errors`: the row is bad, see `RowStore.bad_rows`.
    """

    status: Status
    successful: int
    duplicated: int
    restricted: int
    errors: int
    total: int
    import_type: str
    destination_id: str
    message: str
    file: str | None


@dataclass(slots=True)
class Tally:
    """The running count of rows, each in exactly one of the four; `written` ones are counted at the end of the run."""

    successful: int = 0
    duplicated: int = 0
    restricted: int = 0
    errors: int = 0
    written: int = 0

    def become(self, other: "Tally") -> None:
        """Take over the counts of a batch, once it is stored."""
        for each in fields(self):
            setattr(self, each.name, getattr(other, each.name))

    @property
    def total(self) -> int:
        """All rows looked at so far."""
        return self.successful + self.duplicated + self.restricted + self.errors


class RefusedError(Exception):
    """The import cannot run or go on; the text says what is wrong, where, and what would be right."""


class BadRowError(Exception):
    """One row cannot be imported; the text is the reason that is kept beside it."""


class LeftOutError(Exception):
    """A rule of the definition leaves this row out; it counts as restricted."""
