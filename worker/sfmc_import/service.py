"""Carries a request from claim to its run: start, perform, record, reconcile. Then see `following`."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import assert_never

from sfmc_import import earlier_runs, identity, losses, new_runs, retrying
from sfmc_import.checking import Ahead, Holds, Mismatch, NearMidnight, TooOld, Verdict, check
from sfmc_import.faults import ABSENT, UNPROVED, Ambiguous, Fault, NotApplied, Rejected
from sfmc_import.identity import Identified, NotIdentified, identify
from sfmc_import.outcomes import LEASE_LOST, Outcome, Work, as_asked, explain, of_fault
from sfmc_import.policy import Policy
from sfmc_import.ports import Deps, LedgerUnavailableError, Refusal
from sfmc_import.request import StartRequest
from sfmc_import.retrying import RetryPolicy, Times
from sfmc_import.runs import Accepted, Definition, ManyMatches, NoMatch, OneMatch
from sfmc_import.states import AlreadyEnded, Decision, Lease, NotYet, ReadFirst, Reconcile, StartNow

MayStart = Callable[[], Holds | Refusal]


# --- Start: claim the request and do what the ledger decides.


def start(request: StartRequest, owner: str, deps: Deps) -> Outcome:
    """Carry a request as far as it can go now; `owner` is unique to this call.

    A message with an ETA is recorded only: it is due at its ETA, and the next sweep wakes it.

    Raises LedgerUnavailableError while Redis is unavailable. What was recorded before stays recorded. Raises
    IdTakenError for a message with the id of another request, which goes on as it was.
    """
    return _finish(begin(request, owner, deps))


def begin(request: StartRequest, owner: str, deps: Deps) -> Outcome | Work:
    """Do what the ledger decides alone; gives the outcome, or the work that is left and asks Marketing Cloud.

    What was begun must be carried on: it may have a lease.
    """
    if request.not_before is not None:
        deps.ledger.accept(request)
        return Outcome("request_accepted", "accepted")
    found = identity.at_once(request, deps)
    if found is None:
        return lambda: _finish(_go_on(identify(request, owner, deps), owner, deps))
    return _go_on(found, owner, deps)


def _finish(begun: Outcome | Work) -> Outcome:
    return begun if isinstance(begun, Outcome) else begun()


def _go_on(found: Identified | NotIdentified | Decision, owner: str, deps: Deps) -> Outcome | Work:
    if isinstance(found, NotIdentified):
        return _record_unresolved(found, deps)
    return _act(found, owner, deps) if isinstance(found, Identified) else explain(found)


def _act(found: Identified, owner: str, deps: Deps, *, is_read_again: bool = False) -> Outcome | Work:
    policy = deps.policies(found.request.mid, found.customer_key)
    asked, oldest = deps.clock.boottime(), None if is_read_again else deps.timing.check_age
    decision = deps.ledger.claim(found.request, owner, policy, found.definition, _age(found.definition, deps), oldest)
    if isinstance(decision, (StartNow, Reconcile)):
        deps.clock.note_redis(decision.now, asked)
    if isinstance(decision, ReadFirst):
        return lambda: _finish(_act_on_newer(found, owner, deps))
    if isinstance(decision, Reconcile):
        return lambda: as_asked(found, reconcile(decision, policy, deps))
    if isinstance(decision, AlreadyEnded) or (isinstance(decision, NotYet) and not decision.read_before):
        return as_asked(found, explain(decision))
    return lambda: as_asked(found, _ask(found, decision, asked, policy, deps))


def _act_on_newer(found: Identified, owner: str, deps: Deps) -> Outcome | Work:
    now = identity.resolve_again(found, deps.timing.check_age, deps)
    if isinstance(now, NotIdentified):
        return _record_unresolved(now, deps)
    return _act(now, owner, deps, is_read_again=True)


def _ask(found: Identified, decision: StartNow | NotYet, asked: float, policy: Policy, deps: Deps) -> Outcome:
    outcome = _perform_start(decision, asked, policy, deps) if isinstance(decision, StartNow) else explain(decision)
    if decision.read_before and outcome.state in {"deferred", "retrying"}:
        _read_again(found, asked, deps)
    return outcome


def _age(answer: Definition | Refusal | None, deps: Deps) -> float:
    """Give the seconds since this answer was asked for; 0 where it is as new as can be."""
    asked_at = None if answer is None or isinstance(answer, NotApplied) else answer.asked_at
    return 0.0 if asked_at is None else max(0.0, deps.clock.boottime() - asked_at)


def _read_again(found: Identified, since: float, deps: Deps) -> None:
    """Note what the definition is now: what changes while the request waits must be seen, what changed before not.

    Where it cannot be read now, the request is compared with nothing until it waits again.
    """
    max_age = max(0.0, deps.clock.boottime() - since)
    now = deps.definitions.get(found.request.mid, found.customer_key, max_age=max_age)
    if isinstance(now, Definition):
        with suppress(LedgerUnavailableError):
            deps.ledger.read_again(found.request.request_id, now, _age(now, deps))


_UNRESOLVED_EVENTS = {
    "retrying": "start_retry_scheduled",
    "rejected": "start_rejected",
    "gave_up": "request_gave_up",
}


def _record_unresolved(found: NotIdentified, deps: Deps) -> Outcome:
    """Without the definition there is no window to ask: the request waits in the ledger, or ends."""
    request, fault = found.request, found.fault
    policy = deps.policies(request.mid, request.customer_key)
    step = retrying.after(fault, request.attempt + 1, Times(chance=deps.chance()), deps.timing.scheduled)
    # What is refused for good waits as well if it was refused before the request came.
    pause = step.after if isinstance(step, retrying.Retry) else retrying.CONFIRM_SECONDS
    said_ago = _age(fault, deps)
    state = deps.retry_ledger(lambda: deps.ledger.unresolved(request, fault, pause, policy, said_ago))
    event, facts = _UNRESOLVED_EVENTS.get(state, "request_" + state), {"retry_in": round(pause, 1)}
    return of_fault(event, state, fault, **(facts if state == "retrying" else {}))


def _perform_start(decision: StartNow, asked: float, policy: Policy, deps: Deps) -> Outcome:
    found = _definition_now(decision.lease, asked, deps)
    definition = identity.now_of(found, decision, asked, policy, deps)
    if not isinstance(definition, Definition):
        return _record_refusal(decision, definition, policy, deps)
    return _start_as(definition, decision, asked, deps)


def _start_as(definition: Definition, decision: StartNow, asked: float, deps: Deps, *, again: bool = False) -> Outcome:
    """Start a request under the CustomerKey that its definition has now; `again` if Perform did not know the last."""
    decision = identity.as_it_is_now(definition, decision)
    lease = decision.lease
    policy = deps.policies(lease.mid, lease.customer_key)
    may_start = partial(_may_start, decision, asked, policy, deps)
    holds = may_start()
    if not isinstance(holds, Holds):
        return _record_refusal(decision, holds, policy, deps)
    answer = _send_if_safe(decision, policy.window(definition), policy, may_start, deps)
    if answer is None:
        return LEASE_LOST
    if isinstance(answer, Rejected):
        deps.definitions.forget(lease.mid, lease.customer_key)
    if isinstance(answer, Rejected) and answer.code == ABSENT and not again:
        found = _key_now(decision, answer, deps)
        if isinstance(found, Definition):
            return _start_as(found, decision, asked, deps, again=True)
        answer = found
    if not isinstance(answer, Accepted):
        return _record_fault(decision, _unconfirmed(answer, asked) or answer, policy, deps)
    outcome = _record_start(lease, answer, definition, policy, deps)
    hints = {"despite": holds.despite, "not_compared": holds.not_compared}
    return replace(outcome, facts={**outcome.facts, **{name: text for name, text in hints.items() if text}})


def _key_now(decision: StartNow, refusal: Rejected, deps: Deps) -> Definition | Refusal:
    """Find the definition of a request whose CustomerKey was changed after it was read a moment ago."""
    if decision.object_id is None or decision.read_before:
        return refusal
    found = identity.by_object(decision, deps.clock.boottime(), deps)
    is_same = isinstance(found, Definition) and found.customer_key == decision.lease.customer_key
    return refusal if is_same or isinstance(found, Rejected) else found


# --- Check: what was true at arrival must be true at use.

_LETS_GO = frozenset(
    {"pattern_mismatch", "near_midnight", "window", "after", "running_limit", identity.OTHER, identity.KEY_CHANGED}
)
"""Reasons to wait that are the request's own: others may have the definition meanwhile."""


