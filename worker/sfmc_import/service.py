"""Use case: carry a request as far as it can go now, to a recorded start or to what stands in its way."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sfmc_import.faults import Ambiguous, Fault, NotApplied, Rejected
from sfmc_import.policy import Policy
from sfmc_import.ports import Deps, Ledger, LedgerUnavailableError
from sfmc_import.request import StartRequest
from sfmc_import.runs import (
    RUNNING,
    Accepted,
    Definition,
    ManyMatches,
    NoMatch,
    OneMatch,
    Run,
    RunEnded,
    is_newer,
    match_runs,
    run_state,
)
from sfmc_import.states import Decision, DueRequest, Followed, Lease, Reconcile, StartNow

_WAITING = "Redis lost its last writes; waiting until earlier starts would show"
_UNDOCUMENTED = "Redis lost its last writes, and a run exists that the ledger does not know"


def check_write_loss(go: StartNow, runs: Sequence[Run], deps: Deps) -> NotApplied | Ambiguous | None:
    """Say why nothing may be sent now: rows may still be missing, or a run is there that may be ours.

    In the second case the intent is written as it would have been before that run, so that reconciling finds it.
    """
    if go.loss_age is None:
        return None
    if go.loss_age < deps.timing.results_delay:
        return NotApplied("writes_lost", _WAITING, retry_after=deps.timing.results_delay - go.loss_age)
    strangers = _unassigned_runs(go, runs, deps)
    if not strangers:
        return None
    known = [run.task_id for run in runs if run.task_id not in strangers]
    return Ambiguous("writes_lost", _UNDOCUMENTED) if deps.ledger.record_intent(go.grant, known) is not None else None


def _unassigned_runs(go: StartNow, runs: Sequence[Run], deps: Deps) -> Collection[str]:
    """Runs that belong to no request and began after the last write that survived; without one, those that go on."""
    unclaimed = deps.ledger.unassigned_task_ids(go.grant.mid, [run.task_id for run in runs])
    if go.newest is None:
        return {run.task_id for run in runs if run.task_id in unclaimed and run.status in RUNNING}
    return {task_id for task_id in unclaimed if is_newer(task_id, go.newest)}


FOLLOW_BATCH = 200


@dataclass(frozen=True, slots=True)
class SweepResult:
    """How many requests were woken, how many runs are to be looked at, and which records were missing."""

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
    running = [due.request_id for due in found if due.state == "started"]
    for due in waiting:
        wake(due)
    for first in range(0, len(running), FOLLOW_BATCH):
        follow(running[first : first + FOLLOW_BATCH])
    missing_record = tuple(due.request_id for due in found if due.state == "missing_record")
    return SweepResult(len(waiting), len(running), missing_record)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a request stands now: a static event name for the log, the state, and facts worth a field."""

    event: str
    state: str
    facts: dict[str, Any] = field(default_factory=dict)


def of_fault(event: str, state: str, fault: Fault, **facts: Any) -> Outcome:
    """Tell of a fault by its code and text."""
    return Outcome(event, state, {"code": fault.code, "text": fault.text, **facts})


LEASE_LOST = Outcome("lease_lost", "fenced")


def of_retry(event: str, state: str | None, fault: Fault, pause: float) -> Outcome:
    """Tell of a postponed start, or that it was given up; `state` is what the ledger answered."""
    if state is None:
        return LEASE_LOST
    if state == "gave_up":
        return of_fault("request_gave_up", state, fault)
    return of_fault(event, state, fault, retry_in=round(pause, 1))


_NOTHING_STARTED = NotApplied("nothing_started", "no new run appeared, and the policy allows to repeat the start")


def reconcile(decision: Reconcile, policy: Policy, deps: Deps) -> Outcome:
    """Look for a new run of the definition and record what it proves; look again later when it proves nothing."""
    grant = decision.grant
    runs = deps.marketing_cloud.runs_of(grant.mid, grant.customer_key)
    if isinstance(runs, NotApplied) or (isinstance(runs, Rejected) and not decision.late):
        return _postpone(decision, runs, deps)
    if isinstance(runs, Rejected):
        return _unknown(decision, (), policy, deps)
    new = frozenset(run.task_id for run in runs if _is_new(run, decision))
    verdict = match_runs(deps.ledger.unassigned_task_ids(grant.mid, new), late=decision.late)
    if isinstance(verdict, OneMatch):
        return _found(decision, verdict, policy, deps)
    if isinstance(verdict, ManyMatches):
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


