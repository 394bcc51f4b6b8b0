"""What actors do: workers carry out messages, sources and clients ask for starts."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from sfmc_harness.simulation.calls import Calls
from sfmc_harness.simulation.clocks import SECOND
from sfmc_harness.simulation.cloud import Cloud
from sfmc_harness.simulation.messages import Message, Queue
from sfmc_harness.simulation.places import Limits
from sfmc_harness.simulation.ports import open_deps
from sfmc_import import following, service
from sfmc_import.ledger import RedisLedger
from sfmc_import.outlived import Outlived
from sfmc_import.policy import Policy
from sfmc_import.ports import Deps, LedgerUnavailableError
from sfmc_import.request import IdTakenError, StartRequest
from sfmc_import.retrying import WAKE_PAUSE_SECONDS
from sfmc_import.states import DueRequest

SWEEP_BATCH = 250
SOURCE_PAUSE = 2.0
"""Seconds after which a source submits again what Redis did not take."""


@dataclass(frozen=True)
class Actions:
    """The bodies of actors over the shared ledger, queue and clock."""

    calls: Calls
    cloud: Cloud
    queue: Queue
    ledger: RedisLedger
    limits: Limits
    owners: Iterator[int] = field(default_factory=itertools.count)
    outlived: dict[str, Outlived] = field(default_factory=lambda: defaultdict(Outlived))

    def new_process(self) -> Deps:
        """What a worker process has that starts now, with the limits of now."""
        policy, given = Policy(**self.calls.plan.policy), dict(self.limits.now)

        def policies(_mid: str, key: str) -> Policy:
            return self.limits.policy(policy, key, given)

        return open_deps(self.calls.plan, self.ledger, self.cloud, self.calls, policies)

    # --- Workers, as sfmc_import.tasks does it.

    def carry_out(self, message: Message, deps: Deps) -> None:
        """Carry out one message; one that finds no Redis goes back to the queue, and beat sends another sweep."""
        try:
            self.outlived[self.calls.actor.host].report(self.ledger)
            self._task(message, deps)
        except IdTakenError:
            # The transport keeps it as a dead letter.
            return
        except LedgerUnavailableError:
            if message.kind != "sweep":
                self._put(message, seconds=1.0)

    def _task(self, message: Message, deps: Deps) -> None:
        if message.kind == "start":
            assert message.request is not None
            self._start(message.request, deps)
        elif message.kind == "wake":
            request = deps.ledger.load(message.ids[0])
            if request is not None:
                self._start(request, deps)
        elif message.kind == "follow":
            owner = f"owner-{next(self.owners)}"
            with self.outlived[self.calls.actor.host].noting(owner, message.ids):
                following.follow(message.ids, owner, deps)
        else:
            following.sweep(deps.ledger, self._wake, self._follow, limit=SWEEP_BATCH, pause=WAKE_PAUSE_SECONDS)

    def _start(self, request: StartRequest, deps: Deps) -> None:
        owner = f"owner-{next(self.owners)}"
        with self.outlived[self.calls.actor.host].noting(owner, [request.request_id]):
            service.start(request, owner, deps)

    def forget(self, host: str) -> None:
        """A process dies, and with it what it would have reported."""
        for _, request_ids in self.outlived.pop(host, Outlived()).holds:
            self.calls.abandoned.update(request_ids)

    def abandon_held(self) -> None:
        """What processes hold counts as lost."""
        for outlived in self.outlived.values():
            for _, request_ids in outlived.holds:
                self.calls.abandoned.update(request_ids)

    def _wake(self, due: DueRequest) -> None:
        self.queue.put(Message(kind="wake", ids=(due.request_id,), deliver_at=self.calls.clock.now))

    def _follow(self, requests: Sequence[str]) -> None:
        self.queue.put(Message(kind="follow", ids=tuple(requests), deliver_at=self.calls.clock.now))

    def _put(self, message: Message, *, seconds: float = 0.0) -> None:
        at = self.calls.clock.now + round(seconds * SECOND)
        self.queue.put(
            Message(
                kind=message.kind,
                request=message.request,
                ids=message.ids,
                is_foreign=message.is_foreign,
                deliver_at=at,
            )
        )

    # --- Sources and clients.

    def submit(self, request: StartRequest, note: Callable[[str], None]) -> None:
        """Record a request and send its message, as sfmc_import.client does; `note` is called once it is accepted."""
        while True:
            try:
                is_new = self.ledger.accept(request)
                break
            except LedgerUnavailableError:
                self.calls.sleep(SOURCE_PAUSE)
        note(request.request_id)
        if is_new:
            self.queue.put(Message(kind="start", request=request, deliver_at=self.calls.clock.now))