def _definition_now(lease: Lease, since: float, deps: Deps) -> Definition | Refusal:
    """Read the definition, unless it was read a moment ago; what refuses the request is asked for `since` then."""
    found = deps.definitions.get(lease.mid, lease.customer_key, max_age=deps.timing.check_age)
    return _since(found, lease, since, deps) if isinstance(found, Rejected) else found


def _since(found: Definition | Refusal, lease: Lease, since: float, deps: Deps) -> Definition | Refusal:
    """Ask anew if this was asked for before `since`: it may have been another then."""
    if _is_older(found, since):
        max_age = max(0.0, deps.clock.boottime() - since)
        found = deps.definitions.get(lease.mid, lease.customer_key, max_age=max_age)
    return _unconfirmed(found, since) or found


def _is_older(answer: Definition | Refusal, since: float) -> bool:
    return not isinstance(answer, NotApplied) and answer.asked_at is not None and answer.asked_at < since


def _unconfirmed(answer: object, since: float) -> NotApplied | None:
    """Give the reason to wait where something is refused for good, but was refused before `since`."""
    if isinstance(answer, Rejected) and _is_older(answer, since):
        return NotApplied(answer.code, answer.text, retry_after=retrying.CONFIRM_SECONDS)
    return None


def _may_start(decision: StartNow, asked: float, policy: Policy, deps: Deps) -> Holds | Refusal:
    """Say for how long a start would import the file of the request; on Redis time, counted on since `asked`.

    The definition is asked for anew before each attempt: between two of them a worker may have stood still for hours.
    """
    definition = _definition_now(decision.lease, asked, deps)
    if isinstance(definition, Definition) and identity.is_other(definition, decision):
        return identity.key_changed(decision)
    verdict = _verdict(definition, decision, asked, deps)
    if isinstance(verdict, (Mismatch, TooOld)) and policy.when_mismatch != "start":
        verdict = _verdict(_since(definition, decision.lease, asked, deps), decision, asked, deps)
    if not isinstance(verdict, (NearMidnight, Mismatch, TooOld)):
        return verdict
    return _despite(verdict, policy)


