"""Use case: look at many runs with one query each business unit, and record what became of them."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from worker.domain.decisions import Followed
from worker.domain.faults import NotApplied, Rejected
from worker.domain.following import RUNNING, Over, judge
from worker.domain.runs import Run
from worker.service.deps import Deps
from worker.service.report import Report, of_fault

# A Retrieve answers at most 2,500 rows in one batch; a filter of this many ids stays a small request.
_BATCH = 200


def follow(request_ids: Collection[str], deps: Deps) -> list[tuple[Followed, Report]]:
    """Look at the runs of these requests; gives a report for each run with news. Safe to run many times at once."""
    by_unit: dict[str, list[Followed]] = defaultdict(list)
    for run in deps.ledger.followed(request_ids):
        by_unit[run.mid].append(run)
    news = []
    for mid, runs in by_unit.items():
        for first in range(0, len(runs), _BATCH):
            news += _look(mid, runs[first : first + _BATCH], deps)
    return news


def _look(mid: str, runs: Sequence[Followed], deps: Deps) -> list[tuple[Followed, Report]]:
    rows = deps.marketing_cloud.runs(mid, [run.task_id for run in runs])
    if isinstance(rows, (NotApplied, Rejected)):
        fault = of_fault("follow_postponed", "started", rows, runs=len(runs))
        return [(runs[0], fault), *_record_all(runs, {}, deps)]
    return _record_all(runs, rows, deps)


def _record_all(runs: Sequence[Followed], rows: Mapping[str, Run], deps: Deps) -> list[tuple[Followed, Report]]:
    reports = ((run, _record(run, rows.get(run.task_id), deps)) for run in runs)
    return [(run, report) for run, report in reports if report is not None]


def _record(run: Followed, row: Run | None, deps: Deps) -> Report | None:
    verdict = judge(run, row)
    if isinstance(verdict, Over):
        policy = deps.policies(run.mid, run.customer_key)
        deps.ledger.ended(run, verdict.outcome, row, policy)
        return Report("import_ended", verdict.outcome, _counts(row))
    pause = deps.timing.follow.pause(run.looks, deps.chance())
    deps.ledger.progressed(run, verdict.status, pause)
    if verdict.status in {None, run.status}:
        return None
    event = "import_progressed" if verdict.status in RUNNING else "import_status_unheard_of"
    return Report(event, "started", {"import_status": verdict.status})


def _counts(row: Run | None) -> dict[str, int | None]:
    if row is None:
        return {}
    return {"rows_successful": row.successful, "rows_failed": row.errors, "rows_total": row.total}
