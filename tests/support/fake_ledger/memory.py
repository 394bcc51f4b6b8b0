"""The door of the twin: sfmc_import.ports.Ledger in memory, one lock around each step."""

import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any

from sfmc_import.faults import Fault, Rejected
from sfmc_import.ledger import LedgerSettings
from sfmc_import.policy import Policy
from sfmc_import.request import StartRequest
from sfmc_import.runs import Accepted, Run
from sfmc_import.states import Decision, DueRequest, Followed, Lease
from tests.support.fake_ledger.records import recorded
from tests.support.fake_ledger.steps import Steps
from tests.support.fake_ledger.store import Store
from tests.support.fake_ledger.taking import Taking


class MemoryLedger:
    """Implements sfmc_import.ports.Ledger; `clock` gives milliseconds, `events` are the CloudEvents so far."""

    def __init__(self, clock: Callable[[], int], settings: LedgerSettings) -> None:
        self.store = Store(clock, settings.for_scripts())
        self._steps = Steps(self.store, settings.first_poll)
        self._lock = threading.RLock()

    @property
    def events(self) -> list[dict[str, Any]]:
        with self._lock:
            return list(self.store.events)

    def accept(self, request: StartRequest) -> bool:
        with self._lock:
            if self.store.find(request.request_id) is not None:
                return False
            self.store.create(recorded(request, self.store.now))
            return True

    def refuse(self, request: StartRequest, code: str, text: str) -> None:
        with self._lock:
            if self.accept(request):
                r = self.store.requests[request.request_id]
                self.store.move(r, "rejected", code=code, text=text)
                self.store.finish(r)

    def claim(self, request: StartRequest, owner: str, policy: Policy) -> Decision:
        with self._lock:
            self.accept(request)
            return Taking(self.store, self.store.requests[request.request_id], owner, policy).decide()

    def load(self, request_id: str) -> StartRequest | None:
        with self._lock:
            r = self.store.find(request_id)
            return None if r is None else r.as_request()

    def record_intent(self, grant: Lease, known: Collection[str], *, above: bool = False) -> float | None:
        with self._lock:
            return self._steps.renew_intent(grant, known, above=above)

    def write_probe(self, who: str, count: int) -> bool:
        with self._lock:
            return self._steps.write_probe(who, count)

    def renew_intent(self, grant: Lease) -> float | None:
        with self._lock:
            return self._steps.renew_intent(grant, None)

    def withdraw_intent(self, grant: Lease) -> bool:
        with self._lock:
            return self._steps.withdraw_intent(grant)

    def started(
        self, grant: Lease, start: Accepted, window: float, policy: Policy, *, reconciled: bool = False
    ) -> bool:
        with self._lock:
            return self._steps.started(grant, start, window, policy, reconciled=reconciled)

    def retry(self, grant: Lease, fault: Fault, delay: float) -> str | None:
        with self._lock:
            return self._steps.retry(grant, fault, delay)

    def mark_ambiguous(self, grant: Lease, fault: Fault, delay: float, policy: Policy) -> bool:
        with self._lock:
            return self._steps.mark_ambiguous(grant, fault, delay, policy)

    def reconcile_later(self, grant: Lease, delay: float) -> bool:
        with self._lock:
            return self._steps.reconcile_later(grant, delay)

    def record_start_unknown(self, grant: Lease, candidates: Sequence[str], window: float) -> bool:
        with self._lock:
            return self._steps.record_start_unknown(grant, candidates, window)

    def reject(self, grant: Lease, fault: Rejected) -> bool:
        with self._lock:
            return self._steps.reject(grant, fault)

    def unassigned_task_ids(self, mid: str, task_ids: Collection[str]) -> frozenset[str]:
        with self._lock:
            now = self.store.now
            return frozenset(task for task in task_ids if self.store.tasks.get((mid, task), now) is None)

    def followed(self, request_ids: Collection[str]) -> Sequence[Followed]:
        with self._lock:
            found = (self.store.find(request_id) for request_id in request_ids)
            return [r.as_followed(self.store.now) for r in found if r is not None and r.state == "started"]

    def progressed(self, run: Followed, status: str | None, delay: float) -> None:
        with self._lock:
            self._steps.progressed(run, status, delay)

    def ended(self, run: Followed, outcome: str, result: Run | None, policy: Policy) -> None:
        with self._lock:
            self._steps.ended(run, outcome, result, policy)

    def resume(self, request_id: str, policy: Policy) -> bool:
        with self._lock:
            return self._steps.resume(request_id, policy)

    def resolve(self, request_id: str, task_id: str | None, operator: str, reason: str | None, policy: Policy) -> bool:
        with self._lock:
            return self._steps.resolve(request_id, task_id, operator, reason, policy)

    def due(self, limit: int, pause: float) -> Sequence[DueRequest]:
        with self._lock:
            now = self.store.now
            ready = sorted((at, name) for name, at in self.store.due.items() if at <= now)[:limit]
            return [self._due(name, now + round(pause * 1000)) for _, name in ready]

    def _due(self, request_id: str, again: int) -> DueRequest:
        r = self.store.find(request_id)
        if r is None:
            del self.store.due[request_id]
            return DueRequest(request_id=request_id, mid="", customer_key="", state="gone")
        self.store.due[request_id] = again
        return DueRequest(request_id=request_id, mid=r.mid, customer_key=r.key, state=r.state, attempt=r.attempt)
