"""Which column of a file goes to which field (pure)."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sfmc_sandbox.importing.definition import FieldMap, MappingType, Options, UpdateType
from sfmc_sandbox.importing.outcome import RefusedError

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
_DIGITS, _MAX_DIGITS = 18, 38
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
        """Raise ValueError for a size that SQL Server, which the service uses, does not allow."""
        if not self.name:
            raise ValueError("each field of a data extension needs a Name")
        if self.max_length is not None and not 0 <= self.max_length <= (
            _MAX_DIGITS if self.type == "Decimal" else _MOST
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
        """Whether rows have a key."""
        return any(field.is_primary_key for field in self.fields)


@dataclass(frozen=True, slots=True)
class Binding:
    """The column at `column` (counted from 0) fills `field`."""

    column: int
    field: Field


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields a destination has; `open` destinations (lists) take any other column as an attribute.

    `aliases` are further names of fields, without case, spaces and punctuation.
    """

    fields: Sequence[Field]
    aliases: Mapping[str, str]
    open: bool

    def field(self, name: str) -> Field | None:
        """Return the field called `name` in any case, a new attribute if the shape is open, else None."""
        wanted = self.aliases.get(_plain(name), name).casefold() if self.aliases else name.strip().casefold()
        for field in self.fields:
            if field.name.casefold() == wanted:
                return field
        return Field(name.strip()) if self.open and name.strip() else None


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def needs_headings(options: Options) -> bool:
    """Return whether the file must name its columns for this definition."""
    if options.mapping is MappingType.MANUAL:
        return any(item.source_ordinal is None for item in options.field_maps)
    return options.mapping is MappingType.INFER


def bind(options: Options, headings: Sequence[str] | None, shape: Shape) -> tuple[Binding, ...]:
    """Return the bindings of a file's columns in file order; `headings` is None for a file without them.

    Raises RefusedError for a map that names no column or no field, for a field filled twice, and if a key stays
    empty or, when rows may be added, a required field without a default.
    """
    if options.mapping is MappingType.INFER:
        found = _by_heading(headings or (), shape)
    elif options.mapping is MappingType.BY_ORDINAL and not options.field_maps:
        found = _by_place(shape)
    else:
        found = [_by_map(item, options.mapping, headings, shape) for item in options.field_maps]
    _check(found, shape, adding=options.update_type is not UpdateType.UPDATE_BUT_DO_NOT_ADD)
    return tuple(sorted(found, key=lambda binding: binding.column))


def columns_needed(options: Options, headings: Sequence[str] | None, bindings: Sequence[Binding]) -> tuple[int, int]:
    """Return how many columns a row must have, at least and at most (no limit: a very large number)."""
    if headings is not None:
        return len(headings), len(headings)
    if options.field_maps:
        return bindings[-1].column + 1, sys.maxsize
    return len(bindings), len(bindings)


def _by_place(shape: Shape) -> list[Binding]:
    if shape.open:
        raise RefusedError("FieldMappingType MapByOrdinal into a list needs FieldMaps")
    return [Binding(column, field) for column, field in enumerate(shape.fields)]


def _by_heading(headings: Sequence[str], shape: Shape) -> list[Binding]:
    pairs = ((column, shape.field(heading)) for column, heading in enumerate(headings))
    return [Binding(column, field) for column, field in pairs if field is not None]


def _by_map(item: FieldMap, mapping: MappingType, headings: Sequence[str] | None, shape: Shape) -> Binding:
    field = shape.field(item.destination)
    if field is None:
        raise RefusedError(f"FieldMaps: the destination has no field {item.destination!r}")
    if item.source_ordinal is not None:
        column = item.source_ordinal
    else:
        column = _column_named(item.source_name or "", mapping, headings)
    if column < 0 or (headings is not None and column >= len(headings)):
        raise RefusedError(f"FieldMaps: the file has no column {column + 1} for {item.destination!r}")
    return Binding(column, field)


def _column_named(name: str, mapping: MappingType, headings: Sequence[str] | None) -> int:
    """Return the place of a SourceName: a heading, or under MapByOrdinal the number of the column from 1."""
    return column_of(name, None if mapping is MappingType.BY_ORDINAL else headings, "FieldMaps")


def column_of(name: str, headings: Sequence[str] | None, asker: str) -> int:
    """Return the place of the heading `name` in any case; without headings `name` is a number from 1.

    Raises RefusedError with the name of the property `asker` if there is no such column.
    """
    if headings is None:
        if not (name.isascii() and name.isdecimal() and int(name)):
            raise RefusedError(f"{asker}: columns without headings have numbers from 1, and {name!r} is not one")
        return int(name) - 1
    wanted = name.strip().casefold()
    for column, heading in enumerate(headings):
        if heading.strip().casefold() == wanted:
            return column
    raise RefusedError(f"{asker}: the file has no column {name!r}")


def _check(found: Sequence[Binding], shape: Shape, *, adding: bool) -> None:
    names = Counter(binding.field.name.casefold() for binding in found)
    if not names:
        raise RefusedError("no column of the file belongs to a field of the destination")
    for name, times in names.items():
        if times > 1:
            raise RefusedError(f"more than one column of the file goes to the field {name!r}")
    for field in shape.fields:
        wanted = field.is_primary_key or (adding and field.is_required and field.default_value is None)
        if wanted and field.name.casefold() not in names:
            raise RefusedError(f"no column of the file fills the required field {field.name!r}")
