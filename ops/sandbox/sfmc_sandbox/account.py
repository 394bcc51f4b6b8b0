"""Builds one sandbox from its settings: stores, objects, runs, tokens, faults and the import engine."""

import sqlite3
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sfmc_sandbox.clock import Clock
from sfmc_sandbox.comparing import FOLDS, Fold
from sfmc_sandbox.executor import Ending, Executor
from sfmc_sandbox.faults import Faults
from sfmc_sandbox.importing import Account, Outcome, RowStore, run_import
from sfmc_sandbox.limits import TooMuchError
from sfmc_sandbox.login import Tokens
from sfmc_sandbox.objects.data_extension import DataExtensionFields, DataExtensionRows, DataExtensions
from sfmc_sandbox.objects.import_definition import (
    FILE_LOCATION,
    Destinations,
    ImportDefinitions,
    ImportResultsSummaries,
)
from sfmc_sandbox.objects.kind import Readable, Writable
from sfmc_sandbox.objects.lists import ENHANCED_FTP, FileTransferLocations, Lists, ListSubscribers
from sfmc_sandbox.runs import Pages, Run, Runs
from sfmc_sandbox.settings import SandboxSettings
from sfmc_sandbox.store import DataFolder, DataFolderError, Store

_PROBLEMS = 1000


class ImportEngine:
    """Imports the file of one run; the executor calls it."""

    def __init__(self, settings: SandboxSettings, store: Store, rows: RowStore, files: Path, clock: Clock) -> None:
        self._settings = settings
        self._store = store
        self._rows = rows
        self._files = files
        self._clock = clock

    def __call__(self, run: Run, progress: Callable[[str], None]) -> Ending:
        """Import, and return the end with its counts by wire name."""
        if run.status != "New":
            self._rows.forget_bad_rows(run.task_id)  # an earlier process was ended in the middle of this run
        if run.faults.get("refused"):
            return Ending("Error", {"message": run.faults["refused"]})
        if run.faults.get("empty"):
            return Ending("Completed", {"ImportType": "Data Extensions"})
        number = _list_number(run.definition)
        if number and self._store.by_number("List", run.mid, number) is None:
            return Ending("Error", {"message": f"the list {number} does not exist"})
        folder = self._files / str(run.mid)
        outcome = run_import(
            self._located(run), self._account(run.mid), self._rows, folder, run.task_id, self._clock.now(), progress
        )
        return Ending(outcome.status, self._counts(run, outcome))

    def _located(self, run: Run) -> Mapping[str, Any]:
        """The definition with its file transfer location named by CustomerKey, which is the name of its folder."""
        location = run.definition.get("RetrieveFileTransferLocation") or {}
        key, object_id = location.get("CustomerKey"), location.get("ObjectID")
        if not key and not object_id:
            return run.definition
        look_up = self._store.by_key if key else self._store.by_object_id
        found = look_up(FILE_LOCATION, run.mid, str(key or object_id))
        if found is None:
            return run.definition
        return {**run.definition, "RetrieveFileTransferLocation": {"CustomerKey": found.customer_key}}

    def _account(self, mid: int) -> Account:
        place = self._settings.mids.index(mid) if mid in self._settings.mids else 0
        number = self._settings.all_subscribers_list_id + place
        return Account(str(mid), self._clock.zone, number, self._settings.default_encoding)

    def _counts(self, run: Run, outcome: Outcome) -> dict[str, object]:
        return {
            "NumberSuccessful": outcome.successful,
            "NumberDuplicated": outcome.duplicated,
            "NumberRestricted": outcome.restricted,
            "NumberErrors": outcome.errors,
            "TotalRows": outcome.total,
            "ImportType": outcome.import_type,
            "DestinationID": self._destination(run, outcome),
            "message": outcome.message,
            "file": outcome.file,
        }

    def _destination(self, run: Run, outcome: Outcome) -> str:
        """A list's number; of a data extension the key, or by setting its ObjectID."""
        if self._settings.destination_id == "customer-key":
            return outcome.destination_id
        found = self._rows.data_extension(str(run.mid), outcome.destination_id)
        return outcome.destination_id if found is None else found.object_id


