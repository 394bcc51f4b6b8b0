"""ImportDefinition: created, changed, deleted and read by Marketing Cloud's rules; runs no import."""

from collections.abc import Iterable

from ops.sandbox.clock import Clock, server_date_time
from ops.sandbox.objects.destination import Destinations
from ops.sandbox.objects.kind import Created, Values, by_key_or_object_id, merged, new_object_id
from ops.sandbox.objects.properties import IMPORT_DEFINITION, READ_ONLY, RETRIEVABLE
from ops.sandbox.objects.refusal import (
    EXISTS,
    INSERT_ERROR,
    KEY_NOT_SPECIFIED,
    NOT_FOUND,
    UPDATE_ERROR,
    VALIDATION_ERROR,
    RefusalError,
)
from ops.sandbox.security import Caller
from ops.sandbox.store import Store, StoredObject
from ops.sandbox.wire.decode import text_of

_LONGEST_KEY = 36
_HOURS = ("MaxFileAge", "MaxFileAgeScheduleOffset", "MaxImportFrequency", "HeaderLines")


class ImportDefinitions:
    """All definitions of all business units."""

    retrievable = RETRIEVABLE

    def __init__(self, store: Store, clock: Clock, destinations: Destinations) -> None:
        self._store = store
        self._clock = clock
        self._destinations = destinations

    def find(self, mid: int, values: Values) -> StoredObject:
        """The definition that ObjectID or CustomerKey names.

        Raises RefusalError: 43000 when neither is given, 43010 when there is no such definition.
        """
        if not text_of(values, "ObjectID") and not text_of(values, "CustomerKey"):
            raise RefusalError(KEY_NOT_SPECIFIED, "Customer Key Not Specified")
        found = by_key_or_object_id(self._store, IMPORT_DEFINITION, mid, values)
        if found is None:
            raise RefusalError(NOT_FOUND, "ImportDefinition Not Found")
        return found

    def create(self, caller: Caller, values: Values) -> Created:
        """Store a new definition."""
        key = text_of(values, "CustomerKey")
        if not key:
            raise RefusalError(KEY_NOT_SPECIFIED, "Customer Key Not Specified")
        if self._store.by_key(IMPORT_DEFINITION, caller.mid, key):
            raise RefusalError(EXISTS, "ImportDefinition Exists")
        self._check(caller, values, INSERT_ERROR)
        return self.put(caller.mid, key, values)

    def put(self, mid: int, key: str, values: Values) -> Created:
        """Store a definition without asking any rule."""
        object_id, now = new_object_id(), server_date_time(self._clock.timestamp())
        kept = {name: value for name, value in values.items() if name not in READ_ONLY and value is not None}
        document = {**kept, "CustomerKey": key, "ObjectID": object_id, "CreatedDate": now, "ModifiedDate": now}
        self._store.put(StoredObject(IMPORT_DEFINITION, mid, key, object_id, 0, document))
        return Created(0, object_id)

    def update(self, caller: Caller, values: Values) -> str:
        """Change the properties given."""
        found = self.find(caller.mid, values)
        fixed = READ_ONLY | {"CustomerKey", "xsi:type"}
        changes = {name: value for name, value in values.items() if name not in fixed}
        document = merged(found.document, changes)
        self._check(caller, document, UPDATE_ERROR)
        document["ModifiedDate"] = server_date_time(self._clock.timestamp())
        self._store.put(StoredObject(found.kind, found.mid, found.customer_key, found.object_id, 0, document))
        return found.object_id

    def delete(self, caller: Caller, values: Values) -> str:
        """Remove the definition; its runs stay."""
        found = self.find(caller.mid, values)
        self._store.remove(found)
        return found.object_id

    def rows(self, mid: int, key: str, values: Values | None) -> Iterable[Values]:
        """Every definition with the identities of its destination filled in."""
        del key, values
        return (self._row(thing) for thing in self._store.all(IMPORT_DEFINITION, mid))

    def _row(self, thing: StoredObject) -> Values:
        location = thing.document.get("RetrieveFileTransferLocation")
        row = {
            **thing.document,
            "Client": {"ClientID": thing.mid, "ID": thing.mid, "ClientID1": thing.mid},
            "DestinationObject": self._destinations.identities(thing.mid, thing.document),
        }
        if location:
            row["RetrieveFileTransferLocation"] = self._destinations.location(thing.mid, location)
        return row

    def _check(self, caller: Caller, values: Values, code: int) -> None:
        if len(text_of(values, "CustomerKey")) > _LONGEST_KEY:
            raise RefusalError(VALIDATION_ERROR, f"CustomerKey is longer than {_LONGEST_KEY} characters")
        for name in _HOURS:
            if int(values.get(name) or 0) < 0:
                raise RefusalError(VALIDATION_ERROR, f"{name} must not be negative")
        self._destinations.check(caller, values, code)