def _despite(verdict: NearMidnight | Mismatch | TooOld, policy: Policy) -> Holds | Refusal:
    if policy.when_mismatch == "start":
        return Holds(despite=verdict.text)
    if isinstance(verdict, TooOld):
        return Rejected("file_too_old", verdict.text)
    if isinstance(verdict, NearMidnight):
        return NotApplied("near_midnight", verdict.text, retry_after=verdict.seconds)
    if policy.when_mismatch == "wait":
        return NotApplied("pattern_mismatch", verdict.text)
    return Rejected("pattern_mismatch", verdict.text)


def _verdict(definition: Definition | Refusal, decision: StartNow, asked: float, deps: Deps) -> Verdict | Refusal:
    if not isinstance(definition, Definition):
        return definition
    now = decision.now + deps.clock.boottime() - asked
    file = (decision.file_name, decision.modified_at)
    service = deps.clock.service()
    clocks = Ahead(deps.clock.wall() - now, None if service is None else service - now)
    return check(definition, decision.first, file, now, deps.timing.days, clocks)


def _record_refusal(decision: StartNow, fault: Refusal, policy: Policy, deps: Deps) -> Outcome:
    """Nothing may be sent now. Before this ends the request, the run of an earlier attempt is looked for."""
    found = earlier_runs.look(decision, deps) if isinstance(fault, Rejected) else None
    if isinstance(found, Accepted):
        # The window of its intent counts, for the definition may be gone.
        return _record_start(decision.lease, found, Definition(customer_key=decision.lease.customer_key), policy, deps)
    return _record_fault(decision, found or fault, policy, deps)