def _list_number(definition: Mapping[str, Any]) -> int:
    """The ID of the list a definition imports into; 0 for any other destination."""
    target = definition.get("DestinationObject") or {}
    return int(target.get("ID") or 0) if target.get("xsi:type") == "List" else 0


class Sandbox:
    """All state of one sandbox. `files` holds the file transfer locations, one folder per business unit.

    Raises DataFolderError if the data folder of the settings cannot be used.
    """

    def __init__(self, settings: SandboxSettings) -> None:
        self.settings = settings
        self._folder = DataFolder(settings.data)
        self.files = self._folder.path
        self.clock = Clock(settings.time_zone)
        self.faults = Faults()
        self.pages = Pages()
        self.limits = settings.limits
        self.conversations: dict[str, None] = {}
        self.invalid_replies: deque[str] = deque(maxlen=_PROBLEMS)
        self.system_status = "OK"
        self.clients = list(settings.clients)
        self.users = list(settings.users)
        self.store, self.rows = _stores(settings.data, FOLDS[settings.key_comparison])
        self.rows.most_rows, self.rows.most_bad_rows = settings.limits.rows, settings.limits.bad_rows
        known = (*settings.clients, *settings.users)
        self.tokens = Tokens(self.clock, settings.token_lifetime, self.store, known, settings.token_length)
        self.runs = Runs(self.store, self.clock)
        self.executor = Executor(self.runs, ImportEngine(settings, self.store, self.rows, self.files, self.clock))
        self._make_objects()
        self._load_initial_data()

    def start(self) -> None:
        """Begin to carry out imports."""
        self.executor.start()

    def stop(self) -> None:
        """Wait for the running import, 10 seconds at most, and close all files."""
        self.executor.stop(within=10)
        self.store.close()
        self.rows.close()
        self._folder.release()

    def reset(self) -> None:
        """Forget objects, rows, runs and faults and show real time; files and issued tokens stay."""
        self.executor.forget()
        self.store.clear()
        self.runs.start_over()
        self.rows.clear()
        self.faults.clear()
        self.clients, self.users = list(self.settings.clients), list(self.settings.users)
        self.clock.reset()
        self.tokens.length = self.settings.token_length
        self.conversations.clear()
        self.pages.clear()
        self.system_status = "OK"
        self._load_initial_data()

    def check_room(self, key: str = "", mid: int = 0) -> None:
        """Raises TooMuchError if no object can be added; a definition that is there already takes no room."""
        if key and self.store.by_key("ImportDefinition", mid, key):
            return
        if self.store.count() >= self.limits.objects:
            raise TooMuchError("objects", self.limits.objects, "--max-objects", ": delete some first")

    def check_room_for_run(self) -> None:
        """Raises TooMuchError if no run can be added."""
        if self.runs.count() >= self.limits.runs:
            raise TooMuchError("runs", self.limits.runs, "--max-runs", ": POST /_sandbox/reset forgets all")

    def keys_of(self, name: str) -> list[str]:
        """The CustomerKeys of definitions with this ObjectID or key, as they are spelled, in any business unit."""
        kind, mids = "ImportDefinition", self.settings.mids
        found = [self.store.by_object_id(kind, mid, name) or self.store.by_key(kind, mid, name) for mid in mids]
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

    def _load_initial_data(self) -> None:
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


def _stores(data: Path | None, fold: Fold) -> tuple[Store, RowStore]:
    if data is None:
        return Store(None, fold), RowStore(None, fold)
    try:
        return Store(data / "sandbox.sqlite", fold), RowStore(data / "rows.sqlite", fold)
    except sqlite3.Error as problem:
        raise DataFolderError(f"cannot read the state in {data}: {problem}; use another folder") from problem
