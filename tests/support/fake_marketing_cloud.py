"""A Marketing Cloud in memory that behaves: applied starts, rows that come late, faults on demand."""

import itertools
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sfmc_import.faults import UNPROVED, Ambiguous, Fault, NotApplied, Rejected
from sfmc_import.marketing_cloud.http import BootClock
from sfmc_import.ports import Refusal
from sfmc_import.request import fold_key
from sfmc_import.runs import Accepted, Definition, Run


@dataclass(frozen=True)
class Perform:
    """One start that was applied: the truth that tests count."""

    mid: str
    customer_key: str
    task_id: str


@dataclass
class Scripted:
    """A fault that waits for its call; `applied` says whether the start happens all the same."""

    operation: str
    fault: Fault
    customer_key: str | None
    applied: bool
    times: int

    def meets(self, operation: str, customer_key: str | None) -> bool:
        return self.times > 0 and self.operation == operation and self.customer_key in {None, customer_key}


@dataclass
class Kept:
    """A run as the service keeps it: `looks` counts the queries that could have shown it."""

    mid: str
    row: Run
    statuses: tuple[str, ...]
    hidden_looks: int
    looks: int = 0

    def look(self) -> Run | None:
        self.looks += 1
        seen = self.looks - self.hidden_looks
        if seen < 1:
            return None
        return replace(self.row, status=self.statuses[min(seen, len(self.statuses)) - 1])


