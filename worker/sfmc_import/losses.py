"""Says whether a start is safe after Redis lost its last writes, or may have been made by a request that it forgot."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from sfmc_import.faults import Ambiguous, NotApplied
from sfmc_import.ports import Deps, Refusal
from sfmc_import.run_dates import CLOCKS_APART, began_at, seems_newer, seems_older
from sfmc_import.runs import RUNNING, Run, is_newer
from sfmc_import.states import EarlierLoss, StartNow

_WAITING = "Redis lost its last writes; waiting until earlier starts would show"
_UNKNOWN_RUN = "Redis lost its last writes, and a run exists that the ledger does not know"

DATED_RUNS = 20
"""So many of the newest runs are asked for their dates: those of the last seconds are among them."""


def check(decision: StartNow, runs: Sequence[Run], window: float, deps: Deps) -> Refusal | Ambiguous | None:
    """Say why nothing may be sent now; None when a start is safe.

    When an unknown run exists, the intent is recorded as it was before that run, so that reconciling finds it: it takes
    the run if that surely is one of this request (`new_runs`), and names it otherwise.
    """
    if decision.loss_age is None:
        return None
    # The intent of a Perform that is still on its way may be lost too.
    quiet = max(deps.timing.call, decision.longest_call) + deps.timing.results_delay
    if decision.loss_age < quiet and not decision.may_be_new:
        left = quiet - decision.loss_age
        return NotApplied("writes_lost", _WAITING, account_wide=True, retry_after=left)
    unknown = _of_all_losses(runs, quiet, decision, deps)
    if not isinstance(unknown, Collection):
        return unknown
    if not unknown:
        return None
    known = [run.task_id for run in runs if run.task_id not in unknown]
    # Nothing is sent: neither a pause nor the window holds it, and what the ledger refuses is asked for anew.
    recorded = deps.ledger.record_intent(decision.lease, known, window=window, is_sent=False)
    if isinstance(recorded, float):
        return Ambiguous("writes_lost", _UNKNOWN_RUN)
    return recorded or NotApplied("writes_lost", _UNKNOWN_RUN, account_wide=True)


def _of_all_losses(runs: Sequence[Run], quiet: float, decision: StartNow, deps: Deps) -> Collection[str] | Refusal:
    """Runs that may be a start which one of the losses forgot that the request has outlived."""
    found = set[str]()
    for loss in (decision, *(_as_if_newest(decision, each) for each in decision.earlier_losses)):
        unknown = _until_loss(_unknown_runs(loss, runs, deps), quiet, loss, deps)
        if not isinstance(unknown, Collection):
            return unknown
        found |= set(unknown)
    return found


def _as_if_newest(decision: StartNow, loss: EarlierLoss) -> StartNow:
    return replace(decision, newest=loss.newest, loss_since=loss.since, loss_age=loss.age, loss_is_past=True)


def _unknown_runs(decision: StartNow, runs: Sequence[Run], deps: Deps) -> Collection[str] | Refusal:
    """Runs of no request that began after the last write that survived."""
    listed = [run.task_id for run in runs if run.task_id not in decision.candidates]
    unassigned = deps.ledger.unassigned_task_ids(decision.lease.mid, listed)
    if decision.newest is not None:
        newer = {task_id for task_id in unassigned if is_newer(task_id, decision.newest)}
        return _not_before_loss(newer, decision, deps)
    going = {run.task_id for run in runs if run.task_id in unassigned and run.status in RUNNING}
    if decision.loss_since is None:
        return going
    since = deps.clock.between(decision.loss_since).first - CLOCKS_APART
    dated = _dated(unassigned - going, decision, deps)
    if isinstance(dated, Refusal):
        return dated
    return going | {task_id for task_id, run in dated.items() if _began_since(run, since)}


def _until_loss(
    unknown: Collection[str] | Refusal, quiet: float, decision: StartNow, deps: Deps
) -> Collection[str] | Refusal:
    """Leave out what began so long after a loss that Redis cannot have forgotten its start.

    That matters for a request which was held while others imported the same definition for days.
    """
    if not isinstance(unknown, Collection) or not decision.loss_is_past or decision.loss_age is None:
        return unknown
    dated = _dated(unknown, decision, deps)
    if isinstance(dated, Refusal):
        return dated
    last = deps.clock.between(decision.now - decision.loss_age).last + quiet
    return {each for each in unknown if each not in dated or not seems_newer(dated[each].start_date, last)}


def _not_before_loss(newer: Collection[str], decision: StartNow, deps: Deps) -> Collection[str] | Refusal:
    """Leave out what began before the last event that survived: the ledger would know it, so it is not ours."""
    if decision.loss_since is None:
        return newer
    dated = _dated(newer, decision, deps)
    if isinstance(dated, Refusal):
        return dated
    since = deps.clock.between(decision.loss_since).first
    return {task_id for task_id in newer if not _began_before(dated.get(task_id), since)}


def _dated(task_ids: Collection[str], decision: StartNow, deps: Deps) -> Mapping[str, Run] | Refusal:
    asked = sorted(task_ids, key=lambda task_id: (len(task_id), task_id))[-DATED_RUNS:]
    return deps.marketing_cloud.runs(decision.lease.mid, asked) if asked else {}


def _began_before(run: Run | None, since: float) -> bool:
    return run is not None and seems_older(run.start_date, since)


def _began_since(run: Run, since: float) -> bool:
    began = began_at(run.start_date)
    return began is not None and began >= since
