"""The ports of the product in a simulation: the real ledger and cache over calls that wait for their turn."""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta, timezone
from functools import partial
from typing import Any, Self, TypeVar, cast

from redis import Redis

from sfmc_harness.simulation.calls import READS, Calls
from sfmc_harness.simulation.chance import unit
from sfmc_harness.simulation.clocks import SECOND
from sfmc_harness.simulation.cloud import ZONE_HOURS, Cloud
from sfmc_harness.simulation.plan import CALL, RESULTS_DELAY, Plan
from sfmc_harness.simulation.store import Store
from sfmc_import.calls import retry_call
from sfmc_import.checking import Days
from sfmc_import.clocks import Clocks
from sfmc_import.definitions import CachedDefinitions
from sfmc_import.faults import Ambiguous, Fault, NotApplied, Rejected, after_situation
from sfmc_import.ledger import RedisLedger
from sfmc_import.permits import Kind, QuotaLedger, QuotaLimits
from sfmc_import.policy import Policy
from sfmc_import.ports import Deps, Refusal, Timing
from sfmc_import.quota import SharedQuota
from sfmc_import.retrying import IN_CALL, LEDGER, RECONCILE, REPEAT, SCHEDULED, Backoff
from sfmc_import.runs import Accepted, Definition, Run

T = TypeVar("T")

MID = "510001234"
_SLOW = frozenset({"trickle", "applied_later"})
"""Faults whose call lasts as long as a call may."""

_NO_ANSWER, _RESET = Ambiguous("read_timeout", "no answer"), Ambiguous("reset", "reset")
_DENIED = Ambiguous("http_denied", "HTTP 409", denied=True)
_LOST: Mapping[str, Fault] = {
    "cut_before_applying": _RESET,
    "applied_then_cut": _RESET,
    "applied_later": _NO_ANSWER,
    "trickle": _NO_ANSWER,
    "no_task_id": Ambiguous("no_task_id", "OK without Task.ID"),
    "denied": _DENIED,
    "denied_after_applying": _DENIED,
    "denied_and_late": _DENIED,
    "http_403": after_situation("http_refused", "HTTP 403"),
    "http_403_after_applying": after_situation("http_refused", "HTTP 403"),
    "http_429_after_applying": after_situation("http_429", "HTTP 429"),
    "http_400_after_applying": after_situation("http_400", "HTTP 400"),
    "http_503_after_applying": after_situation("http_503", "HTTP 503"),
}
"""What is answered in the place of a Task.ID."""

_NOT_APPLIED = frozenset({"cut_before_applying", "denied", "http_403"})

_LATE_SECONDS = RESULTS_DELAY + 1
"""A row that comes after the look that follows a denied start, and before the start is sent again."""

CALLS_PER_MINUTE = 600
QUOTA = QuotaLimits(account="mc.soap.example", calls_per_minute=CALLS_PER_MINUTE, probe_seconds=CALL)

MARGIN = 60.0
"""The midnight margin of the product's default."""

REQUESTS = Backoff(floor=15.0, cap=300.0)
TIMING = Timing(
    call=CALL,
    check_age=10.0,
    days=Days(zone=timezone(timedelta(hours=ZONE_HOURS)), margin=MARGIN),
    results_delay=RESULTS_DELAY,
    scheduled=replace(SCHEDULED, backoff=REQUESTS, results_delay=RESULTS_DELAY),
    repeat=replace(REPEAT, backoff=REQUESTS, results_delay=RESULTS_DELAY),
    reconcile=RECONCILE,
    follow=Backoff(floor=10.0, cap=600.0, factor=3.0),
)


