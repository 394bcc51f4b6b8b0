"""Turns an ImportDefinition with wire names into typed options, with the defaults filled in (pure)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from sfmc_sandbox.importing.outcome import BadRowError, LeftOutError, RefusedError


class UpdateType(StrEnum):
    """ImportDefinitionUpdateType of the Marketing Cloud WSDL."""

    ADD_AND_UPDATE = "AddAndUpdate"
    ADD_AND_DO_NOT_UPDATE = "AddAndDoNotUpdate"
    UPDATE_BUT_DO_NOT_ADD = "UpdateButDoNotAdd"
    MERGE = "Merge"
    OVERWRITE = "Overwrite"
    COLUMN_BASED = "ColumnBased"


class Action(StrEnum):
    """ImportDefinitionColumnBasedActionType of the Marketing Cloud WSDL: what is done with one row."""

    ADD_AND_UPDATE = "AddAndUpdate"
    ADD_BUT_DO_NOT_UPDATE = "AddButDoNotUpdate"
    UPDATE_BUT_DO_NOT_ADD = "UpdateButDoNotAdd"
    DELETE = "Delete"
    SKIP = "Skip"


_ACTION_OF = {
    UpdateType.ADD_AND_UPDATE: Action.ADD_AND_UPDATE,
    UpdateType.OVERWRITE: Action.ADD_AND_UPDATE,
    UpdateType.ADD_AND_DO_NOT_UPDATE: Action.ADD_BUT_DO_NOT_UPDATE,
    UpdateType.UPDATE_BUT_DO_NOT_ADD: Action.UPDATE_BUT_DO_NOT_ADD,
}


def action_of_every_row(update_type: UpdateType) -> Action | None:
    """Return what `update_type` does with each row; None if each row has its action (ColumnBased)."""
    return _ACTION_OF.get(update_type)


def check_update_type(update_type: UpdateType, *, into_list: bool, has_primary_key: bool) -> None:
    """Raise RefusedError if the destination cannot take `update_type`.

    Marketing Cloud docs: Merge is "not used", Overwrite is for data extensions, and a data extension without
    a primary key takes only Overwrite ("Import Activity in Email Studio").
    """
    if update_type is UpdateType.MERGE:
        raise RefusedError("UpdateType Merge is reserved: choose another one")
    if into_list and update_type is UpdateType.OVERWRITE:
        raise RefusedError("UpdateType Overwrite is for data extensions: a list is updated row by row")
    if not (into_list or has_primary_key or update_type is UpdateType.OVERWRITE):
        raise RefusedError(f"a data extension without a primary key takes Overwrite only, not {update_type}")


def action_by_value(column: int, actions: Mapping[str, Action], default: Action) -> Callable[[Sequence[str]], Action]:
    """Return the function that reads a row's action from its control column (any case, outer spaces ignored).

    The function raises BadRowError for a row that ends before the column, LeftOutError for a row to skip.
    """
    known = {value.strip().casefold(): action for value, action in actions.items()}

    def choose(row: Sequence[str]) -> Action:
        if column >= len(row):
            raise BadRowError("the row has no control column")
        action = known.get(row[column].strip().casefold(), default)
        if action is Action.SKIP:
            raise LeftOutError
        return action

    return choose


FROM_DATA_EXTENSION = "_CustomObject"
"""The FileSpec that means: import from the data extension in SourceObject, not from a file."""

Wire = Mapping[str, Any]
Choice = TypeVar("Choice", bound=StrEnum)


class MappingType(StrEnum):
    """ImportDefinitionFieldMappingType of the Marketing Cloud WSDL."""

    INFER = "InferFromColumnHeadings"
    BY_ORDINAL = "MapByOrdinal"
    MANUAL = "ManualMap"


class FileType(StrEnum):
    """FileType of the Marketing Cloud WSDL."""

    CSV = "CSV"
    TAB = "TAB"
    OTHER = "Other"


class SubscriberType(StrEnum):
    """ImportDefinitionSubscriberImportType of the Marketing Cloud WSDL."""

    EMAIL = "Email"
    SMS = "SMS"


@dataclass(frozen=True, slots=True)
class Reference:
    """An object named by type and one of its identifiers; empty text or 0 for those that are not given."""

    type: str
    customer_key: str
    object_id: str
    id: int


@dataclass(frozen=True, slots=True)
class FieldMap:
    """One column of the file (by name, or by place counted from 0) and the field it goes to."""

    source_name: str | None
    source_ordinal: int | None
    destination: str


@dataclass(frozen=True, slots=True)
class Options:
    """Everything of an ImportDefinition that changes how an import runs; ages are hours, 0 is off."""

    file_spec: str
    file_type: FileType
    delimiter: str
    end_of_line: str
    quoted_strings: bool
    null_text: str
    header_lines: int
    code_page: int
    locale: str
    mapping: MappingType
    field_maps: tuple[FieldMap, ...]
    update_type: UpdateType
    control_column: str
    control_actions: Mapping[str, Action]
    control_default: Action
    allow_errors: bool
    delete_file: bool
    multiple_files: bool
    max_file_age: int
    max_file_age_offset: int
    subscriber_type: SubscriberType
    filter: str
    destination: Reference | None
    source: Reference | None
    location: Reference | None
    auto_generate: Wire | None


def read_definition(wire: Wire) -> Options:
    """Return the options of an ImportDefinition; raises RefusedError naming a value no property knows."""
    return Options(
        file_spec=_text(wire, "FileSpec"),
        file_type=_choice(wire, "FileType", FileType.CSV),
        delimiter=_text(wire, "Delimiter"),
        end_of_line=_text(wire, "EndOfLineRepresentation"),
        quoted_strings=_flag(wire, "StandardQuotedStrings", default=True),
        null_text=_text(wire, "NullRepresentation"),
        header_lines=_count(wire, "HeaderLines"),
        code_page=_count(wire, "EncodingCodePage"),
        locale=_text(wire.get("DateFormattingLocale") or {}, "LocaleCode") or "en-US",
        mapping=_choice(wire, "FieldMappingType", MappingType.INFER),
        field_maps=tuple(_field_map(item) for item in _items(wire, "FieldMaps", "FieldMap")),
        update_type=_choice(wire, "UpdateType", UpdateType.ADD_AND_UPDATE),
        control_column=_text(wire, "ControlColumn"),
        control_actions=_actions(wire),
        control_default=_choice(wire, "ControlColumnDefaultAction", Action.SKIP),
        allow_errors=_flag(wire, "AllowErrors", default=False),
        delete_file=_flag(wire, "DeleteFile", default=False),
        multiple_files=_flag(wire, "HasMultipleFiles", default=False),
        max_file_age=_count(wire, "MaxFileAge"),
        max_file_age_offset=_count(wire, "MaxFileAgeScheduleOffset"),
        subscriber_type=_choice(wire, "SubscriberImportType", SubscriberType.EMAIL),
        filter=_text(wire, "Filter"),
        destination=_reference(wire, "DestinationObject"),
        source=_reference(wire, "SourceObject"),
        location=_reference(wire, "RetrieveFileTransferLocation"),
        auto_generate=wire.get("AutoGenerateDestination"),
    )


def _text(wire: Wire, name: str) -> str:
    value = wire.get(name)
    return "" if value is None else str(value)


def _flag(wire: Wire, name: str, *, default: bool) -> bool:
    value = wire.get(name)
    return default if value is None else bool(value)


def _count(wire: Wire, name: str) -> int:
    value = wire.get(name) or 0
    if not isinstance(value, int) or value < 0:
        raise RefusedError(f"{name} is {value!r}: it must be 0 or more")
    return value


def _choice(wire: Wire, name: str, default: Choice) -> Choice:
    value = wire.get(name)
    if value is None or value == "":
        return default
    try:
        return type(default)(value)
    except ValueError:
        known = ", ".join(type(default))
        raise RefusedError(f"{name} is {value!r}: it must be one of {known}") from None


def _items(wire: Wire, name: str, item: str) -> Sequence[Wire]:
    """Return a repeated property given as a plain list or still in its wrapper."""
    value = wire.get(name) or ()
    if isinstance(value, Mapping):
        value = value.get(item) or ()
    return [value] if isinstance(value, Mapping) else list(value)


def _actions(wire: Wire) -> Mapping[str, Action]:
    items = _items(wire, "ControlColumnActions", "ControlColumnAction")
    return {_text(item, "Value"): _choice(item, "Action", Action.SKIP) for item in items}


def _field_map(item: Wire) -> FieldMap:
    return FieldMap(item.get("SourceName"), item.get("SourceOrdinal"), _text(item, "DestinationName"))


def _number(wire: Wire, name: str) -> int:
    try:
        return int(wire.get("ID") or 0)
    except (TypeError, ValueError):
        raise RefusedError(f"ID of {name} is {wire['ID']!r}: it must be a number") from None


def _reference(wire: Wire, name: str) -> Reference | None:
    value = wire.get(name)
    if not value:
        return None
    type_name = _text(value, "xsi:type").rpartition(":")[2]
    return Reference(type_name, _text(value, "CustomerKey"), _text(value, "ObjectID"), _number(value, name))
