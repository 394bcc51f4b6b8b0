"""Holds what Marketing Cloud returns (definitions, accepted starts, runs), and decides the state of a run from it."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from sfmc_import.retrying import Backoff
from sfmc_import.states import COMPLETED, Followed


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """The fields of an ImportDefinition that are used.

    `max_import_frequency` is in hours, None or 0 when the definition sets none, as are `max_file_age` (older files are
    not imported) and `max_file_age_offset`, which lengthens it;
    `update_type` is one of the six words of ImportDefinitionUpdateType, None when not set;
    `destination` and `location` are the ids of DestinationObject and RetrieveFileTransferLocation.
    `asked_at` is when it was asked for, on CLOCK_BOOTTIME; None where this is not known.
    """

    customer_key: str
    name: str | None = None
    object_id: str | None = None
    file_spec: str | None = None
    max_import_frequency: int | None = None
    max_file_age: int | None = None
    max_file_age_offset: int | None = None
    update_type: str | None = None
    destination: str | None = None
    location: str | None = None
    asked_at: float | None = field(default=None, compare=False)


ENHANCED_FTP = "ExactTarget Enhanced FTP"
"""The CustomerKey of the file location that every account has."""


@dataclass(frozen=True, slots=True)
class FileLocation:
    """From where a definition reads its file: the CustomerKey and the ObjectID, as far as they are known."""

    customer_key: str | None
    object_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A start that Marketing Cloud accepted; `task_id` is the later TaskResultID, `soap_request_id` its RequestID.

    `is_found` says that it is from no reply: the run was found.
    """

    task_id: str
    soap_request_id: str | None = None
    is_found: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One row of ImportResultsSummary; dates stay the opaque texts of the service (no zone is documented)."""

    task_id: str
    customer_key: str
    status: str
    successful: int | None = None
    duplicated: int | None = None
    errors: int | None = None
    total: int | None = None
    start_date: str | None = None
    end_date: str | None = None
    import_type: str | None = None
    destination_id: str | None = None


# Marketing Cloud docs, "ImportResultsSummary": New, Processing, Completed, Error, IOWork, Unknown.
RUNNING = frozenset({"New", "Processing", "IOWork", "Unknown"})


@dataclass(frozen=True, slots=True)
class RunInProgress:
    """The run goes on; `status` is None while its row is not visible yet."""

    status: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """What a completed run of a definition should look like; shares from 0 to 1, None expects nothing."""

    min_rows: int | None = None
    max_failed_share: float | None = None
    min_share_of_last_run: float | None = None


@dataclass(frozen=True, slots=True)
class Unexpected:
    """What was expected and is not so, and what was found in its place; None is a number that is not known."""

    expected: Mapping[str, float]
    found: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The run has ended, or was followed for long enough; `outcome` is one of sfmc_import.states.RUN_ENDS."""

    outcome: str
    unexpected: Unexpected | None = None


def run_state(run: Followed, row: Run | None) -> RunInProgress | RunEnded:
    """Say how a run is going; an undocumented status counts as running."""
    if row is not None and row.status == "Completed":
        return RunEnded(_completed(row))
    if row is not None and row.status == "Error":
        return RunEnded("import_failed")
    if run.overdue:
        return RunEnded("follow_timed_out")
    return RunInProgress(None if row is None else row.status)


def _completed(row: Run) -> str:
    """Completed does not mean that rows were imported, or that all of them were."""
    if row.errors:
        return "completed_with_errors"
    return "completed_empty" if row.total == 0 else "completed"


def compare(ended: RunEnded, row: Run | None, last_rows: int | None, expectations: Expectations) -> RunEnded:
    """Make a completed run that misses an expectation a suspicious one; `last_rows` had the run before, if any.

    A number that Marketing Cloud does not say meets no expectation.
    """
    if row is None or ended.outcome not in COMPLETED:
        return ended
    # Name of the expectation, the limit, name of what is compared, its value, and 1 for at least, -1 for at most.
    rules = [
        ("min_rows", expectations.min_rows, "rows", row.total, 1),
        ("max_failed_share", expectations.max_failed_share, "failed_share", _share(row.errors, row.total), -1),
    ]
    if last_rows:
        share = _share(row.total, last_rows)
        rules.append(("min_share_of_last_run", expectations.min_share_of_last_run, "share_of_last_run", share, 1))
    missed = [
        (name, limit, of, value)
        for name, limit, of, value, sign in rules
        if limit is not None and (value is None or value * sign < limit * sign)
    ]
    if not missed:
        return ended
    found = {of: value for _, _, of, value in missed}
    return RunEnded("completed_suspicious", Unexpected({name: limit for name, limit, _, _ in missed}, found))


def _share(part: int | None, whole: int | None) -> float | None:
    if part is None or whole is None:
        return None
    return round(part / whole, 6) if whole else 0.0


def next_poll(run: Followed, backoff: Backoff) -> float:
    """Seconds until the next poll of a run that is in progress.

    Without a random part: the ledger lets polls meet, and one query asks for many.
    """
    return backoff.pause(run.polls + 1, 1.0)


@dataclass(frozen=True, slots=True)
class OneMatch:
    """Exactly one new run that is assigned to no request: ours, or one that imported our file."""

    task_id: str


@dataclass(frozen=True, slots=True)
class ManyMatches:
    """More than one new run: which of them is ours cannot be proved."""

    task_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NoMatch:
    """No new run so far; `is_last` says that the time to look is over."""

    is_last: bool


def is_newer(task_id: str, than: str) -> bool:
    """Compare two TaskResultIDs; what is not a whole number counts as newer, because its order is unknown."""
    if not (task_id.isascii() and task_id.isdigit() and than.isascii() and than.isdigit()):
        return task_id != than
    return int(task_id) > int(than)


def match_runs(unassigned: AbstractSet[str], *, is_last: bool) -> OneMatch | ManyMatches | NoMatch:
    """Decide by the TaskResultIDs that the intent did not know and that are assigned to no request."""
    if len(unassigned) == 1:
        return OneMatch(next(iter(unassigned)))
    if unassigned:
        return ManyMatches(tuple(sorted(unassigned)))
    return NoMatch(is_last)


def result_arguments(run: Run | None, unexpected: Unexpected | None = None) -> dict[str, Any]:
    """Row counts and dates for a terminal event; what Marketing Cloud did not say is left out."""
    if run is None:
        return {}
    more = {} if unexpected is None else {"expected": unexpected.expected, "found": unexpected.found}
    fields = {
        "import_status": run.status,
        "rows_successful": run.successful,
        "rows_duplicated": run.duplicated,
        "rows_failed": run.errors,
        "rows_total": run.total,
        "start_date": run.start_date,
        "end_date": run.end_date,
        "import_type": run.import_type,
        "destination_id": run.destination_id,
    }
    return {name: value for name, value in fields.items() if value is not None} | more
