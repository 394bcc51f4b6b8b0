"""The twin of prelude.lua: records, events and the one door through which a state changes; decides nothing."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from sfmc_import.states import event_of
from tests.support.fake_ledger.records import Definition, Expiring, Request


def iso(ms: int) -> str:
    moment = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


class Store:
    """State and events of the twin; `times` are the whole numbers that the scripts read, `clock` gives ms."""

    def __init__(self, clock: Callable[[], int], times: Mapping[str, int]) -> None:
        self.clock = clock
        self.times = times
        self.requests: dict[str, Request] = {}
        self.definitions: dict[tuple[str, str], Definition] = {}
        self.waiting: dict[tuple[str, str], set[str]] = {}
        self.names: dict[tuple[str, str], dict[str, str]] = {}
        self.files = Expiring()
        self.source_events = Expiring()
        self.tasks = Expiring()
        self.due: dict[str, int] = {}
        self.newest: dict[str, str] = {}
        self.pulses: dict[str, int] = {}
        self.loss: tuple[int, dict[str, str]] | None = None
        self.events: list[dict[str, Any]] = []

    @property
    def now(self) -> int:
        return self.clock()

    def find(self, request_id: str) -> Request | None:
        found = self.requests.get(request_id)
        return found if found is not None and found.expires > self.now else None

    def definition(self, r: Request) -> Definition:
        found = self.definitions.get(r.scope)
        if found is None or found.expires <= self.now:
            found = self.definitions[r.scope] = Definition(expires=self.now + self.times["unfinished_ttl"])
        return found

    def note_newest(self, mid: str, task: str | None) -> None:
        """Remember the newest TaskResultID of a business unit."""
        if task and task.isdigit() and int(task) > int(self.newest.get(mid, "0")):
            self.newest[mid] = task

    def surviving(self, mid: str) -> tuple[str | None, float | None]:
        """The newest TaskResultID, and how long ago a loss was noticed (then the newest that survived it)."""
        if self.loss is None or self.now >= self.loss[0] + self.times["loss_ttl"]:
            return self.newest.get(mid), None
        at, newest = self.loss
        return newest.get(mid), (self.now - at) / 1000

    def create(self, r: Request) -> Request:
        self.requests[r.id] = r
        self.move(r, "accepted")
        self.due_at(r, self.now + self.times["accept_grace"])
        return r

    def move(self, r: Request, target: str, **extra: Any) -> None:
        name = event_of(r.state, target)
        r.state = target
        self.emit(r, name, extra)

    def emit(self, r: Request, name: str, extra: Mapping[str, Any]) -> None:
        optional = {"task_id": r.task, "soap_request_id": r.soap, "source": r.source}
        optional |= {"event_id": r.event_id, "reason": r.reason, "force": r.force or None, **extra}
        data = {"request_id": r.id, "customer_key": r.key, "mid": r.mid, "attempt": r.attempt, "file": r.file}
        data |= {field: value for field, value in optional.items() if value is not None}
        r.n += 1
        self.events.append(
            {
                "specversion": "1.0",
                "id": f"{r.id}/{r.n}/{name}",
                "source": f"/sfmc-import/{r.mid}",
                "type": f"sfmc.import.{name}",
                "subject": r.key,
                "time": iso(self.now),
                "datacontenttype": "application/json",
                "data": data,
            }
        )

    def due_at(self, r: Request, at: int) -> None:
        self.due[r.id] = at
        r.expires = max(at, self.now) + self.times["unfinished_ttl"]

    def keep(self, d: Definition) -> None:
        d.expires = max(d.window, self.now) + self.times["unfinished_ttl"]

    def lease(self, r: Request, d: Definition) -> None:
        d.lease = self.now + self.times["lease"]
        self.due_at(r, d.lease)

    def finish(self, r: Request) -> None:
        self.due.pop(r.id, None)
        r.owner, r.known, r.sent, r.lost, r.until = None, [], False, 0, None
        r.nb = r.look_until = r.follow_until = r.looks = 0
        r.expires = self.now + self.times["request_ttl"]

    def remember(self, r: Request) -> None:
        expires = self.now + self.times["seen_ttl"]
        if r.fp:
            self.files.set((*r.scope, r.fp), r.id, expires)
        if r.event_id:
            self.source_events.set((*r.scope, r.event_id), r.id, expires)

    def forget(self, r: Request) -> None:
        for memory, word in ((self.files, r.fp), (self.source_events, r.event_id)):
            if word and memory.get((*r.scope, word), self.now) == r.id:
                memory.delete((*r.scope, word))

    def queue(self, r: Request) -> list[str]:
        """The follow-ups of a definition in order; those whose record vanished leave it."""
        queued = self.waiting.setdefault(r.scope, set())
        queued &= {name for name in queued if (o := self.find(name)) is not None and o.state == "deferred"}
        return sorted(queued, key=lambda name: (self.requests[name].rank, name))

    def head(self, r: Request) -> str | None:
        return next(iter(self.queue(r)), None)

    def wake_next(self, r: Request, d: Definition) -> None:
        first = self.head(r)
        if first is not None:
            self.due[first] = self.now if self.requests[first].force else max(self.now, d.window)

    def leave_queue(self, r: Request) -> None:
        self.waiting.get(r.scope, set()).discard(r.id)
        names = self.names.get(r.scope, {})
        if r.name and names.get(r.name) == r.id:
            del names[r.name]

    def release(self, r: Request) -> None:
        d = self.definition(r)
        if d.holder == r.id:
            d.holder, d.lease = None, 0
        if d.holder is None:
            self.wake_next(r, d)
        self.keep(d)

    def open_window(self, r: Request, d: Definition, window: int) -> None:
        """Let a start use the window; what was before is kept for a start that ends in Error."""
        if d.by != r.id:
            d.before, d.before_by = d.window, d.by
        d.by, d.window = r.id, max(d.window, self.now + window)
