"""Random lives of many requests and workers, written once for any World; the invariants are checked after each step."""

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from sfmc_import.faults import Ambiguous, NotApplied, Rejected
from sfmc_import.policy import Policy
from sfmc_import.request import FileInfo, StartRequest
from sfmc_import.runs import Accepted
from sfmc_import.states import RUN_ENDS, TERMINAL, UNFINISHED, UNSTARTED, Lease, Reconcile, StartNow
from tests.support.checks import by_request, name_of, stands_for, walk
from tests.support.ledger_world import START_MS, World

MID = "1"
KEYS = ("k", "k:2")
MAX_REQUESTS = 7
WINDOW = 1.0
WAYS = ["applied", "applied", "applied", "applied_and_die", "doubt", "doubt", "die", "not_sent", "retry", "reject"]
PAUSES = st.sampled_from([0.0, 0.001, 5.0, 60.0, 180.0, 600.0, 3600.0, 30000.0, -50.0, -5000.0])
FILES = st.one_of(
    st.none(),
    st.builds(
        lambda name, version: FileInfo(location="/", name=name, version=version),
        st.sampled_from(["a", "b"]),
        st.sampled_from([None, "1", "2"]),
    ),
)
POLICIES = st.builds(
    Policy,
    when_too_soon=st.sampled_from(["defer", "defer", "drop"]),
    coalesce=st.sampled_from(["same_name", "latest", "each"]),
    on_error=st.sampled_from(["free", "keep"]),
    when_ambiguous=st.sampled_from(["unknown", "repeat"]),
)


