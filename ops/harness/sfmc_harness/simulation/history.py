"""What the events of a schedule tell: each request's way through its states, one allowed transition after another."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from sfmc_import.states import NEW, NOT_STARTED, REPORTS, SETTLED_EVENT, TERMINAL, TRANSITIONS, UNSTARTED

_AFTER_LOST_WRITES = {("accepted", "started"), ("deferred", "started")}
"""Allowed by the table, but only after a failover; a schedule loses no writes."""

_BESIDE = frozenset({SETTLED_EVENT, "operator.forced"})
"""Events that are counted with those of a request, and change no state."""

_STEPS = {
    (step.source, step.event, step.target)
    for step in TRANSITIONS
    if (step.source, step.target) not in _AFTER_LOST_WRITES
}


class ViolationError(Exception):
    """A promise that was not kept; `kind` is the invariant."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


def name_of(event: Mapping[str, Any]) -> str:
    """The last part of its type."""
    return str(event["type"]).removeprefix("sfmc.import.")


class History:
    """The events so far, by request."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}
        self.events: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        self.times: dict[tuple[str, str], int] = {}
        self.accepted: dict[str, int] = {}
        self._taken_up: dict[str, str] = {}
        self._beside: dict[str, int] = defaultdict(int)

    def add(self, event: Mapping[str, Any], now: int) -> None:
        """Go one event on; raises ViolationError for a step that does not exist, or a second end."""
        name, request = name_of(event), str(event["data"].get("request_id"))
        self._beside[request] += name in _BESIDE
        if name in REPORTS:
            return
        before = self.states.get(request, NEW)
        target = "started" if name == "progressed" else name
        number = len(self.events[request]) + self._beside[request] + 1
        if (before, name, target) not in _STEPS or event["id"] != f"{request}/{number}/{name}":
            raise ViolationError("impossible event", f"{event['id']} of a request that is {before}")
        if before == "duplicate" and self.last(request)["data"].get("final") is not False:
            raise ViolationError("impossible event", f"{event['id']} after an end that was final")
        self.states[request] = target
        self.events[request].append(event)
        self.times[request, name] = now
        self.accepted.setdefault(request, now)
        if "instead_of" in event["data"]:
            self._taken_up[event["data"]["instead_of"]] = request

    def last(self, request: str) -> Mapping[str, Any]:
        """The last event of a request."""
        return self.events[request][-1]

    def stands_for(self, request: str) -> str:
        """Say whose fate counts: its own, that of the one that it repeated, or that was taken up for that one."""
        passed = []
        while request not in passed:
            passed.append(request)
            if self.states[request] == "duplicate":
                request = str(self.last(request)["data"]["held_by"])
            elif self.states[request] in UNSTARTED:
                request = self._taken_up.get(request, request)
        return request

    def has_ended(self, request: str) -> bool:
        """Tell whether its last event is an end, or what an operator said after one."""
        return self.states.get(request) in {*TERMINAL, NOT_STARTED}
