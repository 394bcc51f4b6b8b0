"""Use case: find out whether a start that is in doubt happened, before anything is sent again."""

from worker.domain.decisions import Reconcile
from worker.domain.faults import NotApplied, Rejected
from worker.domain.policy import Policy
from worker.domain.reconciling import Found, Nothing, Several, is_newer, judge
from worker.domain.runs import Accepted, Definition, Run
from worker.service.deps import Deps
from worker.service.report import FENCED, Report, of_fault, of_retry

_NOTHING_STARTED = NotApplied("nothing_started", "no new run appeared, and the policy allows to repeat the start")


def reconcile(decision: Reconcile, policy: Policy, deps: Deps) -> Report:
    """Look for a new run of the definition and record what it proves; look again later when it proves nothing."""
    grant = decision.grant
    runs = deps.marketing_cloud.runs_of(grant.mid, grant.customer_key)
    if isinstance(runs, NotApplied) or (isinstance(runs, Rejected) and not decision.late):
        return _postpone(decision, runs, deps)
    if isinstance(runs, Rejected):
        return _unknown(decision, (), policy, deps)
    new = frozenset(run.task_id for run in runs if _is_new(run, decision))
    verdict = judge(deps.ledger.unclaimed(grant.mid, new), late=decision.late)
    if isinstance(verdict, Found):
        return _found(decision, verdict, policy, deps)
    if isinstance(verdict, Several):
        return _unknown(decision, verdict.task_ids, policy, deps)
    return _nothing(decision, verdict, policy, deps)


def _is_new(run: Run, decision: Reconcile) -> bool:
    if decision.above is not None and not is_newer(run.task_id, decision.above):
        return False
    return run.task_id not in decision.known


def _definition(decision: Reconcile, deps: Deps) -> Definition | NotApplied:
    """Read the definition, whose window and UpdateType decide; one that is gone or refused sets neither."""
    answer = deps.definitions.get(decision.grant.mid, decision.grant.customer_key)
    if isinstance(answer, (Definition, NotApplied)):
        return answer
    return Definition(customer_key=decision.grant.customer_key)


def _found(decision: Reconcile, verdict: Found, policy: Policy, deps: Deps) -> Report:
    definition = _definition(decision, deps)
    if isinstance(definition, NotApplied):
        return _postpone(decision, definition, deps)
    start, window = Accepted(task_id=verdict.task_id), policy.window(definition)
    recorded = deps.persist(lambda: deps.ledger.started(decision.grant, start, window, policy, reconciled=True))
    facts = {"task_id": verdict.task_id, "matched": "reconciled"}
    return Report("import_started", "started", facts) if recorded else FENCED


def _unknown(decision: Reconcile, candidates: tuple[str, ...], policy: Policy, deps: Deps) -> Report:
    definition = _definition(decision, deps)
    if isinstance(definition, NotApplied):
        return _postpone(decision, definition, deps)
    window = policy.window(definition)
    recorded = deps.persist(lambda: deps.ledger.unknown(decision.grant, candidates, window))
    return Report("start_unknown", "start_unknown", {"candidates": list(candidates)}) if recorded else FENCED


def _nothing(decision: Reconcile, verdict: Nothing, policy: Policy, deps: Deps) -> Report:
    if not verdict.late:
        return _look_again(decision, deps, Report("reconciling", "reconciling"))
    definition = _definition(decision, deps)
    if isinstance(definition, NotApplied) or not policy.may_repeat(definition):
        return _unknown(decision, (), policy, deps)
    pause = deps.timing.retry.pause(decision.grant.attempt, deps.chance())
    state = deps.persist(lambda: deps.ledger.retry(decision.grant, _NOTHING_STARTED, pause))
    return of_retry("start_repeated", state, _NOTHING_STARTED, pause)


def _postpone(decision: Reconcile, fault: NotApplied | Rejected, deps: Deps) -> Report:
    return _look_again(decision, deps, of_fault("reconciling_postponed", "reconciling", fault))


def _look_again(decision: Reconcile, deps: Deps, report: Report) -> Report:
    pause = deps.timing.look.pause(decision.grant.attempt, deps.chance())
    return report if deps.persist(lambda: deps.ledger.look_again(decision.grant, pause)) else FENCED
