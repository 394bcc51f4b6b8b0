"""The 46 properties of ImportDefinition and what may be done with each; the order is that of the wire.

Source: Marketing Cloud WSDL (names and types), the vendor's page "ImportDefinition" (read-only and reserved
ones), and the list of retrievable properties that Describe gives.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ops.sandbox.wire.schema import Member, service_schema

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
