"""DataExtension, DataExtensionField and DataExtensionObject: fields, keys and rows."""

from collections.abc import Iterable, Iterator
from typing import Any

from sfmc_sandbox.clock import Clock, server_date_time
from sfmc_sandbox.importing import DataExtension, Field, RowStore
from sfmc_sandbox.login import Caller
from sfmc_sandbox.objects.import_definition import DATA_EXTENSION, Destinations
from sfmc_sandbox.objects.kind import Created, RefusalError, Values, merged, new_object_id
from sfmc_sandbox.store import Store, StoredObject
from sfmc_sandbox.wire.codec import key_of, text_of

NAME_EXISTS = 1
_GENERAL = 2


class DataExtensions:
    """All data extensions; fields are kept by the row store, the other properties as documents."""

    retrievable = (
        "ObjectID", "PartnerKey", "CustomerKey", "Name", "CreatedDate", "ModifiedDate", "Client.ID", "Description",
        "IsSendable", "IsTestable", "SendableDataExtensionField.Name", "SendableSubscriberField.Name",
        "Template.CustomerKey", "CategoryID", "Status", "DataRetentionPeriodLength",
        "DataRetentionPeriodUnitOfMeasure", "RowBasedRetention", "ResetRetentionPeriodOnImport",
        "DeleteAtEndOfRetentionPeriod", "RetainUntil", "DataRetentionPeriod",
    )  # fmt: skip

    def __init__(self, store: Store, rows: RowStore, clock: Clock, destinations: Destinations) -> None:
        self._store = store
        self._rows = rows
        self._clock = clock
        self._destinations = destinations

    def create(self, caller: Caller, values: Values) -> Created:
        """Make a data extension and its table. Without a key, the ObjectID becomes the key, as in Marketing Cloud."""
        object_id, name = new_object_id(), text_of(values, "Name")
        key = key_of(values) or object_id
        if not name:
            raise RefusalError(_GENERAL, "Name is required for a data extension.")
        if self._rows.data_extension(str(caller.mid), key) is not None:
            raise RefusalError(NAME_EXISTS, f"A data extension with the CustomerKey {key} already exists.")
        self._make(caller.mid, key, object_id, name, values)
        now = server_date_time(self._clock.timestamp())
        kept = {k: v for k, v in values.items() if k not in {"Fields", "xsi:type"} and v is not None}
        document = {**kept, "CustomerKey": key, "ObjectID": object_id, "CreatedDate": now, "ModifiedDate": now}
        self._store.put(StoredObject(DATA_EXTENSION, caller.mid, key, object_id, 0, document))
        return Created(0, object_id)

    def update(self, caller: Caller, values: Values) -> str:
        """Change properties of the data extension itself; its fields stay as they were created."""
        found = self._find(caller, values)
        stored = self._store.by_key(DATA_EXTENSION, caller.mid, found.key)
        fixed = {"Fields", "xsi:type", "CustomerKey", "ObjectID", "CreatedDate"}
        changes = {name: value for name, value in values.items() if name not in fixed}
        document = merged(stored.document if stored else _bare(found), changes)
        document["ModifiedDate"] = server_date_time(self._clock.timestamp())
        self._store.put(StoredObject(DATA_EXTENSION, caller.mid, found.key, found.object_id, 0, document))
        return found.object_id

    def delete(self, caller: Caller, values: Values) -> str:
        """Remove a data extension with its rows."""
        found = self._find(caller, values)
        self._rows.drop_data_extension(str(caller.mid), found.key)
        self._store.remove(StoredObject(DATA_EXTENSION, caller.mid, found.key, found.object_id, 0, {}))
        return found.object_id

    def rows(self, mid: int, key: str, values: Values | None) -> Iterable[Values]:
        """Every data extension, also those that imports generated."""
        del key, values
        documents = {thing.customer_key: thing.document for thing in self._store.all(DATA_EXTENSION, mid)}
        for extension in self._rows.data_extensions(str(mid)):
            yield {**_bare(extension), **documents.get(extension.key, {}), "Client": {"ID": mid}}

    def _find(self, caller: Caller, values: Values) -> DataExtension:
        found = self._destinations.data_extension(caller.mid, values)
        if found is None:
            raise RefusalError(_GENERAL, "The data extension was not found.")
        return found

    def _make(self, mid: int, key: str, object_id: str, name: str, values: Values) -> None:
        try:
            fields = [_field(item) for item in values.get("Fields") or ()]
            self._rows.create_data_extension(str(mid), key, object_id, name, fields)
        except ValueError as problem:
            raise RefusalError(_GENERAL, str(problem)) from problem


class DataExtensionFields:
    """The fields of data extensions, to be read only."""

    retrievable = (
        "ObjectID", "PartnerKey", "CustomerKey", "Name", "DefaultValue", "MaxLength", "IsRequired", "Ordinal",
        "IsPrimaryKey", "FieldType", "Scale", "Client.ID", "DataExtension.CustomerKey",
    )  # fmt: skip

    def __init__(self, rows: RowStore) -> None:
        self._rows = rows

    def rows(self, mid: int, key: str, values: Values | None) -> Iterable[Values]:
        """Every field of every data extension, in field order."""
        del key, values
        for extension in self._rows.data_extensions(str(mid)):
            for ordinal, field in enumerate(extension.fields):
                yield _shown(extension, field, ordinal, mid)


class DataExtensionRows:
    """`DataExtensionObject[key]`: the rows of one data extension."""

    retrievable: tuple[str, ...] = ()

    def __init__(self, rows: RowStore) -> None:
        self._rows = rows

    def columns(self, mid: int, key: str) -> tuple[str, ...] | None:
        """The names of the fields; None when there is no such data extension."""
        found = self._rows.data_extension(str(mid), key)
        return None if found is None else tuple(field.name for field in found.fields)

    def rows(self, mid: int, key: str, values: Values | None) -> Iterator[Values]:
        """Every row, as field name to text."""
        del values
        for row in self._rows.rows(str(mid), key):
            yield {name: value for name, value in row.items() if value is not None}


def _field(item: Values) -> Field:
    name = text_of(item, "Name")
    if not name:
        raise ValueError("Each field of a data extension needs a Name.")
    return Field(
        name=name,
        type=item.get("FieldType") or "Text",
        max_length=item.get("MaxLength"),
        is_primary_key=bool(item.get("IsPrimaryKey")),
        is_required=bool(item.get("IsRequired")),
        default_value=item.get("DefaultValue"),
        scale=item.get("Scale"),
    )


def _bare(extension: DataExtension) -> dict[str, Any]:
    return {"CustomerKey": extension.key, "ObjectID": extension.object_id, "Name": extension.name}


def _shown(extension: DataExtension, field: Field, ordinal: int, mid: int) -> Values:
    shown = {
        "CustomerKey": f"[{extension.key}].[{field.name}]",
        "Name": field.name,
        "DefaultValue": field.default_value,
        "MaxLength": field.max_length,
        "Scale": field.scale,
        "IsRequired": field.needs_value,
        "Ordinal": ordinal,
        "IsPrimaryKey": field.is_primary_key,
        "FieldType": field.type,
        "Client": {"ID": mid},
        "DataExtension": {"CustomerKey": extension.key},
    }
    return {name: value for name, value in shown.items() if value is not None}