class SteppedRedis:
    """Stands for redis.Redis: each command is a step, and each script is given the virtual time."""

    def __init__(self, store: Store, calls: Calls) -> None:
        self._store = store
        self._client = store.client
        self._calls = calls
        self._names = {
            hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(): name for name, text in store.scripts.items()
        }

    def evalsha(self, sha: str, count: int, *given: Any) -> Any:
        """See redis.Redis.evalsha."""
        name = self._names[sha]

        def command(now: int) -> Any:
            if name == "due":
                self._calls.clock.swept()
            carry_out = self._client.evalsha if name in READS else self._store.write
            return carry_out(sha, count, *given, now)

        return self._calls.redis(name, command)

    def eval(self, text: str, count: int, *given: Any) -> Any:
        """See redis.Redis.eval."""
        return self._calls.redis("script", lambda now: self._client.eval(text, count, *given, now))

    def time(self) -> tuple[int, int]:
        """See redis.Redis.time."""
        found: tuple[int, int] = self._calls.redis("time", lambda now: (now // SECOND, now % SECOND * 1000))
        return found

    def pipeline(self, *, transaction: bool) -> "_SteppedPipe":
        """See redis.Redis.pipeline; for commands that only read."""
        assert not transaction
        return _SteppedPipe(self._client, self._calls)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Any other command."""
        command = getattr(self._client, name)
        return lambda *given, **options: self._calls.redis(name, lambda _: command(*given, **options))


class _SteppedPipe:
    """Commands that go to Redis in one step."""

    def __init__(self, client: Any, calls: Calls) -> None:
        self._client, self._calls = client, calls
        self._commands: list[Callable[[], Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._commands.clear()

    def execute(self) -> list[Any]:
        found: list[Any] = self._calls.redis("pipeline", lambda _: [command() for command in self._commands])
        return found

    def __getattr__(self, name: str) -> Callable[..., Any]:
        command = getattr(self._client, name)
        return lambda *given, **options: self._commands.append(partial(command, *given, **options))


class SteppedCloud:
    """Implements sfmc_import.ports.MarketingCloud over the model; its answers name the time, in whole seconds."""

    def __init__(self, cloud: Cloud, calls: Calls, quota: QuotaLedger, clocks: Clocks) -> None:
        self._clocks = clocks
        self._cloud = cloud
        self._calls = calls
        self._quota = quota

    def _through_gate(self, kind: Kind, mid: str, customer_key: str, call: Callable[[], T | Fault]) -> T | Fault:
        """Ask the quota and the circuit breaker first; a worker that dies in the call says nothing after it."""
        # Of each call's own: an actor that stands still must not keep others of its process waiting for its lock.
        gate = SharedQuota(self._quota, self._calls.clock.boottime, limit=CALLS_PER_MINUTE, chance=self._chance)
        entry = gate.enter(kind, mid, customer_key)
        if isinstance(entry, NotApplied):
            return entry
        answer = call()
        gate.leave(entry, answer)
        return answer

    def _chance(self) -> float:
        return unit(self._calls.plan.seed, 4, self._calls.step)

    def prepare(self) -> None:
        """See sfmc_import.ports.MarketingCloud.prepare."""

    def stop(self, seconds: float) -> None:
        """See sfmc_import.ports.MarketingCloud.stop; here processes are killed only."""

    def start(self, mid: str, customer_key: str, *, not_after: float) -> Accepted | Fault:
        """See sfmc_import.ports.MarketingCloud.start."""
        call = partial(self._start, mid, customer_key, not_after)
        return self._through_gate("perform", mid, customer_key, call)

    def _start(self, mid: str, customer_key: str, not_after: float) -> Accepted | Fault:
        fault = self._calls.cloud("Perform")
        if self._calls.clock.boottime() >= not_after:
            return NotApplied("lease_over", "the time to send this start is over")
        refusal = self._refusal(mid, fault.on_cloud, fault.seconds) or self._rejection(customer_key, fault.on_cloud)
        if refusal is not None:
            self._calls.reply()
            return refusal
        sent, date = self._calls.clock.boottime(), self._date()
        answer, seconds = self._perform(customer_key, fault.on_cloud, fault.seconds)
        self._calls.reply(seconds=seconds)
        if isinstance(answer, Accepted):
            self._clocks.note_service(date, sent)
        return answer

    def _rejection(self, key: str, fault: str) -> Rejected | None:
        if self._cloud.definition(key) is None:
            return Rejected("43010", "not found")
        return Rejected("43060", "not valid") if fault == "rejected" else None

    def _perform(self, key: str, fault: str, seconds: float) -> tuple[Accepted | Fault, float | None]:
        request, now = self._calls.actor.request, self._calls.clock.now
        lost = _LOST.get(fault)
        if lost is not None:
            self._cloud.unproved.add(request)
        if fault == "applied_later":
            self._cloud.apply_later(now + round((CALL + seconds) * SECOND), key, request, now)
        elif fault not in _NOT_APPLIED:
            lag = _LATE_SECONDS if fault == "denied_and_late" else None
            applied = self._cloud.apply(now, key, request, lag=lag, answer="" if lost is None else lost.code)
            if lost is None:
                return Accepted(task_id=applied.task_id, soap_request_id=f"soap-{applied.task_id}"), None
        assert lost is not None
        return lost, CALL if fault in _SLOW else None

    def _refusal(self, mid: str, fault: str, seconds: float) -> Refusal | None:
        if mid != MID:
            return Rejected("4", "no access to this business unit")
        if self._calls.clock.now < self._cloud.down_until or fault == "token":
            return NotApplied("token_refused", "the token was refused", account_wide=True)
        if fault == "refused":
            return NotApplied("refused", "connection refused")
        if fault == "limited":
            return NotApplied("17", "rate limited", account_wide=True, retry_after=seconds)
        return NotApplied("13", "not processed") if fault == "busy" else None

    def _query(self, mid: str, what: str, read: Callable[[], T]) -> T | Refusal:
        kind: Kind = "poll" if what == "runs" else "definition"
        return cast("T | Refusal", self._through_gate(kind, mid, "", partial(self._answer, mid, what, read)))

    def _answer(self, mid: str, what: str, read: Callable[[], T]) -> T | Refusal:
        """The answer is as of the time when Marketing Cloud gave it, before it arrives."""
        fault = self._calls.cloud(what)
        name = fault.on_cloud
        refusal = self._refusal(mid, name, fault.seconds)
        if refusal is None and name not in {"", "freeze", "delay"}:
            refusal = NotApplied("read_timeout" if name in _SLOW else "reset", "no answer")
        answer, date, sent = refusal or read(), self._date(), self._calls.clock.boottime()
        self._calls.reply(seconds=CALL if name in _SLOW else None)
        if refusal is None:
            self._clocks.note_service(date, sent)
        return answer

    def definition(self, mid: str, customer_key: str) -> Definition | Refusal | None:
        """See sfmc_import.ports.MarketingCloud.definition."""
        return self._query(mid, "definition", lambda: self._cloud.definition(customer_key))

    def definition_of_object(self, mid: str, object_id: str) -> Definition | Refusal | None:
        """See sfmc_import.ports.MarketingCloud.definition_of_object."""
        return self.definition(mid, object_id)

    def definitions(self, mid: str) -> Sequence[Definition] | Refusal:
        """See sfmc_import.ports.MarketingCloud.definitions."""
        return self._query(mid, "definitions", lambda: list(map(self._cloud.definition_of, self._cloud.plans.values())))

    def runs_of(self, mid: str, customer_key: str, *, above: str | None = None) -> Sequence[Run] | Refusal:
        """See sfmc_import.ports.MarketingCloud.runs_of."""
        least = int(above or 0)

        def read() -> list[Run]:
            return [row for row in self._rows() if row.customer_key == customer_key and int(row.task_id) > least]

        return self._query(mid, "runs_of", read)

    def runs(self, mid: str, task_ids: Collection[str]) -> Mapping[str, Run] | Refusal:
        """See sfmc_import.ports.MarketingCloud.runs."""
        return self._query(mid, "runs", lambda: {row.task_id: row for row in self._rows() if row.task_id in task_ids})

    def _date(self) -> float:
        return float(self._calls.clock.now // SECOND)

    def _rows(self) -> Iterator[Run]:
        return self._cloud.rows(self._calls.clock.now)


def open_redis(store: Store, calls: Calls) -> Redis:
    """Redis over stepped commands."""
    return cast("Redis", SteppedRedis(store, calls))


def open_ledger(client: Redis, store: Store) -> RedisLedger:
    """The ledger of the product over stepped commands."""
    return RedisLedger(client, store.settings, store.scripts)


def open_deps(
    plan: Plan, ledger: RedisLedger, cloud: Cloud, calls: Calls, policies: Callable[[str, str], Policy]
) -> Deps:
    """What one worker process has: a cache of definitions of its own, over the ledger that all share."""
    clocks = Clocks(calls.clock.boottime, calls.clock.wall)
    port = SteppedCloud(cloud, calls, ledger.quota(QUOTA), clocks)

    def chance() -> float:
        return unit(plan.seed, 3, calls.step)

    return Deps(
        marketing_cloud=port,
        ledger=ledger,
        definitions=CachedDefinitions(port, ttl=300.0, clock=calls.clock.boottime),
        clock=clocks,
        retry_call=retry_call(IN_CALL, sleep=calls.sleep, chance=chance),
        retry_ledger=retry_call(LEDGER, sleep=calls.sleep, chance=chance),
        policies=policies,
        chance=chance,
        timing=TIMING,
        baseline=plan.baseline,
    )
