"""The door of the twin: worker.ports.Ledger in memory, one lock around each step."""

import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any

from tests.fakes.ledger.records import recorded
from tests.fakes.ledger.steps import Steps
from tests.fakes.ledger.store import Store
from tests.fakes.ledger.taking import Taking
from worker.adapters.ledger import LedgerSettings
from worker.domain.decisions import Decision, Due, Followed, Grant
from worker.domain.faults import Fault, Rejected
from worker.domain.policy import Policy
from worker.domain.runs import Accepted, Run
from worker.messages import StartRequest


class MemoryLedger:
    """Implements worker.ports.Ledger; `clock` gives milliseconds, `events` are the CloudEvents so far."""

    def __init__(self, clock: Callable[[], int], settings: LedgerSettings) -> None:
        self.store = Store(clock, settings.for_scripts())
        self._steps = Steps(self.store, settings.first_look)
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

    def take(self, request: StartRequest, owner: str, policy: Policy) -> Decision:
        with self._lock:
            self.accept(request)
            return Taking(self.store, self.store.requests[request.request_id], owner, policy).decide()

    def load(self, request_id: str) -> StartRequest | None:
        with self._lock:
            r = self.store.find(request_id)
            return None if r is None else r.as_request()

    def intend(self, grant: Grant, known: Collection[str], *, above: bool = False) -> float | None:
        with self._lock:
            return self._steps.sending(grant, known, above=above)

    def pulse(self, who: str, count: int) -> bool:
        with self._lock:
            return self._steps.pulse(who, count)

    def sending(self, grant: Grant) -> float | None:
        with self._lock:
            return self._steps.sending(grant, None)

    def not_sent(self, grant: Grant) -> bool:
        with self._lock:
            return self._steps.not_sent(grant)

    def started(
        self, grant: Grant, start: Accepted, window: float, policy: Policy, *, reconciled: bool = False
    ) -> bool:
        with self._lock:
            return self._steps.started(grant, start, window, policy, reconciled=reconciled)

    def retry(self, grant: Grant, fault: Fault, delay: float) -> str | None:
        with self._lock:
            return self._steps.retry(grant, fault, delay)

    def doubt(self, grant: Grant, fault: Fault, delay: float, policy: Policy) -> bool:
        with self._lock:
            return self._steps.doubt(grant, fault, delay, policy)

    def look_again(self, grant: Grant, delay: float) -> bool:
        with self._lock:
            return self._steps.look_again(grant, delay)

    def unknown(self, grant: Grant, candidates: Sequence[str], window: float) -> bool:
        with self._lock:
            return self._steps.unknown(grant, candidates, window)

    def reject(self, grant: Grant, fault: Rejected) -> bool:
        with self._lock:
            return self._steps.reject(grant, fault)

    def unclaimed(self, mid: str, task_ids: Collection[str]) -> frozenset[str]:
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

    def due(self, limit: int, pause: float) -> Sequence[Due]:
        with self._lock:
            now = self.store.now
            ready = sorted((at, name) for name, at in self.store.due.items() if at <= now)[:limit]
            return [self._due(name, now + round(pause * 1000)) for _, name in ready]

    def _due(self, request_id: str, again: int) -> Due:
        r = self.store.find(request_id)
        if r is None:
            del self.store.due[request_id]
            return Due(request_id=request_id, mid="", customer_key="", state="gone")
        self.store.due[request_id] = again
        return Due(request_id=request_id, mid=r.mid, customer_key=r.key, state=r.state, attempt=r.attempt)
