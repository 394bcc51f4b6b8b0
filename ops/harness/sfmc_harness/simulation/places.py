"""How many imports may run at once, which operators change meanwhile, and whether as many run and no more."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sfmc_harness.simulation.cloud import Applied, Cloud
from sfmc_harness.simulation.history import ViolationError, name_of
from sfmc_harness.simulation.plan import Plan
from sfmc_harness.simulation.store import View
from sfmc_import.policy import ACCOUNT, Policy
from sfmc_import.states import RUN_ENDS, TERMINAL

HOLDING = frozenset({"starting", "retrying", "reconciling", "started"})


class Limits:
    """The limits by group, of which each worker process keeps those that it began with.

    `acting` are those of the worker whose turn it is. `unseen` are groups whose limit was raised, or seen by a worker
    with an older one, and for which no new worker has looked since.
    """

    def __init__(self, plan: Plan, cloud: Cloud) -> None:
        self._plan = plan
        self._cloud = cloud
        self.now: dict[str, int] = dict(plan.limits)
        self.acting: Mapping[str, int] | None = None
        self.unseen: set[str] = set()

    def change(self, group: str, most: int) -> None:
        """An operator changes a limit; 0 is none."""
        self.now[group] = most
        self.unseen.add(group)

    def look(self, given: Mapping[str, int] | None) -> None:
        """A worker that has these limits moves now."""
        self.acting = given
        if given is not None and given != self.now:
            self.unseen.update(self.now)

    def of(self, key: str, given: Mapping[str, int]) -> dict[str, int]:
        """The limits that hold for a definition, by its first CustomerKey."""
        plan = self._cloud.plans.get(key)
        groups = (ACCOUNT, plan.group) if plan is not None and plan.group else (ACCOUNT,)
        return {group: given[group] for group in groups if given.get(group)}

    def policy(self, policy: Policy, key: str, given: Mapping[str, int]) -> Policy:
        """The policy of a worker that has these limits, for the definition that it knows by this CustomerKey."""
        found = self.of(self._cloud.first_key(key), given)
        groups = [group for group in found if group != ACCOUNT]
        plan = self._cloud.plans.get(self._cloud.first_key(key))
        after = (plan.after,) if plan is not None and plan.after else ()
        limited = replace(policy, max_running=found.get(ACCOUNT, 0), after=after)
        return replace(limited, group=groups[0], group_limit=found[groups[0]]) if groups else limited


@dataclass
class _Place:
    """What a request holds from its claim on: `most` are the limits that held then, by group.

    `until` is when its events say that it holds it no more, `task` the run that has ended then, if that is the reason.
    """

    request: str
    since: int
    most: Mapping[str, int]
    until: int | None = None
    task: str | None = None
    runs: list[Applied] = field(default_factory=list)

    def end(self) -> int:
        """When its import has ended, as Marketing Cloud has it; one that was given up before counts no more."""
        ends = max((run.ends_at for run in self.runs), default=0)
        if self.until is None:
            return ends
        named = next((run.ends_at for run in self.runs if run.task_id == self.task), None)
        return min(ends, self.until) if named is None else named


class Places:
    """Counts the imports that run at once by the runs of the model, each from the claim of its request on."""

    def __init__(self, cloud: Cloud, limits: Limits) -> None:
        self._cloud = cloud
        self._limits = limits
        self._held: dict[str, _Place] = {}
        self._all: list[_Place] = []
        self._in_doubt: set[str] = set()

    def note(self, event: Mapping[str, Any], key: str, now: int) -> None:
        """An event of a request; `key` is the first CustomerKey of its definition."""
        request, name = str(event["data"].get("request_id")), name_of(event)
        if name == "starting" and request not in self._held:
            self._take(request, key, now)
        elif name == "reconciling":
            self._in_doubt.add(request)
        elif name in {*TERMINAL, "not_started", "deferred"} or (name == "retrying" and not self._is_doubted(request)):
            # What is no longer followed counts no more, though it may run.
            has_run = name in RUN_ENDS and name != "follow_timed_out"
            self._give_back(request, now, event["data"].get("task_id") if has_run else None)

    def _is_doubted(self, request: str) -> bool:
        return request in self._in_doubt or request in self._cloud.unproved

    def _take(self, request: str, key: str, now: int) -> None:
        given = self._limits.acting or {}
        place = self._held[request] = _Place(request, now, self._limits.of(key, given))
        self._all.append(place)
        if given == self._limits.now:
            self._limits.unseen.difference_update(place.most)

    def _give_back(self, request: str, now: int, task: str | None) -> None:
        place = self._held.pop(request, None)
        if place is not None:
            place.until, place.task = now, task

    def applied(self, run: Applied) -> None:
        """Raise ViolationError if more imports ran than might when one of those that run was claimed."""
        mine = [place for place in self._all if place.request == run.request and place.since <= run.sent_at]
        if mine:
            mine[-1].runs.append(run)
        for place in self._all:
            for group, most in place.most.items() if place.runs else ():
                before = self._running_before(place, group)
                if len(before) >= most:
                    text = f"{place.request} begins while {sorted(before)} run, and {most} of {group} may"
                    raise ViolationError("too many at once", text)

    def _running_before(self, mine: _Place, group: str) -> set[str]:
        return {
            place.request
            for place in self._all[: self._all.index(mine)]
            if place.request != mine.request and group in place.most and place.end() > mine.since
        }

    # --- A place that is free is used.

    def may_wait(self, view: View, request: str) -> bool:
        """Tell whether a request may wait: as many run as may, or no worker has looked since a place was added."""
        waits_for = view.requests[request].get("waits_place")
        if waits_for in self._limits.unseen or (waits_for and not self._limits.now.get(waits_for)):
            return True
        key = self._cloud.first_key(view.requests[request]["key"])
        limits = self._limits.of(key, self._limits.now)
        return any(self._others(view, request, group) >= most for group, most in limits.items())

    def _others(self, view: View, request: str, group: str) -> int:
        """Those that have a place, are about to take one, or have one kept for them."""
        return sum(
            group in self._groups(fields["key"]) and (fields["state"] in HOLDING or "turn" in fields)
            for name, fields in view.requests.items()
            if name != request
        )

    def _groups(self, key: str) -> Iterator[str]:
        yield ACCOUNT
        plan = self._cloud.plans.get(self._cloud.first_key(key))
        if plan is not None and plan.group:
            yield plan.group

    @staticmethod
    def check_kept(view: View, soon: int) -> None:
        """A place is kept only for a request that comes at once."""
        for request, fields in view.requests.items():
            if "turn" in fields and view.due.get(request, 0) > soon:
                seconds = (view.due[request] - view.now) / 1000
                text = f"{request} keeps a place of {fields['turn']} and is due in {seconds:.0f} s"
                raise ViolationError("keeps an unused place", text)
