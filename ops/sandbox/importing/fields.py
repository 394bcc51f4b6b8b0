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
