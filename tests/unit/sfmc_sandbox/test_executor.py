"""Runs in the hands of the executor: interrupted, taken up again, forgotten."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sfmc_sandbox.account import ImportEngine
from sfmc_sandbox.clock import Clock
from sfmc_sandbox.executor import Ending, Executor
from sfmc_sandbox.importing import Field, RowStore
from sfmc_sandbox.runs import Run, Runs
from sfmc_sandbox.settings import DEFAULT_MID, SandboxSettings
from sfmc_sandbox.store import Store
from tests.support.waiting import eventually

MID = str(DEFAULT_MID)
DEFINITION = {
    "CustomerKey": "daily",
    "FileSpec": "bad.csv",
    "AllowErrors": True,
    "DestinationObject": {"xsi:type": "DataExtension", "CustomerKey": "people"},
}


class HeldImporter:
    """Holds the first run until it is let go, then works on its store as imports do."""

    def __init__(self, store: Store) -> None:
        self.begun, self.let_go = threading.Event(), threading.Event()
        self.seen: list[int] = []
        self._store = store

    def __call__(self, run: Run, progress: Callable[[str], None]) -> Ending:
        self.seen.append(run.task_id)
        self.begun.set()
        self.let_go.wait(60)
        progress("IOWork")
        self._store.connection.execute("SELECT 1")
        return Ending("Completed", {})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "s.sqlite")


@pytest.fixture
def runs(store: Store) -> Runs:
    return Runs(store, Clock())


def _add(runs: Runs) -> Run:
    return runs.add(DEFAULT_MID, "daily", DEFINITION, (0, 0), {})


def test_an_import_that_outlasts_the_end_is_left_to_the_next_process_without_a_word(
    store: Store, runs: Runs, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    importer = HeldImporter(store)
    executor = Executor(runs, importer)
    run = _add(runs)
    executor.start()
    assert importer.begun.wait(60)
    executor.stop(within=0.01)
    store.close()
    importer.let_go.set()
    assert executor.has_ended(within=60)
    assert capfd.readouterr().err == ""
    left = Runs(Store(tmp_path / "s.sqlite"), Clock()).unfinished()
    assert [one.task_id for one in left] == [run.task_id]


def test_runs_that_are_forgotten_while_they_wait_are_never_carried_out(store: Store, runs: Runs) -> None:
    importer = HeldImporter(store)
    executor = Executor(runs, importer)
    executor.start()
    first = _add(runs)
    executor.submit(first)
    assert importer.begun.wait(60)
    executor.submit(_add(runs))
    executor.forget()
    last = _add(runs)
    executor.submit(last)
    importer.let_go.set()
    eventually(lambda: last.task_id in importer.seen, 60, "the last run began")
    executor.stop(within=60)
    assert importer.seen == [first.task_id, last.task_id]


def test_bad_rows_of_a_run_that_was_broken_off_are_kept_once(store: Store, runs: Runs, tmp_path: Path) -> None:
    rows, files = RowStore(tmp_path / "rows.sqlite"), tmp_path / "files"
    rows.create_data_extension(MID, "people", "id", "People", [Field("key", is_primary_key=True)])
    folder = files / MID / "ExactTarget Enhanced FTP" / "Import"
    folder.mkdir(parents=True)
    (folder / "bad.csv").write_text("key\n1\n1,2\n")
    engine = ImportEngine(SandboxSettings(), store, rows, files, Clock())
    _add(runs)
    for _ in range(2):
        (run,) = runs.unfinished()
        runs.show_status(run.task_id, "Processing")
        assert engine(run, lambda _: None).counts["NumberErrors"] == 1
    assert len(rows.bad_rows(run.task_id)) == 1
    rows.close()
    store.close()


def test_a_data_extension_made_anew_shares_no_table_with_its_predecessor(tmp_path: Path) -> None:
    rows = RowStore(tmp_path / "rows.sqlite")
    made = []
    for name in "ab":
        made.append(rows.create_data_extension(MID, "people", name, "People", [Field("key")]).table)
        rows.drop_data_extension(MID, "people")
    rows.close()
    assert made[0] != made[1]
