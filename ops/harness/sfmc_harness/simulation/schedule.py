"""Runs one plan: who moves next, what befalls them, and after each step the invariants."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import partial

from sfmc_harness.simulation.actions import Actions
from sfmc_harness.simulation.calls import Calls, TraceLine
from sfmc_harness.simulation.chance import below, unit
from sfmc_harness.simulation.clocks import SECOND, Clock
from sfmc_harness.simulation.cloud import ZONE_HOURS, Cloud, object_id
from sfmc_harness.simulation.crew import Actor, Crew, KilledError
from sfmc_harness.simulation.happenings import Happenings
from sfmc_harness.simulation.history import History, ViolationError, name_of
from sfmc_harness.simulation.invariants import Invariants
from sfmc_harness.simulation.messages import Message, Queue
from sfmc_harness.simulation.operator import Console, Operator, StandIn
from sfmc_harness.simulation.places import Limits
from sfmc_harness.simulation.plan import Plan
from sfmc_harness.simulation.ports import open_ledger, open_redis
from sfmc_harness.simulation.store import Store, View
from sfmc_import.policy import Policy
from sfmc_import.ports import Deps

DAY_MS = 86_400_000
FIRST_MIDNIGHT_MS = 20_834 * DAY_MS - ZONE_HOURS * 3_600_000
OPERATOR_ACTS = {"start_unknown": "resolve", "follow_timed_out": "resume"}
SWEEP_MS = 3 * SECOND
MAX_STEPS_OF_REST = 6000
"""Steps after the last fault within which every request must have ended."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a schedule went: the violation that ended it, if one did, and its steps; `ends` are the final states."""

    kind: str | None
    text: str
    steps: int
    trace: tuple[TraceLine, ...]
    ends: dict[str, str]


@dataclass
class Slot:
    """A thread of a worker process, which is down until `up_at`.

    It has a cache of its own: in the product the threads share one, and one waits while another asks. `limits` are
    those that were set when its process began.
    """

    host: str
    up_at: int = 0
    deps: Deps | None = None
    limits: dict[str, int] = field(default_factory=dict)
    message: Message | None = None
    actor: Actor | None = None


@dataclass
class Again:
    """A source or an operator that was killed begins anew."""

    at: int
    begin: Callable[[], None] = field(repr=False)


