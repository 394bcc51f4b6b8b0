"""Measures the sandbox's import against a bare executemany of the same rows, side by side in one run.

Usage: python -m sfmc_harness.bench.importing [ROWS]. Prints one line per case and the promised ratio. Times are
CPU seconds of this process, so that what else the machine does changes both sides of a ratio little.
"""

import csv
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sfmc_harness.bench.figures import Figure
from sfmc_sandbox.importing import Account, Field, RowStore, run_import

_ROWS = 1_000_000
_PROMISED = 10.0
_MID = "1"
_ACCOUNT = Account(_MID, "America/Chicago", 1, "utf-8")
_FIELDS = (
    Field("Email", "EmailAddress", is_primary_key=True),
    Field("Name", "Text", max_length=50),
    Field("Age", "Number"),
    Field("Joined", "Date"),
    Field("Balance", "Decimal", max_length=10, scale=2),
)
_DEFINITION: dict[str, Any] = {
    "CustomerKey": "bench",
    "FileSpec": "people.csv",
    "FieldMappingType": "InferFromColumnHeadings",
    "DestinationObject": {"xsi:type": "DataExtension", "CustomerKey": "people"},
}


def _people(count: int) -> Iterator[tuple[str, str, int, str, str]]:
    for i in range(count):
        yield f"user{i}@example.com", f"Name {i}", i % 90, f"{i % 12 + 1}/{i % 28 + 1}/2024", f"{i % 1000}.50"


def _bare(count: int, path: Path) -> float:
    """Return the seconds sqlite3 takes for one executemany of the rows, made beforehand, in one transaction."""
    rows = list(_people(count))
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("CREATE TABLE people (email TEXT, name TEXT, age INTEGER, joined TEXT, balance TEXT)")
    begun = time.process_time()
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO people VALUES (?, ?, ?, ?, ?)", rows)
    connection.execute("COMMIT")
    taken = time.process_time() - begun
    connection.close()
    return taken


def _write(count: int, path: Path) -> None:
    path.parent.mkdir(parents=True)
    with path.open("w", newline="", encoding="utf-8") as text:
        writer = csv.writer(text)
        writer.writerow(field.name for field in _FIELDS)
        writer.writerows(_people(count))


def _import(store: RowStore, folder: Path, **properties: Any) -> float:
    begun = time.process_time()
    outcome = run_import(_DEFINITION | properties, _ACCOUNT, store, folder, 1, datetime.now(UTC), lambda _: None)
    if outcome.status != "Completed" or outcome.errors:
        raise SystemExit(f"the import that was to be measured failed: {outcome.message}")
    return time.process_time() - begun


def _peak_memory(rows: int, folder: Path) -> str:
    """Return the peak memory in MiB of an import of the file in a process of its own."""
    command = [sys.executable, "-m", "sfmc_harness.bench.importing", "--import-only", str(rows), str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _import_only(rows: int, folder: Path) -> None:
    store = _store(folder / f"memory-{rows}.db")
    _import(store, folder)
    store.close()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def _store(path: Path) -> RowStore:
    store = RowStore(path)
    store.create_data_extension(_MID, "people", "object-1", "People", _FIELDS)
    store.create_list(_MID, "News", 7)
    return store


def _report(what: str, seconds: float, rows: int, bare: float) -> float:
    print(f"{what:<42} {seconds:7.2f} CPU s {seconds / rows * 1e6:7.2f} us/row {seconds / bare:6.1f} x")
    return seconds / bare


def figures(rows: int = _ROWS) -> Iterator[Figure]:
    """Yield the promised ratio, for the table of all benches."""
    with tempfile.TemporaryDirectory() as folder:
        ratio = measure(rows, Path(folder))
    yield Figure("an import against a bare executemany", ratio, _PROMISED, f"{rows} new rows into a data extension")


def measure(rows: int, folder: Path) -> float:
    """Print all cases for `rows` rows and return the ratio of the promised one."""
    _write(rows, folder / "ExactTarget Enhanced FTP" / "Import" / "people.csv")
    # First, while this process is small: a child's peak begins with its parent's.
    memory = _peak_memory(rows, folder)
    bare = _bare(rows, folder / "bare.db")
    _report(f"bare executemany of {rows} rows", bare, rows, bare)
    store = _store(folder / "rows.db")
    cases: tuple[tuple[str, Callable[[], float]], ...] = (
        ("AddAndUpdate, all rows are new", lambda: _import(store, folder)),
        ("AddAndUpdate, all rows exist", lambda: _import(store, folder)),
        ("Overwrite", lambda: _import(store, folder, UpdateType="Overwrite")),
        ("UpdateButDoNotAdd", lambda: _import(store, folder, UpdateType="UpdateButDoNotAdd")),
        ("List, all subscribers are new", lambda: _import(store, folder, **_INTO_LIST)),
    )
    ratios = [_report(what, case(), rows, bare) for what, case in cases]
    store.close()
    print(f"peak memory: {memory} MiB for {rows} rows")
    return ratios[0]


_INTO_LIST = {"DestinationObject": {"xsi:type": "List", "ID": 7}}


def main() -> int:
    """Measure, print, and say with the exit code whether the promise holds."""
    if "--import-only" in sys.argv:
        _import_only(int(sys.argv[2]), Path(sys.argv[3]))
        return 0
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else _ROWS
    with tempfile.TemporaryDirectory() as folder:
        ratio = measure(rows, Path(folder))
    print(f"an import takes {ratio:.1f} x a bare executemany; at most {_PROMISED:.0f} x is promised")
    return 0 if ratio <= _PROMISED else 1


if __name__ == "__main__":
    sys.exit(main())
