"""Short words for the steps of a request, for tests over any ledger."""

from dataclasses import replace
from typing import Any

from sfmc_import.faults import Ambiguous, NotApplied
from sfmc_import.policy import Policy
from sfmc_import.request import FileInfo, StartRequest
from sfmc_import.runs import Accepted, Definition, Run
from sfmc_import.states import Decision, Followed, Lease, Reconcile, StartNow
from tests.support.ledger_world import World

MID = "510001234"
KEY = "Daily/Import ü:1"
HOUR = 3600.0
BUSY = NotApplied("9", "in maintenance")
DOUBT = Ambiguous("read_timeout", "no answer in time")


def file(name: str = "daily.csv", version: str | None = "v1", size: int | None = 10) -> FileInfo:
    return FileInfo(location="/in", name=name, size=size, version=version)


def request(request_id: str, arrival: FileInfo | None = None, key: str = KEY, **more: Any) -> StartRequest:
    return StartRequest(request_id=request_id, customer_key=key, mid=MID, file=arrival, **more)


class Scenario:
    """One world and the policy of its definition; requests are named by id, each with its own file by default."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ledger = world.ledger
        self.policy = Policy()
        self.requests: dict[str, StartRequest] = {}
        self.owners = 0
        self.definition: Definition | None = None

    def decide_by(self, **changes: Any) -> None:
        self.policy = replace(self.policy, **changes)

    def arrives(self, request_id: str, *, name: str | None = None, **more: Any) -> StartRequest:
        """A request with a file of its own, recorded."""
        recorded = request(request_id, file(name or f"{request_id}.csv", version=request_id), **more)
        return self.accept(recorded)

    def accept(self, recorded: StartRequest) -> StartRequest:
        self.requests[recorded.request_id] = recorded
        self.ledger.accept(recorded)
        return recorded

    def claim(self, request_id: str, owner: str | None = None) -> Decision:
        self.owners += 1
        asked, by = self.requests[request_id], owner or f"owner-{self.owners}"
        return self.ledger.claim(asked, by, self.policy, definition=self.definition)

    def go(self, request_id: str) -> Lease:
        decision = self.claim(request_id)
        assert isinstance(decision, StartNow), decision
        return decision.lease

    def look(self, request_id: str) -> Reconcile:
        decision = self.claim(request_id)
        assert isinstance(decision, Reconcile), decision
        return decision

    def sends(self, request_id: str, known: tuple[str, ...] = (), window: float = 0.0) -> Lease:
        lease = self.go(request_id)
        assert self.ledger.record_intent(lease, known, window=window) is not None
        return lease

    def start(self, request_id: str, task: str | None = None, window: float = 0.0) -> Lease:
        lease = self.sends(request_id)
        assert self.commit(lease, task or f"task-{request_id}", window)
        return lease

    def commit(self, lease: Lease, task: str, window: float = 0.0, *, reconciled: bool = False) -> bool:
        start = Accepted(task_id=task, soap_request_id=f"soap-{task}")
        return self.ledger.started(lease, start, window, self.policy, reconciled=reconciled)

    def forgotten_lease(self, recorded: StartRequest, fence: int = 7) -> Lease:
        """The lease of a worker whose lease Redis has forgotten."""
        return Lease(
            request_id=recorded.request_id,
            mid=MID,
            customer_key=recorded.customer_key,
            fence=fence,
            attempt=1,
            seconds=180.0,
        )

    def arrives_and_starts(self, request_id: str, window: float = 0.0, **more: Any) -> Lease:
        self.arrives(request_id, **more)
        return self.start(request_id, window=window)

    def in_doubt(
        self, request_id: str, known: tuple[str, ...] = (), results_delay: float = 60.0, window: float = 0.0
    ) -> Lease:
        lease = self.sends(request_id, known, window)
        assert self.ledger.mark_ambiguous(lease, DOUBT, results_delay, self.policy)
        return lease

    def run(self, request_id: str) -> Followed:
        (followed,) = self.ledger.followed([request_id])
        return followed

    def ends(self, request_id: str, outcome: str = "completed", result: Run | None = None) -> None:
        self.ledger.ended(self.run(request_id), outcome, result, self.policy)

    def names(self, request_id: str) -> list[str]:
        """The events of a request, as words."""
        return [event["type"].removeprefix("sfmc.import.") for event in self.events(request_id)]

    def events(self, request_id: str) -> list[dict[str, Any]]:
        return [event for event in self.world.events() if event["data"].get("request_id") == request_id]

    def last(self, request_id: str) -> dict[str, Any]:
        return self.events(request_id)[-1]["data"]

    def due_in(self, request_id: str) -> float | None:
        """Seconds until a request is due; None when it is not in the set."""
        at = self.world.due().get(request_id)
        return None if at is None else (at - self.world.now_ms()) / 1000