# --- Perform: record the intent, then send. None means that another worker has the lease.

# What must be left of the lease when the last byte is sent, in seconds: clocks and threads are not exact.
_MARGIN = 1.0
_LEDGER_DOWN = "ledger_down"


def _send_if_safe(
    decision: StartNow, window: float, policy: Policy, may_start: MayStart, deps: Deps
) -> Accepted | Fault | None:
    """List the runs that exist, or the newer ones where the newest is known and that is enough, and send Perform.

    A worker that has just begun lists them in any case: the answer names the time of Marketing Cloud, thus the day.
    """
    lease, holds = decision.lease, may_start()
    if not isinstance(holds, Holds):
        return holds
    intend = partial(deps.ledger.record_intent, lease, window=window, policy=policy)
    newest = decision.newest if decision.loss_age is None and decision.earlier is None else None
    if not deps.baseline and newest is not None and deps.clock.service() is not None:
        return _perform(lease, partial(intend, (), above=True), may_start, deps)
    bound = None if deps.whole_baseline else newest
    runs = new_runs.runs_of(decision, deps, above=bound)
    if isinstance(runs, (NotApplied, Rejected)):
        return runs
    found = earlier_runs.find(decision, runs, deps) or losses.check(decision, runs, window, deps)
    if found:
        return found
    intend = partial(intend, [run.task_id for run in runs], bound=bound)
    return _perform(lease, intend, may_start, deps)


def _perform(
    lease: Lease, intend: Callable[[], float | NotApplied | None], may_start: MayStart, deps: Deps
) -> Accepted | Fault | None:
    """Record the intent and send Perform, more than once only while nothing was applied."""
    intended = False

    def attempt() -> Accepted | Fault | None:
        nonlocal intended
        asked, holds = deps.clock.boottime(), may_start()
        if not isinstance(holds, Holds):
            return holds
        try:
            left = deps.ledger.renew_intent(lease) if intended else intend()
        except LedgerUnavailableError as error:
            # Without a recorded intent nothing is sent, and what was not sent was not applied.
            return NotApplied(_LEDGER_DOWN, str(error))
        if not isinstance(left, float):
            return left
        intended = True
        return _send(lease, asked + min(left - deps.timing.call - _MARGIN, holds.seconds), deps)

    answer = deps.retry_call(attempt)
    # Tried again within seconds; after that it is what Redis, or its replica, does with each request.
    if isinstance(answer, NotApplied) and answer.code == _LEDGER_DOWN:
        return replace(answer, account_wide=True)
    return answer


def _send(lease: Lease, not_after: float, deps: Deps) -> Accepted | Fault:
    answer = deps.marketing_cloud.start(lease.mid, lease.customer_key, not_after=not_after)
    if isinstance(answer, NotApplied):
        # An intent that is not withdrawn costs one reconciliation after a crash.
        with suppress(LedgerUnavailableError):
            deps.ledger.withdraw_intent(lease, unproved=answer.code in UNPROVED)
    return answer


# --- Record: write down how the attempt ended. `retrying.after` decides what follows a fault.


_TAKEN = Ambiguous("other_task", "the reply names the Task.ID of the run of another request")


