"""The twins of the scripts that a grant or a run allows; the decision itself lives in taking.py."""

from collections.abc import Collection, Sequence
from typing import Any

from sfmc_import.faults import Fault, Rejected
from sfmc_import.ledger.wire import milliseconds, result_arguments
from sfmc_import.policy import Policy
from sfmc_import.runs import Accepted, Run
from sfmc_import.states import TRANSITIONS, Followed, Lease
from tests.support.fake_ledger.records import Definition, Request
from tests.support.fake_ledger.store import Store, iso

STARTABLE = {step.source for step in TRANSITIONS if step.event == "started"}


class Steps:
    """Each method is one script; the caller holds the lock."""

    def __init__(self, store: Store, first_poll: float) -> None:
        self.store = store
        self.first_poll = first_poll

    def granted(self, grant: Lease) -> tuple[Request | None, Request | None, Definition | None]:
        found = self.store.find(grant.request_id)
        if found is None:
            return None, None, None
        d = self.store.definition(found)
        if d.holder != grant.request_id or d.fence != grant.fence:
            return None, found, None
        return found, found, d

    def write_probe(self, who: str, count: int) -> bool:
        lost = self.store.pulses.get(who, 0) < count - 1
        self.store.pulses[who] = count
        if lost:
            self.store.loss = (self.store.now, dict(self.store.newest))
        return lost

    def renew_intent(self, grant: Lease, known: Collection[str] | None, *, above: bool = False) -> float | None:
        r, _, d = self.granted(grant)
        if r is None or d is None or r.state != "starting":
            return None
        r.sent = True
        if known is not None:
            r.known = sorted(known)
            r.above = self.store.newest.get(r.mid) if above else None
            self.store.note_newest(r.mid, max((one for one in known if one.isdigit()), key=int, default=None))
        self.store.lease(r, d)
        return self.store.times["lease"] / 1000

    def withdraw_intent(self, grant: Lease) -> bool:
        r, _, _ = self.granted(grant)
        if r is None or r.state != "starting":
            return False
        r.sent = False
        return True

    def started(self, grant: Lease, start: Accepted, window: float, policy: Policy, *, reconciled: bool) -> bool:
        r = self.store.find(grant.request_id)
        if r is None and not reconciled:
            r = self.store.create(
                Request(id=grant.request_id, mid=grant.mid, key=grant.customer_key, at=self.store.now)
            )
        if r is None:
            return False
        if reconciled and r.task is None and not self._may_claim(grant, r, start):
            return False
        if not reconciled or r.task is None:
            self.store.tasks.set((r.mid, start.task_id), r.id, self.store.now + self.store.times["request_ttl"])
        if r.task or r.state not in STARTABLE:
            return r.task == start.task_id
        self._commit(r, start, milliseconds(window * 3600), policy)
        self._tell_started(r, window, reconciled=reconciled)
        return True

    def _may_claim(self, grant: Lease, r: Request, start: Accepted) -> bool:
        """A run found by looking needs a valid grant and must belong to nobody."""
        claimed = self.store.tasks.get((r.mid, start.task_id), self.store.now)
        return claimed in {None, r.id} and self.granted(grant)[0] is not None

    def _commit(self, r: Request, start: Accepted, window: int, policy: Policy) -> None:
        store, d = self.store, self.store.definition(r)
        if r.state != "starting":
            store.leave_queue(r)
            store.remember(r)
        r.task, r.soap, r.started, r.looks, r.sent = start.task_id, start.soap_request_id, store.now, 0, False
        r.follow_until = store.now + milliseconds(policy.follow_deadline)
        store.open_window(r, d, window)
        if d.holder in {None, r.id}:
            d.holder, d.lease = r.id, 0
        store.note_newest(r.mid, r.task)
        store.keep(d)
        store.due_at(r, store.now + milliseconds(self.first_poll))

    def _tell_started(self, r: Request, window: float, *, reconciled: bool) -> None:
        d = self.store.definition(r)
        opens = iso(d.window) if window > 0 else None
        matched = "reconciled" if reconciled else "reply"
        self.store.move(r, "started", window_opens=opens, matched=matched)

    def retry(self, grant: Lease, fault: Fault, delay: float) -> str | None:
        r, found, d = self.granted(grant)
        if r is None or d is None:
            return "gave_up" if found is not None and found.state == "gave_up" else None
        if r.state == "retrying":
            return r.state
        if r.state not in {"starting", "reconciling"}:
            return None
        pause = milliseconds(delay)
        r.sent, r.owner, r.lost, r.nb = False, "", 0, self.store.now + pause
        if r.nb > (r.until or 0) and r.state == "starting":
            self._end(r, "gave_up", code=fault.code, text=fault.text)
            return r.state
        self.store.move(r, "retrying", code=fault.code, text=fault.text, retry_in=pause / 1000)
        d.lease = 0
        self.store.due_at(r, r.nb)
        return r.state

    def _end(self, r: Request, outcome: str, **extra: Any) -> None:
        """End a request that led to nothing: its file and source event may be announced again."""
        self.store.move(r, outcome, **extra)
        self.store.forget(r)
        self.store.finish(r)
        self.store.release(r)

    def mark_ambiguous(self, grant: Lease, fault: Fault, delay: float, policy: Policy) -> bool:
        r, _, d = self.granted(grant)
        if r is None or d is None or r.state not in {"starting", "reconciling"}:
            return False
        if r.state == "reconciling":
            return True
        r.nb, r.owner, d.lease = self.store.now + milliseconds(delay), "", 0
        r.look_until = self.store.now + milliseconds(policy.reconcile_deadline)
        self.store.move(r, "reconciling", code=fault.code, text=fault.text)
        self.store.due_at(r, r.nb)
        return True

    def reconcile_later(self, grant: Lease, delay: float) -> bool:
        r, _, d = self.granted(grant)
        if r is None or d is None or r.state != "reconciling":
            return False
        r.nb, r.owner, r.lost, d.lease = self.store.now + milliseconds(delay), "", 0, 0
        self.store.due_at(r, r.nb)
        return True

    def record_start_unknown(self, grant: Lease, candidates: Sequence[str], window: float) -> bool:
        r, found, d = self.granted(grant)
        if r is None or d is None:
            return found is not None and found.state == "start_unknown"
        if r.state != "reconciling":
            return False
        self.store.open_window(r, d, milliseconds(window * 3600))
        opens = iso(d.window) if window > 0 else None
        self.store.move(r, "start_unknown", window_opens=opens, candidates=list(candidates) or None)
        self.store.finish(r)
        self.store.release(r)
        return True

    def reject(self, grant: Lease, fault: Rejected) -> bool:
        r, found, _ = self.granted(grant)
        if r is None:
            return found is not None and found.state == "rejected"
        if r.state != "starting":
            return False
        self._end(r, "rejected", code=fault.code, text=fault.text)
        return True

    def progressed(self, run: Followed, status: str | None, delay: float) -> None:
        r = self.store.find(run.request_id)
        if r is None or r.state != "started" or r.task != run.task_id:
            return
        r.looks += 1
        if status and status != r.status:
            r.status = status
            self.store.move(r, "started", import_status=status)
        self.store.due_at(r, self.store.now + milliseconds(delay))

    def ended(self, run: Followed, outcome: str, result: Run | None, policy: Policy) -> None:
        r = self.store.find(run.request_id)
        if r is None or r.state != "started" or r.task != run.task_id:
            return
        if outcome == "follow_timed_out" and self.store.now < r.follow_until:
            return
        d = self.store.definition(r)
        if outcome == "import_failed" and policy.on_error == "free":
            if d.by == r.id:
                d.window, d.by = d.before, d.before_by
            self.store.forget(r)
        self.store.move(r, outcome, **result_arguments(result))
        self.store.finish(r)
        self.store.release(r)

    def resolve(self, request_id: str, task: str | None, operator: str, reason: str | None, policy: Policy) -> bool:
        r = self.store.find(request_id)
        if r is None:
            return False
        if task is None:
            return self._not_started(r, operator=operator, reason=reason or r.reason)
        claimed = self.store.tasks.get((r.mid, task), self.store.now)
        if r.task or r.state not in {"start_unknown", "not_started"} or claimed not in {None, r.id}:
            return r.task == task
        self.store.tasks.set((r.mid, task), r.id, self.store.now + self.store.times["request_ttl"])
        self.store.remember(r)
        r.task, r.started, r.looks = task, self.store.now, 0
        r.follow_until = self.store.now + milliseconds(policy.follow_deadline)
        d = self.store.definition(r)
        if d.holder is None:
            d.holder, d.lease = r.id, 0
        self.store.note_newest(r.mid, task)
        self.store.keep(d)
        self.store.due_at(r, self.store.now)
        self.store.move(r, "started", matched="operator", operator=operator, reason=reason or r.reason)
        return True

    def _not_started(self, r: Request, **said: str | None) -> bool:
        if r.state != "start_unknown":
            return r.state == "not_started"
        d = self.store.definition(r)
        if d.by == r.id:
            d.window, d.by = d.before, d.before_by
        self.store.forget(r)
        self.store.move(r, "not_started", **said)
        self.store.release(r)
        return True

    def resume(self, request_id: str, policy: Policy) -> bool:
        r = self.store.find(request_id)
        if r is None or r.state not in {"started", "follow_timed_out"}:
            return False
        if r.state == "started":
            self.store.due[r.id] = self.store.now
            return True
        d = self.store.definition(r)
        r.follow_until, r.looks = self.store.now + milliseconds(policy.follow_deadline), 0
        if d.holder is None:
            d.holder, d.lease = r.id, 0
            self.store.keep(d)
        self.store.move(r, "started", import_status=r.status, resumed=True)
        self.store.due_at(r, self.store.now)
        return True
