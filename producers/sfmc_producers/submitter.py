"""From a file to a recorded request: routes, submits and reports; pauses while a backend is unavailable."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from math import inf
from typing import Literal
from zoneinfo import ZoneInfo

import structlog

from sfmc_import.checking import Days
from sfmc_import.client import NotTaken, SubmitResult
from sfmc_import.definitions import CachedDefinitions
from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.file_format import Preflight
from sfmc_import.ports import Clock, LedgerUnavailableError
from sfmc_import.request import BadRequestError, FileInfo, IdTakenError
from sfmc_import.routing import (
    AmbiguousRoute,
    Deliver,
    FileSpecs,
    Route,
    Routed,
    Routes,
    Routing,
    Tried,
    Unrouted,
    said_of,
)
from sfmc_import.states import Reported
from sfmc_producers.checked_files import OpenContent, Refused, Skipped, describe, look_into
from sfmc_producers.circuit import Circuit
from sfmc_producers.content_errors import ContentDamagedError, ContentError
from sfmc_producers.delivery.deliveries import Target
from sfmc_producers.delivery.job import UNUSABLE, Job
from sfmc_producers.delivery.locations import is_location, located
from sfmc_producers.delivery.names import name_problem
from sfmc_producers.delivery.records import Held
from sfmc_producers.file_days import FileDays
from sfmc_producers.file_ids import own_event, request_id_of, submission, submitted_as
from sfmc_producers.file_specs import ANEW_SECONDS, ReadFileSpecs
from sfmc_producers.ledger import Ledger
from sfmc_producers.preflight import Checked
from sfmc_producers.reporting import describe_old

log = structlog.get_logger(__name__)

MOST_SOUND = 100_000
# Routes that can never work are found on any day.
ANY_DAY = date(2000, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidRequest:
    """A request that no ledger would take: the route leads to an impossible key or business unit."""

    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingRules:
    """How files find their definition: the routes of the policy file, else the FileSpecs of the business unit.

    `time_zone` is that of the account, for the dates in patterns, and `margin` how near to its midnight a file may be
    named for either day; `clock` says how far apart clocks are. `targets` are where routes deliver to. The
    FileSpecs are at most `max_age` seconds old: a definition that selected a file before would refuse it, and the one
    that selects it now would not start.
    """

    definitions: CachedDefinitions
    routes: Sequence[Route] = ()
    time_zone: str = "UTC"
    margin: float = 0.0
    clock: Clock | None = None
    max_age: float = 10.0
    targets: Mapping[str, Target] = field(default_factory=dict)


def _problems(found: Checked, target: Routed) -> tuple[str, ...]:
    is_refused = found.is_empty and target.preflight is not None and target.preflight.empty == "fail"
    return ("the file has no rows",) if is_refused else found.problems


class Submitter:
    """Routes and submits the files of any number of folders; every answer None means "not now, ask again".

    Safe for threads, one for each folder: a backend that does not answer one of them keeps none of the others waiting.
    `now` gives the time of Redis, for the day of a FileSpec, and raises ServiceUnavailableError where it is not known.
    Raises BadRouteError when a route of the settings can never work.
    """

    def __init__(
        self, client: Ledger, rules: RoutingRules, clock: Callable[[], float], now: Callable[[], datetime]
    ) -> None:
        self._client, self._rules, self._clock = client, rules, clock
        self.days = FileDays(Days(zone=ZoneInfo(rules.time_zone), margin=rules.margin), now, rules.clock)
        self._routes = {ANY_DAY: self._read_routes(ANY_DAY)}
        self._times = Circuit("time of Redis", clock)
        self._ledger, self._confirming = Circuit("ledger", clock), Circuit("confirmation of the ledger", clock)
        self._notes = Circuit("report of folders", clock)
        self._definitions: dict[str, Circuit] = {}
        self._specs = ReadFileSpecs(rules.definitions, rules.max_age, clock, self._circuit_of)
        # Files that are sound and not delivered yet, by request: while their target is away none is read again.
        self._sound: dict[str, None] = {}
        self._noting = threading.Lock()

    @property
    def default_mid(self) -> str:
        """The business unit of the settings."""
        return self._client.mid

    def route(self, file_info: FileInfo, mid: str | None) -> Routing | None:
        """Find the definition: explicit routes, then the FileSpecs of the business unit."""
        days = self._times.call(self.days.read)
        if days is None:
            return None
        found = self._routes_on(days[0]).find(file_info.location, file_info.name)
        if found is not None:
            return found
        specs = self._specs.usual(mid or self._client.mid)
        # Anew: the answer that they were in may be the first that named the time of Marketing Cloud.
        days = self._times.call(self.days.read)
        return None if specs is None or days is None else self._routed(file_info, specs, days)

    def route_anew(self, file_info: FileInfo, mid: str | None, since: float) -> Routing | None:
        """Route a file, which was seen at `since`, by newer definitions: that it starts nothing is an end."""
        specs = self._specs.newer(mid or self._client.mid, file_info, since)
        days = None if specs is None else self._times.call(self.days.read)
        return None if specs is None or days is None else self._routed(file_info, specs, days)

    def is_list_new(self, mid: str | None) -> bool:
        """Tell whether files that none of the definitions names wait a moment, for definitions that are newer still."""
        return self._specs.is_new(mid or self._client.mid)

    @property
    def moment(self) -> float:
        """Now, by the clock of this object."""
        return self._clock()

    def explain(self, file_info: FileInfo, routing: Routing | None) -> list[Tried]:
        """Say what each explicit route up to the first that matches says to this file, which was routed so."""
        tried = [self._routes_on(day).explain(file_info.location, file_info.name) for day in self.days.read()]
        is_by_route = isinstance(routing, Routed) and routing.by == "route"
        return next((each for each in tried if is_by_route and each[-1:] and each[-1].target), tried[0])

    @property
    def is_ledger_waiting(self) -> bool:
        """Whether Redis is unavailable, or confirms nothing, and the next try is still ahead."""
        return any(each.is_waiting for each in self._of_redis)

    @property
    def _of_redis(self) -> tuple[Circuit, ...]:
        return self._ledger, self._confirming, self._times

    def outage(self, mid: str | None) -> tuple[str, str]:
        """Say in words, and as a code where it has one, why files of a business unit are not taken now."""
        if (found := next((each.outage for each in self._of_redis if each.outage), None)) is not None:
            reason, code = found
            return reason, code or "redis"
        definitions = self._definitions.get(mid or self.default_mid)
        return (definitions and definitions.outage) or ("", "")

    def tried_at(self, mid: str | None) -> float | None:
        """Give when files of a business unit that are not taken now are tried next, by the clock of this object."""
        circuits = (*self._of_redis, self._definitions.get(mid or self.default_mid))
        return next((each.next_at for each in circuits if each is not None and each.outage), None)

    def submit(
        self,
        file_info: FileInfo,
        target: Routed,
        source: str,
        event_id: str | None = None,
        open_content: OpenContent | None = None,
    ) -> SubmitResult | InvalidRequest | Refused | Skipped | Held | None:
        """Record the request for this file_info; only a result says that it is in the ledger.

        `event_id` counts for a file of which nothing else says whether it was handled. With `open_content` the
        preflight of the route is carried out before, and a file whose route delivers is delivered; Held says why that
        is not done yet.
        """
        own = own_event(file_info, event_id)
        if target.deliver is None or open_content is None:
            return self._check_and_send(file_info, target, source, own, open_content)
        # What is on its way gives its own answer in the end; of all else the ledger is asked first.
        is_on_its_way = self._is_on_its_way(file_info, target, own)
        if not is_on_its_way and (known := self._known(file_info, target, source, own)) != "new":
            return known
        place = self._located(target) if is_location(target.deliver) else target
        if not isinstance(place, Routed):
            return None if place is None else InvalidRequest(problems=(place,))
        assert place.deliver is not None
        content = self._unpacked(place.deliver, open_content)
        if is_on_its_way or request_id_of(file_info, place, own) in self._sound:
            return self._deliver(file_info, place, place.deliver, source, own, content)
        return self._check_and_send(file_info, place, source, own, content)

    def _check_and_send(
        self, file_info: FileInfo, target: Routed, source: str, own: str | None, open_content: OpenContent | None
    ) -> SubmitResult | InvalidRequest | Refused | Skipped | Held | None:
        try:
            found = self._preflight(file_info, target, open_content)
        except UNUSABLE as error:
            return self._unusable(file_info, target, source, own, error)
        if found is None or (found.is_empty and target.preflight and target.preflight.empty == "skip"):
            return None if found is None else Skipped()
        problems = _problems(found, target)
        if target.deliver is None or problems:
            return self._record(file_info, target, source, own, problems)
        if target.preflight is not None:
            self._note_sound(request_id_of(file_info, target, own))
        return self._deliver(file_info, target, target.deliver, source, own, open_content)

    def _note_sound(self, request_id: str) -> None:
        with self._noting:
            if request_id not in self._sound and len(self._sound) >= MOST_SOUND:
                # In order of arrival: those that are asked for next come last.
                del self._sound[next(iter(self._sound))]
            self._sound[request_id] = None

    def _located(self, target: Routed) -> Routed | str | None:
        """Name the target that is the file location of the definition; None while Marketing Cloud does not say it."""
        circuit = self._circuit_of(target.mid)
        rules = self._rules
        usual = circuit.call(lambda: located(target, rules.targets, self._client.mid, rules.definitions, rules.max_age))
        if not isinstance(usual, str):
            return usual
        # Nothing ends by what was read minutes ago; a reading of the last second may be from before the file came.
        return circuit.call(lambda: located(target, rules.targets, self._client.mid, rules.definitions, ANEW_SECONDS))

    def _is_on_its_way(self, file_info: FileInfo, target: Routed, own: str | None) -> bool:
        """Tell whether a target has taken up the file: then its preflight was carried out."""
        request_id = request_id_of(file_info, target, own)
        return any(place.knows(request_id) for place in tuple(self._rules.targets.values()))

    def _known(
        self, file_info: FileInfo, target: Routed, source: str, own: str | None
    ) -> SubmitResult | Refused | Literal["new"] | None:
        """Give the request that a file has already, in whatever state; None while Redis does not say it."""
        return self._ledger.call(lambda: self._find(file_info, target, source, own))

    def _find(
        self, file_info: FileInfo, target: Routed, source: str, own: str | None
    ) -> SubmitResult | Refused | Literal["new"]:
        given = submission(file_info, target, own, source)
        usual = request_id_of(file_info, target, own)
        for choose in (str, self._client.own_id):
            request_id = choose(usual)
            try:
                state = self._client.state_of({**given, "request_id": request_id})
            except IdTakenError:
                continue
            except BadRequestError:
                return "new"
            if state is None:
                return "new"
            if state == "rejected":
                return Refused(request_id=request_id, problems=(), code="known")
            return SubmitResult(request_id=request_id, is_new=False)
        return "new"

    def _deliver(
        self,
        file_info: FileInfo,
        target: Routed,
        deliver: Deliver,
        source: str,
        own: str | None,
        open_content: OpenContent | None,
    ) -> SubmitResult | InvalidRequest | Refused | Held | None:
        place = self._rules.targets.get(deliver.target)
        if place is None or open_content is None:
            what = f"{source} gives no content" if open_content is None else f"there is no [[target]] {deliver.target}"
            return InvalidRequest(problems=(f"its route delivers to {deliver.target}: {what}",))
        if problem := name_problem(deliver.name):
            return InvalidRequest(problems=(problem,))
        job = self._job(file_info, target, place.place, source, own, open_content)
        answer: SubmitResult | InvalidRequest | Refused | Held | None = place.take(job)
        if answer is not None and not isinstance(answer, Held):
            with self._noting:
                self._sound.pop(request_id_of(file_info, target, own), None)
        return answer

    def _job(
        self,
        file_info: FileInfo,
        target: Routed,
        place: str,
        source: str,
        own: str | None,
        open_content: OpenContent,
    ) -> Job[SubmitResult | InvalidRequest | Refused]:
        assert target.deliver is not None
        sent = submitted_as(file_info, target)
        return Job(
            request_id=request_id_of(file_info, target, own),
            fingerprint=file_info.fingerprint,
            name=target.deliver.name,
            place=place,
            lane=(target.mid, target.customer_key),
            open_content=open_content,
            submit=lambda: self._record(sent, target, source, own),
            unusable=lambda error: self._unusable(file_info, target, source, own, error),
            total=None if target.deliver.unpack else file_info.size,
            known=lambda: self._known_or_raise(file_info, target, source, own),
        )

    def _known_or_raise(
        self, file_info: FileInfo, target: Routed, source: str, own: str | None
    ) -> SubmitResult | Refused | None:
        found = self._known(file_info, target, source, own)
        if found is None:
            raise LedgerUnavailableError("Redis does not say whether the file has a request")
        return None if found == "new" else found

    def _unpacked(self, deliver: Deliver, open_content: OpenContent) -> OpenContent:
        place = self._rules.targets.get(deliver.target)
        if place is None or not deliver.unpack:
            return open_content
        return place.unpacked(open_content, deliver.unpack, deliver.verify_with)

    def _unusable(
        self, file_info: FileInfo, target: Routed, source: str, own: str | None, error: ContentError
    ) -> SubmitResult | InvalidRequest | Refused | None:
        """Reject a file that is damaged; one that is gone or locked could come again, so it gets no request."""
        if isinstance(error, ContentDamagedError):
            return self._record(file_info, target, source, own, (str(error),), error.code)
        return InvalidRequest(problems=(str(error),))

    def _record(
        self,
        file_info: FileInfo,
        target: Routed,
        source: str,
        own: str | None,
        problems: tuple[str, ...] = (),
        code: str = "preflight",
    ) -> SubmitResult | InvalidRequest | Refused | None:
        try:
            if problems:
                return self._ledger.call(lambda: self._reject(file_info, target, source, own, problems, code))
            return self._ledger.call(lambda: self._submit(file_info, target, source, own))
        except BadRequestError as error:
            return InvalidRequest(problems=tuple(error.problems))

    def submit_many(
        self, files: Sequence[tuple[FileInfo, Routed, str | None]], source: str
    ) -> list[SubmitResult | InvalidRequest | None]:
        """Record the requests for these files with their event ids in few round trips; each as `submit` does.

        There is no preflight: a file whose route has one is submitted alone.
        """
        answers: list[SubmitResult | NotTaken] = []

        def act() -> None:
            answers.extend(self._client.submit_many([submission(*each, source) for each in files]))
            for answer in answers:
                if isinstance(answer, ServiceUnavailableError):
                    raise answer

        self._ledger.call(act)
        if not answers:
            return [None] * len(files)
        return [self._answer(answer, *each, source) for answer, each in zip(answers, files, strict=True)]

    def confirm(self, recorded: Sequence[str | Reported]) -> bool:
        """Tell whether disk or replicas have these, and all before them; only then is their file let go of.

        True at once where the settings do not ask for that. False: not now, submit them again.
        """
        # A circuit of its own: Redis takes requests meanwhile, which must not look like the end of this trouble.
        return self._confirming.call(lambda: self._confirm(recorded)) or False

    def report(self, file_info: FileInfo, routing: Unrouted | AmbiguousRoute) -> bool | None:
        """Put on the stream that a file starts nothing; False when it is there, None for "not now"."""
        detail: dict[str, object] = {"text": routing.text, "customer_keys": list(routing.customer_keys)}
        if isinstance(routing, Unrouted):
            detail["reason"] = routing.reason
        return self._ledger.call(lambda: self._client.report(said_of(routing), file=file_info, detail=detail))

    def note_folders(self, watcher: str, folders: Sequence[Mapping[str, object]] | None) -> bool:
        """Tell the ledger what a watcher says of its folders; False when it does not take it now."""
        # A pause of its own: what the ledger refuses of files, such as new ones when it is full, must be seen there.
        said = folders and [{**folders[0], **describe_old(self._rules.definitions)}, *folders[1:]]
        return self._notes.call(lambda: self._note(watcher, said)) or False

    def read_old_lists(self) -> None:
        """Ask for the lists of definitions that are old, whether files come or not."""
        self._rules.definitions.read_old_lists()

    @property
    def next_in(self) -> float | None:
        """Seconds until an unavailable backend is tried again; None when all answer."""
        circuits = (*self._of_redis, *tuple(self._definitions.values()))
        waits = (circuit.next_in for circuit in circuits)
        return min((wait for wait in waits if wait is not None), default=None)

    def _submit(self, file_info: FileInfo, target: Routed, source: str, event_id: str | None) -> SubmitResult:
        """Submit under the id that the file always has; where another request has taken that, under one of its own."""
        given = submission(file_info, target, event_id, source)
        try:
            return self._client.submit(**given)
        except IdTakenError:
            usual = request_id_of(file_info, target, own_event(file_info, event_id))
            log.warning("file_id_taken", file=file_info.name, request_id=usual, customer_key=target.customer_key)
            # The same each time: the file is seen again by events that come again, and by scans.
            given["request_id"] = self._client.own_id(usual)
            return self._client.submit(**given)

    def _answer(
        self, answer: SubmitResult | NotTaken, file_info: FileInfo, target: Routed, event_id: str | None, source: str
    ) -> SubmitResult | InvalidRequest | None:
        if isinstance(answer, IdTakenError):
            try:
                return self._ledger.call(lambda: self._submit(file_info, target, source, event_id))
            except BadRequestError as error:
                return InvalidRequest(problems=tuple(error.problems))
        if isinstance(answer, BadRequestError):
            return InvalidRequest(problems=tuple(answer.problems))
        return None if isinstance(answer, ServiceUnavailableError) else answer

    def _preflight(self, file_info: FileInfo, target: Routed, open_content: OpenContent | None) -> Checked | None:
        """Check the file, if its route says so; None while Marketing Cloud or the file cannot be read."""
        wanted = target.preflight
        if wanted is None:
            return Checked()
        if open_content is None:
            log.warning("preflight_not_possible", file=file_info.name, customer_key=target.customer_key)
            return Checked()
        found = self._checked(target, wanted, open_content, inf)
        # No file ends by a description from minutes ago; one of the last second may be from before it came.
        is_refused = found is not None and (found.problems or found.is_empty)
        return self._checked(target, wanted, open_content, ANEW_SECONDS) if is_refused else found

    def _checked(self, target: Routed, wanted: Preflight, open_content: OpenContent, max_age: float) -> Checked | None:
        circuit = self._circuit_of(target.mid)
        description = circuit.call(lambda: describe(target, self._rules.definitions, max_age))
        return None if description is None else look_into(open_content, wanted, description)

    def _reject(
        self,
        file_info: FileInfo,
        target: Routed,
        source: str,
        event_id: str | None,
        problems: tuple[str, ...],
        code: str,
    ) -> SubmitResult | Refused:
        usual = request_id_of(file_info, target, event_id)
        given = {"customer_key": target.customer_key, "mid": target.mid, "file": file_info, "source": source}
        given |= {"event_id": event_id, "code": code, "text": "; ".join(problems)}
        try:
            done = self._client.reject(request_id=usual, **given)  # type: ignore[arg-type]
        except IdTakenError:
            log.warning("file_id_taken", file=file_info.name, request_id=usual, customer_key=target.customer_key)
            done = self._client.reject(request_id=self._client.own_id(usual), **given)  # type: ignore[arg-type]
        if done.state != "rejected":
            # It was accepted before, when nothing was wrong with it, or by a producer that does not look.
            return SubmitResult(request_id=done.request_id, is_new=False)
        return Refused(request_id=done.request_id, problems=problems, code=code)

    def _confirm(self, recorded: Sequence[str | Reported]) -> bool:
        self._client.confirm(recorded)
        return True

    def _note(self, watcher: str, folders: Sequence[Mapping[str, object]] | None) -> bool:
        self._client.note_folders(watcher, folders)
        return True

    def _routed(self, file_info: FileInfo, specs: FileSpecs, days: Sequence[date]) -> Routing:
        """Find the definition on the day that counts; only where it has none, on the other side of midnight."""
        for day in days:
            found = self._routes_on(day).find(file_info.location, file_info.name) or specs.find(file_info.name, day)
            if found is not None:
                return found
        return specs.why_none(file_info.name, days)

    def _circuit_of(self, mid: str) -> Circuit:
        return self._definitions.setdefault(mid, Circuit(f"definitions of {mid}", self._clock))

    def _routes_on(self, today: date) -> Routes:
        found = self._routes.get(today)
        if found is None:
            found = self._read_routes(today)
            # Near midnight two days are asked for in turn.
            self._routes = {**dict([*self._routes.items()][-1:]), today: found}
        return found

    def _read_routes(self, today: date) -> Routes:
        return Routes(self._rules.routes, self._client.mid, today)
