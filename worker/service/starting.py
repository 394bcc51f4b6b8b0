"""Use case: carry a request as far as it can go now, to a recorded start or to what stands in its way."""

from collections.abc import Collection
from contextlib import suppress

from worker.domain.decisions import Decision, Go, Grant, Reconcile
from worker.domain.faults import Ambiguous, Fault, NotApplied, Rejected
from worker.domain.policy import Policy
from worker.domain.runs import Accepted, Definition
from worker.messages import StartRequest
from worker.ports import LedgerDownError
from worker.service.deps import Deps
from worker.service.losses import suspect
from worker.service.reconciling import reconcile
from worker.service.report import FENCED, Report, of_fault, of_retry

# What is left of the lease when the last byte may be sent, in seconds: clocks and threads are not exact.
_MARGIN = 1.0


def start(request: StartRequest, owner: str, deps: Deps) -> Report:
    """Decide about a request and act on the decision; `owner` is unique to this call.

    Raises LedgerDownError when Redis cannot be asked; what was recorded stays recorded.
    """
    policy = deps.policies(request.mid, request.customer_key)
    decision = deps.ledger.take(request, owner, policy)
    if isinstance(decision, Go):
        return _carry_out(decision, policy, deps)
    if isinstance(decision, Reconcile):
        return reconcile(decision, policy, deps)
    return _explain(decision)


def _explain(decision: Decision) -> Report:
    assert not isinstance(decision, (Go, Reconcile))
    facts = {"held_by": decision.held_by, "opens_in": decision.opens_in}
    return Report("request_" + decision.state, decision.state, {k: v for k, v in facts.items() if v is not None})


def _carry_out(go: Go, policy: Policy, deps: Deps) -> Report:
    grant = go.grant
    definition = deps.definitions.get(grant.mid, grant.customer_key)
    if definition is None:
        definition = Rejected("43010", f"business unit {grant.mid} has no ImportDefinition {grant.customer_key}")
    if not isinstance(definition, Definition):
        return _record(grant, definition, None, policy, deps)
    return _record(grant, _answer(go, deps), definition, policy, deps)


def _answer(go: Go, deps: Deps) -> Accepted | Fault | None:
    """List the runs that exist, unless the newest is known and that is enough, and send Perform."""
    if not deps.baseline and go.newest is not None and go.loss_age is None:
        return _perform(go.grant, (), deps, above=True)
    runs = deps.marketing_cloud.runs_of(go.grant.mid, go.grant.customer_key)
    if isinstance(runs, (NotApplied, Rejected)):
        return runs
    return suspect(go, runs, deps) or _perform(go.grant, [run.task_id for run in runs], deps)


def _perform(grant: Grant, known: Collection[str], deps: Deps, *, above: bool = False) -> Accepted | Fault | None:
    """Send Perform, again only while nothing was applied; None when another worker has the lease."""
    intended = False

    def attempt() -> Accepted | Fault | None:
        nonlocal intended
        asked = deps.clock.boottime()
        try:
            left = deps.ledger.sending(grant) if intended else deps.ledger.intend(grant, known, above=above)
        except LedgerDownError as error:
            # Without a recorded intent nothing is sent, and what was not sent was not applied.
            return NotApplied("ledger_down", str(error))
        if left is None:
            return None
        intended = True
        return _send(grant, asked + left - deps.timing.call - _MARGIN, deps)

    return deps.patience(attempt)


def _send(grant: Grant, not_after: float, deps: Deps) -> Accepted | Fault:
    answer = deps.marketing_cloud.start(grant.mid, grant.customer_key, not_after=not_after)
    if isinstance(answer, NotApplied):
        # A mark that could not be taken back costs a look after a crash, and nothing else.
        with suppress(LedgerDownError):
            deps.ledger.not_sent(grant)
    return answer


def _record(
    grant: Grant, answer: Accepted | Fault | None, definition: Definition | None, policy: Policy, deps: Deps
) -> Report:
    if answer is None:
        return FENCED
    if isinstance(answer, Accepted):
        return _record_start(grant, answer, definition, policy, deps)
    if isinstance(answer, NotApplied):
        pause = answer.retry_after or deps.timing.retry.pause(grant.attempt, deps.chance())
        return of_retry("start_postponed", deps.persist(lambda: deps.ledger.retry(grant, answer, pause)), answer, pause)
    if isinstance(answer, Ambiguous):
        recorded = deps.persist(lambda: deps.ledger.doubt(grant, answer, deps.timing.settle, policy))
        return of_fault("start_in_doubt", "reconciling", answer) if recorded else FENCED
    recorded = deps.persist(lambda: deps.ledger.reject(grant, answer))
    return of_fault("start_rejected", "rejected", answer) if recorded else FENCED


def _record_start(grant: Grant, answer: Accepted, definition: Definition | None, policy: Policy, deps: Deps) -> Report:
    window = policy.window(definition) if definition else policy.frequency_floor
    recorded = deps.persist(lambda: deps.ledger.started(grant, answer, window, policy))
    facts = {"task_id": answer.task_id, "soap_request_id": answer.soap_request_id, "window_hours": window}
    return Report("import_started" if recorded else "start_not_recorded", "started", facts)