def _found(decision: Reconcile, verdict: OneMatch, policy: Policy, deps: Deps) -> Outcome:
    definition = _definition(decision, deps)
    if isinstance(definition, NotApplied):
        return _postpone(decision, definition, deps)
    start, window = Accepted(task_id=verdict.task_id), policy.window(definition)
    recorded = deps.retry_ledger(lambda: deps.ledger.started(decision.grant, start, window, policy, reconciled=True))
    facts = {"task_id": verdict.task_id, "matched": "reconciled"}
    return Outcome("import_started", "started", facts) if recorded else LEASE_LOST


def _unknown(decision: Reconcile, candidates: tuple[str, ...], policy: Policy, deps: Deps) -> Outcome:
    definition = _definition(decision, deps)
    if isinstance(definition, NotApplied):
        return _postpone(decision, definition, deps)
    window = policy.window(definition)
    recorded = deps.retry_ledger(lambda: deps.ledger.record_start_unknown(decision.grant, candidates, window))
    return Outcome("start_unknown", "start_unknown", {"candidates": list(candidates)}) if recorded else LEASE_LOST


def _nothing(decision: Reconcile, verdict: NoMatch, policy: Policy, deps: Deps) -> Outcome:
    if not verdict.late:
        return _reconcile_later(decision, deps, Outcome("reconciling", "reconciling"))
    definition = _definition(decision, deps)
    if isinstance(definition, NotApplied) or not policy.may_repeat(definition):
        return _unknown(decision, (), policy, deps)
    pause = deps.timing.retry.pause(decision.grant.attempt, deps.chance())
    state = deps.retry_ledger(lambda: deps.ledger.retry(decision.grant, _NOTHING_STARTED, pause))
    return of_retry("start_repeated", state, _NOTHING_STARTED, pause)


def _postpone(decision: Reconcile, fault: NotApplied | Rejected, deps: Deps) -> Outcome:
    return _reconcile_later(decision, deps, of_fault("reconcile_retry_scheduled", "reconciling", fault))


def _reconcile_later(decision: Reconcile, deps: Deps, report: Outcome) -> Outcome:
    pause = deps.timing.reconcile.pause(decision.grant.attempt, deps.chance())
    return report if deps.retry_ledger(lambda: deps.ledger.reconcile_later(decision.grant, pause)) else LEASE_LOST


# What is left of the lease when the last byte may be sent, in seconds: clocks and threads are not exact.
_MARGIN = 1.0


def start(request: StartRequest, owner: str, deps: Deps) -> Outcome:
    """Decide about a request and act on the decision; `owner` is unique to this call.

    Raises LedgerUnavailableError when Redis cannot be asked; what was recorded stays recorded.
    """
    policy = deps.policies(request.mid, request.customer_key)
    decision = deps.ledger.claim(request, owner, policy)
    if isinstance(decision, StartNow):
        return _perform_start(decision, policy, deps)
    if isinstance(decision, Reconcile):
        return reconcile(decision, policy, deps)
    return _explain(decision)


def _explain(decision: Decision) -> Outcome:
    assert not isinstance(decision, (StartNow, Reconcile))
    facts = {"held_by": decision.held_by, "opens_in": decision.opens_in}
    return Outcome("request_" + decision.state, decision.state, {k: v for k, v in facts.items() if v is not None})


def _perform_start(go: StartNow, policy: Policy, deps: Deps) -> Outcome:
    grant = go.grant
    definition = deps.definitions.get(grant.mid, grant.customer_key)
    if definition is None:
        definition = Rejected("43010", f"business unit {grant.mid} has no ImportDefinition {grant.customer_key}")
    if not isinstance(definition, Definition):
        return _record(grant, definition, None, policy, deps)
    return _record(grant, _answer(go, deps), definition, policy, deps)


def _answer(go: StartNow, deps: Deps) -> Accepted | Fault | None:
    """List the runs that exist, unless the newest is known and that is enough, and send Perform."""
    if not deps.baseline and go.newest is not None and go.loss_age is None:
        return _perform(go.grant, (), deps, above=True)
    runs = deps.marketing_cloud.runs_of(go.grant.mid, go.grant.customer_key)
    if isinstance(runs, (NotApplied, Rejected)):
        return runs
    return check_write_loss(go, runs, deps) or _perform(go.grant, [run.task_id for run in runs], deps)


def _perform(grant: Lease, known: Collection[str], deps: Deps, *, above: bool = False) -> Accepted | Fault | None:
    """Send Perform, again only while nothing was applied; None when another worker has the lease."""
    intended = False

    def attempt() -> Accepted | Fault | None:
        nonlocal intended
        asked = deps.clock.boottime()
        try:
            left = deps.ledger.renew_intent(grant) if intended else deps.ledger.record_intent(grant, known, above=above)
        except LedgerUnavailableError as error:
            # Without a recorded intent nothing is sent, and what was not sent was not applied.
            return NotApplied("ledger_down", str(error))
        if left is None:
            return None
        intended = True
        return _send(grant, asked + left - deps.timing.call - _MARGIN, deps)

    return deps.retry_call(attempt)


