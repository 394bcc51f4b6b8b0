"""What an actor's call to the outside goes through: it waits for its turn, meets the fault of its step, takes time."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError

from sfmc_harness.simulation.chance import unit
from sfmc_harness.simulation.crew import Actor, Crew, KilledError
from sfmc_harness.simulation.plan import Fault, Plan

NO_FAULT = Fault(step=0, on_redis="", on_cloud="")
SECOND = 1000
READS = frozenset({"followed", "hgetall", "mget", "get", "hget", "hmget", "exists", "zscore", "time", "pipeline"})
"""Commands that change nothing, so that nothing need be checked after them."""


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One step of the schedule, for people."""

    step: int
    now: int
    host: str
    request: str
    what: str
    fault: str


@dataclass
class _Waiting:
    fault: Fault
    times: int

    def is_met(self, step: int, what: str, request: str) -> bool:
        return (
            self.times > 0
            and self.fault.step <= step
            and self.fault.call == what
            and self.fault.request in {"", request}
        )


@dataclass
class Clock:
    """Virtual time in milliseconds."""

    now: int

    def boottime(self) -> float:
        """Seconds."""
        return self.now / 1000


@dataclass
class Calls:
    """Counts the steps of a schedule and lets each meet its fault. A step is one call of an actor to the outside.

    `abandoned` counts by request how often a worker died or stood still while it worked on it.
    """

    plan: Plan
    crew: Crew
    clock: Clock
    step: int = 0
    redis_down_until: int = 0
    has_lost_power: bool = False
    changed: bool = False
    trace: list[TraceLine] = field(default_factory=list)
    abandoned: Counter[str] = field(default_factory=Counter)
    on_freeze: Callable[[Actor], None] = lambda _: None

    def __post_init__(self) -> None:
        self._by_step: Mapping[int, Fault] = {fault.step: fault for fault in self.plan.faults if not fault.call}
        self._by_call = [_Waiting(fault, fault.times) for fault in self.plan.faults if fault.call]

    @property
    def actor(self) -> Actor:
        """The actor whose turn it is."""
        assert self.crew.current is not None
        return self.crew.current

    def sleep(self, seconds: float) -> None:
        """Let an actor wait."""
        self.actor.ready_at = self.clock.now + round(seconds * SECOND)
        self.crew.pause()

    def redis(self, what: str, command: Callable[[int], Any]) -> Any:
        """Carry out a command, given the time; a fault may lose it, lose its reply, or have it repeated."""
        fault = self._begin(what, 0.001, 0.004, on_redis=True)
        self._meet(fault, fault.on_redis)
        if fault.on_redis == "redis_down" or self.clock.now < self.redis_down_until:
            raise RedisConnectionError("down")
        if fault.on_redis == "no_script":
            raise NoScriptError("the server has restarted")
        self.changed = what not in READS
        answer = command(self.clock.now)
        if fault.on_redis == "reply_lost":
            raise RedisConnectionError("the reply was lost")
        if fault.on_redis == "repeated":
            # What others do meanwhile stands between the command and its repetition.
            self.sleep(fault.seconds)
            self.changed = what not in READS
            return command(self.clock.now)
        return answer

    def cloud(self, what: str) -> Fault:
        """Begin a call to Marketing Cloud; gives the fault that it meets there."""
        fault = self._begin(what, 0.02, 0.3, on_redis=False)
        self._meet(fault, fault.on_cloud)
        return fault

    def reply(self, *, seconds: float | None = None) -> None:
        """Wait for the answer of Marketing Cloud."""
        self.sleep(0.02 + self._chance() if seconds is None else seconds)

    def _begin(self, what: str, least: float, most: float, *, on_redis: bool) -> Fault:
        actor = self.actor
        self.sleep(least + (most - least) * self._chance())
        self.step += 1
        fault = self._fault_of(what)
        name = fault.on_redis if on_redis else fault.on_cloud
        self.trace.append(TraceLine(self.step, self.clock.now, actor.host, actor.request, what, name))
        return fault

    def _fault_of(self, what: str) -> Fault:
        if self.step > self.plan.steps:
            return NO_FAULT
        for waiting in self._by_call:
            if waiting.is_met(self.step, what, self.actor.request):
                waiting.times -= 1
                return waiting.fault
        return self._by_step.get(self.step, NO_FAULT)

    def _chance(self) -> float:
        return unit(self.plan.seed, 2, self.step)

    def _meet(self, fault: Fault, name: str) -> None:
        if name == "kill":
            raise KilledError
        if name == "power_loss":
            self.has_lost_power = True
            raise KilledError
        if name in {"freeze", "delay"}:
            if name == "freeze":
                self.abandoned[self.actor.request] += 1
                self.on_freeze(self.actor)
            self.sleep(fault.seconds)
