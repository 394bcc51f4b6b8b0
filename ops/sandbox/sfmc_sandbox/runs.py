"""Runs as ImportResultsSummary shows them: New, Processing, IOWork, then Completed or Error; and batches of rows."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import orjson

from sfmc_sandbox.clock import Clock
from sfmc_sandbox.store import Store

_FIRST_TASK_ID = 100_001
_NO_TASK_ID = 2**63
_SOME = 500
_COLUMNS = "task_id, mid, customer_key, definition, started, visible, shown, ended, status, outcome, faults"


@dataclass(frozen=True)
class Run:
    """One accepted start. Times are seconds since 1970 on the sandbox's clock.

    `visible`: when Retrieve begins to show the run; `shown`: when Retrieve may show its end; `outcome`: the counts,
    after the import; `faults`: the faults injected into this run.
    """

    task_id: int
    mid: int
    customer_key: str
    definition: Mapping[str, Any]
    started: float
    visible: float
    shown: float
    ended: float | None
    status: str
    outcome: Mapping[str, Any] | None
    faults: Mapping[str, Any]

    def is_over(self, now: float) -> bool:
        """Whether Retrieve may show the end."""
        return self.ended is not None and now >= self.shown

    def status_at(self, now: float) -> str:
        """ImportStatus as Retrieve shows it at `now`."""
        if not self.is_over(now):
            return self.status if self.ended is None else "Processing"
        return str(self.faults.get("status") or self.status)


class Runs:
    """All runs, numbered in the order of their starts; each number is used once."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._last = (
            self._highest("runs", "task_id") or self._highest("forgotten_runs", "highest") or _FIRST_TASK_ID - 1
        )
        self._cleared = self._highest("forgotten_runs", "highest") or _FIRST_TASK_ID - 1

    def add(
        self, mid: int, customer_key: str, definition: Mapping[str, Any], delays: tuple[float, float],
        faults: Mapping[str, Any],
    ) -> Run:  # fmt: skip
        """Record a start: `delays` are the seconds until the row is visible and until its end may be seen."""
        now = self._clock.timestamp()
        visible, shown = now + delays[0], now + delays[1]
        with self._store.lock:
            self._last += 1
            run = Run(self._last, mid, customer_key, definition, now, visible, shown, None, "New", None, faults)
            self._store.connection.execute(
                f"INSERT INTO runs ({_COLUMNS}, folded) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",  # noqa: S608  a constant
                (run.task_id, mid, customer_key, json.dumps(definition), now, visible, shown, None, "New", None,
                 json.dumps(faults), self._store.fold(customer_key)),
            )  # fmt: skip
        return run

    def show_status(self, task_id: int, status: str) -> None:
        """Store the status of a run that is not over yet."""
        with self._store.lock:
            self._store.connection.execute(
                "UPDATE runs SET status=? WHERE task_id=? AND ended IS NULL", (status, task_id)
            )

    def end(self, task_id: int, status: str, outcome: Mapping[str, Any]) -> None:
        """The import is over with these counts."""
        with self._store.lock:
            self._store.connection.execute(
                "UPDATE runs SET status=?, ended=?, outcome=? WHERE task_id=?",
                (status, self._clock.timestamp(), json.dumps(outcome), task_id),
            )

    def visible(self, mid: int) -> Iterator[Run]:
        """The runs of a business unit that Retrieve shows now, oldest first; read from the store as they are used."""
        return self._stream("mid=? AND visible<=?", mid, self._clock.timestamp())

    def visible_among(self, mid: int, names: Sequence[str]) -> Iterator[Run]:
        """Like `visible`, but only runs whose number or CustomerKey is one of `names`."""
        marks = ",".join("?" * len(names))
        numbers = [_task_id(name) for name in names]
        return self._stream(
            f"mid=? AND visible<=? AND task_id IN (SELECT task_id FROM runs WHERE mid=? AND folded IN ({marks})"  # noqa: S608
            f" UNION SELECT task_id FROM runs WHERE task_id IN ({marks}))",
            mid, self._clock.timestamp(), mid, *map(self._store.fold, names), *numbers,
        )  # fmt: skip

    def all(self) -> Iterator[Run]:
        """Every run of every business unit, oldest first; read from the store as they are used."""
        return self._stream("1")

    def newest(self, most: int) -> list[Run]:
        """The last runs, newest first, `most` of them at most."""
        return self._select("ORDER BY task_id DESC LIMIT ?", most)

    def count(self) -> int:
        """How many runs there are."""
        return self._last - self._cleared

    def start_over(self) -> None:
        """Count anew, after the store was cleared; numbers go on."""
        self._cleared = self._last

    def unfinished(self) -> list[Run]:
        """Runs whose import has not ended, oldest first."""
        return self._select("WHERE ended IS NULL ORDER BY task_id")

    def last_start(self, mid: int, customer_key: str) -> float | None:
        """When this definition was last started; None when never."""
        query = "SELECT max(started) FROM runs WHERE mid=? AND folded=?"
        with self._store.lock:
            row = self._store.connection.execute(query, (mid, self._store.fold(customer_key))).fetchone()
        return None if row is None or row[0] is None else float(row[0])

    def _stream(self, condition: str, *values: float | str) -> Iterator[Run]:
        """Runs in order of their numbers, read in parts, because most callers need only the first batch."""
        query = f"SELECT task_id FROM runs WHERE {condition} ORDER BY task_id"  # noqa: S608  made of constants
        with self._store.lock:
            numbers = [row[0] for row in self._store.connection.execute(query, values)]
        for first in range(0, len(numbers), _SOME):
            some = numbers[first : first + _SOME]
            yield from self._select(f"WHERE task_id IN ({','.join(map(str, some))}) ORDER BY task_id")

    def _select(self, condition: str, *values: float | str) -> list[Run]:
        with self._store.lock:
            rows = self._store.connection.execute(f"SELECT {_COLUMNS} FROM runs {condition}", values).fetchall()  # noqa: S608
        return [_run(row) for row in rows]

    def _highest(self, table: str, column: str) -> int:
        row = self._store.connection.execute(f"SELECT max({column}) FROM {table}").fetchone()  # noqa: S608  constants
        return int(row[0] or 0)


