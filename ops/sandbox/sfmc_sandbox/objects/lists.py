"""List, ListSubscriber and FileTransferLocation."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from sfmc_sandbox.clock import Clock, server_date_time
from sfmc_sandbox.importing import RowStore
from sfmc_sandbox.login import Caller
from sfmc_sandbox.objects.import_definition import FILE_LOCATION, LIST
from sfmc_sandbox.objects.kind import (
    EXISTS,
    Created,
    Readable,
    RefusalError,
    Values,
    by_key_or_object_id,
    merged,
    new_object_id,
)
from sfmc_sandbox.store import Store, StoredObject
from sfmc_sandbox.wire.codec import key_of, text_of

ENHANCED_FTP = "ExactTarget Enhanced FTP"
_GENERAL = 2


class Lists:
    """All lists; a list is named by its numeric ID."""

    retrievable = (
        "ID", "ObjectID", "PartnerKey", "CustomerKey", "CreatedDate", "ModifiedDate", "Client.ID", "ListName",
        "Category", "Type", "Description", "ListClassification",
    )  # fmt: skip

    def __init__(self, store: Store, rows: RowStore, clock: Clock) -> None:
        self._store = store
        self._rows = rows
        self._clock = clock

    def create(self, caller: Caller, values: Values) -> Created:
        """Make a list; its ID is the answer's NewID."""
        name = text_of(values, "ListName")
        if not name:
            raise RefusalError(_GENERAL, "ListName is required for a list.")
        key = key_of(values)
        if key and self._store.by_key(LIST, caller.mid, key):
            raise RefusalError(_GENERAL, f"A list with the CustomerKey {key} already exists.")
        number = self._rows.create_list(str(caller.mid), name)
        return self.put(caller.mid, number, {**values, "CustomerKey": key or f"List_{number}"})

    def put(self, mid: int, number: int, values: Values) -> Created:
        """Keep the document of a list that the row store has."""
        object_id, now = new_object_id(), server_date_time(self._clock.timestamp())
        kept = {name: value for name, value in values.items() if name != "Subscribers" and value is not None}
        document = {"Type": "Private", "ListClassification": "ExactTargetList", "CreatedDate": now, **kept,
                    "ModifiedDate": now, "ObjectID": object_id, "ID": number}  # fmt: skip
        self._store.put(StoredObject(LIST, mid, str(document["CustomerKey"]), object_id, number, document))
        return Created(number, object_id)

    def update(self, caller: Caller, values: Values) -> str:
        """Change name or description."""
        found = self._find(caller, values)
        fixed = {"ID", "ObjectID", "CustomerKey", "xsi:type", "Subscribers"}
        changes = {name: value for name, value in values.items() if name not in fixed}
        document = merged(found.document, changes)
        thing = StoredObject(LIST, found.mid, found.customer_key, found.object_id, found.number, document)
        self._store.put(thing)
        return found.object_id

    def delete(self, caller: Caller, values: Values) -> str:
        """Forget a list; imports into it then end in Error."""
        found = self._find(caller, values)
        self._store.remove(found)
        return found.object_id

    def rows(self, mid: int, key: str, values: Values | None) -> Iterable[Values]:
        """Every list."""
        del key, values
        return ({**thing.document, "Client": {"ID": mid}} for thing in self._store.all(LIST, mid))

    def _find(self, caller: Caller, values: Values) -> StoredObject:
        number = values.get("ID")
        found = self._store.by_number(LIST, caller.mid, number) if number else None
        found = found or by_key_or_object_id(self._store, LIST, caller.mid, values)
        if found is None:
            raise RefusalError(_GENERAL, "The list was not found.")
        return found


class ListSubscribers:
    """The members of all lists."""

    retrievable = ("ObjectID", "PartnerKey", "ID", "SubscriberKey", "ListID", "Status", "Client.ID")

    def __init__(self, rows: RowStore, lists: Readable) -> None:
        self._rows = rows
        self._lists = lists

    def rows(self, mid: int, key: str, values: Values | None) -> Iterator[Values]:
        """Every membership, list by list."""
        del values
        for one in self._lists.rows(mid, key, None):
            for subscriber in self._rows.subscribers(str(mid), int(one["ID"])):
                yield {
                    "SubscriberKey": subscriber.subscriber_key,
                    "ListID": one["ID"],
                    "Status": subscriber.status,
                    "Client": {"ID": mid},
                }


class FileTransferLocations:
    """Places from which imports read; each is a folder below the data folder of its business unit."""

    retrievable = ("ObjectID", "PartnerKey", "CustomerKey", "CreatedDate", "ModifiedDate", "Client.ID")

    def __init__(self, store: Store, clock: Clock, files: Path) -> None:
        self._store = store
        self._clock = clock
        self._files = files

    def create(self, caller: Caller, values: Values) -> Created:
        """Make a location and its folder."""
        key = key_of(values)
        if not key or key.startswith(".") or not set(key).isdisjoint('/\\:*?"<>|\0'):
            raise RefusalError(_GENERAL, "CustomerKey must be usable as the name of a folder.")
        if self._store.by_key(FILE_LOCATION, caller.mid, key):
            raise RefusalError(EXISTS, f"A file transfer location with the CustomerKey {key} already exists.")
        return self.put(caller.mid, key)

    def put(self, mid: int, key: str) -> Created:
        """Make a location without checks; the Enhanced FTP reads from its folder Import."""
        folder = self._files / str(mid) / key
        (folder / "Import" if key == ENHANCED_FTP else folder).mkdir(parents=True, exist_ok=True)
        object_id, now = new_object_id(), server_date_time(self._clock.timestamp())
        document = {"CustomerKey": key, "ObjectID": object_id, "CreatedDate": now, "ModifiedDate": now}
        self._store.put(StoredObject(FILE_LOCATION, mid, key, object_id, 0, document))
        return Created(0, object_id)

    def update(self, caller: Caller, values: Values) -> str:
        """Nothing of a location can be changed; answers for one that exists."""
        return self._find(caller, values).object_id

    def delete(self, caller: Caller, values: Values) -> str:
        """Forget a location; its folder and files stay."""
        found = self._find(caller, values)
        self._store.remove(found)
        return found.object_id

    def rows(self, mid: int, key: str, values: Values | None) -> Iterable[Values]:
        """Every location."""
        del key, values
        return ({**thing.document, "Client": {"ID": mid}} for thing in self._store.all(FILE_LOCATION, mid))

    def _find(self, caller: Caller, values: Values) -> StoredObject:
        found = by_key_or_object_id(self._store, FILE_LOCATION, caller.mid, values)
        if found is None:
            raise RefusalError(_GENERAL, "The file transfer location was not found.")
        return found
