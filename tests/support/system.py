"""The whole system in one process on a clock that moves: ledger, Marketing Cloud, workers and the sweep."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import Any, TypeVar
from uuid import uuid4
from zoneinfo import ZoneInfo

from sfmc_import import following, service
from sfmc_import.checking import Days
from sfmc_import.clocks import Clocks
from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.policy import Policy
from sfmc_import.ports import Deps, LedgerUnavailableError, Timing
from sfmc_import.request import StartRequest
from sfmc_import.retrying import RECONCILE, REPEAT, SCHEDULED, Backoff
from sfmc_import.runs import Definition
from sfmc_import.service import Outcome
from sfmc_import.states import DueRequest
from tests.support.fake_marketing_cloud import FakeMarketingCloud
from tests.support.ledger_world import World

T = TypeVar("T")

MID = "510001234"
ZONE = "Europe/Berlin"
ATTEMPTS = 3
LEDGER_ATTEMPTS = 4
REQUESTS = Backoff(floor=10, cap=600)
MAX_LIFE = 3000
"""Wake-ups after which a request counts as stuck."""


class DefinitionsAsked:
    """Implements sfmc_import.ports.Definitions: each look is a call, unless one that is not too old will do."""

    def __init__(self, marketing_cloud: Any, clock: Callable[[], float]) -> None:
        self._marketing_cloud = marketing_cloud
        self._clock = clock
        self._read: dict[tuple[str, str], tuple[float, Definition]] = {}

    def get(self, mid: str, customer_key: str, *, object_id: str | None = None, max_age: float = inf) -> Any:
        at, kept = self._read.get((mid, customer_key), (0.0, None))
        if object_id is None and max_age < inf and kept is not None and self._clock() - at <= max_age:
            return kept
        answer = (
            self._marketing_cloud.definition(mid, customer_key)
            if object_id is None
            else self._marketing_cloud.definition_of_object(mid, object_id)
        )
        if isinstance(answer, Definition):
            answer = replace(answer, asked_at=self._clock())
            self._read[mid, answer.customer_key] = (self._clock(), answer)
        return Rejected("43010", f"no {object_id or customer_key}") if answer is None else answer

    def known(self, mid: str, customer_key: str) -> None:
        """Nothing is known before it is asked for."""

    def forget(self, mid: str, customer_key: str) -> None:
        """Each look is a call."""


def retry_ledger(attempt: Callable[[], T]) -> T:
    for _ in range(LEDGER_ATTEMPTS - 1):
        try:
            return attempt()
        except LedgerUnavailableError:
            continue
    return attempt()


class System:
    """Producers, workers and sweep over one world; the messages of Celery are a list."""

    def __init__(self, world: World, *definitions: Definition, policy: Policy | None = None) -> None:
        self.world = world
        self.policy = policy or Policy()
        self.cloud = FakeMarketingCloud(*definitions, mid=MID, boottime=self.boottime)
        self.messages: list[Callable[[Deps], object]] = []
        self.owners = 0
        # By how many seconds the clock of Redis is ahead of that of Marketing Cloud, which dates runs.
        self.redis_off = 0.0
        # By how many seconds the clock of the worker's machine is ahead of that of Redis.
        self.ahead = 0.0
        self.clocks = Clocks(self.boottime, self.wall)
        self.deps = self.deps_over(world.ledger, self.cloud)

    def boottime(self) -> float:
        return self.world.now_ms() / 1000

    def wall(self) -> float:
        return self.world.now_ms() / 1000 + self.ahead

    def redis_is_ahead(self, seconds: float) -> None:
        """Marketing Cloud answers, by a clock of which that of Redis is so far ahead."""
        self.clocks.note_service(self.boottime() - seconds - 0.5, self.boottime())

    def deps_over(self, ledger: Any, cloud: Any, *, baseline: bool = True, whole_baseline: bool = False) -> Deps:
        return Deps(
            marketing_cloud=cloud,
            ledger=ledger,
            definitions=DefinitionsAsked(cloud, self.boottime),
            clock=self.clocks,
            retry_call=self._retry_call,
            retry_ledger=retry_ledger,
            policies=lambda _mid, _key: self.policy,
            chance=lambda: 0.5,
            timing=Timing(
                call=30.0,
                check_age=10.0,
                days=Days(zone=ZoneInfo(ZONE), margin=60.0),
                results_delay=60.0,
                scheduled=replace(SCHEDULED, backoff=REQUESTS, results_delay=60.0),
                repeat=replace(REPEAT, backoff=REQUESTS),
                reconcile=RECONCILE,
                follow=Backoff(floor=5, cap=300, factor=1.5),
            ),
            baseline=baseline,
            whole_baseline=whole_baseline,
        )

    def _retry_call(self, attempt: Callable[[], T]) -> T:
        for _ in range(ATTEMPTS - 1):
            answer = attempt()
            if not isinstance(answer, NotApplied) or answer.account_wide:
                return answer
            self.world.advance(1)
        return attempt()

    def submit(self, request: StartRequest, deps: Deps | None = None) -> None:
        """A producer records a request and sends its message."""
        (deps or self.deps).ledger.accept(request)
        self.send_start(request)

    def send_start(self, request: StartRequest) -> None:
        self.messages.append(lambda deps: self.start(request, deps))

    def start(self, request: StartRequest, deps: Deps | None = None) -> Outcome:
        self.owners += 1
        return service.start(request, f"owner-{self.owners}", deps or self.deps)

    def sweep(self, deps: Deps | None = None) -> int:
        """Wake what is due; the wake-ups lie in `messages` then."""
        swept = following.sweep((deps or self.deps).ledger, self._send_wake, self._send_follow, limit=1000, pause=30)
        return swept.woken + swept.followed

    def _send_wake(self, due: DueRequest) -> None:
        self.messages.append(lambda deps: self._wake(due.request_id, deps))

    def _wake(self, request_id: str, deps: Deps) -> None:
        request = deps.ledger.load(request_id)
        if request is not None:
            self.start(request, deps)

    def _send_follow(self, request_ids: Any) -> None:
        ids = list(request_ids)
        self.messages.append(lambda deps: following.follow(ids, uuid4().hex, deps))

    def work(self, deps: Deps | None = None) -> None:
        """Carry out every message; one whose worker finds Redis down goes back to the queue."""
        messages, self.messages = self.messages, []
        for message in messages:
            try:
                message(deps or self.deps)
            except LedgerUnavailableError:
                self.messages.append(message)

    def live(self, deps: Deps | None = None) -> None:
        """Let time pass and workers work until nothing is due."""
        for _ in range(MAX_LIFE):
            self.work(deps)
            times = self.world.due().values()
            if not times and not self.messages:
                return
            if times:
                self.world.advance(max(0, min(times) - self.world.now_ms()) / 1000)
                with suppress(LedgerUnavailableError):
                    self.sweep(deps)
        raise AssertionError(f"stuck: {self.world.due()}")
