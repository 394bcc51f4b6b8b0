"""Finds the run of a start among those that are new: runs that began before it are those of others."""

from collections.abc import Sequence
from dataclasses import dataclass

from sfmc_import.clocks import Between
from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.ports import Deps, Refusal
from sfmc_import.request import fold_key
from sfmc_import.run_dates import began_at, is_older, seems_newer, seems_older
from sfmc_import.runs import ManyMatches, NoMatch, OneMatch, Run, is_newer, match_runs
from sfmc_import.states import Intent, Reconcile, StartNow

DATED_RUNS = 200
"""So many of the newest runs are asked for their dates; what is left of more stays doubtful."""


@dataclass(frozen=True, slots=True)
class NewRuns:
    """Runs of no request that an intent did not know; the `doubtful` ones seem to have begun before it.

    After a loss of writes those are doubtful of which nothing proves that they read the file of the request; and while
    the run of an earlier request is not known, those that may be of that request.
    """

    ours: frozenset[str]
    doubtful: frozenset[str] = frozenset()

    def match(self, *, is_last: bool) -> OneMatch | ManyMatches | NoMatch:
        """Decide which is that of the start; a doubtful one is never taken, and leaves the start unknown at last."""
        if is_last and self.doubtful and not self.ours:
            return ManyMatches(tuple(sorted(self.doubtful)))
        return match_runs(self.ours, is_last=is_last)


def runs_of(decision: StartNow, deps: Deps, *, above: str | None = None) -> Sequence[Run] | Refusal:
    """List the runs of a definition, or the newer ones; of a start in doubt under each CustomerKey that it had as well.

    Whether Marketing Cloud shows an older run under the key that the definition has now is not documented.
    """
    lease = decision.lease
    others = decision.other_keys if decision.earlier or decision.loss_age is not None else ()
    found: dict[str, Run] = {}
    for key in {fold_key(key): key for key in (*others, lease.customer_key)}.values():
        answer = deps.marketing_cloud.runs_of(lease.mid, key, above=above)
        if isinstance(answer, NotApplied):
            return answer
        if isinstance(answer, Rejected):
            if key == lease.customer_key:
                return answer
            continue
        found |= {run.task_id: run for run in answer}
    return tuple(found.values())


def runs_in_doubt(decision: Reconcile, deps: Deps) -> Sequence[Run] | Refusal:
    """List the runs of a definition whose start is in doubt; before that is given up also under the key it has now."""
    mid, key = decision.lease.mid, decision.lease.customer_key
    runs = deps.marketing_cloud.runs_of(mid, key)
    if isinstance(runs, (NotApplied, Rejected)) or decision.object_id is None or not decision.is_last:
        return runs
    # Asked for after the runs: a key that was changed before them is seen.
    now = deps.definitions.get(mid, key, object_id=decision.object_id, max_age=0.0)
    if isinstance(now, NotApplied):
        return now
    if isinstance(now, Rejected) or fold_key(now.customer_key) == fold_key(key):
        return runs
    more = deps.marketing_cloud.runs_of(mid, now.customer_key)
    return more if isinstance(more, (NotApplied, Rejected)) else (*runs, *more)


def find(runs: Sequence[Run], intent: Intent | Reconcile, mid: str, deps: Deps) -> NewRuns | NotApplied:
    """Sort out the new ones of these runs; those stay doubtful that may be of a start whose run is not known."""
    found = _new_runs(runs, intent, mid, deps)
    if isinstance(found, NotApplied) or intent.unknown_until is None:
        return found
    last = deps.clock.between(intent.unknown_until).last + deps.timing.call
    later = frozenset(run.task_id for run in runs if run.task_id in found.ours and seems_newer(run.start_date, last))
    return NewRuns(later, found.doubtful | (found.ours - later))


def _new_runs(runs: Sequence[Run], intent: Intent | Reconcile, mid: str, deps: Deps) -> NewRuns | NotApplied:
    """Compare the runs with the intent; asks for their dates where it did not list what existed."""
    began = _first(intent, deps)
    new = {run.task_id: run for run in runs if _is_new(run, intent, began)}
    unassigned = frozenset(deps.ledger.unassigned_task_ids(mid, new))
    if intent.forgotten_from is not None:
        recorded = intent.forgotten_from and deps.clock.between(intent.forgotten_from).last
        return _since_recorded([new[task_id] for task_id in unassigned], recorded)
    if intent.bound is not None:
        return _beyond_bound([new[task_id] for task_id in unassigned], began, intent.bound)
    if intent.above is None or intent.intended_at is None or not unassigned:
        return NewRuns(unassigned)
    return _by_date(unassigned, deps.clock.between(intent.intended_at), mid, deps)


def _first(intent: Intent | Reconcile, deps: Deps) -> float | None:
    """Give when an intent was noted, by the clock of Marketing Cloud, at the earliest."""
    return None if intent.intended_at is None else deps.clock.between(intent.intended_at).first


def _is_new(run: Run, intent: Intent | Reconcile, began: float | None) -> bool:
    if intent.above is not None and not is_newer(run.task_id, intent.above):
        return False
    if run.task_id in intent.known:
        return False
    # Most of what was not asked for ended long ago.
    return intent.bound is None or is_newer(run.task_id, intent.bound) or not _is_older(run, began)


def _is_older(run: Run, began: float | None) -> bool:
    return began is not None and is_older(run.start_date, began)


def _beyond_bound(runs: Sequence[Run], began: float | None, bound: str) -> NewRuns:
    """Take the runs above the bound. No document says that ids grow, so those below it stay doubtful.

    So does one above it that is older: it would have been in the list, if the service compared ids as numbers.
    """
    ours = frozenset(run.task_id for run in runs if is_newer(run.task_id, bound) and not _is_older(run, began))
    return _with_the_rest(ours, runs)


def _since_recorded(runs: Sequence[Run], recorded: float) -> NewRuns:
    """Take what began when the request was there: under the name of its file it read this very file.

    Before that it may have read another one, for another request that Redis forgot, or for another program.
    """
    ours = frozenset(run.task_id for run in runs if recorded and _began_since(run, recorded))
    return _with_the_rest(ours, runs)


def _with_the_rest(ours: frozenset[str], runs: Sequence[Run]) -> NewRuns:
    return NewRuns(ours, frozenset(run.task_id for run in runs) - ours)


def _began_since(run: Run, moment: float) -> bool:
    return began_at(run.start_date) is not None and not seems_older(run.start_date, moment)


def _by_date(new: frozenset[str], moment: Between, mid: str, deps: Deps) -> NewRuns | NotApplied:
    asked = sorted(new, key=lambda task_id: (len(task_id), task_id))[-DATED_RUNS:]
    dated = deps.marketing_cloud.runs(mid, asked)
    if isinstance(dated, Rejected):
        return NewRuns(new)
    if isinstance(dated, NotApplied):
        return dated
    dates = {task_id: run.start_date for task_id, run in dated.items()}
    doubtful = {task_id for task_id in asked if seems_older(dates.get(task_id), moment.last)}
    older = {task_id for task_id in doubtful if is_older(dates.get(task_id), moment.first)}
    rest = new.difference(asked)
    return NewRuns(new - doubtful - rest, rest | (doubtful - older))