class Interleavings(RuleBasedStateMachine):
    """Workers are leases that may be used, kept, used again or forgotten at any time."""

    leases = Bundle("leases")
    new_world: Callable[[], World]

    @initialize(policy=POLICIES)
    def begin(self, policy: Policy) -> None:
        self.world = type(self).new_world()
        self.ledger = self.world.ledger
        self.policy = policy
        self.requests: dict[str, StartRequest] = {}
        self.applied: dict[str, list[str]] = {}
        self.repeated: set[str] = set()
        self.done: set[tuple[str, int]] = set()
        self.highest = dict.fromkeys(KEYS, 0)
        self.tasks = 0
        self.steps_back: list[tuple[int, float]] = []

    @precondition(lambda self: len(self.requests) < MAX_REQUESTS)
    @rule(key=st.sampled_from(KEYS), file=FILES, force=st.booleans(), event=st.sampled_from([None, None, "e1", "2:e"]))
    def arrive(self, key: str, file: FileInfo | None, *, force: bool, event: str | None) -> None:
        name = f"r{len(self.requests)}"
        request = StartRequest(request_id=name, customer_key=key, mid=MID, file=file, force=force, event_id=event)
        self.requests[name] = request
        assert self.ledger.accept(request) is True

    @rule(target=leases, data=st.data(), again=st.booleans())
    def claim(self, data: Any, *, again: bool) -> Any:
        if not self.requests:
            return multiple()
        request = self.requests[data.draw(st.sampled_from(sorted(self.requests)))]
        owner = f"w{data.draw(st.integers(0, 10**6))}"
        decision = self.ledger.claim(request, owner, self.policy)
        if again:
            assert self.ledger.claim(request, owner, self.policy) == decision
        if not isinstance(decision, (StartNow, Reconcile)):
            return multiple()
        self._fence_grew(decision.lease)
        return decision

    def _fence_grew(self, lease: Lease) -> None:
        assert lease.fence >= self.highest[lease.customer_key]
        self.highest[lease.customer_key] = lease.fence

    @rule(decision=leases, data=st.data())
    def send(self, decision: StartNow | Reconcile, data: Any) -> None:
        """A worker that was away for a while goes on."""
        self._send(decision, data)

    @rule(data=st.data(), target=leases)
    def work_on_what_is_due_next(self, data: Any) -> Any:
        """Time passes to the next due time; a worker takes that request and acts at once."""
        due = self.world.due()
        if not due:
            return multiple()
        name = min(due, key=lambda name: (due[name], name))
        self.world.advance(max(0, due[name] - self.world.now_ms()) / 1000)
        if self.world.state(name) == "started":
            self._follow(name, data)
            return multiple()
        decision = self.ledger.claim(self.requests[name], f"d{data.draw(st.integers(0, 10**6))}", self.policy)
        if not isinstance(decision, (StartNow, Reconcile)):
            return multiple()
        self._fence_grew(decision.lease)
        self._send(decision, data)
        self._look(decision, visible=data.draw(st.booleans()), late=data.draw(st.booleans()))
        return decision

    def _send(self, decision: StartNow | Reconcile, data: Any) -> None:
        """Intent, Perform and its outcome; the worker may die, or freeze, after each."""
        lease = decision.lease
        if isinstance(decision, Reconcile) or (lease.request_id, lease.fence) in self.done:
            return
        if self.ledger.record_intent(lease, ["old"]) is None:
            return
        what = data.draw(st.sampled_from(WAYS))
        if what != "not_sent":
            self.done.add((lease.request_id, lease.fence))
        getattr(self, f"_{what}")(lease)

    def _die(self, lease: Lease) -> None:
        """It is not heard of again."""

    def _apply(self, lease: Lease) -> Accepted:
        self.tasks += 1
        task = f"t{self.tasks}"
        self.applied.setdefault(lease.request_id, []).append(task)
        return Accepted(task_id=task, soap_request_id=f"s{task}")

    def _applied(self, lease: Lease) -> None:
        assert self.ledger.started(lease, self._apply(lease), WINDOW, self.policy) is True

    def _applied_and_die(self, lease: Lease) -> None:
        self._apply(lease)

    def _doubt(self, lease: Lease) -> None:
        assert self.ledger.mark_ambiguous(lease, Ambiguous("reset", "reset"), 60, self.policy) is True

    def _not_sent(self, lease: Lease) -> None:
        assert self.ledger.withdraw_intent(lease) is True

    def _retry(self, lease: Lease) -> None:
        assert self.ledger.retry(lease, NotApplied("9", "later"), 30) in {"retrying", self._end(lease, "gave_up")}

    def _reject(self, lease: Lease) -> None:
        assert self.ledger.reject(lease, Rejected("43010", "no")) == self._end(lease, "rejected")

    def _end(self, lease: Lease, without_doubt: str) -> str:
        """The end of a request without a run: unknown when an attempt was repeated without proof."""
        return "start_unknown" if lease.request_id in self.repeated else without_doubt

    @rule(decision=leases)
    def late_started(self, decision: StartNow | Reconcile) -> None:
        """A frozen worker comes back with the Task.ID of what it had sent."""
        for task in self.applied.get(decision.lease.request_id, [])[:1]:
            self.ledger.started(decision.lease, Accepted(task_id=task), WINDOW, self.policy)

    @rule(decision=leases, visible=st.booleans(), late=st.booleans())
    def look(self, decision: StartNow | Reconcile, *, visible: bool, late: bool) -> None:
        self._look(decision, visible=visible, late=late)

    def _look(self, decision: StartNow | Reconcile, *, visible: bool, late: bool) -> None:
        if not isinstance(decision, Reconcile):
            return
        lease = decision.lease
        new = self.applied.get(lease.request_id, []) if visible else []
        free = sorted(self.ledger.unassigned_task_ids(MID, new))
        if len(free) == 1:
            self.ledger.started(lease, Accepted(task_id=free[0]), WINDOW, self.policy, reconciled=True)
        elif free or (late and self.policy.when_ambiguous == "unknown"):
            self.ledger.record_start_unknown(lease, free, WINDOW)
        elif late:
            if self.ledger.retry(lease, NotApplied("nothing_started", "again"), 30):
                self.repeated.add(lease.request_id)
        else:
            self.ledger.reconcile_later(lease, NotApplied("no_run_yet", "…"), 20)

    @rule(decision=consumes(leases))
    def forget_a_worker(self, decision: StartNow | Reconcile) -> None:
        """It is gone for good."""

    @rule(data=st.data())
    def follow(self, data: Any) -> None:
        for name in sorted(self.requests):
            self._follow(name, data)

    def _follow(self, name: str, data: Any) -> None:
        turn = self.ledger.polling([name], f"p{data.draw(st.integers(0, 10**6))}")
        # The worker may die over the answer.
        for run in self.ledger.followed(turn.granted if data.draw(st.integers(0, 3)) else []):
            status = data.draw(st.sampled_from([None, "New", "Processing", *RUN_ENDS]))
            if status not in RUN_ENDS:
                self.ledger.progressed(run, status, 30)
                continue
            self.ledger.ended(run, status, None, self.policy)
            self.ledger.ended(run, status, None, self.policy)

    @rule(data=st.data())
    def resume(self, data: Any) -> None:
        if self.requests:
            self.ledger.resume(data.draw(st.sampled_from(sorted(self.requests))), self.policy)

    @rule(seconds=PAUSES)
    def time_passes(self, seconds: float) -> None:
        if self.world.now_ms() + seconds * 1000 >= START_MS:
            if seconds < 0:
                self.steps_back.append((len(self.world.events()), -seconds))
            self.world.advance(seconds)

    def _true_time(self, number: int, time: str) -> float:
        """Seconds since 1970 on a clock that never went back, for a time of the event of this number."""
        went_back = sum(seconds for before, seconds in self.steps_back if number >= before)
        return datetime.fromisoformat(time).timestamp() + went_back

    @rule()
    def sweep(self) -> None:
        for due in self.ledger.due(100, 30):
            assert self.world.state(due.request_id) == due.state

    @invariant()
    def every_event_has_its_state_and_every_state_its_event(self) -> None:
        published = by_request(self.world.events())
        assert set(published) == set(self.requests)
        for name, events in published.items():
            states = walk(events)
            assert self.world.state(name) == states[-1]
            self._ended_once(name, states)

    def _ended_once(self, name: str, states: list[str]) -> None:
        ends = [number for number, state in enumerate(states) if state in TERMINAL]
        for number in ends[:-1]:
            following = states[number + 1] if number + 1 < len(states) else "started"
            assert following == "started" or (states[number], following) == ("duplicate", "accepted"), (name, states)

    @invariant()
    def what_was_asked_for_again_is_not_forgotten(self) -> None:
        events = by_request(self.world.events())
        for name in self.requests:
            other = stands_for(name, events)
            assert other == name or name_of(events[other][-1]) not in UNSTARTED, (name, other)

    @invariant()
    def due_has_exactly_the_unfinished_requests(self) -> None:
        unfinished = {name for name in self.requests if self.world.state(name) in UNFINISHED}
        assert set(self.world.due()) == unfinished

    @invariant()
    def one_request_of_a_definition_is_in_flight(self) -> None:
        late = self._late()
        for key in KEYS:
            names = [
                name for name, request in self.requests.items() if request.customer_key == key and name not in late
            ]
            flying = [n for n in names if self.world.state(n) in {"starting", "retrying", "reconciling", "started"}]
            assert len(flying) <= 1, flying

    def _late(self) -> set[str]:
        """Requests that were started, or followed again, after their end: the truth outranks single flight."""
        late = set()
        for name, events in by_request(self.world.events()).items():
            states = walk(events)
            if any(before in TERMINAL and after == "started" for before, after in pairwise(states)):
                late.add(name)
        return late

    @invariant()
    def a_request_is_applied_once_unless_its_policy_repeats(self) -> None:
        for name, tasks in self.applied.items():
            assert len(tasks) <= 1 or name in self.repeated, (name, tasks)

    @invariant()
    def starts_inside_a_window_were_forced_or_follow_an_error(self) -> None:
        if any(name_of(event) == "import_failed" for event in self.world.events()) or self._late():
            return
        opens: dict[str, float] = {}
        for number, event in enumerate(self.world.events()):
            data, key = event["data"], event["subject"]
            if name_of(event) == "starting" and data["attempt"] == 1 and "force" not in data:
                assert self._true_time(number, event["time"]) >= opens.get(key, 0.0) - 0.001, data["request_id"]
            if name_of(event) in {"started", "start_unknown"} and "window_opens" in data:
                opens[key] = max(opens.get(key, 0.0), self._true_time(number, data["window_opens"]))

    @invariant()
    def no_key_lives_for_ever(self) -> None:
        assert self.world.endless_keys() == []
