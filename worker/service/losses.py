"""Use case: start with care after Redis lost its last writes; a start of ours may be among what was lost."""

from collections.abc import Collection, Sequence

from worker.domain.decisions import Go
from worker.domain.faults import Ambiguous, NotApplied
from worker.domain.following import RUNNING
from worker.domain.reconciling import is_newer
from worker.domain.runs import Run
from worker.service.deps import Deps

_WAITING = "Redis lost its last writes; waiting until earlier starts would show"
_UNHEARD_OF = "Redis lost its last writes, and a run exists that the ledger does not know"


def suspect(go: Go, runs: Sequence[Run], deps: Deps) -> NotApplied | Ambiguous | None:
    """Say why nothing may be sent now: rows may still be missing, or a run is there that may be ours.

    In the second case the intent is written as it would have been before that run, so that reconciling finds it.
    """
    if go.loss_age is None:
        return None
    if go.loss_age < deps.timing.settle:
        return NotApplied("writes_lost", _WAITING, retry_after=deps.timing.settle - go.loss_age)
    strangers = _strangers(go, runs, deps)
    if not strangers:
        return None
    known = [run.task_id for run in runs if run.task_id not in strangers]
    return Ambiguous("writes_lost", _UNHEARD_OF) if deps.ledger.intend(go.grant, known) is not None else None


def _strangers(go: Go, runs: Sequence[Run], deps: Deps) -> Collection[str]:
    """Runs that belong to no request and began after the last write that survived; without one, those that go on."""
    unclaimed = deps.ledger.unclaimed(go.grant.mid, [run.task_id for run in runs])
    if go.newest is None:
        return {run.task_id for run in runs if run.task_id in unclaimed and run.status in RUNNING}
    return {task_id for task_id in unclaimed if is_newer(task_id, go.newest)}