def _record_start(lease: Lease, answer: Accepted, definition: Definition, policy: Policy, deps: Deps) -> Outcome:
    window = policy.window(definition)
    found = answer.is_found
    recorded = deps.retry_ledger(lambda: deps.ledger.started(lease, answer, window, policy, reconciled=found))
    if not (recorded or found) and deps.ledger.mark_ambiguous(lease, _TAKEN, deps.timing.results_delay, policy):
        return of_fault("start_ambiguous", "reconciling", _TAKEN)
    facts = {"task_id": answer.task_id, "soap_request_id": answer.soap_request_id, "window_hours": window}
    return Outcome("import_started" if recorded else "start_not_recorded", "started", facts)


def _record_fault(decision: StartNow, fault: Fault, policy: Policy, deps: Deps) -> Outcome:
    lease = decision.lease
    match _after(fault, lease, deps.timing.scheduled, deps, looked_up=decision.denied):
        case retrying.Retry(pause) | retrying.GiveUp(pause):
            return _schedule_retry("start_retry_scheduled", lease, fault, pause, deps)
        case retrying.Reconcile(pause):
            recorded = deps.retry_ledger(lambda: deps.ledger.mark_ambiguous(lease, fault, pause, policy))
            return of_fault("start_ambiguous", "reconciling", fault) if recorded else LEASE_LOST
        case retrying.Reject(code, text):
            state = deps.retry_ledger(lambda: deps.ledger.reject(lease, Rejected(code, text)))
            return _of_end(state, fault) if state else LEASE_LOST
        case _ as never:
            assert_never(never)


def _after(
    fault: Fault,
    lease: Lease,
    policy: RetryPolicy,
    deps: Deps,
    *,
    left_of_deadline: float = float("inf"),
    looked_up: str | None = None,
) -> retrying.Next:
    times = Times(chance=deps.chance(), left_of_deadline=left_of_deadline, looked_up=looked_up)
    return retrying.after(fault, lease.attempt, times, policy)


def _schedule_retry(event: str, lease: Lease, fault: Fault, pause: float, deps: Deps) -> Outcome:
    """Make the request due again, or end it: the ledger holds the retry deadline and answers which."""
    ways = {"let_go": fault.code in _LETS_GO, "anew": fault.code == identity.OTHER}
    state = deps.retry_ledger(lambda: deps.ledger.retry(lease, fault, pause, **ways))
    if state is None:
        return LEASE_LOST
    if state == "retrying":
        return of_fault(event, state, fault, retry_in=round(pause, 1))
    return _of_end(state, fault)


_END_EVENTS = {"rejected": "start_rejected", "start_unknown": "start_unknown", "reconciling": "start_ambiguous"}


def _of_end(state: str, fault: Fault) -> Outcome:
    """An end without a run; an attempt that was answered without proof makes it a look, or an unknown start."""
    return of_fault(_END_EVENTS.get(state, "request_" + state), state, fault)


# --- Reconcile: find out whether an ambiguous start was applied.

_NOTHING_STARTED = NotApplied("nothing_started", "no new run appeared, and the policy allows to repeat the start")
_DENIED = NotApplied("nothing_started", "Marketing Cloud denied the start, and no new run appeared")
_NO_RUN_YET = NotApplied("no_run_yet", "no new run appeared so far")


def reconcile(decision: Reconcile, policy: Policy, deps: Deps) -> Outcome:
    """Look for a new run of the definition and record what it proves; look again later when it proves nothing."""
    lease = decision.lease
    runs = new_runs.runs_in_doubt(decision, deps)
    if isinstance(runs, (NotApplied, Rejected)):
        return _after_failed_query(decision, runs, policy, deps)
    found = new_runs.find(runs, decision, lease.mid, deps)
    if isinstance(found, NotApplied):
        return _after_failed_query(decision, found, policy, deps)
    match found.match(is_last=decision.is_last):
        case OneMatch(task_id):
            return _record_found(decision, task_id, policy, deps)
        case ManyMatches(task_ids):
            return _record_unknown(decision, task_ids, policy, deps)
        case NoMatch(is_last=True):
            return _record_nothing(decision, policy, deps)
        case NoMatch():
            return _reconcile_later(decision, _NO_RUN_YET, Outcome("reconciling", "reconciling"), policy, deps)


