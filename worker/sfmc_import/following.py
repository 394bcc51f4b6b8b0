"""Follows runs to their end, many with one query, and alone those whose answer may kill; and the sweep."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sfmc_import import retrying
from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.outcomes import Outcome
from sfmc_import.ports import Deps, Ledger, Refusal
from sfmc_import.runs import RUNNING, Run, RunEnded, compare, next_poll, run_state
from sfmc_import.states import DueRequest, Followed

News = tuple[Followed, Outcome]
MAX_TURNS = 20
"""Queries of one call: with more suspects than that, the next sweep goes on."""
LOST = Outcome("follow_lost", "follow_timed_out", {"code": "worker_lost"})


def follow(request_ids: Collection[str], owner: str, deps: Deps) -> list[News]:
    """Poll the runs of these requests; returns an outcome for each run with news. Safe to run many times at once.

    `owner` is unique to this call.
    """
    by_unit: dict[str, list[Followed]] = defaultdict(list)
    for run in deps.ledger.followed(request_ids):
        by_unit[run.mid].append(run)
    news: list[News] = []
    for mid, runs in by_unit.items():
        for first in range(0, len(runs), FOLLOW_BATCH):
            news += _poll_in_turn(mid, runs[first : first + FOLLOW_BATCH], owner, deps)
    return news


def _poll_in_turn(mid: str, runs: Sequence[Followed], owner: str, deps: Deps) -> list[News]:
    """Poll these runs together, and after them the suspects alone: an answer may kill the process that reads it."""
    left = {run.request_id: run for run in runs}
    news: list[News] = []
    for _ in range(MAX_TURNS):
        turn = deps.ledger.polling(left, owner)
        news += [(left.pop(request_id), LOST) for request_id in turn.lost]
        asked = [left.pop(request_id) for request_id in turn.granted]
        if asked:
            news += _poll(mid, asked, deps)
        if not (asked and left):
            break
    return news


def _poll(mid: str, runs: Sequence[Followed], deps: Deps) -> list[News]:
    rows = deps.marketing_cloud.runs(mid, [run.task_id for run in runs])
    if isinstance(rows, (NotApplied, Rejected)):
        facts = {"code": rows.code, "text": rows.text, "runs": len(runs)}
        fault = Outcome("follow_retry_scheduled", "started", facts)
        return [(runs[0], fault), *_with_news((run, postpone(run, rows, deps)) for run in runs)]
    return _with_news((run, _record_run(run, rows.get(run.task_id), deps)) for run in runs)


def _with_news(outcomes: Iterable[tuple[Followed, Outcome | None]]) -> list[News]:
    return [(run, outcome) for run, outcome in outcomes if outcome is not None]


def postpone(run: Followed, fault: Refusal, deps: Deps) -> Outcome | None:
    """Poll later what could not be polled; what hits the whole account ends no run, though its deadline is over."""
    if run.overdue and not retrying.is_account_wide(fault):
        return _record_run(run, None, deps)
    pause = deps.timing.follow.pause(run.polls, deps.chance())
    deps.ledger.progressed(run, None, max(pause, retrying.pause_asked(fault)), fault)
    return None


def _record_run(run: Followed, row: Run | None, deps: Deps) -> Outcome | None:
    state = run_state(run, row)
    if isinstance(state, RunEnded):
        policy = deps.policies(run.mid, run.customer_key)
        end = compare(state, row, run.last_rows, policy.expectations)
        errors = deps.ledger.ended(run, end.outcome, row, policy, end.unexpected)
        event = "import_ended" if end.unexpected is None else "import_suspicious"
        return Outcome(event, end.outcome, {**_counts(row), **_unexpected(end), **errors})
    deps.ledger.progressed(run, state.status, next_poll(run, deps.timing.follow))
    if state.status in {None, run.status}:
        return None
    event = "import_progressed" if state.status in RUNNING else "import_status_undocumented"
    return Outcome(event, "started", {"import_status": state.status})


def _unexpected(end: RunEnded) -> dict[str, Any]:
    found = end.unexpected
    return {} if found is None else {"expected": dict(found.expected), "found": dict(found.found)}


def _counts(row: Run | None) -> dict[str, int | None]:
    if row is None:
        return {}
    return {"rows_successful": row.successful, "rows_failed": row.errors, "rows_total": row.total}


# --- Sweep: send wake-ups for what is due.

FOLLOW_BATCH = 200
"""Runs of one message, and of one query: a Retrieve answers at most 2,500 rows in one batch."""


@dataclass(frozen=True, slots=True)
class SweepResult:
    """How many requests were woken, how many runs are to be polled, and which records were missing."""

    woken: int
    followed: int
    missing_record: tuple[str, ...]


def sweep(
    ledger: Ledger,
    wake: Callable[[DueRequest], None],
    follow: Callable[[Sequence[str]], None],
    *,
    limit: int,
    pause: float,
) -> SweepResult:
    """Take up to `limit` due requests and send a wake-up for each, one for each batch of runs.

    A wake-up that is lost comes again after `pause` seconds.
    """
    found = ledger.due(limit, pause)
    waiting = [due for due in found if due.state not in {"started", "missing_record"}]
    # One message for each business unit: one that does not answer must not keep the runs of another from being polled.
    running: dict[str, list[str]] = defaultdict(list)
    for due in found:
        if due.state == "started":
            running[due.mid].append(due.request_id)
    for ids in running.values():
        for first in range(0, len(ids), FOLLOW_BATCH):
            follow(ids[first : first + FOLLOW_BATCH])
    for due in waiting:
        wake(due)
    missing_record = tuple(due.request_id for due in found if due.state == "missing_record")
    return SweepResult(len(waiting), sum(map(len, running.values())), missing_record)
