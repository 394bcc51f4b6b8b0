"""Checks whether the promises were kept, from what a chaos run left; shares no decision with the ledger.

A run belongs to the request whose `started` event names it, or else to the one that was starting its definition
when the sandbox applied it: the definition's last `starting` before that moment.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
import redis

from sfmc_import.ledger.schema import Keys
from sfmc_import.request import UNACKED
from sfmc_import.states import NEW, TERMINAL, UNSTARTED, event_of
from sfmc_transport.queues import SEPARATOR, length

KEYS = Keys()
QUEUE = "imports"
_TRANSPORT = r"\{sfmc-import(:events)?\}:transport:"
BOUNDED = re.compile(
    rf"{re.escape(KEYS.stream)}\Z|{re.escape(KEYS.due)}\Z|{re.escape(KEYS.account)}\Z|_kombu\.binding|"
    rf"{QUEUE}(\.upkeep)?({SEPARATOR}\d)?\Z|{re.escape(UNACKED)}|{_TRANSPORT}"
)
"""Keys without a time to live that something else bounds."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `at` is the Redis time at which it was written, in seconds since 1970."""

    at: float
    id: str
    name: str
    request_id: str
    key: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Perform:
    """One applied start, as the sandbox recorded it; `at` in seconds since 1970 on this machine's clock."""

    at: float
    task_id: str
    key: str
    status: str
    result: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that a producer counts as accepted."""

    request_id: str
    key: str
    way: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalState:
    """All that the checker reads; `left` has the places that should be empty, with how much is in each."""

    sent: list[Sent]
    events: list[Event]
    states: Mapping[str, str]
    performs: list[Perform]
    left: Mapping[str, int]
    endless: list[str]


def read_events(client: "redis.Redis") -> list[Event]:
    """The events of the stream, oldest first."""
    entries: Any = client.xrange(KEYS.stream)
    return [_event(name, orjson.loads(fields[b"event"])) for name, fields in entries]


def _event(entry: bytes, event: Mapping[str, Any]) -> Event:
    data = event["data"]
    at = int(entry.partition(b"-")[0]) / 1000
    name = str(event["type"]).removeprefix("sfmc.import.")
    return Event(at, str(event["id"]), name, str(data.get("request_id")), str(event["subject"]), data)


def read_states(client: "redis.Redis") -> dict[str, str]:
    """The state of every request in the ledger."""
    prefix = KEYS.request("")
    names: Any = client.scan_iter(match=f"{prefix}*", count=1000)
    return {name.decode().removeprefix(prefix): _text(client.hget(name, "state")) for name in names}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else ""


def read_performs(shown: list[dict[str, Any]]) -> list[Perform]:
    """The applied starts from the sandbox's own record."""
    return [
        Perform(
            datetime.fromisoformat(p["time"]).timestamp(), p["task_id"], p["customer_key"], p["status"], p["result"]
        )
        for p in shown
    ]


def read_journals(folder: Path) -> Iterator[Sent]:
    """The requests in the journals of the producers."""
    for journal in sorted(folder.glob("*.journal")):
        for line in journal.read_text("utf-8").splitlines():
            entry = json.loads(line)
            yield Sent(entry["id"], entry["key"], entry["way"], entry["at"])


def read_left(client: "redis.Redis") -> dict[str, int]:
    """How much is in what must be empty at the end."""
    in_flight = sum(int(client.llen(name)) for name in client.scan_iter(match="*transport:inflight:*"))
    return {
        "due": int(client.zcard(KEYS.due)),
        "queue": length(client, QUEUE),
        "unacked": int(client.hlen(UNACKED)),
        "in flight": in_flight,
        "waiting": sum(1 for _ in client.scan_iter(match=f"{KEYS.tag}w:*")),
        "dead letters": sum(int(client.xlen(name)) for name in client.scan_iter(match="*transport:dead_letters")),
    }


def read_endless(client: "redis.Redis") -> list[str]:
    """The keys that would stay for ever."""
    names: Any = client.scan_iter(count=1000)
    permanent = (name.decode() for name in names if client.ttl(name) == -1)
    return sorted(name for name in permanent if not BOUNDED.match(name))


STATUS_OF = {
    "completed": "Completed",
    "completed_with_errors": "Completed",
    "completed_empty": "Completed",
    "import_failed": "Error",
}
SEEN_FROM_OUTSIDE = frozenset({"double", "two at once", "inside the window", "lost"})
"""Kinds of violations that can be seen without the ledger."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was not kept: its kind, and a line that says how to find it."""

    kind: str
    text: str


@dataclass(frozen=True)
class Checker:
    """Sorts the final state by request and by definition and finds violations; `windows` are seconds by definition."""

    final_state: FinalState
    windows: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def by_request(self) -> dict[str, list[Event]]:
        """The events of each request, oldest first."""
        found: dict[str, list[Event]] = defaultdict(list)
        for event in self.final_state.events:
            found[event.request_id].append(event)
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
            self._doubles, self._overlaps, self._windows, self._lost, self._unjust_unknowns,
            self._untrue, self._steps, self._mismatches, self._left_over, self._forgotten,
        )  # fmt: skip
        return [violation for kind in kinds for violation in kind()]

    def outcomes(self) -> Counter[str]:
        """How many requests ended in which way."""
        return Counter(events[-1].name for events in self.by_request.values())

    def waits(self) -> list[float]:
        """Seconds from `accepted` to the first decision, of each request, shortest first."""
        return sorted(events[1].at - events[0].at for events in self.by_request.values() if len(events) > 1)

    def _doubles(self) -> Iterator[Violation]:
        for request, runs in self.runs_of.items():
            if len(runs) > 1 or request is None:
                yield Violation("double", f"request {request} of {runs[0].key}: runs {[run.task_id for run in runs]}")

    def _overlaps(self) -> Iterator[Violation]:
        spans = defaultdict(list)
        for request, events in self.by_request.items():
            begun = next((e.at for e in events if e.name == "starting"), None)
            if begun is not None:
                over = next((e.at for e in events if e.name in TERMINAL and e.at >= begun), float("inf"))
                spans[events[0].key].append((begun, over, request))
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
        for sent in {sent.request_id: sent for sent in self.final_state.sent}.values():
            if sent.request_id not in self.by_request:
                yield Violation("lost", f"request {sent.request_id} of {sent.key} by {sent.way} left no trace")
        for request, events in self.by_request.items():
            if events[-1].name not in TERMINAL:
                yield Violation("lost", f"request {request} of {events[0].key} stands at {events[-1].name}")

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