def _task_id(text: str) -> int:
    """A filter's value as a number, -1 if it is not a number."""
    try:
        number = int(float(text))
    except (ValueError, OverflowError):
        return -1
    return number if number < _NO_TASK_ID else -1


def _run(row: tuple[Any, ...]) -> Run:
    outcome = None if row[9] is None else orjson.loads(row[9])
    task_id, mid, key, definition, started, visible, shown, ended, status, _, faults = row
    return Run(
        task_id,
        mid,
        key,
        orjson.loads(definition),
        started,
        visible,
        shown,
        ended,
        status,
        outcome,
        orjson.loads(faults),
    )


MAX_BATCH = 2500
_KEPT = 64

Row = Mapping[str, Any]


@dataclass
class Batch:
    """Some rows of an answer in a business unit, and the way to those behind them."""

    mid: int
    rows: tuple[Row, ...]
    size: int
    rest: Iterator[Row] = field(repr=False)
    _following: "Batch | None" = None
    _looked: bool = False

    def following(self) -> "Batch | None":
        """The next rows; None at the end. A second call returns the same batch."""
        if not self._looked:
            rows = tuple(islice(self.rest, self.size))
            self._following = Batch(self.mid, rows, self.size, self.rest) if rows else None
            self._looked = True
        return self._following


def first_batch(mid: int, rows: Iterator[Row], size: int) -> Batch:
    """The first rows of an answer; `size` 0, or one above the largest there is, means the largest."""
    size = size if 0 < size < MAX_BATCH else MAX_BATCH
    return Batch(mid, tuple(islice(rows, size)), size, rows)


class Pages:
    """The batches that a client can still request, by RequestID of the answer before."""

    def __init__(self) -> None:
        self._kept: dict[str, Batch] = {}

    def keep(self, request_id: str, batch: Batch) -> None:
        """Keep the next batch; above a limit the oldest is removed."""
        self._kept[request_id] = batch
        while len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]

    def find(self, request_id: str, mid: int) -> Batch | None:
        """The batch after an answer. It is kept, so that a client can request a lost batch again."""
        found = self._kept.get(request_id)
        return found if found is not None and found.mid == mid else None

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()
