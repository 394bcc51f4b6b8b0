"""Joins a run to the import engine: which account, folder and definition it gets, and the counts that come back."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ops.sandbox.clock import Clock
from ops.sandbox.executor import Ending
from ops.sandbox.importing import Account, Outcome, RowStore, run_import
from ops.sandbox.runs import Run
from ops.sandbox.settings import SandboxSettings
from ops.sandbox.store import Store


class Engine:
    """Carries out one run; called by the executor."""

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
        if not location.get("ObjectID") or location.get("CustomerKey"):
            return run.definition
        found = self._store.by_object_id("FileTransferLocation", run.mid, location["ObjectID"])
        if found is None:
            return run.definition
        return {**run.definition, "RetrieveFileTransferLocation": {"CustomerKey": found.customer_key}}

    def _account(self, mid: int) -> Account:
        place = self._settings.mids.index(mid) if mid in self._settings.mids else 0
        number = self._settings.all_subscribers_list_id + place
        return Account(str(mid), self._settings.time_zone, number, self._settings.default_encoding)

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
    """The ID of the list a definition imports into; 0 where it imports into something else."""
    target = definition.get("DestinationObject") or {}
    return int(target.get("ID") or 0) if target.get("xsi:type") == "List" else 0