def _record_found(decision: Reconcile, task_id: str, policy: Policy, deps: Deps) -> Outcome:
    lease, definition = decision.lease, _definition(decision, deps)
    taken = identity.taken_by_another(lease.mid, lease.customer_key, decision.object_id, deps)
    if taken and decision.is_last:
        return _record_unknown(decision, (task_id,), policy, deps)
    if taken is not None:
        return _after_failed_query(decision, taken, policy, deps)
    if isinstance(definition, NotApplied):
        return _after_failed_query(decision, definition, policy, deps)
    start, window = Accepted(task_id=task_id), policy.window(definition)
    recorded = deps.retry_ledger(lambda: deps.ledger.started(lease, start, window, policy, reconciled=True))
    facts = {"task_id": task_id, "matched": "reconciled"}
    return Outcome("import_started", "started", facts) if recorded else LEASE_LOST


def _record_unknown(decision: Reconcile, candidates: tuple[str, ...], policy: Policy, deps: Deps) -> Outcome:
    lease, definition = decision.lease, _definition(decision, deps)
    if isinstance(definition, NotApplied):
        return _after_failed_query(decision, definition, policy, deps)
    window = policy.window(definition)
    recorded = deps.retry_ledger(lambda: deps.ledger.record_start_unknown(lease, candidates, window))
    return Outcome("start_unknown", "start_unknown", {"candidates": list(candidates)}) if recorded else LEASE_LOST


def _record_nothing(decision: Reconcile, policy: Policy, deps: Deps) -> Outcome:
    """The time to look is over and no run appeared: repeat the start if it was denied, or the policy allows it."""
    if decision.denied:
        return _repeat(decision, _DENIED, deps)
    definition = _definition(decision, deps)
    if isinstance(definition, NotApplied) or not policy.may_repeat(definition):
        return _record_unknown(decision, (), policy, deps)
    return _repeat(decision, _NOTHING_STARTED, deps)


def _repeat(decision: Reconcile, why: NotApplied, deps: Deps) -> Outcome:
    step = _after(why, decision.lease, deps.timing.repeat, deps)
    assert isinstance(step, retrying.Retry)
    return _schedule_retry("start_repeated", decision.lease, why, step.after, deps)


def _definition(decision: Reconcile, deps: Deps) -> Definition | NotApplied:
    """Read the definition, whose window and UpdateType decide; one that is gone or refused sets neither."""
    answer = deps.definitions.get(decision.lease.mid, decision.lease.customer_key)
    if not isinstance(answer, Rejected):
        return answer
    return Definition(customer_key=decision.lease.customer_key)


def _after_failed_query(decision: Reconcile, fault: Refusal, policy: Policy, deps: Deps) -> Outcome:
    outcome = of_fault("reconcile_retry_scheduled", "reconciling", fault)
    return _reconcile_later(decision, fault, outcome, policy, deps)


def _reconcile_later(decision: Reconcile, fault: Refusal, outcome: Outcome, policy: Policy, deps: Deps) -> Outcome:
    """Look again after a pause, unless `retrying.after` says that the search has ended."""
    lease, left = decision.lease, 0.0 if decision.is_last else float("inf")
    step = _after(fault, lease, deps.timing.reconcile, deps, left_of_deadline=left)
    if isinstance(step, retrying.Reject):
        return _record_unknown(decision, (), policy, deps)
    return outcome if deps.retry_ledger(lambda: deps.ledger.reconcile_later(lease, fault, step.after)) else LEASE_LOST
