"""Checks whether the promises were kept, from what a chaos run left; shares no decision with the ledger.

A run belongs to the request whose `started` event names it, or else to the one that was starting its definition
when the sandbox applied it: the definition's last `starting` before that moment.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sfmc_harness.chaos.final_state import REFUSAL, Event, FinalState, Perform, Sent
from sfmc_harness.chaos.plan import ANY_FILE, MIDNIGHT_MARGIN, Midnight
from sfmc_import.states import NEW, REPORTS, TERMINAL, UNSTARTED, event_of

STATUS_OF = {
    "completed": "Completed",
    "completed_with_errors": "Completed",
    "completed_empty": "Completed",
    "completed_suspicious": "Completed",
    "import_failed": "Error",
}
KINDS = (
    "double", "two at once", "inside the window", "lost", "other account", "another file", "too early", "too late",
    "refused in silence", "unjust end", "unjust unknown", "untrue", "impossible event", "state without event",
    "left over", "forgotten", "too much memory",
)  # fmt: skip
SEEN_FROM_OUTSIDE = frozenset(KINDS[: KINDS.index("unjust unknown")])
"""Kinds of violations that can be seen without the ledger."""

CLOCK_SECONDS = 0.2
"""By how much the times of Redis, sandbox and senders may differ: all are on one machine, some cut to milliseconds."""

NO_MIDNIGHT = Midnight(float("inf"), ("", ""))
ONE_DECISION_SECONDS = 3.0
"""From the decision that a request is in time to the event of its start."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was not kept: its kind, and a line that says how to find it."""

    kind: str
    text: str


