"""A model of Marketing Cloud: the starts it applied, the file that each of them reads, and when their rows change."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from uuid import NAMESPACE_OID, uuid5

from sfmc_harness.simulation.chance import unit
from sfmc_harness.simulation.clocks import Clock
from sfmc_harness.simulation.plan import DefinitionPlan, Plan
from sfmc_import.runs import Definition, Run

ZONE_HOURS = -6
"""The zone of the account: US Central Standard Time without daylight saving."""

FIRST_TASK_ID = 129_159_023
NEVER = 2**62
SOON_MS = 60_000
"""So long a run lasts at most when the faults have stopped: what waits for it would only look again and again."""

_COUNTS = {"completed": (3, 0), "completed_with_errors": (2, 1), "completed_empty": (0, 0)}
_ODD_ENDS = ("import_failed", "import_failed", "import_failed", "completed_with_errors", "completed_empty")
_DATE_PART = re.compile(r"%%(YEAR|MONTH|DAY)%%")
_FORMS = {"YEAR": "%Y", "MONTH": "%m", "DAY": "%d"}


@cache
def object_id(key: str) -> str:
    """The ObjectID of a definition."""
    return str(uuid5(NAMESPACE_OID, key))


def folded(key: str) -> str:
    """All spellings of a CustomerKey that a database finds by one of them."""
    return key.casefold().rstrip(" ")


@cache
def _us_date(ms: int) -> str:
    moment = datetime.fromtimestamp(ms / 1000, UTC) + timedelta(hours=ZONE_HOURS)
    return f"{moment.month}/{moment.day}/{moment.year} {moment.hour % 12 or 12}:{moment:%M:%S %p}"


@dataclass(slots=True, eq=False)
class Applied:
    """One start that was applied, in milliseconds; `request` is empty when somebody else asked for it.

    `read` is the name of the file that the run reads, None when there is no file for it. `end` is how it ends, as
    the product calls it. `is_late` marks a row that appears after the results delay. `answer` is the code of the fault
    with which it was answered.
    """

    task_id: str
    key: str
    request: str
    at: int
    sent_at: int
    read: str | None
    visible_at: int
    ends_at: int
    end: str
    is_late: bool = False
    answer: str = ""

    def row(self, now: int, key: str) -> Run:
        """The row as it shows now, with the CustomerKey that its definition has."""
        row = partial(Run, task_id=self.task_id, customer_key=key, start_date=_us_date(self.at))
        if now < self.ends_at:
            return row(status="New" if now < self.at + 2000 else "Processing")
        if self.end == "import_failed":
            return row(status="Error")
        successful, errors = _COUNTS[self.end]
        return row(status="Completed", successful=successful, errors=errors, total=successful + errors)


@dataclass(frozen=True, slots=True)
class _Late:
    at: int
    key: str
    request: str
    sent_at: int


class Cloud:
    """Definitions, files and runs of one business unit. Times are milliseconds of its own clock.

    `unproved` are the requests of which a Perform was answered without proof.
    """

    def __init__(self, plan: Plan, clock: Clock | None = None) -> None:
        self._plan = plan
        self.clock = clock or Clock(0)
        self.plans = {each.key: each for each in plan.definitions}
        self.changed_at = dict.fromkeys(self.plans, -NEVER)
        self.got_key_at = dict.fromkeys(self.plans, -NEVER)
        self._objects = {object_id(key): key for key in self.plans}
        self.keys = {key: key for key in self.plans}
        self._had = dict(self.keys)
        self.times_renamed = Counter[str]()
        self.is_traded = False
        self.applied: list[Applied] = []
        self.unproved: set[str] = set()
        self._files: set[str] = set()
        self._late: list[_Late] = []
        self.down_until = 0
        self._longest, self._is_over = NEVER, False
        self._waited_for = {each.after for each in plan.definitions} - {""}

    def hurry(self, now: int) -> None:
        """All that runs, or begins from now on, ends soon; where others wait for it, it ends well."""
        self._longest, self._is_over = SOON_MS, True
        for applied in self.applied:
            applied.ends_at = min(applied.ends_at, now + SOON_MS)

    def arrive(self, name: str) -> None:
        """A file lies where the definitions read."""
        self._files.add(name)

    def definition(self, key: str) -> Definition | None:
        """The definition as a Retrieve shows it; it is found as a database finds it, or by its ObjectID."""
        first = self.first_key(key)
        is_found = key in self._objects or self.keys.get(first) == folded(key)
        return self.definition_of(self.plans[first]) if is_found else None

    def first_key(self, key: str) -> str:
        """The key that a definition had first; `key` is its ObjectID, or one that it has, or had and no other has."""
        now = next((first for first, name in self.keys.items() if name == folded(key)), None)
        return self._objects.get(key) or now or self._had.get(folded(key), key)

    def former(self, key: str) -> list[str]:
        """The keys that a definition had and no other has now, the oldest first."""
        return [name for name, first in self._had.items() if first == key and name not in self.keys.values()]

    def rename(self, now: int, key: str) -> None:
        """Somebody gives a definition another CustomerKey; its rows show that one from then on."""
        self.got_key_at[key] = now
        new = f"{self.keys[key]}-new"
        self.keys[key] = f"{new}-{key}" if new in self.keys.values() else new
        self._had[self.keys[key]] = key
        self.times_renamed[key] += 1

    def trade(self, now: int, key: str) -> None:
        """Somebody gives the CustomerKey of a definition to another one; the first gets a new key."""
        other = next((each for each in self.plans if each != key), None)
        if other is None:
            return
        taken = self.keys[key]
        self.rename(now, key)
        self.keys[other], self.got_key_at[other] = taken, now
        self.times_renamed[other] += 1
        self.changed_at |= dict.fromkeys((key, other), now)
        self.is_traded = True

    def change(self, now: int, key: str) -> None:
        """Somebody lets a definition read another file, or the first one again."""
        plan, other = self.plans[key], "other-"
        is_other = plan.file_spec.startswith(other)
        spec = plan.file_spec.removeprefix(other) if is_other else other + plan.file_spec
        self.plans[key] = replace(plan, file_spec=spec)
        self.changed_at[key] = now

    def definition_of(self, found: DefinitionPlan) -> Definition:
        """Each definition has an ObjectID of its own."""
        return Definition(
            customer_key=self.keys[found.key],
            name=found.key,
            object_id=object_id(found.key),
            file_spec=found.file_spec,
            max_import_frequency=found.hours,
            update_type=found.update_type,
        )

    def apply(
        self, now: int, key: str, request: str, sent_at: int | None = None, lag: float | None = None, answer: str = ""
    ) -> Applied:
        """Start a run; its row appears as the plan says, or after `lag` seconds."""
        key = self.first_key(key)
        plan, number = self._plan, len(self.applied)
        chance = [unit(plan.seed, 1, number, draw) for draw in range(4)]
        is_hidden, is_over = chance[3] < plan.hidden_rows, self._is_over and bool(self._waited_for)
        odd = chance[2] / plan.odd_runs if plan.odd_runs else 1.0
        seen_after = round(plan.lag * 1000 * chance[0] if lag is None else lag * 1000)
        applied = Applied(
            task_id=str(FIRST_TASK_ID + (number * 7 % 97 if plan.odd_ids and number < 97 else number)),
            key=key,
            request=request,
            at=now,
            sent_at=now if sent_at is None else sent_at,
            read=self._file_for(self.plans[key].file_spec, now),
            visible_at=NEVER if is_hidden and not is_over else now + seen_after,
            is_late=lag is not None,
            answer=answer,
            ends_at=now + min(round(plan.run * 1000 * chance[1]), self._longest),
            end=_ODD_ENDS[int(odd * len(_ODD_ENDS))] if odd < 1 and not is_over else "completed",
        )
        self.applied.append(applied)
        return applied

    def apply_later(self, at: int, key: str, request: str, sent_at: int) -> None:
        """A Perform whose caller no longer waits is applied at that time."""
        self._late.append(_Late(at, key, request, sent_at))

    def next_late(self) -> int | None:
        """When the next of them is applied."""
        return min((late.at for late in self._late), default=None)

    def settle(self, now: int) -> None:
        """Apply what is due by now."""
        due = [late for late in self._late if late.at <= now]
        for late in sorted(due, key=lambda late: late.at):
            self._late.remove(late)
            self.apply(late.at, late.key, late.request, late.sent_at)

    def is_pending(self, request: str) -> bool:
        """Tell whether a Perform of a request may still be applied."""
        return any(late.request == request for late in self._late)

    def rows(self, now: int) -> Iterator[Run]:
        """All rows that show now."""
        seen = (applied for applied in self.applied if applied.visible_at <= now)
        return (applied.row(now, self.keys[applied.key]) for applied in seen)

    def of_request(self, request: str) -> list[Applied]:
        """What was applied for a request."""
        return [applied for applied in self.applied if applied.request == request]

    def name_on(self, spec: str, now: int, days: int = 0) -> str:
        """The file name that a FileSpec means at a time, or some days after it."""
        day = datetime.fromtimestamp(now / 1000, UTC) + timedelta(hours=ZONE_HOURS, days=days)
        return _DATE_PART.sub(lambda part: day.strftime(_FORMS[part[1]]), spec)

    def _file_for(self, spec: str, now: int) -> str | None:
        """The file of today; without one, the one whose date is nearest."""
        by_distance = sorted(range(-3, 4), key=abs)
        names = (self.name_on(spec, now, days) for days in by_distance)
        return next((name for name in names if name in self._files), None)
