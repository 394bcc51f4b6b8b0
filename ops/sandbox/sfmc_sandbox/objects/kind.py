"""The interface of every kind of object, with the error codes and helpers they share."""

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sfmc_sandbox.login import Caller
from sfmc_sandbox.store import Store, StoredObject
from sfmc_sandbox.wire.codec import key_of, text_of
from sfmc_sandbox.wire.schema import Member, service_schema

IMPORT_DEFINITION = "ImportDefinition"
READ_ONLY = frozenset({"CreatedDate", "ModifiedDate", "ID", "ObjectID", "InteractionObjectID"})

RETRIEVABLE = (
    "AllowErrors",
    "CustomerKey",
    "Delimiter",
    "Description",
    "EndOfLineRepresentation",
    "FieldMappingType",
    "FileSpec",
    "FileType",
    "HeaderLines",
    "MaxFileAge",
    "MaxFileAgeScheduleOffset",
    "MaxImportFrequency",
    "Name",
    "NullRepresentation",
    "ObjectID",
    "PartnerKey",
    "StandardQuotedStrings",
    "UpdateType",
    "Client.ClientID1",
    "DestinationObject.ID",
    "DestinationObject.ObjectID",
    "Notification.ResponseType",
    "Notification.ResponseAddress",
    "RetrieveFileTransferLocation.ObjectID",
    "DateFormattingLocale.LocaleCode",
)
_NET_NAMES = {"int": "Int32", "long": "Int64", "byte": "Byte", "string": "String", "boolean": "Boolean"}


@dataclass(frozen=True)
class Property:
    """One property: its wire name, its type as Describe names it, and what Retrieve and Update allow."""

    name: str
    data_type: str
    retrievable: bool
    updatable: bool


def properties_of_type(kind: str, retrievable: Sequence[str]) -> tuple[Property, ...]:
    """All properties of an object type in wire order; of nested ones that can be retrieved the outer name."""
    outer = {path.split(".")[0] for path in retrievable}
    return tuple(
        Property(member.name, _data_type(member), member.name in outer, member.name not in READ_ONLY)
        for member in service_schema().types[kind].members
    )


def _data_type(member: Member) -> str:
    declared = member.item.type if member.item else member.type
    if declared == "dateTime":
        return "Nullable`1" if member.nillable else "DateTime"
    array = "[]" if member.item or member.repeated else ""
    return _NET_NAMES.get(declared, declared) + array


NO_ACCESS = 4
WRONG_OBJECT_TYPE = 5
NOTHING_GIVEN = 6
NOT_AUTHORISED = 11
CONVERSATION_USED = 211
KEY_NOT_SPECIFIED = 43000
NOT_FOUND = 43010
OBJECT_NOT_SUPPORTED = 43020
EXISTS = 43030
INSERT_ERROR = 43040
UPDATE_ERROR = 43050
VALIDATION_ERROR = 43060


class RefusalError(Exception):
    """One object was refused: the number for ErrorCode (None where the service sends none) and the message."""

    def __init__(self, code: int | None, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


Values = Mapping[str, Any]

_GUID = re.compile(r"\{?[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}?")
_NO_GUID = "Guid should contain 32 digits with 4 dashes (xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx)."


@dataclass(frozen=True)
class Created:
    """The identities of a new object: a number (0 where the kind has none) and a guid."""

    number: int
    object_id: str


class Readable(Protocol):
    """A kind that Retrieve knows."""

    @property
    def retrievable(self) -> tuple[str, ...]:
        """Names of the properties that Retrieve may request, nested ones with a point."""

    def rows(self, mid: int, key: str, values: Values | None) -> Iterable[Values]:
        """Every row in a business unit as nested values by wire name, in a stable order.

        `key` is what stood in brackets behind the object type; `values` is the filter, so that a kind may
        look up instead of scanning (the filter is applied again afterwards).
        """


class Writable(Protocol):
    """A kind that Create, Update and Delete know. Each method raises RefusalError or SoapFaultError."""

    def create(self, caller: Caller, values: Values) -> Created:
        """Store a new object."""

    def update(self, caller: Caller, values: Values) -> str:
        """Change the properties given, leave the others; returns the ObjectID."""

    def delete(self, caller: Caller, values: Values) -> str:
        """Remove the object; returns its ObjectID."""


def new_object_id() -> str:
    """A guid as Marketing Cloud writes it."""
    return str(uuid.uuid4())


def checked_guid(text: str) -> str:
    """A guid in lower case without braces. Raises RefusalError with .NET's sentence, which carries no number."""
    if not _GUID.fullmatch(text):
        raise RefusalError(None, _NO_GUID)
    return text.strip("{}").lower()


def by_key_or_object_id(store: Store, kind: str, mid: int, values: Values) -> StoredObject | None:
    """The object that ObjectID, or else CustomerKey, names. Raises RefusalError for an ObjectID that is no guid."""
    object_id, key = text_of(values, "ObjectID"), key_of(values)
    if object_id:
        return store.by_object_id(kind, mid, checked_guid(object_id))
    return store.by_key(kind, mid, key) if key else None


def merged(old: Values, new: Values) -> dict[str, Any]:
    """A partial update: what `new` names replaces, nil removes, everything else stays."""
    values = {**old, **new}
    return {name: value for name, value in values.items() if value is not None}
