"""Looks for the run of an earlier attempt that was answered without proof: it may have appeared by now."""

from collections.abc import Sequence

from sfmc_import import identity, new_runs
from sfmc_import.faults import Ambiguous, Fault, NotApplied, Rejected
from sfmc_import.ports import Deps
from sfmc_import.request import fold_key
from sfmc_import.runs import Accepted, ManyMatches, OneMatch, Run
from sfmc_import.states import StartNow

SEVERAL_RUNS = Ambiguous("several_runs", "of the runs since an attempt without proof it is not known which is its own")


def look(decision: StartNow, deps: Deps) -> Accepted | Fault | None:
    """List the runs, and give what `find` says of them; None where no attempt is in doubt."""
    if decision.earlier is None:
        return None
    runs = new_runs.runs_of(decision, deps)
    if isinstance(runs, NotApplied):
        return runs
    return find(decision, () if isinstance(runs, Rejected) else runs, deps)


def find(decision: StartNow, runs: Sequence[Run], deps: Deps) -> Accepted | Fault | None:
    """Give the one run that has appeared since an earlier attempt; None where there was none, or it has no run."""
    if decision.earlier is None:
        return None
    found = new_runs.find(runs, decision.earlier, decision.lease.mid, deps)
    if isinstance(found, NotApplied):
        return found
    match found.match(is_last=True):
        case OneMatch(task_id):
            shown = next(run.customer_key for run in runs if run.task_id == task_id)
            is_now = fold_key(shown) == fold_key(decision.lease.customer_key)
            taken = None if is_now else identity.taken_by_another(decision.lease.mid, shown, decision.object_id, deps)
            return _cannot_tell(taken) if taken else Accepted(task_id=task_id, is_found=True)
        case ManyMatches():
            return SEVERAL_RUNS
    return None


def _cannot_tell(why: NotApplied) -> Fault:
    """The run may be one of the definition that has the CustomerKey now; what cannot be read now is asked again."""
    return Ambiguous(why.code, why.text) if why.code == identity.KEY_CHANGED else why
