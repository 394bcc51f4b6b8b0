"""The two places rows come from, a file or a data extension, with one interface for the run."""

import contextlib
import csv
import io
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, cast, get_args

from sfmc_sandbox.importing import tables
from sfmc_sandbox.importing.columns import DataExtension, Field, FieldType, needs_headings
from sfmc_sandbox.importing.definition import FROM_DATA_EXTENSION, FieldMap, Options, Reference
from sfmc_sandbox.importing.destinations import Destination, IntoDataExtension, IntoList
from sfmc_sandbox.importing.filters import Entry, select, young_enough
from sfmc_sandbox.importing.outcome import Account, RefusedError
from sfmc_sandbox.importing.reading import (
    LONGEST_MARK,
    Rows,
    Unreadable,
    codec_of,
    dialect_of,
    lines_of,
    marked_codec,
    newline_mode,
)
from sfmc_sandbox.importing.rows import RowStore


class RowReader(Protocol):
    """An iterator over rows; `line` and `raw` belong to the latest row, `characters` is how much was read."""

    characters: int

    @property
    def line(self) -> int:
        """The line at which the latest row begins, counted from 1."""

    @property
    def raw(self) -> str:
        """The text of the latest row."""

    def __iter__(self) -> Iterator[list[str]]: ...


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a name; `headings` is None if the columns have no names."""

    name: str
    headings: Sequence[str] | None
    rows: RowReader


@contextlib.contextmanager
def open_file(path: Path, options: Options, account: Account) -> Iterator[Table | None]:
    """Open a file as the definition describes it; None if the line of headings is missing.

    A byte order mark names the encoding of its file, whatever EncodingCodePage says. Raises RefusedError for a
    delimiter or code page that cannot be read, OSError and UnicodeError for the file.
    """
    dialect = dialect_of(options)
    codec = codec_of(options.code_page, account.default_encoding)
    with path.open("rb") as content:
        codec = marked_codec(content.peek(LONGEST_MARK)[:LONGEST_MARK], codec)
        text = io.TextIOWrapper(content, codec, "surrogateescape", newline_mode(dialect))
        rows = Rows(lines_of(text, dialect), dialect)
        if not needs_headings(options):
            rows.skip_lines(options.header_lines)
            yield Table(path.name, None, rows)
            return
        rows.skip_lines(max(options.header_lines - 1, 0))
        headings = next(iter(rows), None)
        if isinstance(headings, Unreadable):
            raise RefusedError(f"{path.name}: the column headings cannot be read ({headings.reason})")
        yield Table(path.name, headings, rows) if headings else None


class _StoredRows:
    """The rows of a data extension, as text of a file."""

    def __init__(self, rows: Iterator[list[str]]) -> None:
        self._rows = rows
        self._latest: list[str] = []
        self.line = 0
        self.characters = 0

    @property
    def raw(self) -> str:
        """The latest row as a line of CSV."""
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow(self._latest)
        return text.getvalue()

    def __iter__(self) -> Iterator[list[str]]:
        for row in self._rows:
            self.line += 1
            self._latest = row
            self.characters += sum(map(len, row))
            yield row


@contextlib.contextmanager
def open_extension(extension: DataExtension, options: Options, store: RowStore) -> Iterator[Table]:
    """Open a data extension as the source of an import; its fields are the headings."""
    with store.database.reading() as connection:
        stored = tables.read(connection, extension, limit=-1, offset=0)
        spelled = tables.as_text(stored, extension.fields, options.null_text)
        yield Table(extension.name, [field.name for field in extension.fields], _StoredRows(spelled))


ENHANCED_FTP = "ExactTarget Enhanced FTP"
"""The location every account has; imports read from its folder `Import` (Marketing Cloud docs)."""


def folder_of(files: Path, location: Reference | None) -> Path:
    """Return the folder of a RetrieveFileTransferLocation below `files`, the Enhanced FTP's if none is named.

    Raises RefusedError if there is no such location, if its name cannot be the name of a folder, or if a link leads
    out of `files`.
    """
    name = (location and (location.customer_key or location.object_id)) or ENHANCED_FTP
    if name in {".", ".."} or "/" in name or "\\" in name or "\0" in name:
        raise RefusedError(f"RetrieveFileTransferLocation {name!r} is not the name of a location")
    folder = files / name / "Import" if name == ENHANCED_FTP else files / name
    if not folder.is_dir():
        raise RefusedError(f"RetrieveFileTransferLocation {name!r} has no folder here")
    if not _is_below(folder, files):
        raise RefusedError(f"RetrieveFileTransferLocation {name!r} is a link that leads out of {files.name}")
    return folder


def _is_below(path: Path, root: Path) -> bool:
    """Return whether a path is in a folder after all links are followed."""
    return path.resolve().is_relative_to(root.resolve())


def listing(folder: Path) -> list[Entry]:
    """Return the files of a folder; a file that disappears meanwhile is left out."""
    found = []
    for path in folder.iterdir():
        try:
            if path.is_file():
                found.append(Entry(path.name, datetime.fromtimestamp(path.stat().st_mtime, UTC)))
        except FileNotFoundError:
            continue
    return found


def files_of(options: Options, files: Path, moment: datetime) -> list[Path]:
    """Return the files to import, none for an import from a data extension.

    `moment` is the start in the time zone of the account. Raises RefusedError if there is no such file, or if
    FileSpec is empty.
    """
    if options.file_spec == FROM_DATA_EXTENSION:
        return []
    if not options.file_spec:
        raise RefusedError("FileSpec is empty: name a file")
    folder = folder_of(files, options.location)
    everything = listing(folder)
    young = young_enough(everything, moment, options.max_file_age, options.max_file_age_offset)
    names = select(options.file_spec, young, moment.date(), several=options.multiple_files)
    if names:
        return [_inside(folder / name, files) for name in names]
    if select(options.file_spec, everything, moment.date(), several=options.multiple_files):
        raise RefusedError(f"every file for {options.file_spec!r} is older than MaxFileAge allows")
    raise RefusedError(f"no file for {options.file_spec!r} in the file transfer location")


def _inside(path: Path, root: Path) -> Path:
    if not _is_below(path, root):
        raise RefusedError(f"the file {path.name!r} is a link that leads out of {root.name}")
    return path


@dataclass(frozen=True, slots=True)
class Target:
    """The data extension to make; without `fields` the columns of the source decide."""

    key: str
    name: str
    object_id: str
    fields: tuple[Field, ...]
    error_if_exists: bool


def target_of(wire: Mapping[str, Any], mid: str) -> Target:
    """Return what an AutoGenerateDestination asks for; RefusedError without a key or name, or with a wrong field."""
    extension = wire.get("DataExtensionTarget") or {}
    key = extension.get("CustomerKey") or extension.get("Name") or ""
    if not key:
        raise RefusedError("AutoGenerateDestination: DataExtensionTarget has neither CustomerKey nor Name")
    items = extension.get("Fields") or ()
    if isinstance(items, Mapping):
        items = items.get("Field") or ()
    return Target(
        key=key,
        name=extension.get("Name") or key,
        object_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{mid}/{key}")),
        fields=tuple(_field(item) for item in items),
        error_if_exists=bool(wire.get("ErrorIfExists")),
    )


def _field(item: Mapping[str, Any]) -> Field:
    type_name = item.get("FieldType") or "Text"
    if type_name not in get_args(FieldType):
        raise RefusedError(f"AutoGenerateDestination: FieldType {type_name!r} of {item.get('Name')!r} is unknown")
    return Field(
        name=item.get("Name") or "",
        type=cast("FieldType", type_name),
        max_length=item.get("MaxLength"),
        is_primary_key=bool(item.get("IsPrimaryKey")),
        is_required=bool(item.get("IsRequired")),
        default_value=item.get("DefaultValue"),
        scale=item.get("Scale"),
    )


def fields_from_columns(maps: Iterable[FieldMap], headings: Sequence[str] | None) -> tuple[Field, ...]:
    """Return Text fields named by the FieldMaps, or by the headings if there are none."""
    names = [item.destination for item in maps] or [heading.strip() for heading in headings or ()]
    fields = tuple(Field(name) for name in names if name)
    if not fields:
        raise RefusedError("AutoGenerateDestination: neither Fields, FieldMaps nor column headings name the fields")
    return fields


Headings = Callable[[], Sequence[str] | None]


def source_extension(options: Options, account: Account, store: RowStore) -> DataExtension | None:
    """Return the data extension to import from, None for an import from a file; RefusedError without one."""
    if options.file_spec != FROM_DATA_EXTENSION:
        return None
    if options.source is None:
        raise RefusedError(f"FileSpec {FROM_DATA_EXTENSION} needs a data extension as SourceObject")
    return _existing(options.source, "SourceObject", account, store)


def destination_of(options: Options, account: Account, store: RowStore, run: int, headings: Headings) -> Destination:
    """Return where the rows go; AutoGenerateDestination creates it.

    `headings` returns the column names of the source, for the new fields. Raises RefusedError if the destination
    does not exist, or if it exists and ErrorIfExists is set.
    """
    if options.auto_generate:
        return _generated(options, account, store, run, headings)
    if options.destination is None:
        raise RefusedError("the definition has no DestinationObject")
    if options.destination.type == "List":
        return _list(options, account, store, run)
    return IntoDataExtension(_existing(options.destination, "DestinationObject", account, store), run)


def _existing(reference: Reference, asker: str, account: Account, store: RowStore) -> DataExtension:
    name = reference.customer_key or reference.object_id
    found = store.data_extension(account.mid, name) if name else None
    if found is None:
        raise RefusedError(f"{asker}: there is no data extension {name!r}")
    return found


def _generated(options: Options, account: Account, store: RowStore, run: int, headings: Headings) -> Destination:
    target = target_of(options.auto_generate or {}, account.mid)
    found = store.data_extension(account.mid, target.key)
    if found is not None:
        if target.error_if_exists:
            raise RefusedError(f"AutoGenerateDestination: the data extension {target.key!r} exists already")
        return IntoDataExtension(found, run)
    fields = target.fields or fields_from_columns(options.field_maps, headings())
    try:
        made = store.create_data_extension(account.mid, target.key, target.object_id, target.name, fields)
    except ValueError as error:
        raise RefusedError(f"AutoGenerateDestination: {error}") from None
    return IntoDataExtension(made, run, generated=True)


def _list(options: Options, account: Account, store: RowStore, run: int) -> Destination:
    assert options.destination is not None
    number = options.destination.id
    if number == account.all_subscribers_list_id and not store.list_exists(account.mid, number):
        store.create_list(account.mid, "All Subscribers", number, all_subscribers=True)
    target = store.mailing_list(account.mid, number)
    if target is None:
        raise RefusedError(f"DestinationObject: there is no list {number}")
    return IntoList(target, run, options.subscriber_type)