class Schedule:
    """One plan over one store, which is wiped."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self.plan = plan
        begins, redis, workers = (round(each * SECOND) for each in (plan.begins, plan.redis_ahead, plan.workers_ahead))
        self.clock = Clock(FIRST_MIDNIGHT_MS - begins, redis, workers)
        store.wipe()
        self.store = store
        self.crew = Crew()
        self.cloud = Cloud(plan, self.clock)
        self.queue = Queue()
        self.calls = Calls(plan, self.crew, self.clock, on_freeze=self._redeliver)
        self.history = History()
        self.limits = Limits(plan, self.cloud)
        self.invariants = Invariants(plan, self.cloud, self.history, store.settings, self.calls.abandoned, self.limits)
        self.clock.on_sweep = self.invariants.pauses.swept
        client = open_redis(store, self.calls)
        ledger = open_ledger(client, store)
        self.actions = Actions(self.calls, self.cloud, self.queue, ledger, self.limits)
        access = StandIn(Console(Policy(**plan.policy), store.settings.prefix), client, ledger)
        self.operator = Operator(self.calls, self.cloud, self.invariants, access, self.actions.new_process)
        hosts = [f"worker-{number}" for number in range(1, plan.workers + 1)]
        self.slots = [Slot(host) for host in hosts for _ in range(plan.slots)]
        self.actors: list[Actor] = []
        self.again: list[Again] = []
        self.happenings = Happenings(self)
        self._bodies: dict[Actor, Callable[[], None]] = {}
        self._operated: set[tuple[str, str]] = set()
        self._is_over: Callable[[], bool] = lambda: False
        self._broken: Exception | None = None
        self._swept_at = 0
        self._due: int | None = None

    def run(self) -> Verdict:
        """Carry the plan out, let the faults stop, and wait for rest."""
        kind, text = None, ""
        try:
            self._until(lambda: self.calls.step >= self.plan.steps)
            self.happenings.stop()
            self._until(lambda: False)
            self.invariants.at_the_end(self.store.look(self.clock.redis))
        except ViolationError as violation:
            kind, text = violation.kind, str(violation)
        finally:
            for actor in self.actors:
                self.crew.kill(actor)
            self.crew.close()
        return Verdict(kind, text, self.calls.step, tuple(self.calls.trace), dict(self.history.states))

    def _until(self, is_over: Callable[[], bool]) -> None:
        self._is_over = is_over
        actor = self._next()
        while actor is not None:
            last = self.crew.turn(actor, self._after_pause)
            if self._broken is not None:
                raise self._broken
            if not last.has_ended:
                return
            self._after_turn(last)
            actor = self._next()

    # --- Whose turn it is.

    def _next(self) -> Actor | None:
        """The actor that makes the next call; None when this part of the schedule is over."""
        limit = self.plan.steps + MAX_STEPS_OF_REST
        while not self._is_over():
            if self.calls.step > limit:
                raise ViolationError("no rest", f"after {limit} steps {self.history.states} goes on")
            self.happenings.begin_due()
            actor = self._chosen()
            if actor is not None or not self.happenings.hurry():
                return actor
        return None

    def _chosen(self) -> Actor | None:
        """Choose one of those that are ready, when time has passed until there is one; None when nothing is to come."""
        ready: list[Actor] = []
        while not ready:
            following = self._next_time()
            if following is None:
                return None
            self.advance_to(following)
            ready = self._ready()
        actor = ready[below(len(ready), self.plan.seed, 4, self.calls.step, self.clock.now)]
        self.limits.look(next((slot.limits for slot in self.slots if slot.actor is actor), None))
        return actor

    def _after_pause(self, actor: Actor) -> Actor | None:
        """One has made its call: check, and say who goes on. What it finds broken the thread of the schedule raises."""
        try:
            self._after_turn(actor)
            return self._next()
        except Exception as error:  # noqa: BLE001 - none of it may end an actor
            self._broken = error
            return None

    def _after_turn(self, actor: Actor) -> None:
        if actor.has_ended:
            self._end(actor)
        if self.calls.has_lost_power:
            self.calls.has_lost_power = False
            self._stop({slot.host for slot in self.slots})
        self._check()

    def _ready(self) -> list[Actor]:
        self._send_sweep()
        self._begin_anew()
        self._deliver()
        return [actor for actor in self.actors if actor.ready_at <= self.clock.now]

    def _next_time(self) -> int | None:
        times = [actor.ready_at for actor in self.actors]
        times += [again.at for again in self.again]
        idle = [slot.up_at for slot in self.slots if slot.actor is None]
        delivery = self.queue.next_time()
        if idle and delivery is not None:
            times.append(max(delivery, min(idle)))
        times += [time for time in (self._sweep_time(), self.cloud.next_late()) if time is not None]
        return min(times, default=None)

    def advance_to(self, at: int) -> None:
        """Let time pass."""
        self.clock.now = max(self.clock.now, at)
        self.cloud.settle(self.clock.now)
        self.store.expire(self.clock.redis)

    # --- The clock of Redis.

    def set_redis(self, milliseconds: int) -> None:
        """Set the clock of Redis, when beat has had time to send a sweep."""
        self.clock.is_unseen = True
        self.later(SWEEP_MS, partial(self._set_redis, milliseconds))

    def later(self, milliseconds: int, begin: Callable[[], None]) -> None:
        """Let something begin in some time."""
        self.again.append(Again(self.clock.now + milliseconds, begin))

    def _set_redis(self, milliseconds: int) -> None:
        if milliseconds > 0:
            self.abandon_all()
        self.clock.set_redis(milliseconds)
        self.store.expire(self.clock.redis)

    def abandon_all(self) -> None:
        """What has a lease loses it: on Redis so much time has passed that all stood still in between."""
        self.calls.abandoned.update(actor.request for actor in self.actors)
        self.actions.abandon_held()

    # --- Workers and beat.

    def _sweep_time(self) -> int | None:
        """Beat sends a sweep every second; those that find nothing due, and no clock that was set, are left out."""
        if (self._due is None and not self.clock.is_unseen) or self.queue.has("sweep"):
            return None
        due = self.clock.now if self.clock.is_unseen or self._due is None else self.clock.at_redis(self._due)
        return max(due, self._swept_at + SECOND, self.calls.redis_down_until)

    def _send_sweep(self) -> None:
        at = self._sweep_time()
        if at is not None and at <= self.clock.now:
            self._swept_at = self.clock.now
            several = 2 if unit(self.plan.seed, 5, self.calls.step) < 0.1 else 1
            for _ in range(several):
                self.queue.put(Message(kind="sweep", deliver_at=self.clock.now))

    def _deliver(self) -> None:
        earliest = self.queue.next_time()
        if earliest is None or earliest > self.clock.now:
            return
        for slot in self.slots:
            if slot.actor is None and slot.up_at <= self.clock.now:
                message = self.queue.take(self.clock.now, self._choose)
                if message is not None:
                    self._work(slot, message)

    def _choose(self, count: int) -> int:
        return below(count, self.plan.seed, 6, self.calls.step, self.clock.now)

    def _work(self, slot: Slot, message: Message) -> None:
        if slot.deps is None or slot.limits != self.limits.now:
            slot.deps, slot.limits = self.actions.new_process(), dict(self.limits.now)
        deps, slot.message = slot.deps, message
        slot.actor = self.begin(slot.host, message.about, lambda: self.actions.carry_out(message, deps))

    def _redeliver(self, actor: Actor) -> None:
        """The messages of a worker that does not move are given to another one."""
        for slot in self.slots:
            if slot.actor is actor and slot.message is not None:
                self._return(slot.message)

    def _return(self, message: Message) -> None:
        pause = 1 + round(unit(self.plan.seed, 7, self.calls.step) * 60)
        self.queue.put(replace(message, deliver_at=self.clock.now + pause * SECOND))

    # --- Actors.

    def begin(self, host: str, request: str, body: Callable[[], None]) -> Actor:
        """Let an actor begin now."""
        actor = Actor(host, request)
        actor.ready_at = self.clock.now
        self.actors.append(actor)
        self._bodies[actor] = body
        self.crew.begin(actor, body)
        return actor

    def _end(self, actor: Actor) -> None:
        self.actors.remove(actor)
        body = self._bodies.pop(actor)
        is_killed = isinstance(actor.error, KilledError)
        if actor.error is not None and not is_killed:
            raise ViolationError("defect", f"{actor.host} with {actor.request}: {actor.error!r}")
        slot = next((slot for slot in self.slots if slot.actor is actor), None)
        if slot is None and is_killed:
            self.again.append(Again(self.clock.now + 5 * SECOND, partial(self._restart, actor, body)))
        if slot is not None:
            self._free(slot, is_dead=is_killed)
        if slot is not None and is_killed:
            self._stop({slot.host})

    def name_of(self, key: str, spelling: str) -> str:
        """Name a definition by the CustomerKey that it has, another spelling of it, its ObjectID or a former key."""
        now = self.cloud.keys[key]
        met = self.invariants.pauses.met_of(key)
        former = [name for name in self.cloud.former(key) if name in met]
        names = {"upper": now.upper(), "blank": f"{now}  ", "object": object_id(key), "former": (*former, now)[0]}
        return names.get(spelling, now)

    def _restart(self, actor: Actor, body: Callable[[], None]) -> None:
        self.begin(actor.host, actor.request, body)

    def _free(self, slot: Slot, *, is_dead: bool) -> None:
        message, slot.message, slot.actor = slot.message, None, None
        if is_dead and message is not None:
            self.calls.abandoned[message.about] += 1
            self._return(message)

    def _stop(self, hosts: Collection[str]) -> None:
        """Worker processes die with all that they have in their hands, and come back."""
        stopped = [slot for slot in self.slots if slot.host in hosts]
        for slot in stopped:
            slot.deps, slot.up_at = None, self.clock.now + 2 * SECOND
            self.actions.forget(slot.host)
        for slot in stopped:
            if slot.actor is not None:
                self.crew.kill(slot.actor)
                self._end(slot.actor)

    def _begin_anew(self) -> None:
        for again in [again for again in self.again if again.at <= self.clock.now]:
            self.again.remove(again)
            again.begin()

    # --- Invariants.

    def _check(self) -> None:
        self.invariants.applied()
        if self.calls.changed:
            self.calls.changed = False
            view = self.store.look(self.clock.redis)
            self._due = min(view.due.values(), default=None)
            self.invariants.after_step(view)
            if self.plan.operator:
                self._operate(view)

    def _operate(self, view: View) -> None:
        """An operator sees an end that needs a person, and acts some time later, once for each."""
        for event in view.events:
            request, name = str(event["data"].get("request_id")), name_of(event)
            if name in OPERATOR_ACTS and (request, name) not in self._operated:
                self._operated.add((request, name))
                at = self.clock.now + round(unit(self.plan.seed, 8, self.calls.step) * 600 * SECOND)
                self.again.append(Again(at, partial(self._act, request, name)))

    def _act(self, request: str, name: str) -> None:
        if self.cloud.is_pending(request):
            return
        command = getattr(self.operator, OPERATOR_ACTS[name])
        self.begin("operator", request, lambda: command(request))