@dataclass(frozen=True)
class Checker:
    """Sorts the final state by request and by definition and finds violations.

    `windows` are seconds by definition. `file_specs` say which file each definition imports, by `midnight`.
    """

    final_state: FinalState
    windows: Mapping[str, float] = field(default_factory=dict)
    file_specs: Mapping[str, str] = field(default_factory=dict)
    midnight: Midnight = NO_MIDNIGHT

    @cached_property
    def by_request(self) -> dict[str, list[Event]]:
        """The events of each request, oldest first."""
        found: dict[str, list[Event]] = defaultdict(list)
        for event in self.final_state.events:
            if event.name not in REPORTS:
                found[event.request_id].append(event)
        return found

    @cached_property
    def sent(self) -> dict[str, list[Sent]]:
        """What was sent under each request id: more than once, and with other content as well."""
        found: dict[str, list[Sent]] = defaultdict(list)
        for sent in self.final_state.sent:
            found[sent.request_id].append(sent)
        return found

    @cached_property
    def claims(self) -> dict[str, list[str]]:
        """The requests whose `started` names a Task.ID."""
        found: dict[str, list[str]] = defaultdict(list)
        for event in self.final_state.events:
            if event.name == "started":
                found[str(event.data.get("task_id"))].append(event.request_id)
        return found

    @cached_property
    def senders(self) -> dict[str, str | None]:
        """The request that was starting the definition when each run was applied, by Task.ID."""
        starts: dict[str, list[Event]] = defaultdict(list)
        for event in self.final_state.events:
            if event.name == "starting":
                starts[event.key].append(event)
        return {p.task_id: _last_before(starts[p.key], p.at) for p in self.final_state.performs}

    @cached_property
    def owners(self) -> dict[str, str | None]:
        """The request that each run belongs to, by Task.ID."""
        return {task: self.claims[task][0] if task in self.claims else sent for task, sent in self.senders.items()}

    @cached_property
    def runs_of(self) -> dict[str | None, list[Perform]]:
        """The applied starts of each request."""
        found: dict[str | None, list[Perform]] = defaultdict(list)
        for perform in self.final_state.performs:
            found[self.owners[perform.task_id]].append(perform)
        return found

    def violations(self) -> list[Violation]:
        """Every promise that was not kept."""
        kinds = (
            self._doubles, self._overlaps, self._windows, self._lost, self._strangers, self._files, self._times,
            self._refusals, self._unjust_ends, self._unjust_unknowns, self._untrue, self._steps, self._mismatches,
            self._left_over, self._forgotten,
        )  # fmt: skip
        return [violation for kind in kinds for violation in kind()]

    def outcomes(self) -> Counter[str]:
        """How many requests ended in which way, or wait for the time that their sender named."""
        return Counter(
            "(not yet: their time)" if self._waits_rightly(request) else events[-1].name
            for request, events in self.by_request.items()
        )

    def begun(self) -> int:
        """How many requests came to a start."""
        return sum(any(event.name == "starting" for event in events) for events in self.by_request.values())

    def unknowns(self) -> Counter[str]:
        """The last reason why it was not known whether a start was applied, of each that ended as start_unknown."""
        ended = (events for events in self.by_request.values() if events[-1].name == "start_unknown")
        return Counter(_doubt(events) for events in ended)

    def waits(self) -> list[float]:
        """Seconds from `accepted` to the first decision, of each request that may start at once, shortest first."""
        asked_later = {sent.request_id for sent in self.final_state.sent if sent.eta}
        decided = (events for events in self.by_request.values() if len(events) > 1)
        return sorted(e[1].at - e[0].at for e in decided if e[0].request_id not in asked_later)

    def _doubles(self) -> Iterator[Violation]:
        for request, runs in self.runs_of.items():
            if len(runs) > 1 or request is None:
                yield Violation("double", f"request {request} of {runs[0].key}: runs {[run.task_id for run in runs]}")

    def _overlaps(self) -> Iterator[Violation]:
        spans: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
        for request, events in self.by_request.items():
            spans[events[0].key] += [(begun, over, request) for begun, over in _spans(events)]
        for run in self.final_state.performs:
            owner = self.owners[run.task_id]
            others = [r for begun, over, r in spans[run.key] if begun < run.at < over and r != owner]
            if others:
                yield Violation("two at once", f"{run.key}: run {run.task_id} of {owner} during {others}")

    def _windows(self) -> Iterator[Violation]:
        earlier: dict[str, Perform] = {}
        for run in self.final_state.performs:
            seconds, owner = self.windows.get(run.key, 0.0), self.owners[run.task_id]
            before = earlier.get(run.key)
            if before and seconds and run.at - before.at < seconds and not self._is_forced(owner):
                yield Violation("inside the window", f"{run.key}: run {run.task_id} of {owner} after {before.task_id}")
            if self._ended_as(self.owners[run.task_id]) != "import_failed":
                earlier[run.key] = run

    def _lost(self) -> Iterator[Violation]:
        for request, messages in self.sent.items():
            if request not in self.by_request and not all(message.refused for message in messages):
                yield Violation("lost", f"request {request} of {messages[0].key} by {messages[0].way} left no trace")
        for request, events in self.by_request.items():
            if events[-1].name not in TERMINAL and not self._waits_rightly(request):
                yield Violation("lost", f"request {request} of {events[0].key} stands at {events[-1].name}")

    def _waits_rightly(self, request: str) -> bool:
        due = self.final_state.waiting.get(request)
        return due is not None and any(sent.eta and abs(sent.eta - due) < CLOCK_SECONDS for sent in self.sent[request])

    def _strangers(self) -> Iterator[Violation]:
        for request, events in self.by_request.items():
            if request in self.final_state.foreign:
                names = [event.name for event in events]
                yield Violation("other account", f"request {request} of another deployment: {names}")

    def _files(self) -> Iterator[Violation]:
        for run in self.final_state.performs:
            wanted = self._file_of(self.owners[run.task_id])
            if self.file_specs.get(run.key, ANY_FILE) != ANY_FILE and run.file and wanted not in {None, run.file}:
                text = f"{run.key}: run {run.task_id} imported {run.file} for a request of {wanted}"
                yield Violation("another file", text)

    def _file_of(self, request: str | None) -> str | None:
        files = (event.data.get("file") for event in self.by_request.get(str(request), []))
        return next((str(file["name"]) for file in files if file), None)

    def _times(self) -> Iterator[Violation]:
        for request, events in self.by_request.items():
            begun = [event.at for event in events if event.name == "starting"]
            # Under an id that was sent with other content, either may be the one that was accepted.
            messages = [] if any(sent.refused for sent in self.sent[request]) else self.sent[request]
            for sent in messages[:1]:
                if sent.eta and begun and begun[0] < sent.eta - CLOCK_SECONDS:
                    yield Violation("too early", f"request {request} was started {sent.eta - begun[0]:.1f} s early")
                if sent.expires and begun and begun[0] > sent.expires + ONE_DECISION_SECONDS:
                    yield Violation("too late", f"request {request} was started {begun[0] - sent.expires:.1f} s late")

    def _refusals(self) -> Iterator[Violation]:
        reports = [event.data for event in self.final_state.events if event.name == REFUSAL]
        reported = Counter(str(data.get("message_id") or data.get("request_id")) for data in reports)
        for request, messages in self.sent.items():
            refused = [sent for sent in messages if sent.refused]
            most = sum(sent.tries for sent in messages)
            if refused and not len(refused) <= reported[request] <= most:
                text = f"{len(refused)} messages {request} have {reported[request]} events, sent {most} times at most"
                yield Violation("refused in silence", text)
        for request in reported.keys() - {sent.request_id for sent in self.final_state.sent if sent.refused}:
            said = [f"{data.get('reason')}, {data.get('text')}" for data in reports if request in _ids_of(data)]
            yield Violation("unjust end", f"message {request} was refused, and it can be accepted: {'; '.join(said)}")

    def _unjust_ends(self) -> Iterator[Violation]:
        for request, events in self.by_request.items():
            last = events[-1]
            if last.name == "gave_up" and last.data.get("code") != "worker_lost":
                yield Violation("unjust end", f"request {request} gave up: {last.data.get('text')}")
            if last.name == "rejected" and not self._is_another_file(request, last):
                yield Violation("unjust end", f"request {request} was rejected: {last.data.get('text')}")
            if last.name == "expired" and not any(s.expires and s.expires <= last.at for s in self.sent[request]):
                yield Violation("unjust end", f"request {request} expired without a deadline that was over")

    def _is_another_file(self, request: str, rejected: Event) -> bool:
        spec, name = self.file_specs.get(rejected.key, ANY_FILE), self._file_of(request)
        around = (rejected.at - MIDNIGHT_MARGIN, rejected.at + MIDNIGHT_MARGIN)
        selected = [self.midnight.name(spec, at) for at in around]
        is_checked = spec != ANY_FILE and name is not None
        return is_checked and rejected.data.get("code") == "pattern_mismatch" and selected != [name, name]

    def _unjust_unknowns(self) -> Iterator[Violation]:
        for request, events in self.by_request.items():
            last = events[-1]
            if last.name == "start_unknown" and self.runs_of.get(request) and not last.data.get("candidates"):
                runs = [run.task_id for run in self.runs_of[request]]
                yield Violation("unjust unknown", f"request {request} of {last.key}: its row was there: {runs}")

    def _untrue(self) -> Iterator[Violation]:
        runs = {run.task_id: run for run in self.final_state.performs}
        for task, requests in self.claims.items():
            if task not in runs:
                yield Violation("untrue", f"run {task} of {requests} was never applied")
            elif len(set(requests)) > 1:
                yield Violation("untrue", f"run {task} is claimed by {requests}")
            elif self.senders[task] != requests[0]:
                yield Violation("untrue", f"run {task} of {requests[0]} was sent for {self.senders[task]}")
        for events in self.by_request.values():
            last = events[-1]
            expected, run = STATUS_OF.get(last.name), runs.get(str(last.data.get("task_id")))
            if expected and (run is None or run.status != expected):
                yield Violation("untrue", f"request {last.request_id} is {last.name}, its run is {run and run.status}")
            if last.name in {"rejected", "gave_up"} and self.runs_of.get(last.request_id):
                yield Violation("untrue", f"request {last.request_id} is {last.name}, but was started")

    def _steps(self) -> Iterator[Violation]:
        for request, events in self.by_request.items():
            state = NEW
            for number, event in enumerate(events, 1):
                target = "started" if event.name == "progressed" else event.name
                if not _is_step(state, target, event.name) or event.id != f"{request}/{number}/{event.name}":
                    yield Violation("impossible event", f"{event.id} after {state} of request {request}")
                state = target

    def _mismatches(self) -> Iterator[Violation]:
        for request in self.by_request.keys() | self.final_state.states.keys():
            events, state = self.by_request.get(request), self.final_state.states.get(request)
            reported = None if not events else "started" if events[-1].name == "progressed" else events[-1].name
            if reported != state:
                yield Violation("state without event", f"request {request} is {state}, its events say {reported}")

    def _left_over(self) -> Iterator[Violation]:
        for place, count in self.final_state.left.items():
            if count:
                yield Violation("left over", f"{place} holds {count}")
        for name in self.final_state.endless:
            yield Violation("left over", f"key without a time to live: {name}")

    def _forgotten(self) -> Iterator[Violation]:
        """A duplicate of a request that came to nothing, and none was taken up in the place of that one."""
        taken_up = {event.data.get("instead_of") for event in self.final_state.events}
        for request, events in self.by_request.items():
            other = str(events[-1].data.get("held_by"))
            if events[-1].name == "duplicate" and other not in taken_up and self._ended_as(other) in UNSTARTED:
                yield Violation("forgotten", f"request {request} is a duplicate of {other}: {self._ended_as(other)}")

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


def _spans(events: list[Event]) -> Iterator[tuple[float, float]]:
    """When a request held its definition. One that waits for the other side of midnight lets others go first."""
    begun: float | None = None
    for event in events:
        lets_go = event.name == "retrying" and event.data.get("code") == "near_midnight"
        if begun is not None and (lets_go or event.name in TERMINAL):
            yield begun, event.at
            begun = None
        elif begun is None and event.name == "starting":
            begun = event.at
    if begun is not None:
        yield begun, float("inf")


def _doubt(events: list[Event]) -> str:
    doubts = [str(event.data.get("code")) for event in events if event.name == "reconciling"]
    return doubts[-1] if doubts else "worker_lost"


def _ids_of(report: Mapping[str, Any]) -> set[str]:
    return {str(report.get(name)) for name in ("message_id", "request_id")}
