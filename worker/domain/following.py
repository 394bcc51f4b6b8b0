"""How a run is going, read from its row of ImportResultsSummary; no calls."""

from dataclasses import dataclass

from worker.domain.decisions import Followed
from worker.domain.runs import Run

# Marketing Cloud docs, "ImportResultsSummary": New, Processing, Completed, Error, IOWork, Unknown.
RUNNING = frozenset({"New", "Processing", "IOWork", "Unknown"})


@dataclass(frozen=True, slots=True)
class Running:
    """The run goes on; `status` is None while its row is not visible yet."""

    status: str | None


@dataclass(frozen=True, slots=True)
class Over:
    """The run has ended, or was followed for long enough; `outcome` is one of worker.domain.life.RUN_ENDS."""

    outcome: str


def judge(run: Followed, row: Run | None) -> Running | Over:
    """Say how a run is going; a status nobody knows counts as running."""
    if row is not None and row.status == "Completed":
        return Over(_completed(row))
    if row is not None and row.status == "Error":
        return Over("import_failed")
    if run.overdue:
        return Over("follow_timed_out")
    return Running(None if row is None else row.status)


def _completed(row: Run) -> str:
    """Completed does not mean that rows were imported, or that all of them were."""
    if row.errors:
        return "completed_with_errors"
    return "completed_empty" if row.total == 0 else "completed"
