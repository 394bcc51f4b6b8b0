"""Whether the promises were kept, judged from what is left after a storm; pure, and independent of the ledger's code.

A run belongs to the request whose `started` event names it, or else to the one that was starting its definition
when the sandbox applied it: the definition's last `starting` before that moment.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ops.storm.record import Event, Perform, Remains
from worker.domain.life import NEW, TERMINAL, event_of

STATUS_OF = {
    "completed": "Completed",
    "completed_with_errors": "Completed",
    "completed_empty": "Completed",
    "import_failed": "Error",
}
SEEN_FROM_OUTSIDE = frozenset({"double", "two at once", "inside the window", "lost"})
"""Flaws that need no ledger to be seen."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """A promise that was not kept: its kind, and a line that says how to find it."""

    kind: str
    text: str


@dataclass(frozen=True)
class Judge:
    """The remains of a storm, sorted by request and by definition; `windows` are seconds by definition."""

    remains: Remains
    windows: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def by_request(self) -> dict[str, list[Event]]:
        """The events of each request, oldest first."""
        found: dict[str, list[Event]] = defaultdict(list)
        for event in self.remains.events:
            found[event.request_id].append(event)
        return found

    @cached_property
    def claims(self) -> dict[str, list[str]]:
        """The requests whose `started` names a Task.ID."""
        found: dict[str, list[str]] = defaultdict(list)
        for event in self.remains.events:
            if event.name == "started":
                found[str(event.data.get("task_id"))].append(event.request_id)
        return found

    @cached_property
    def senders(self) -> dict[str, str | None]:
        """The request that was starting the definition when each run was applied, by Task.ID."""
        starts: dict[str, list[Event]] = defaultdict(list)
        for event in self.remains.events:
            if event.name == "starting":
                starts[event.key].append(event)
        return {p.task_id: _last_before(starts[p.key], p.at) for p in self.remains.performs}

    @cached_property
    def owners(self) -> dict[str, str | None]:
        """The request that each run belongs to, by Task.ID."""
        return {task: self.claims[task][0] if task in self.claims else sent for task, sent in self.senders.items()}

    @cached_property
    def runs_of(self) -> dict[str | None, list[Perform]]:
        """The applied starts of each request."""
        found: dict[str | None, list[Perform]] = defaultdict(list)
        for perform in self.remains.performs:
            found[self.owners[perform.task_id]].append(perform)
        return found

    def flaws(self) -> list[Flaw]:
        """Every promise that was not kept."""
        kinds = (
            self._doubles, self._overlaps, self._windows, self._lost, self._unjust_unknowns,
            self._untrue, self._steps, self._mismatches, self._left_over,
        )  # fmt: skip
        return [flaw for kind in kinds for flaw in kind()]

    def outcomes(self) -> Counter[str]:
        """How many requests ended in which way."""
        return Counter(events[-1].name for events in self.by_request.values())

    def waits(self) -> list[float]:
        """Seconds from `accepted` to the first decision, of each request, shortest first."""
        return sorted(events[1].at - events[0].at for events in self.by_request.values() if len(events) > 1)

    def _doubles(self) -> Iterator[Flaw]:
        for request, runs in self.runs_of.items():
            if len(runs) > 1 or request is None:
                yield Flaw("double", f"request {request} of {runs[0].key}: runs {[run.task_id for run in runs]}")

    def _overlaps(self) -> Iterator[Flaw]:
        spans = defaultdict(list)
        for request, events in self.by_request.items():
            begun = next((e.at for e in events if e.name == "starting"), None)
            if begun is not None:
                over = next((e.at for e in events if e.name in TERMINAL), float("inf"))
                spans[events[0].key].append((begun, over, request))
        for run in self.remains.performs:
            owner = self.owners[run.task_id]
            others = [r for begun, over, r in spans[run.key] if begun < run.at < over and r != owner]
            if others:
                yield Flaw("two at once", f"{run.key}: run {run.task_id} of {owner} during {others}")

    def _windows(self) -> Iterator[Flaw]:
        earlier: dict[str, Perform] = {}
        for run in self.remains.performs:
            seconds, owner = self.windows.get(run.key, 0.0), self.owners[run.task_id]
            before = earlier.get(run.key)
            if before and seconds and run.at - before.at < seconds and not self._is_forced(owner):
                yield Flaw("inside the window", f"{run.key}: run {run.task_id} of {owner} after {before.task_id}")
            if self._ended_as(self.owners[run.task_id]) != "import_failed":
                earlier[run.key] = run

    def _lost(self) -> Iterator[Flaw]:
        for sent in {sent.request_id: sent for sent in self.remains.sent}.values():
            if sent.request_id not in self.by_request:
                yield Flaw("lost", f"request {sent.request_id} of {sent.key} by {sent.way} left no trace")
        for request, events in self.by_request.items():
            if events[-1].name not in TERMINAL:
                yield Flaw("lost", f"request {request} of {events[0].key} stands at {events[-1].name}")

    def _unjust_unknowns(self) -> Iterator[Flaw]:
        for request, events in self.by_request.items():
            last = events[-1]
            if last.name == "start_unknown" and self.runs_of.get(request) and not last.data.get("candidates"):
                runs = [run.task_id for run in self.runs_of[request]]
                yield Flaw("unjust unknown", f"request {request} of {last.key}: its row was there: {runs}")

    def _untrue(self) -> Iterator[Flaw]:
        runs = {run.task_id: run for run in self.remains.performs}
        for task, requests in self.claims.items():
            if task not in runs:
                yield Flaw("untrue", f"run {task} of {requests} was never applied")
            elif len(set(requests)) > 1:
                yield Flaw("untrue", f"run {task} is claimed by {requests}")
            elif self.senders[task] != requests[0]:
                yield Flaw("untrue", f"run {task} of {requests[0]} was sent for {self.senders[task]}")
        for events in self.by_request.values():
            last = events[-1]
            expected, run = STATUS_OF.get(last.name), runs.get(str(last.data.get("task_id")))
            if expected and (run is None or run.status != expected):
                yield Flaw("untrue", f"request {last.request_id} is {last.name}, its run is {run and run.status}")
            if last.name in {"rejected", "gave_up"} and self.runs_of.get(last.request_id):
                yield Flaw("untrue", f"request {last.request_id} is {last.name}, but was started")

    def _steps(self) -> Iterator[Flaw]:
        for request, events in self.by_request.items():
            state = NEW
            for number, event in enumerate(events, 1):
                target = "started" if event.name == "progressed" else event.name
                if not _is_step(state, target, event.name) or event.id != f"{request}/{number}/{event.name}":
                    yield Flaw("impossible event", f"{event.id} after {state} of request {request}")
                state = target

    def _mismatches(self) -> Iterator[Flaw]:
        for request in self.by_request.keys() | self.remains.states.keys():
            events, state = self.by_request.get(request), self.remains.states.get(request)
            told = None if not events else "started" if events[-1].name == "progressed" else events[-1].name
            if told != state:
                yield Flaw("state without event", f"request {request} is {state}, its events say {told}")

    def _left_over(self) -> Iterator[Flaw]:
        for place, count in self.remains.left.items():
            if count:
                yield Flaw("left over", f"{place} holds {count}")
        for name in self.remains.endless:
            yield Flaw("left over", f"key without a time to live: {name}")

    def _is_forced(self, request: str | None) -> bool:
        return any(event.data.get("force") for event in self.by_request.get(str(request), []))

    def _ended_as(self, request: str | None) -> str | None:
        events = self.by_request.get(str(request))
        return events[-1].name if events else None


def _last_before(starts: list[Event], moment: float) -> str | None:
    earlier = [event.request_id for event in starts if event.at <= moment]
    return earlier[-1] if earlier else None


def _is_step(source: str, target: str, name: str) -> bool:
    try:
        return event_of(source, target) == name
    except KeyError:
        return False
