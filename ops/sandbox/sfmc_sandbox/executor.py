"""Carries out imports one after another in one thread."""

import contextlib
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from sfmc_sandbox.runs import Run, Runs

_log = structlog.get_logger("sandbox")


@dataclass(frozen=True)
class Ending:
    """How an import ended: `Completed` or `Error`, and the counts by wire name."""

    status: str
    counts: Mapping[str, Any]


Importer = Callable[[Run, Callable[[str], None]], Ending]


class Executor:
    """A queue of runs and one thread that imports them in order of their starts."""

    def __init__(self, runs: Runs, importer: Importer) -> None:
        self._runs = runs
        self._importer = importer
        self._queue: queue.SimpleQueue[Run | None] = queue.SimpleQueue()
        self._stopping = False
        self._abandoned = False
        self._thread = threading.Thread(target=self._work, name="sandbox-imports", daemon=True)

    def start(self) -> None:
        """Begin to work, first on the runs that an earlier process left unfinished."""
        for run in self._runs.unfinished():
            self._queue.put(run)
        self._thread.start()

    def submit(self, run: Run) -> None:
        """Queue a run; returns at once."""
        self._queue.put(run)

    def forget(self) -> None:
        """Drop the runs that wait; the running import goes on."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._queue.get_nowait()

    def waiting(self) -> int:
        """How many runs are queued."""
        return self._queue.qsize()

    def stop(self, within: float) -> None:
        """Finish the running import and leave the others to the next process.

        After `within` seconds the running import is abandoned as well: closing its stores then ends it.
        """
        self._stopping = True
        self._queue.put(None)
        self._abandoned = not self.has_ended(within)

    def has_ended(self, within: float) -> bool:
        """Whether the thread has ended, after waiting `within` seconds at most."""
        self._thread.join(within)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (run := self._queue.get()) is not None and not self._stopping:
            self._carry_out(run)

    def _carry_out(self, run: Run) -> None:
        self._runs.show_status(run.task_id, "Processing")
        try:
            ending = self._importer(run, lambda status: self._runs.show_status(run.task_id, status))
        except Exception:  # noqa: BLE001  the edge of this thread: one broken import must not end all others
            if self._abandoned:
                return
            _log.exception("import_run_aborted", task_id=run.task_id, customer_key=run.customer_key)
            ending = Ending("Error", {"message": "the sandbox could not carry out this import; see its log"})
        if not self._abandoned:
            self._runs.end(run.task_id, ending.status, ending.counts)
