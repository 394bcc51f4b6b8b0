"""The fields of a data extension and the plain values a row may hold; nothing here converts or stores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

FieldType = Literal[
    "Text",
    "Number",
    "Date",
    "Boolean",
    "EmailAddress",
    "Phone",
    "Decimal",
    "Locale",
    "Base16Encrypted",
    "Base16EncryptedEmail",
]
Value = str | int | None
_DIGITS, _MOST_DIGITS = 18, 38
_MOST = 2**31 - 1
Values = Sequence[Value]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a data extension.

    `max_length` counts characters of a Text and digits of a Decimal (None: no limit, 18 digits), `scale` the
    digits after the point of a Decimal. A primary key is always required. `default_value` is text as it
    would stand in a file; for a Date also `getdate()`.
    """

    name: str
    type: FieldType = "Text"
    max_length: int | None = None
    is_primary_key: bool = False
    is_required: bool = False
    default_value: str | None = None
    scale: int | None = None

    def check(self) -> None:
        """Raise ValueError where no column can be so: SQL Server, which the service keeps rows in, has the limits."""
        if not self.name:
            raise ValueError("each field of a data extension needs a Name")
        if self.max_length is not None and not 0 <= self.max_length <= (
            _MOST_DIGITS if self.type == "Decimal" else _MOST
        ):
            raise ValueError(f"MaxLength of field {self.name!r} is {self.max_length}, which no {self.type} can have")
        if self.type == "Decimal" and not 0 <= (self.scale or 0) <= (self.max_length or _DIGITS):
            raise ValueError(f"Scale of field {self.name!r} is {self.scale}: it must be between 0 and MaxLength")

    @property
    def needs_value(self) -> bool:
        """Whether a row without a value for this field is bad."""
        return self.is_required or self.is_primary_key


@dataclass(frozen=True, slots=True)
class DataExtension:
    """A data extension of one business unit; `number` names its table in the row store."""

    number: int
    mid: str
    key: str
    object_id: str
    name: str
    fields: tuple[Field, ...]

    @property
    def table(self) -> str:
        """The SQLite table that holds the rows; column i is `c<i>`."""
        return f"de_{self.number}"

    @property
    def has_primary_key(self) -> bool:
        """Whether rows can be told apart by a key."""
        return any(field.is_primary_key for field in self.fields)
