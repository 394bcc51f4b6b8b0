"""Joins a run to the import engine: which account, folder and definition it gets, and the counts that come back."""

from collections.abc import Callable
from pathlib import Path

from ops.sandbox.clock import Clock
from ops.sandbox.executor import Ending
from ops.sandbox.importing import Account, Outcome, RowStore, run_import
from ops.sandbox.runs import Run
from ops.sandbox.settings import SandboxSettings


class Engine:
    """Carries out one run; called by the executor."""

    def __init__(self, settings: SandboxSettings, rows: RowStore, files: Path, clock: Clock) -> None:
        self._settings = settings
        self._rows = rows
        self._files = files
        self._clock = clock

    def __call__(self, run: Run, progress: Callable[[str], None]) -> Ending:
        """Import, and return the end with its counts by wire name."""
        if run.faults.get("refused"):
            return Ending("Error", {"message": run.faults["refused"]})
        if run.faults.get("empty"):
            return Ending("Completed", {"ImportType": "Data Extensions"})
        folder = self._files / str(run.mid)
        outcome = run_import(
            run.definition, self._account(run.mid), self._rows, folder, run.task_id, self._clock.now(), progress
        )
        return Ending(outcome.status, self._counts(run, outcome))

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