def _send(grant: Lease, not_after: float, deps: Deps) -> Accepted | Fault:
    answer = deps.marketing_cloud.start(grant.mid, grant.customer_key, not_after=not_after)
    if isinstance(answer, NotApplied):
        # A mark that could not be taken back costs a look after a crash, and nothing else.
        with suppress(LedgerUnavailableError):
            deps.ledger.withdraw_intent(grant)
    return answer


def _record(
    grant: Lease, answer: Accepted | Fault | None, definition: Definition | None, policy: Policy, deps: Deps
) -> Outcome:
    if answer is None:
        return LEASE_LOST
    if isinstance(answer, Accepted):
        return _record_start(grant, answer, definition, policy, deps)
    if isinstance(answer, NotApplied):
        pause = answer.retry_after or deps.timing.retry.pause(grant.attempt, deps.chance())
        return of_retry(
            "start_retry_scheduled", deps.retry_ledger(lambda: deps.ledger.retry(grant, answer, pause)), answer, pause
        )
    if isinstance(answer, Ambiguous):
        recorded = deps.retry_ledger(
            lambda: deps.ledger.mark_ambiguous(grant, answer, deps.timing.results_delay, policy)
        )
        return of_fault("start_ambiguous", "reconciling", answer) if recorded else LEASE_LOST
    recorded = deps.retry_ledger(lambda: deps.ledger.reject(grant, answer))
    return of_fault("start_rejected", "rejected", answer) if recorded else LEASE_LOST


def _record_start(grant: Lease, answer: Accepted, definition: Definition | None, policy: Policy, deps: Deps) -> Outcome:
    window = policy.window(definition) if definition else policy.frequency_floor
    recorded = deps.retry_ledger(lambda: deps.ledger.started(grant, answer, window, policy))
    facts = {"task_id": answer.task_id, "soap_request_id": answer.soap_request_id, "window_hours": window}
    return Outcome("import_started" if recorded else "start_not_recorded", "started", facts)


# A Retrieve answers at most 2,500 rows in one batch; a filter of this many ids stays a small request.
_BATCH = 200


def follow(request_ids: Collection[str], deps: Deps) -> list[tuple[Followed, Outcome]]:
    """Look at the runs of these requests; gives a report for each run with news. Safe to run many times at once."""
    by_unit: dict[str, list[Followed]] = defaultdict(list)
    for run in deps.ledger.followed(request_ids):
        by_unit[run.mid].append(run)
    news = []
    for mid, runs in by_unit.items():
        for first in range(0, len(runs), _BATCH):
            news += _poll(mid, runs[first : first + _BATCH], deps)
    return news


def _poll(mid: str, runs: Sequence[Followed], deps: Deps) -> list[tuple[Followed, Outcome]]:
    rows = deps.marketing_cloud.runs(mid, [run.task_id for run in runs])
    if isinstance(rows, (NotApplied, Rejected)):
        fault = of_fault("follow_retry_scheduled", "started", rows, runs=len(runs))
        return [(runs[0], fault), *_record_all(runs, {}, deps)]
    return _record_all(runs, rows, deps)


def _record_all(runs: Sequence[Followed], rows: Mapping[str, Run], deps: Deps) -> list[tuple[Followed, Outcome]]:
    reports = ((run, _record_run(run, rows.get(run.task_id), deps)) for run in runs)
    return [(run, report) for run, report in reports if report is not None]


def _record_run(run: Followed, row: Run | None, deps: Deps) -> Outcome | None:
    verdict = run_state(run, row)
    if isinstance(verdict, RunEnded):
        policy = deps.policies(run.mid, run.customer_key)
        deps.ledger.ended(run, verdict.outcome, row, policy)
        return Outcome("import_ended", verdict.outcome, _counts(row))
    pause = deps.timing.follow.pause(run.looks, deps.chance())
    deps.ledger.progressed(run, verdict.status, pause)
    if verdict.status in {None, run.status}:
        return None
    event = "import_progressed" if verdict.status in RUNNING else "import_status_undocumented"
    return Outcome(event, "started", {"import_status": verdict.status})


def _counts(row: Run | None) -> dict[str, int | None]:
    if row is None:
        return {}
    return {"rows_successful": row.successful, "rows_failed": row.errors, "rows_total": row.total}
