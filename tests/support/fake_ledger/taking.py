"""The twin of take.lua: what happens to a request now; nothing else."""

from typing import Any

from sfmc_import.policy import Policy
from sfmc_import.runs import Definition
from sfmc_import.states import AlreadyEnded, Decision, Lease, NotYet, Reconcile, StartNow
from tests.support.fake_ledger.records import Request
from tests.support.fake_ledger.store import Store, iso


class Taking:
    """One decision about one request for one owner."""

    def __init__(self, store: Store, r: Request, owner: str, policy: Policy) -> None:
        self.store, self.r, self.owner, self.policy = store, r, owner, policy
        self.d = store.definition(r)

    def decide(self) -> Decision:
        d, r = self.d, self.r
        if self._held_by_other() and d.lease <= self.store.now and self.store.find(d.holder or "") is None:
            d.holder, d.lease = None, 0
        if r.state in {"starting", "retrying", "reconciling"} and self._held_by_other():
            self.store.due_at(r, self.store.now + self.store.times["recheck"])
            return NotYet(state=r.state, held_by=d.holder)
        steps = {
            "accepted": self._first_decision,
            "deferred": self._turn_of_deferred,
            "starting": self._while_starting,
            "retrying": self._try_again,
            "reconciling": self._look,
            "started": lambda: NotYet(state="started"),
        }
        return steps.get(r.state, self._ended)()

    def _held_by_other(self) -> bool:
        return self.d.holder is not None and self.d.holder != self.r.id

    def _blocker(self) -> dict[str, Any]:
        left, first = self.d.window - self.store.now, self.store.head(self.r)
        by = self.d.by if left > 0 else None
        found: dict[str, Any] = {"held_by": self.d.holder or by or (first if first != self.r.id else None)}
        if left > 0:
            found |= {"opens_in": left / 1000, "window_opens": iso(self.d.window)}
        return {name: value for name, value in found.items() if value is not None}

    def _ended(self) -> AlreadyEnded:
        left = self.d.window - self.store.now
        opens = left / 1000 if left > 0 and self.r.state == "duplicate" else None
        return AlreadyEnded(state=self.r.state, held_by=self.r.held_by, opens_in=opens)

    def _waits(self) -> NotYet:
        found = self._blocker()
        return NotYet(state=self.r.state, held_by=found.get("held_by"), opens_in=found.get("opens_in"))

    def _end_as_duplicate(self, why: str, held_by: str | None = None) -> AlreadyEnded:
        more = self._blocker() | {"why": why}
        if held_by:
            more["held_by"] = held_by
        if why == "superseded":
            more["superseded_by"] = held_by
        self.store.leave_queue(self.r)
        self.r.held_by = more.get("held_by")
        self.store.move(self.r, "duplicate", **more)
        self.store.finish(self.r)
        return self._ended()

    def _supersede(self, other: str) -> None:
        o = self.store.requests[other]
        self.store.leave_queue(o)
        self.store.forget(o)
        o.held_by = self.r.id
        self.store.move(o, "duplicate", why="superseded", superseded_by=self.r.id, held_by=self.r.id)
        self.store.finish(o)

    def _rivals(self) -> list[str]:
        if self.r.force or self.policy.coalesce == "each":
            return []
        if self.policy.coalesce == "latest":
            return self.store.queue(self.r)
        named = self.store.names.get(self.r.scope, {}).get(self.r.name or "")
        return [named] if named in self.store.queue(self.r) else []

    def _coalesce(self) -> str | None:
        for other in self._rivals():
            o = self.store.requests[other]
            if other == self.r.id or o.force:
                continue
            if (o.at, other) > (self.r.at, self.r.id):
                return other
            self._supersede(other)
        return None

    def _wait_for_turn(self) -> NotYet:
        now = self.store.now
        at = now if self.r.force else max(self.d.window, now)
        if self.d.holder is not None or self.store.head(self.r) != self.r.id:
            at = max(at, now + self.store.times["recheck"])
        self.store.due_at(self.r, at)
        return self._waits()

    def _defer(self) -> Decision:
        newer = self._coalesce()
        if newer:
            return self._end_as_duplicate("superseded", newer)
        self.store.remember(self.r)
        self.store.move(self.r, "deferred", **self._blocker())
        self.store.waiting.setdefault(self.r.scope, set()).add(self.r.id)
        if self.r.name and not self.r.force:
            self.store.names.setdefault(self.r.scope, {})[self.r.name] = self.r.id
        if self.d.holder is None:
            self.store.wake_next(self.r, self.d)
        return self._wait_for_turn()

    def _take_lease(self) -> None:
        self.r.fence = self.d.fence = max(self.d.fence, self.r.fence) + 1
        self.d.holder, self.r.owner = self.r.id, self.owner
        self.store.lease(self.r, self.d)
        self.store.keep(self.d)

    def _go(self) -> StartNow:
        self.store.leave_queue(self.r)
        self.store.remember(self.r)
        self._take_lease()
        self.r.attempt, self.r.sent = self.r.attempt + 1, False
        if self.r.until is None:
            self.r.until = self.store.now + round(self.policy.retry_deadline * 1000)
        self.store.move(self.r, "starting", fence=self.r.fence)
        return self._go_answer()

    def _go_answer(self) -> StartNow:
        newest, loss_age = self.store.surviving(self.r.mid)
        return StartNow(grant=self._grant(), newest=newest, loss_age=loss_age)

    def _grant(self) -> Lease:
        return Lease(
            request_id=self.r.id,
            mid=self.r.mid,
            customer_key=self.r.key,
            fence=self.r.fence,
            attempt=self.r.attempt,
            lease=self.store.times["lease"] / 1000,
        )

    def _seen_before(self) -> tuple[str, str] | None:
        now, r = self.store.now, self.r
        event = self.store.source_events.get((*r.scope, r.event_id), now) if r.event_id else None
        if event and event != r.id:
            return "event", event
        file = self.store.files.get((*r.scope, r.fp), now) if r.fp and not r.force else None
        closed = self.d.holder is not None or self.d.window > now
        return ("file", file) if file and file != r.id and (r.exact or closed) else None

    def _first_decision(self) -> Decision:
        seen = self._seen_before()
        if seen:
            return self._end_as_duplicate(*seen)
        r, d = self.r, self.d
        first = self.store.head(r)
        shut = d.holder is not None or (not r.force and (d.window > self.store.now or first is not None))
        if not shut:
            return self._go()
        if r.force:
            return self._defer()
        if r.file is None:
            return self._end_as_duplicate("window")
        if self.policy.when_too_soon == "drop":
            return self._end_as_duplicate("too_soon")
        return self._defer()

    def _turn_of_deferred(self) -> Decision:
        self.store.waiting.setdefault(self.r.scope, set()).add(self.r.id)
        if self.d.holder is not None or (self.d.window > self.store.now and not self.r.force):
            return self._wait_for_turn()
        if self.store.head(self.r) != self.r.id:
            self.store.wake_next(self.r, self.d)
            return self._wait_for_turn()
        seen = self._seen_before()
        if seen:
            ended = self._end_as_duplicate(*seen)
            self.store.wake_next(self.r, self.d)
            return ended
        return self._go()

    def _mine_again(self) -> bool:
        return self.r.owner == self.owner and self.d.fence == self.r.fence

    def _while_starting(self) -> Decision:
        if self.d.lease <= self.store.now or self.d.holder != self.r.id:
            return self._lease_over()
        return self._go_answer() if self._mine_again() else NotYet(state="starting", held_by=self.r.id)

    def _lease_over(self) -> Decision:
        self.r.lost += 1
        if self.r.sent:
            return self._doubt_of_the_dead()
        if self.r.lost >= self.store.times["max_lost"]:
            text = "too many workers died with this request"
            self.store.move(self.r, "gave_up", code="worker_lost", text=text)
            self.store.forget(self.r)
            self.store.finish(self.r)
            self.store.release(self.r)
            return AlreadyEnded(state="gave_up")
        return self._go()

    def _doubt_of_the_dead(self) -> NotYet:
        now, r = self.store.now, self.r
        r.look_until = now + round(self.policy.reconcile_deadline * 1000)
        r.nb, r.owner = now + self.store.times["results_delay"], ""
        self.d.holder, self.d.lease = r.id, 0
        self.store.keep(self.d)
        self.store.move(r, "reconciling", code="lease_over", text="the worker that was sending is gone")
        self.store.due_at(r, r.nb)
        return NotYet(state="reconciling")

    def _try_again(self) -> Decision:
        left = self.r.nb - self.store.now
        return NotYet(state="retrying", opens_in=left / 1000) if left > 0 else self._go()

    def _look(self) -> Decision:
        now, leased = self.store.now, self.d.lease > self.store.now
        if not (leased and self._mine_again()):
            if leased or self.r.nb > now:
                return NotYet(state="reconciling")
            if self.d.lease and self._looked_too_often():
                return self._give_up_looking()
            self._take_lease()
        known = frozenset(self.r.known)
        late = now >= self.r.look_until
        return Reconcile(grant=self._grant(), known=known, above=self.r.above, is_last=late)

    def _looked_too_often(self) -> bool:
        self.r.lost += 1
        return self.r.lost >= self.store.times["max_lost"]

    def _give_up_looking(self) -> AlreadyEnded:
        window = round(self.policy.window(Definition(customer_key=self.r.key)) * 3_600_000)
        self.store.open_window(self.r, self.d, window)
        text = "too many workers died while they looked for the run"
        self.store.move(self.r, "start_unknown", code="worker_lost", text=text)
        self.store.finish(self.r)
        self.store.release(self.r)
        return AlreadyEnded(state="start_unknown")
