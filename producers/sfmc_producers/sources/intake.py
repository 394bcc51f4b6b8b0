"""Takes what a source reports into the ledger, or sets it aside; only then may the source let go of it."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeGuard

import structlog

from sfmc_import.client import SubmitResult
from sfmc_import.routing import AmbiguousRoute, Routed, Routing, Unrouted, said_of
from sfmc_import.states import Reported
from sfmc_producers.checked_files import Refused, Skipped, say_refused
from sfmc_producers.delivery.records import Held
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.standing import DELIVERY, Standing
from sfmc_producers.stability import WaitingFile
from sfmc_producers.submitter import InvalidRequest, Submitter


@dataclass(frozen=True, slots=True)
class SentBack:
    """A dead letter that an operator sent back: `entry` are its bytes as Redis has them, the same each time it comes.

    `id` is that of the letter: what still cannot be read is a new letter, and one however often it comes.
    """

    id: str
    body: bytes
    entry: bytes


class SetAside(Protocol):
    """Keeps what cannot be read as a dead letter."""

    def add(self, source: str, record_id: str, body: bytes, text: str) -> bool:
        """Keep the bytes once for each id; False when Redis does not take them now."""
        ...

    def confirm(self, source: str, record_ids: Sequence[str]) -> bool:
        """Tell whether disk or replicas have what was kept under these ids, where the settings ask for that."""
        ...

    def outage(self, source: str) -> str:
        """Say in words why what cannot be read was not kept, or not confirmed, when that was tried last."""
        ...

    def marks(self, source: str, record_ids: Sequence[str]) -> list[str]:
        """Name the keys that tell what was kept under these ids, where they are in the Redis of the ledger."""
        ...

    def replayed(self, source: str) -> list[SentBack]:
        """Give what an operator sent back to this source."""
        ...

    def done(self, source: str, letter: SentBack) -> None:
        """Forget one that was sent back."""
        ...


class SaidOnce:
    """Remembers the newest things that this process has said, so that what is tried again is said once."""

    def __init__(self, most: int = 10_000) -> None:
        self._most, self._said = most, dict[str, None]()
        self._lock = threading.Lock()

    def is_new(self, what: str) -> bool:
        """Tell whether this was not said yet; from now on it is."""
        with self._lock:
            is_new = what not in self._said
            self._said.pop(what, None)
            self._said[what] = None
            if len(self._said) > self._most:
                del self._said[next(iter(self._said))]
        return is_new


Answer = SubmitResult | InvalidRequest | Refused | Skipped | Held | None
"""What became of an arrival that was offered to a definition; None: not now."""


@dataclass(frozen=True, slots=True)
class Taken:
    """An arrival that the ledger has: as a request, or as one that starts nothing; `is_new` if it had not before."""

    routing: Routing
    is_new: bool
    request_id: str | None = None
    reported: Reported | None = None

    @property
    def recorded(self) -> str | Reported | None:
        """What must be there before the arrival is let go of."""
        return self.request_id or self.reported


def is_unchecked(routing: Routing | None) -> TypeGuard[Routed]:
    """Tell whether files go to a definition without a look into them: such are submitted together."""
    return isinstance(routing, Routed) and routing.preflight is None and routing.deliver is None


Recorded = Taken | InvalidRequest | Held | None
"""What became of an arrival; Held: it is not delivered yet, None: not now."""


def _is_taken(taken: Recorded) -> bool | InvalidRequest:
    return taken if isinstance(taken, InvalidRequest) else isinstance(taken, Taken)


class Intake:
    """Takes the arrivals of one source; safe for threads as the submitter is.

    `key` starts that definition for every file and nothing is routed; `mid` is the business unit of files whose
    route or event names none. `names` are further fields of its log lines. Whoever brings them says in `standing`
    how that goes.
    """

    def __init__(
        self, source: str, submitter: Submitter, *, mid: str | None = None, key: str | None = None, **names: object
    ) -> None:
        self.source, self.submitter, self.standing = source, submitter, Standing()
        self._mid, self._key = mid, key
        self._log = structlog.get_logger("sfmc_producers.sources").bind(source=source, **names)

    def take(self, arrival: Arrival) -> bool | InvalidRequest:
        """Record the request of an arrival, or report that it starts nothing.

        False: not now, ask again. InvalidRequest: no repetition helps.
        """
        return self.take_many([arrival])[0]

    def take_many(self, arrivals: Sequence[Arrival]) -> list[bool | InvalidRequest]:
        """Take arrivals in few round trips; each as `take` does, whatever becomes of the others."""
        return [_is_taken(each) for each in self._confirmed(self.record_many(arrivals))]

    def record_many(self, arrivals: Sequence[Arrival]) -> list[Recorded]:
        """Do the same as `take_many`, and leave it to the caller to `confirm` what is taken."""
        since = self.submitter.moment
        routed = [(arrival, self._decided(arrival, self.route(arrival), since)) for arrival in arrivals]
        together = [(arrival, target) for arrival, target in routed if is_unchecked(target)]
        files = [(arrival.file, target, arrival.event_id) for arrival, target in together]
        answers = iter(self.submitter.submit_many(files, self.source) if files else ())
        return [
            self._answered(arrival, target, next(answers)) if is_unchecked(target) else self._take_to(arrival, target)
            for arrival, target in routed
        ]

    def _confirmed(self, taken: Sequence[Recorded]) -> Sequence[Recorded]:
        """Give only those that were taken and whose records are confirmed; the others come again."""
        done = [each for each in taken if isinstance(each, Taken)]
        if not done or self.confirm([each.recorded for each in done]):
            return taken
        return [None if isinstance(each, Taken) else each for each in taken]

    def confirm(self, recorded: Sequence[str | Reported | None]) -> bool:
        """Tell whether disk or replicas have these requests and reports; False: not now.

        Who does not take arrivals with `take` or `take_many` asks this before their source lets go of them.
        """
        return self.submitter.confirm([each for each in recorded if each is not None])

    def take_arrival(self, arrival: Arrival) -> Recorded:
        """Take a file that is looked at again, so that nothing ends here; Held: it is not delivered yet, None: not now.

        One that starts nothing is reported only by definitions that are newer than it; until then nothing is recorded.
        Whoever asks lets `confirm` follow.
        """
        since, routing = self.submitter.moment, self.route(arrival)
        decided = self._decided(arrival, routing, since)
        if decided is None and isinstance(routing, (Unrouted, AmbiguousRoute)):
            return Taken(routing, is_new=False)
        return self._take_to(arrival, decided)

    def is_list_new(self, arrival: Arrival) -> bool:
        """Tell whether this file, which no definition names, waits a moment for definitions that are newer still."""
        return self.submitter.is_list_new(arrival.mid or self._mid)

    def _decided(self, arrival: Arrival, routing: Routing | None, since: float) -> Routing | None:
        """Let newer definitions say it where a file, which came at `since`, would start nothing; None: not now."""
        if isinstance(routing, (Unrouted, AmbiguousRoute)):
            return self.submitter.route_anew(arrival.file, arrival.mid or self._mid, since)
        return routing

    def _take_to(self, arrival: Arrival, routing: Routing | None) -> Recorded:
        if routing is None:
            return None
        if isinstance(routing, Routed):
            return self.submit_to(arrival, routing)
        return self._report(arrival, routing)

    def outage(self, arrival: Arrival) -> str:
        """Say in words why the definitions of its business unit cannot be read now; empty where they can."""
        return self.submitter.outage(arrival.mid or self._mid)[0]

    def unavailable(self, file: WaitingFile) -> WaitingFile:
        """Give a file that is not taken now with why the ledger or the definitions do not answer, and the next try."""
        text, code = self.submitter.outage(self._mid)
        return replace(file, text=text, code=code, again_at=self.submitter.tried_at(self._mid))

    def route(self, arrival: Arrival) -> Routing | None:
        """Find the definition: the one that the event names, that of the source, the routes, the FileSpecs."""
        mid = arrival.mid or self._mid
        key = arrival.customer_key or self._key
        if key is not None:
            return Routed(customer_key=key, mid=mid or self.submitter.default_mid, by="route")
        with self.standing.asking(arrival.file.name):
            return self.submitter.route(arrival.file, mid)

    def named_by(self, arrival: Arrival) -> str | None:
        """Say who names the definition of an arrival, so that nothing is routed; None where the rules decide."""
        if arrival.customer_key is not None:
            return f"the event names {arrival.customer_key}"
        return None if self._key is None else f"the source names {self._key} for every file"

    def submit(self, arrival: Arrival, target: Routed) -> bool | InvalidRequest:
        """Record the request of an arrival for this definition; answers as `take`."""
        return _is_taken(self.submit_to(arrival, target))

    def report(self, arrival: Arrival, routing: Unrouted | AmbiguousRoute, since: float) -> bool:
        """Report that an arrival, which was there at `since`, starts nothing.

        False: not now, or newer definitions say that it starts something: ask again.
        """
        found = self._decided(arrival, routing, since)
        return isinstance(found, (Unrouted, AmbiguousRoute)) and self._report(arrival, found) is not None

    def submit_to(self, arrival: Arrival, target: Routed) -> Recorded:
        """Record the request of an arrival for this definition; answers as `take_arrival`."""
        return self._taken(target, self.offer(arrival, target))

    def offer(self, arrival: Arrival, target: Routed) -> Answer:
        """Record the request of an arrival for this definition, and give the whole answer."""
        answer = self.submitter.submit(arrival.file, target, self.source, arrival.event_id, arrival.open_content)
        if target.deliver is not None:
            self._note_delivery(answer)
        self._say(arrival, target, answer)
        return answer

    def _note_delivery(self, answer: Answer) -> None:
        """Say since when a target takes no file, until it takes one."""
        if isinstance(answer, Held) and answer.code:
            again_in = None if answer.again_at is None else max(0.0, answer.again_at - time.monotonic())
            self.standing.failed(answer.text, DELIVERY, again_in=again_in, state="undelivered")
        elif isinstance(answer, SubmitResult):
            self.standing.well(DELIVERY)

    def offer_many(self, offers: Sequence[tuple[Arrival, Routed]]) -> list[Answer]:
        """Record the requests of arrivals that need no look into them, in few round trips; each as `offer` does."""
        files = [(arrival.file, target, arrival.event_id) for arrival, target in offers]
        answers: list[Answer] = [*self.submitter.submit_many(files, self.source)]
        for (arrival, target), answer in zip(offers, answers, strict=True):
            self._say(arrival, target, answer)
        return answers

    def _answered(self, arrival: Arrival, target: Routed, answer: Answer) -> Recorded:
        self._say(arrival, target, answer)
        return self._taken(target, answer)

    def _taken(self, target: Routed, answer: Answer) -> Recorded:
        if isinstance(answer, (Refused, Skipped)):
            return Taken(target, is_new=False, request_id=getattr(answer, "request_id", None))
        if isinstance(answer, SubmitResult):
            return Taken(target, answer.is_new, answer.request_id)
        return answer

    def _say(self, arrival: Arrival, target: Routed, answer: Answer) -> None:
        if isinstance(answer, (Refused, Skipped)):
            self._say_not_started(arrival, target, answer)
        elif isinstance(answer, SubmitResult):
            event = "file_submitted" if answer.is_new else "file_known"
            names = {**_names(arrival), "customer_key": target.customer_key, "mid": target.mid}
            names |= {} if arrival.event_id is None else {"event_id": arrival.event_id}
            self._log.info(event, request_id=answer.request_id, size=arrival.file.size, **names)

    def _say_not_started(self, arrival: Arrival, target: Routed, answer: Refused | Skipped) -> None:
        log = self._log.bind(file=arrival.file.name, customer_key=target.customer_key, mid=target.mid)
        if isinstance(answer, Refused):
            say_refused(log, answer)
        else:
            log.warning("file_empty_skipped")

    def _report(self, arrival: Arrival, routing: Unrouted | AmbiguousRoute) -> Taken | None:
        is_new = self.submitter.report(arrival.file, routing)
        if is_new is None:
            return None
        if is_new:
            keys = list(routing.customer_keys)
            self._log.warning("file_not_routed", **_names(arrival), reason=routing.text, customer_keys=keys)
        return Taken(routing, is_new, reported=Reported(arrival.file.fingerprint, said_of(routing)))


def _names(arrival: Arrival) -> dict[str, str]:
    return {"file": arrival.file.name, "location": arrival.file.location}
