"""What must hold after each step of a schedule, and what must hold when the faults have stopped and all has ended."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import orjson

from sfmc_harness.simulation.clocks import SECOND
from sfmc_harness.simulation.cloud import NEVER, Applied, Cloud
from sfmc_harness.simulation.costs import ClockCosts
from sfmc_harness.simulation.history import History, ViolationError, name_of
from sfmc_harness.simulation.pauses import Pauses
from sfmc_harness.simulation.places import Limits, Places
from sfmc_harness.simulation.plan import Plan
from sfmc_harness.simulation.store import View
from sfmc_import.faults import DENIED, UNPROVED
from sfmc_import.ledger import LedgerSettings
from sfmc_import.policy import Policy
from sfmc_import.request import StartRequest
from sfmc_import.retrying import MAX_RETRY_AFTER_SECONDS, WAKE_PAUSE_SECONDS
from sfmc_import.run_dates import CLOCKS_APART
from sfmc_import.runs import Definition
from sfmc_import.states import COMPLETED, RUN_ENDS, UNFINISHED, UNSTARTED

FLYING = frozenset({"starting", "retrying", "reconciling", "started"})
BUSY = frozenset({"starting", "retrying", "reconciling"})
SLACK_MS = 1000
HELD_MS = 480_000
"""A lease and the longest pause: so long an attempt may wait after a clock of Redis that went back was noticed."""

UNSEEN_MS = 150_000
PAUSES = (1, 5, 15, 45)
"""The pauses after errors in a row, in units of the first; a longer one is over the windows of these definitions."""

_HANDLED = frozenset({"started", *COMPLETED, "follow_timed_out"})


def _same_event(one: StartRequest, other: StartRequest) -> bool:
    return one.event_id is not None and one.event_id == other.event_id


def _same_file(one: StartRequest, other: StartRequest) -> bool:
    if one.force or one.file is None or other.file is None or not one.file.has_fingerprint:
        return False
    return one.file.fingerprint == other.file.fingerprint


class Invariants:
    """Checks one schedule; `requests` grows as sources, clients and operators ask."""

    def __init__(
        self,
        plan: Plan,
        cloud: Cloud,
        history: History,
        settings: LedgerSettings,
        abandoned: Mapping[str, int],
        limits: Limits,
    ) -> None:
        self._plan = plan
        self._cloud = cloud
        self._clock = cloud.clock
        self._history = history
        self._settings = settings
        self._policy = Policy(**plan.policy)
        self._abandoned = abandoned
        self._errors: Counter[str] = Counter()
        self._pauses: dict[str, int] = {}
        self._met: dict[str, str] = {}
        self._checked = 0
        self._forced: set[str] = set()
        self.requests: dict[str, StartRequest] = {}
        self.submitted: set[str] = set()
        self.pauses = Pauses(cloud, round(settings.lease * SECOND))
        self.places = Places(cloud, limits)
        self._costs = ClockCosts(cloud)
        self._longest_window = max(map(self.window_ms, cloud.plans))
        self._etas_of = self._eta = 0
        self._agreed: tuple[Mapping[str, Mapping[str, str]], int] = {}, 0

    # --- After each step.

    def after_step(self, view: View) -> None:
        """Raise ViolationError for the first invariant that does not hold now; `view` has the time of Redis."""
        now = self._clock.now
        for event in view.events:
            self._history.add(event, now)
            self.pauses.note(event, now)
            self.places.note(event, self._key(str(event["subject"])), now)
            request, name = str(event["data"].get("request_id")), name_of(event)
            if name == "starting":
                self._within_its_times(request, view.now)
                self.pauses.check_begin(request, self._key(str(event["subject"])), now)
            elif name == "operator.forced":
                self._forced.add(request)
            elif name in RUN_ENDS:
                self._count_error(request, self._key(str(event["subject"])), name, now)
        # Most steps change no request: what was right about them is.
        standing = view.requests, self._cloud.times_renamed.total()
        if view.events or standing != self._agreed:
            self._states_and_events_agree(view)
            self._one_in_flight(view)
            self._agreed = standing
        self.places.check_kept(view, self._soon(view))
        self._all_have_a_next_time(view)
        self._deferred_for_a_reason(view)
        self._one_suspect_acts(view)
        if view.endless:
            raise ViolationError("key without end", ", ".join(view.endless))

    def applied(self) -> None:
        """Check the starts that were applied since the last call, with the history from before them."""
        for new in self._cloud.applied[self._checked :]:
            if new.request:
                self._not_too_often(new)
                self._in_order(new)
                self._not_handled_before(new)
                self.places.applied(new)
                self.pauses.check_sent(f"run {new.task_id} of {new.request}", new.key, new.sent_at)
                self._file_is_the_requested_one(new)
        self._checked = len(self._cloud.applied)

    def _states_and_events_agree(self, view: View) -> None:
        for request, fields in view.requests.items():
            reported = self._history.states.get(request)
            if fields.get("state") != reported:
                raise ViolationError(
                    "state without event", f"{request} is {fields.get('state')}, its events say {reported}"
                )
        if lost := self._history.states.keys() - view.requests.keys():
            raise ViolationError("record lost", f"{sorted(lost)}")

    def _within_its_times(self, request: str, now: int) -> None:
        """No attempt begins before the time, or after the deadline, that the sender of a message gave."""
        asked = self.requests[request]
        # What had its time may start when the clock has gone back since.
        latest = self._clock.latest_redis(self._history.accepted[request], self._clock.now)
        if asked.not_before is not None and latest < asked.not_before * SECOND:
            raise ViolationError("before its time", f"{request} begins {asked.not_before * SECOND - now:.0f} ms early")
        if asked.expires is not None and now >= asked.expires * SECOND:
            raise ViolationError("after its deadline", f"{request} begins {now - asked.expires * SECOND:.0f} ms late")

    def _one_in_flight(self, view: View) -> None:
        flying = defaultdict(list)
        if self._cloud.is_traded:
            known = {
                name: each for name, each in view.requests.items() if each["state"] in FLYING and "definition" in each
            }
            self._met |= {name: self._definition_of(fields) for name, fields in known.items()}
        for request, fields in view.requests.items():
            # A postponed request waits without its definition.
            if fields["state"] in FLYING and "postponed" not in fields and not self._came_back(request):
                flying[self._definition_of(fields)].append(request)
        for key, requests in flying.items():
            if len(requests) > 1:
                raise ViolationError("two in flight", f"{requests} of {key}")

    def _came_back(self, request: str) -> bool:
        """It was started, or followed again, after its end: the truth outranks single flight."""
        names = [name_of(event) for event in self._history.events[request]]
        ends = {"gave_up", "start_unknown", "not_started", "follow_timed_out"}
        return any(before in ends and after in {"started", "progressed"} for before, after in pairwise(names))

    def _all_have_a_next_time(self, view: View) -> None:
        unfinished = {request for request, fields in view.requests.items() if fields["state"] in UNFINISHED}
        if unfinished != view.due.keys():
            odd = sorted(unfinished ^ view.due.keys())
            raise ViolationError("no next time", f"due and unfinished differ: {odd}")
        settings, windows = self._settings, [int(fields.get("window", 0)) for fields in view.definitions.values()]
        longest = max(settings.lease, settings.recheck, MAX_RETRY_AFTER_SECONDS) * 1000
        # A window that was recorded on a clock ahead counts from the first look since.
        horizon = self._clock.horizon
        most = horizon + self._longest_window
        windows = [min(window, most) for window in windows]
        latest = max([horizon, *windows, self._latest_eta(), *self.pauses.possible.values()]) + longest + SLACK_MS
        for request, at in view.due.items():
            if at > latest:
                raise ViolationError("waits too long", f"{request} is due in {(at - view.now) / 1000:.0f} s")
            if at > horizon + HELD_MS and self._is_held_up(view.requests[request], request, view.now):
                raise ViolationError("held up", f"{request} is due in {(at - view.now) / 1000:.0f} s after a step back")

    def _latest_eta(self) -> int:
        if len(self.requests) != self._etas_of:
            etas = [round(each.not_before * SECOND) for each in self.requests.values() if each.not_before is not None]
            self._etas_of, self._eta = len(self.requests), max(etas, default=0)
        return self._eta

    def _is_held_up(self, fields: Mapping[str, str], request: str, now: int) -> bool:
        """Tell whether what was noted before a clock that went back still decides when an attempt goes on."""
        noticed = self._clock.noticed_at
        if noticed is None or fields["state"] not in BUSY or "waits_place" in fields:
            return False
        since = self._history.times[request, name_of(self._history.last(request))]
        return since < noticed and not self._may_be_paused(self._definition_of(fields), now)

    def _deferred_for_a_reason(self, view: View) -> None:
        for name, definition in view.definitions.items():
            waiting = [each for each in view.follow_ups.get(name, ()) if self._is_deferred(view, each)]
            if not waiting or "holder" in definition:
                continue
            first = view.requests[waiting[0]]
            is_blocked = int(definition.get("window", 0)) > view.now and "force" not in first
            is_blocked |= self._may_be_paused(self._definition_of(first), view.now)
            is_blocked |= self.places.may_wait(view, waiting[0])
            is_blocked |= self._waits_in_order(waiting[0], self._key(first["key"]), self._clock.now)
            if not is_blocked and view.due.get(waiting[0], 0) > self._soon(view):
                raise ViolationError("waits for nothing", f"{waiting[0]} is the first follow-up of a free {name}")

    def _may_be_paused(self, key: str, now: int) -> bool:
        """A pause by a key that changed hands is one of both definitions."""
        until = self.pauses.possible
        return (max(until.values(), default=0) if self._cloud.is_traded else until.get(key, 0)) > now

    def _definition_of(self, fields: Mapping[str, str]) -> str:
        """The first CustomerKey of the definition of a request; where keys change hands by its ObjectID."""
        if self._cloud.is_traded and "definition" in fields:
            return self._key(orjson.loads(fields["definition"])["object_id"])
        return self._key(fields["key"])

    def _soon(self, view: View) -> int:
        return max(view.now, self._clock.horizon) + round(WAKE_PAUSE_SECONDS * SECOND) + SLACK_MS

    @staticmethod
    def _is_deferred(view: View, request: str) -> bool:
        return view.requests.get(request, {}).get("state") == "deferred"

    def _one_suspect_acts(self, view: View) -> None:
        # When the clock goes back, leases that were over are not.
        if self._clock.went_back():
            return
        holders = [each.get("holder", "") for each in view.definitions.values() if int(each.get("lease", 0)) > view.now]
        holders += [name for name, each in view.requests.items() if int(each.get("resolving", 0)) > view.now]
        suspects = [holder for holder in holders if int(view.requests.get(holder, {}).get("worker_losses", 0))]
        if len(suspects) > 1:
            raise ViolationError("two suspects act", f"{suspects}")

    # --- Each applied start.

    def _not_too_often(self, new: Applied) -> None:
        for earlier in self._cloud.applied:
            if earlier is new:
                return
            # Perform names a CustomerKey: a change of the last seconds is not seen.
            if self._cloud.is_traded and (self.is_unseen(new) or self.is_unseen(earlier)):
                continue
            if earlier.key == new.key and earlier.request and not self._is_foreign(new.key):
                self._compare(earlier, new)

    def _is_foreign(self, key: str) -> bool:
        """Somebody else started the definition too: a single new run is taken for ours, as guarantees.md says."""
        return any(applied.key == key and not applied.request for applied in self._cloud.applied)

    def _compare(self, earlier: Applied, new: Applied) -> None:
        if self._is_excused(earlier, new):
            return
        if earlier.request == new.request:
            raise ViolationError("double start", f"{new.request}: runs {earlier.task_id} and {new.task_id}")
        if self._history.states.get(earlier.request) in FLYING and not self._came_back(earlier.request):
            text = f"{new.key}: run {new.task_id} of {new.request} during {earlier.task_id} of {earlier.request}"
            raise ViolationError("two at once", text)
        # An operator gave the window back, by mistake.
        is_given_back = self._history.times.get((earlier.request, "not_started"), NEVER) <= new.at
        opens = self._opens(earlier) - self._costs.opens_earlier(earlier, new)
        if not (self._is_forced(new.request) or is_given_back) and new.at < opens:
            text = f"{new.key}: run {new.task_id} of {new.request} after {earlier.task_id} of {earlier.request}"
            raise ViolationError("inside the window", text)

    def _is_excused(self, run: Applied, new: Applied) -> bool:
        """Its row never appears, and the policy is to repeat such a start; or it was denied and appears too late."""
        if self._costs.hides(run, new):
            return True
        if run.visible_at == NEVER and run.answer in {*UNPROVED, *DENIED}:
            return True
        if run.is_late and (run.visible_at == NEVER or new.sent_at < run.visible_at):
            return True
        return run.visible_at == NEVER and self._policy.may_repeat(self._now(run.key))

    def _is_forced(self, request: str) -> bool:
        """An operator asked for it so, or let it go on when it waited."""
        return self.requests[request].force or request in self._forced

    def _in_order(self, new: Applied) -> None:
        """A start that waits for another definition comes after a run of it that completed since it was asked for."""
        if self._waits_in_order(new.request, new.key, new.sent_at):
            first = self._cloud.plans[new.key].after
            raise ViolationError("out of order", f"{new.request} starts {new.key} before a run of {first} completed")

    def _waits_in_order(self, request: str, key: str, now: int) -> bool:
        first = self._cloud.plans[key].after if key in self._cloud.plans else ""
        if not first or self._is_forced(request):
            return False
        since = self._history.accepted[request]
        return not any(
            since <= at <= now and end in COMPLETED and self._key(self.requests[other].customer_key) == first
            for (other, end), at in self._history.times.items()
        )

    def _key(self, spelled: str) -> str:
        """The CustomerKey that a definition had first."""
        return self._cloud.first_key(spelled)

    def _now(self, key: str) -> Definition:
        return self._cloud.definition_of(self._cloud.plans[key])

    def window_ms(self, key: str) -> int:
        """The window of a definition, in milliseconds."""
        return round(self._policy.window(self._now(key)) * 3_600_000)

    def _count_error(self, request: str, key: str, end: str, now: int) -> None:
        """After each Error in a row the pause is longer."""
        if end == "import_failed":
            self._errors[key] += 1
            at = min(self._errors[key], len(PAUSES)) - 1
            self._pauses[request] = now + round(self._policy.error_pause * SECOND * PAUSES[at])
        elif end in COMPLETED:
            self._errors[key] = 0

    def _opens(self, earlier: Applied) -> int:
        """When the next start is allowed: after the window, or after the pause that follows an Error."""
        window = earlier.at + self.window_ms(earlier.key)
        pause = self._pauses.get(earlier.request)
        if pause is None or earlier.end != "import_failed" or self._policy.on_error != "free":
            return window
        return 0 if self._came_back(earlier.request) or self._cloud.is_traded else min(window, pause)

    def _not_handled_before(self, new: Applied) -> None:
        """The same file, or the same source event, is not imported again, unless it led to nothing the last time."""
        mine = self.requests[new.request]
        if self._cloud.is_traded and self.is_unseen(new):
            return
        for is_same in (_same_event, _same_file):
            begun = [
                (self._history.times[other.request_id, "starting"], other.request_id)
                for other in self.requests.values()
                if other is not mine
                and (other.request_id, "starting") in self._history.times
                and self._started_for(other) == self._started_for(mine)
                and is_same(mine, other)
                and not (is_same is _same_file and self._is_forced(mine.request_id))
            ]
            _, last = max(begun, default=(0, ""))
            if self._history.states.get(last) in _HANDLED and not self._came_back(last):
                raise ViolationError("handled twice", f"{mine.request_id} starts what {last} has started")

    def _started_for(self, request: StartRequest) -> str:
        """The first CustomerKey of the definition that a request was started for, or its id if that is not known."""
        if not self._cloud.is_traded:
            return self._key(request.customer_key)
        keys = {run.key for run in self._cloud.of_request(request.request_id)} | {self._met.get(request.request_id, "")}
        return keys.pop() if len(keys) == 1 else request.request_id

    def _file_is_the_requested_one(self, new: Applied) -> None:
        file = self.requests[new.request].file
        # A change of the definition is seen at the next reading, and a start that was checked is sent within a lease.
        if file is not None and new.read != file.name and not self.is_unseen(new):
            raise ViolationError(
                "another file", f"{new.request} asked for {file.name}, run {new.task_id} read {new.read}"
            )

    def is_unseen(self, new: Applied) -> bool:
        """Tell whether the definition was changed right before a start, which may be one of another for that."""
        return new.sent_at - self._cloud.changed_at[new.key] < UNSEEN_MS

    # --- When all has ended.

    def at_the_end(self, view: View) -> None:
        """Raise ViolationError for the first promise that was not kept in the end."""
        for kind, text in (
            *self._lost(),
            *self._left_over(view),
            *self._untrue(),
            *self._unjust(),
            *self._wrongly_lost(),
            *self._forgotten(),
        ):
            raise ViolationError(kind, text)

    def _lost(self) -> Iterator[tuple[str, str]]:
        for request in sorted(self.submitted - self._history.states.keys()):
            yield "lost", f"{request} was accepted and left no trace"
        for request, state in self._history.states.items():
            if not self._history.has_ended(request):
                yield "lost", f"{request} stands at {state}"

    def _left_over(self, view: View) -> Iterator[tuple[str, str]]:
        for name, fields in view.definitions.items():
            if "holder" in fields:
                yield "left over", f"{name} is held by {fields['holder']}"
        for name, requests in view.follow_ups.items():
            yield "left over", f"{requests} wait for {name}"

    def _untrue(self) -> Iterator[tuple[str, str]]:
        runs = {applied.task_id: applied for applied in self._cloud.applied}
        for request in self._history.states:
            last = self._history.last(request)
            outcome, task = name_of(last), last["data"].get("task_id")
            own = self._cloud.of_request(request)
            if outcome in RUN_ENDS:
                yield from self._run_is_true(request, outcome, runs.get(str(task)))
            elif outcome != "start_unknown" and any(self._is_known(run, request, outcome) for run in own):
                yield "untrue", f"{request} is {outcome}, but {[run.task_id for run in own]} was started"

    def _is_known(self, run: Applied, request: str, outcome: str) -> bool:
        """Tell whether a request that has had this run must not end without it."""
        can_show = run.visible_at < NEVER or run.answer not in UNPROVED
        return can_show and not self._costs.hides_at_end(run, self._history.times[request, outcome])

    def _run_is_true(self, request: str, outcome: str, run: Applied | None) -> Iterator[tuple[str, str]]:
        if run is None:
            yield "untrue", f"{request} is {outcome} with a run that was never started"
        elif run.request != request and not self._is_foreign(run.key):
            yield "untrue", f"{request} is {outcome} with the run {run.task_id} of {run.request}"
        elif run.at < self._history.accepted[request] - CLOCKS_APART * 1000:
            yield "untrue", f"{request} is {outcome} with the run {run.task_id}, which began before it came"
        elif outcome not in {"follow_timed_out", self._end_of(run)}:
            yield "untrue", f"{request} is {outcome}, run {run.task_id} is {run.end}"

    def _end_of(self, run: Applied) -> str:
        """How a run must end: one with errors misses the greatest share of failed rows, where there is one."""
        is_missed = run.end == "completed_with_errors" and self._policy.max_failed_share is not None
        return "completed_suspicious" if is_missed else run.end

    def _unjust(self) -> Iterator[tuple[str, str]]:
        """A duplicate must be one, of the request that it names."""
        for request, state in self._history.states.items():
            if state == "duplicate":
                why = self._why_no_duplicate(request, self._history.last(request)["data"])
                if why:
                    yield "unjust duplicate", f"{request}: {why}"

    def _forgotten(self) -> Iterator[tuple[str, str]]:
        """What was asked for again after a request that came to nothing is started, or has an end of its own."""
        for request, state in self._history.states.items():
            other = self._history.stands_for(request)
            if state == "duplicate" and self._history.states[other] in {*UNSTARTED, "duplicate"}:
                yield "forgotten", f"{request} is a duplicate of {other}, which is {self._history.states[other]}"

    def _wrongly_lost(self) -> Iterator[tuple[str, str]]:
        """A request is set aside for the workers that it lost only when it lost them, and while it acted alone."""
        for request in self._history.states:
            data = self._history.last(request)["data"]
            if data.get("code") != "worker_lost":
                continue
            if self._abandoned.get(request, 0) <= self._settings.max_lost:
                yield "wrongly set aside", f"{request} lost {self._abandoned.get(request, 0)} workers"
            if self._only_others_kill(request):
                yield "wrongly set aside", f"{request} died with a killer"

    def _only_others_kill(self, request: str) -> bool:
        stops = {happening.kind for happening in self._plan.happenings} & {"time", "redis_outage", "redis_clock"}
        return not stops and all(fault.request not in {"", request} for fault in self._plan.faults)

    def _why_no_duplicate(self, request: str, details: Mapping[str, Any]) -> str | None:
        mine, other = self.requests[request], self.requests.get(str(details.get("held_by")))
        match details.get("why"):
            case "file":
                return self._why_not_handled(mine, other)
            case "event":
                return None if other and other.event_id == mine.event_id else "no such event"
            case "superseded":
                return self._why_not_superseded(mine, other)
            case "window":
                return None if mine.file is None else "it has a file"
            case "too_soon":
                return None if self._policy.when_too_soon == "drop" else "the policy is to wait"
            case why:
                return f"the reason is {why}"

    def _why_not_superseded(self, mine: StartRequest, other: StartRequest | None) -> str | None:
        if other is None or self._is_forced(mine.request_id):
            return "it could not be superseded"
        if self._policy.coalesce == "each":
            return "the policy is to keep each"
        if self._accepted_at(other) < self._accepted_at(mine):
            return f"{other.request_id} came first"
        # A pause lets requests without a file wait too.
        same = mine.file is not None and other.file is not None and mine.file.name == other.file.name
        return None if same or self._policy.coalesce == "latest" else f"{other.request_id} has another name"

    def _accepted_at(self, request: StartRequest) -> int:
        return self._history.accepted[request.request_id]

    def _why_not_handled(self, mine: StartRequest, other: StartRequest | None) -> str | None:
        if other is None or other.file is None or mine.file is None or other.file.fingerprint != mine.file.fingerprint:
            return "the other request has another file"
        ends = {"rejected", "gave_up", "expired"} | ({"import_failed"} if self._policy.on_error == "free" else set())
        times, mine_at = self._history.times, self._history.times[mine.request_id, "duplicate"]
        ended = any(times.get((other.request_id, end), mine_at) < mine_at for end in ends)
        return f"{other.request_id} had led to nothing" if ended and not self._came_back(other.request_id) else None
