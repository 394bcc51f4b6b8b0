"""The sandbox put together: every part once, made from the settings; serves no HTTP itself."""

import sqlite3
from pathlib import Path

from ops.sandbox.clock import Clock
from ops.sandbox.engine import Engine
from ops.sandbox.executor import Executor
from ops.sandbox.faults import Faults
from ops.sandbox.folder import DataFolder, DataFolderError
from ops.sandbox.importing import RowStore
from ops.sandbox.objects.data_extension import DataExtensionFields, DataExtensions
from ops.sandbox.objects.destination import FILE_LOCATION, Destinations
from ops.sandbox.objects.import_definition import ImportDefinitions
from ops.sandbox.objects.kind import Readable, Writable
from ops.sandbox.objects.lists import ENHANCED_FTP, FileTransferLocations, Lists
from ops.sandbox.objects.rows import DataExtensionRows, ImportResultsSummaries, ListSubscribers
from ops.sandbox.paging import Pages
from ops.sandbox.runs import Runs
from ops.sandbox.settings import SandboxSettings
from ops.sandbox.store import Store
from ops.sandbox.tokens import Tokens


class Sandbox:
    """All state of one sandbox. `files` is where file transfer locations lie, one folder per business unit.

    Raises DataFolderError where the data folder of the settings cannot be used.
    """

    def __init__(self, settings: SandboxSettings) -> None:
        self.settings = settings
        self._folder = DataFolder(settings.data)
        self.files = self._folder.path
        self.clock = Clock()
        self.faults = Faults()
        self.pages = Pages()
        self.conversations: set[str] = set()
        self.invalid_replies: list[str] = []
        self.system_status = "OK"
        self.clients = list(settings.clients)
        self.users = list(settings.users)
        self.store, self.rows = _stores(settings.data)
        known = (*settings.clients, *settings.users)
        self.tokens = Tokens(self.clock, settings.token_lifetime, self.store, known)
        self.runs = Runs(self.store, self.clock)
        self.executor = Executor(self.runs, Engine(settings, self.store, self.rows, self.files, self.clock))
        self._make_objects()
        self._furnish()

    def start(self) -> None:
        """Begin to carry out imports."""
        self.executor.start()

    def stop(self) -> None:
        """End the import in hand and close all files."""
        self.executor.stop(within=10)
        self.store.close()
        self.rows.close()
        self._folder.release()

    def reset(self) -> None:
        """Forget objects, rows, runs and faults and show real time; files and issued tokens stay."""
        self.executor.forget()
        self.store.clear()
        self.rows.clear()
        self.faults.clear()
        self.clients, self.users = list(self.settings.clients), list(self.settings.users)
        self.clock.reset()
        self.conversations.clear()
        self.pages.clear()
        self.system_status = "OK"
        self._furnish()

    def keys_of(self, object_id: str) -> list[str]:
        """The CustomerKeys of definitions with this ObjectID, in any business unit."""
        found = (self.store.by_object_id("ImportDefinition", mid, object_id) for mid in self.settings.mids)
        return [definition.customer_key for definition in found if definition is not None]

    def _make_objects(self) -> None:
        destinations = Destinations(self.store, self.rows)
        self.definitions = ImportDefinitions(self.store, self.clock, destinations)
        self.locations = FileTransferLocations(self.store, self.clock, self.files)
        self.lists = Lists(self.store, self.rows, self.clock)
        extensions = DataExtensions(self.store, self.rows, self.clock, destinations)
        self.data_extension_rows = DataExtensionRows(self.rows)
        self.writable: dict[str, Writable] = {
            "ImportDefinition": self.definitions,
            "DataExtension": extensions,
            "List": self.lists,
            "FileTransferLocation": self.locations,
        }
        self.readable: dict[str, Readable] = {
            "ImportDefinition": self.definitions,
            "DataExtension": extensions,
            "DataExtensionField": DataExtensionFields(self.rows),
            "List": self.lists,
            "ListSubscriber": ListSubscribers(self.rows, self.lists),
            "FileTransferLocation": self.locations,
            "ImportResultsSummary": ImportResultsSummaries(self.runs, self.clock),
        }

    def _furnish(self) -> None:
        """What every business unit has from the start: All Subscribers and the Enhanced FTP."""
        for place, mid in enumerate(self.settings.mids):
            number = self.settings.all_subscribers_list_id + place
            if not self.rows.list_exists(str(mid), number):
                self.rows.create_list(str(mid), "All Subscribers", number, all_subscribers=True)
            if self.store.by_number("List", mid, number) is None:
                described = {"ListName": "All Subscribers", "CustomerKey": "All Subscribers", "Type": "Public"}
                self.lists.put(mid, number, described)
            if self.store.by_key(FILE_LOCATION, mid, ENHANCED_FTP) is None:
                self.locations.put(mid, ENHANCED_FTP)


def _stores(data: Path | None) -> tuple[Store, RowStore]:
    if data is None:
        return Store(None), RowStore()
    try:
        return Store(data / "sandbox.sqlite"), RowStore(data / "rows.sqlite")
    except sqlite3.Error as problem:
        raise DataFolderError(f"cannot read the state in {data}: {problem}; take another folder") from problem
