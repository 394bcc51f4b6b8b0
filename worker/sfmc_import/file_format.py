"""Holds how a definition reads its file, the columns of its destination, and what a route wants to be checked."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFormat:
    """The fields of an ImportDefinition that say how its file is read; `destination` is the id of DestinationObject.

    FieldMaps and EncodingCodePage are not among them: Marketing Cloud does not give them back.
    """

    file_type: str | None = None
    delimiter: str | None = None
    header_lines: int | None = None
    mapping: str | None = None
    is_quoted: bool = False
    null_text: str | None = None
    destination: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One field of a data extension: `length` counts the characters of a Text, the digits of a Decimal."""

    name: str
    type: str = "Text"
    length: int | None = None
    scale: int | None = None
    is_required: bool = False
    is_primary_key: bool = False
    has_default: bool = False

    @property
    def needs_value(self) -> bool:
        """Whether a row must say something here."""
        return self.is_primary_key or (self.is_required and not self.has_default)


@dataclass(frozen=True, slots=True)
class FileDescription:
    """What a file of a definition should look like; without `columns` its destination is no data extension."""

    format: FileFormat
    columns: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """What is checked before a file of a route starts anything.

    `columns` are the destination's, in the order of the file, where the definition does not go by the headings.
    """

    rows: int = 1000
    encoding: str = "utf-8"
    empty: Literal["fail", "skip", "run"] = "fail"
    columns: tuple[str, ...] = ()
