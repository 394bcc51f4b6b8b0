"""Lets what an error of this program has met wait, and say so: no worker has died, and a start in doubt stays so."""

from collections.abc import Collection
from dataclasses import replace

from sfmc_import import following, retrying
from sfmc_import.faults import Ambiguous, NotApplied
from sfmc_import.outcomes import LEASE_LOST, Outcome, of_fault
from sfmc_import.policy import Policy
from sfmc_import.ports import Deps
from sfmc_import.request import StartRequest
from sfmc_import.retrying import RetryPolicy, Times
from sfmc_import.states import Held, Lease
from sfmc_import.waiting import OWN_ERROR

TEXT = "an error of this program ({}); the log has more"
MAX_NAME = 100


def wait(request: StartRequest, owner: str, error: Exception, deps: Deps) -> Outcome | None:
    """Let a request wait that `owner` cannot go on with; None where nothing is held, or another one has it.

    What may have been sent is looked for, and a look is made again: the deadlines are those of any other failure.
    """
    held = deps.ledger.held(request.request_id, owner)
    if held is None:
        return None
    fault = NotApplied(OWN_ERROR, TEXT.format(type(error).__name__[:MAX_NAME]))
    lease = held.lease
    if lease is None:
        return _read_later(replace(request, attempt=held.attempt), fault, deps)
    if held.looks:
        return _look_later(held, lease, fault, deps)
    if held.is_in_doubt:
        return _look_first(lease, fault, deps)
    pause = _pause(fault, held.attempt, deps.timing.scheduled, deps)
    state = deps.retry_ledger(lambda: deps.ledger.retry(lease, fault, pause))
    return _outcome(state, fault, pause)


def postpone(request_ids: Collection[str], error: Exception, deps: Deps) -> list[following.News]:
    """Ask later for runs whose poll met an error; the deadline to follow them ends that."""
    fault = NotApplied(OWN_ERROR, TEXT.format(type(error).__name__[:MAX_NAME]))
    later = of_fault("follow_retry_scheduled", "started", fault)
    careful = replace(deps, policies=lambda mid, customer_key: _policy(mid, customer_key, deps))
    return [(run, following.postpone(run, fault, careful) or later) for run in deps.ledger.followed(request_ids)]


def _read_later(request: StartRequest, fault: NotApplied, deps: Deps) -> Outcome:
    policy = _policy(request.mid, request.customer_key, deps)
    pause = _pause(fault, request.attempt + 1, deps.timing.scheduled, deps)
    state = deps.retry_ledger(lambda: deps.ledger.unresolved(request, fault, pause, policy))
    return _outcome(state, fault, pause)


def _look_first(lease: Lease, fault: NotApplied, deps: Deps) -> Outcome:
    policy, delay = _policy(lease.mid, lease.customer_key, deps), deps.timing.results_delay
    unknown = Ambiguous(fault.code, fault.text)
    is_recorded = deps.retry_ledger(lambda: deps.ledger.mark_ambiguous(lease, unknown, delay, policy))
    return of_fault("start_ambiguous", "reconciling", fault) if is_recorded else LEASE_LOST


def _look_later(held: Held, lease: Lease, fault: NotApplied, deps: Deps) -> Outcome:
    if held.is_last:
        is_ended = deps.retry_ledger(lambda: deps.ledger.record_start_unknown(lease, (), 0.0))
        return of_fault("start_unknown", "start_unknown", fault) if is_ended else LEASE_LOST
    pause = _pause(fault, held.attempt, deps.timing.reconcile, deps)
    is_recorded = deps.retry_ledger(lambda: deps.ledger.reconcile_later(lease, fault, pause))
    return of_fault("reconcile_retry_scheduled", "reconciling", fault) if is_recorded else LEASE_LOST


def _policy(mid: str, customer_key: str, deps: Deps) -> Policy:
    try:
        return deps.policies(mid, customer_key)
    except Exception:  # noqa: BLE001 - the error may be this one: the usual deadlines count then
        return Policy()


def _pause(fault: NotApplied, attempt: int, policy: RetryPolicy, deps: Deps) -> float:
    step = retrying.after(fault, attempt, Times(chance=deps.chance()), policy)
    assert isinstance(step, (retrying.Retry, retrying.Reconcile))
    return step.after


def _outcome(state: str | None, fault: NotApplied, pause: float) -> Outcome:
    if state is None:
        return LEASE_LOST
    if state == "retrying":
        return of_fault("start_retry_scheduled", state, fault, retry_in=round(pause, 1))
    return of_fault("start_ambiguous" if state == "reconciling" else f"request_{state}", state, fault)