class FakeMarketingCloud:
    """Implements sfmc_import.ports.MarketingCloud; keys are compared as a database does, without case and last blanks.

    `statuses` are what each look at a run shows, one after the other, the last for ever;
    `hidden_looks` is how many looks a new run stays invisible. Both may be changed for later starts.
    """

    def __init__(
        self,
        *definitions: Definition,
        mid: str = "510001234",
        statuses: tuple[str, ...] = ("Completed",),
        hidden_looks: int = 0,
        boottime: Callable[[], float] | None = None,
    ) -> None:
        self.performs: list[Perform] = []
        self.calls: list[tuple[str, str]] = []
        self.statuses = statuses
        self.hidden_looks = hidden_looks
        self._boottime = boottime or BootClock().boottime
        self._definitions = {(mid, fold_key(definition.customer_key)): definition for definition in definitions}
        self._runs: dict[str, Kept] = {}
        self._faults: list[Scripted] = []
        self._task_ids = itertools.count(129159023)
        self._lock = threading.Lock()

    def add(self, definition: Definition, mid: str = "510001234") -> None:
        """Keep a definition, in place of an earlier one with this key."""
        self._definitions[mid, fold_key(definition.customer_key)] = definition

    def remove(self, customer_key: str, mid: str = "510001234") -> None:
        """Delete a definition."""
        del self._definitions[mid, fold_key(customer_key)]

    def show_runs_under(self, customer_key: str, new: str) -> None:
        """Show the runs of a definition under the key that it has now."""
        for kept in self._runs.values():
            if kept.row.customer_key == customer_key:
                kept.row = replace(kept.row, customer_key=new)

    def fail(
        self,
        operation: str,
        fault: Fault,
        *,
        customer_key: str | None = None,
        applied: bool = False,
        times: int = 1,
    ) -> None:
        """Answer the next `times` calls of `operation` (a method of the port) with `fault`."""
        if applied and not isinstance(fault, Ambiguous) and fault.code not in UNPROVED:
            raise ValueError("only a start that was answered without proof can have been applied")
        self._faults.append(Scripted(operation, fault, customer_key, applied, times))

    def heal(self) -> None:
        """Forget all scripted faults."""
        self._faults.clear()

    def started_elsewhere(self, customer_key: str, mid: str = "510001234") -> str:
        """Start a definition as somebody else would, by hand or by an automation; gives its task id."""
        with self._lock:
            return self._apply(mid, customer_key)

    def end(self, task_id: str, status: str, **counts: Any) -> None:
        """Let a run show `status` and its counts (successful, duplicated, errors, total) from now on."""
        kept = self._runs[task_id]
        kept.statuses = (status,)
        kept.row = replace(kept.row, **counts)

    def show(self, task_id: str) -> None:
        """Make a run visible at once."""
        self._runs[task_id].hidden_looks = 0

    def prepare(self) -> None:
        """See sfmc_import.ports.MarketingCloud.prepare; nothing takes time here."""

    def start(self, mid: str, customer_key: str, *, not_after: float) -> Accepted | Fault:
        """Apply a start, or answer as scripted."""
        with self._lock:
            self.calls.append(("start", customer_key))
            if self._boottime() >= not_after:
                return NotApplied("lease_over", "the time to send this start is over")
            scripted = self._take("start", customer_key)
            if scripted is not None:
                if scripted.applied:
                    self._apply(mid, customer_key)
                return scripted.fault
            definition = self._definitions.get((mid, fold_key(customer_key)))
            if definition is None:
                return Rejected("43010", "ImportDefinition Not Found")
            task_id = self._apply(mid, definition.customer_key)
            return Accepted(task_id=task_id, soap_request_id=f"request-{task_id}")

    def definition(self, mid: str, customer_key: str) -> Definition | Refusal | None:
        """Give one definition."""
        with self._lock:
            return self._refusal("definition", customer_key) or self._definitions.get((mid, fold_key(customer_key)))

    def definition_of_object(self, mid: str, object_id: str) -> Definition | Refusal | None:
        """Give one definition by its ObjectID."""
        with self._lock:
            mine = (one for (owner, _), one in self._definitions.items() if owner == mid and one.object_id == object_id)
            return self._refusal("definition", None) or next(mine, None)

    def definitions(self, mid: str) -> Sequence[Definition] | Refusal:
        """Give all definitions of a business unit."""
        with self._lock:
            mine = [definition for (owner, _), definition in self._definitions.items() if owner == mid]
            return self._refusal("definitions", None) or mine

    def runs_of(self, mid: str, customer_key: str, *, above: str | None = None) -> Sequence[Run] | Refusal:
        """List the runs of a definition that are visible by now."""
        with self._lock:
            refusal = self._refusal("runs_of", customer_key)
            mine = [run for run in self._runs.values() if (run.mid, run.row.customer_key) == (mid, customer_key)]
            asked = [run for run in mine if above is None or int(run.row.task_id) > int(above)]
            return refusal or [row for row in map(Kept.look, asked) if row is not None]

    def runs(self, mid: str, task_ids: Collection[str]) -> Mapping[str, Run] | Refusal:
        """Look up runs that are visible by now."""
        with self._lock:
            refusal = self._refusal("runs", None)
            mine = [self._runs[task_id] for task_id in task_ids if task_id in self._runs]
            looks = (run.look() for run in mine if run.mid == mid)
            return refusal or {row.task_id: row for row in looks if row is not None}

    def _apply(self, mid: str, customer_key: str) -> str:
        task_id = str(next(self._task_ids))
        self.performs.append(Perform(mid, customer_key, task_id))
        row = Run(task_id=task_id, customer_key=customer_key, status="New")
        self._runs[task_id] = Kept(mid, row, self.statuses, self.hidden_looks)
        return task_id

    def _refusal(self, operation: str, customer_key: str | None) -> Refusal | None:
        self.calls.append((operation, customer_key or ""))
        scripted = self._take(operation, customer_key)
        if scripted is None:
            return None
        if isinstance(scripted.fault, Ambiguous):
            raise TypeError("a query changes nothing and is never ambiguous")
        return scripted.fault

    def _take(self, operation: str, customer_key: str | None) -> Scripted | None:
        for scripted in self._faults:
            if scripted.meets(operation, customer_key):
                scripted.times -= 1
                return scripted
        return None
