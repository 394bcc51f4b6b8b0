"""What begins at which step: requests and messages, operators, outages, jumps of time."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from sfmc_harness.simulation.clocks import SECOND
from sfmc_harness.simulation.messages import Message
from sfmc_harness.simulation.plan import Happening
from sfmc_harness.simulation.ports import MID
from sfmc_import.request import Delivery, StartRequest, read_request

if TYPE_CHECKING:
    from sfmc_harness.simulation.schedule import Schedule


RUN_AGAIN_MS = 1_200_000
MOST_RUNS = 6
"""A source that was frozen records its request an hour after the faults have stopped, at the latest."""


class Happenings:
    """The happenings of a plan in the order of their steps; those of one step begin together."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._coming = sorted(schedule.plan.happenings, key=lambda happening: happening.step)

    def begin_due(self) -> None:
        """Begin what belongs to this step."""
        while self._coming and self._coming[0].step <= self._schedule.calls.step:
            self._begin(self._coming.pop(0))

    def hurry(self) -> bool:
        """Nothing else moves: begin the next one at once; False when none is left."""
        if not self._coming:
            return False
        self._begin(self._coming.pop(0))
        return True

    def stop(self) -> None:
        """Outages are over, and nothing begins any more; what runs ends soon, and what others wait for completes."""
        self._coming.clear()
        self._schedule.cloud.hurry(self._schedule.clock.now)
        self._schedule.cloud.down_until = self._schedule.calls.redis_down_until = 0
        self._let_firsts_run(1)

    def _let_firsts_run(self, number: int) -> None:
        """While something has not ended, definitions that others wait for run once more, now and then."""
        firsts = sorted({plan.after for plan in self._schedule.plan.definitions} - {""})
        has_ended = self._schedule.history.has_ended
        if number > MOST_RUNS or all(map(has_ended, self._schedule.invariants.requests)):
            return
        for first in firsts:
            self._force(Happening(step=0, kind="force", request=f"last-{first}-{number}", key=first))
        if firsts:
            self._schedule.later(RUN_AGAIN_MS, partial(self._let_firsts_run, number + 1))

    def _begin(self, happening: Happening) -> None:
        getattr(self, f"_{happening.kind}")(happening)

    def _request(self, happening: Happening, **more: object) -> StartRequest:
        """Read a request as every way in does; its file lies where the definitions read."""
        name = self._schedule.cloud.name_on(happening.name, self._schedule.clock.now)
        if name:
            self._schedule.cloud.arrive(name)
            version = {"version": str(happening.version)} if happening.version else {}
            more["file"] = {"location": "/in", "name": name, "size": 3, **version}
        request = read_request(happening.request, MID, self._named(happening) | more, self._delivery(happening))
        self._schedule.invariants.requests[request.request_id] = request
        return request

    def _named(self, happening: Happening) -> dict[str, object]:
        name = self._schedule.name_of(happening.key, happening.spelling)
        return {"object_id" if happening.spelling == "object" else "customer_key": name}

    def _delivery(self, happening: Happening) -> Delivery:
        now = self._schedule.clock.boottime()
        times = (happening.eta, happening.expires)
        eta, expires = (
            None if seconds is None else datetime.fromtimestamp(now + seconds, UTC).isoformat() for seconds in times
        )
        return Delivery(eta=eta, expires=expires)

    def _submit(self, happening: Happening) -> None:
        """A source announces a file."""
        self._ask(self._request(happening, source="folder"))

    def _ask(self, request: StartRequest) -> None:
        note = self._schedule.invariants.submitted.add
        actions = self._schedule.actions
        self._schedule.begin("source", request.request_id, lambda: actions.submit(request, note))

    def _event(self, happening: Happening) -> None:
        """A source announces an event that it may announce again."""
        self._ask(self._request(happening, event_id=f"event-{happening.version}"))

    def _force(self, happening: Happening) -> None:
        """An operator forces a start."""
        self._ask(self._request(happening, force=True, reason="asked for"))

    def _force_waiting(self, happening: Happening) -> None:
        """An operator lets a request that waits start now."""
        operator = self._schedule.operator
        self._schedule.begin("operator", happening.request, partial(operator.force, happening.request))

    def _message(self, happening: Happening) -> None:
        """Another Celery client sends a message; nothing else knows of it."""
        request = self._request(happening)
        self._schedule.invariants.submitted.add(request.request_id)
        message = Message(kind="start", request=request, is_foreign=True, deliver_at=self._schedule.clock.now)
        self._schedule.queue.put(message)

    def _steal(self, happening: Happening) -> None:
        """Another client sends a message with the id of a request, and other content."""
        message = {"customer_key": happening.key, "file": "/in/stolen.csv", "force": True, "reason": "to be first"}
        request = read_request("r1", MID, message)
        if "r1" in self._schedule.history.states:
            now = self._schedule.clock.now
            self._schedule.queue.put(Message(kind="start", request=request, is_foreign=True, deliver_at=now))

    def _lose_messages(self, _: Happening) -> None:
        self._schedule.queue.lose_own()

    def _double_messages(self, _: Happening) -> None:
        self._schedule.queue.double(self._schedule.clock.now)

    def _elsewhere(self, happening: Happening) -> None:
        """Somebody else starts the definition."""
        self._schedule.cloud.apply(self._schedule.clock.now, happening.key, "")

    def _change(self, happening: Happening) -> None:
        """Somebody changes the FileSpec of a definition."""
        self._schedule.cloud.change(self._schedule.clock.now, happening.key)

    def _rename(self, happening: Happening) -> None:
        """Somebody gives a definition another CustomerKey."""
        self._schedule.cloud.rename(self._schedule.clock.now, happening.key)

    def _trade(self, happening: Happening) -> None:
        """Somebody gives the CustomerKey of a definition to another one."""
        self._schedule.cloud.trade(self._schedule.clock.now, happening.key)

    def _pause(self, happening: Happening) -> None:
        """An operator pauses a definition for some time, or lifts the pause that is there."""
        operator, pauses, key = self._schedule.operator, self._schedule.invariants.pauses, happening.key
        if not pauses.take(key):
            return
        name, renamed = self._schedule.name_of(key, happening.spelling), self._schedule.cloud.times_renamed[key]
        if key in pauses.certain:
            self._schedule.begin("operator", "", partial(operator.lift_pause, key, name, renamed))
        else:
            self._schedule.begin("operator", "", partial(operator.pause, key, name, renamed, self._until(happening)))

    def _limit(self, happening: Happening) -> None:
        """An operator changes how many imports run at once; each worker is restarted when its hands are free."""
        self._schedule.limits.change(happening.key, happening.version)

    def _cancel(self, happening: Happening) -> None:
        """An operator cancels a request."""
        operator = self._schedule.operator
        self._schedule.begin("operator", happening.request, partial(operator.cancel, happening.request))

    def _outage(self, happening: Happening) -> None:
        """Marketing Cloud refuses every call of the account for some time."""
        self._schedule.cloud.down_until = self._until(happening)

    def _redis_outage(self, happening: Happening) -> None:
        self._schedule.calls.redis_down_until = self._until(happening)

    def _redis_clock(self, happening: Happening) -> None:
        """The clock of Redis is set, a moment after a sweep if there is a worker that can carry one out."""
        self._schedule.set_redis(round(happening.seconds * SECOND))

    def _time(self, happening: Happening) -> None:
        """Time passes while all stand still."""
        self._schedule.abandon_all()
        self._schedule.advance_to(self._until(happening))

    def _until(self, happening: Happening) -> int:
        return self._schedule.clock.now + round(happening.seconds * SECOND)
