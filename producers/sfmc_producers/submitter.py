"""From a file to a recorded request: routes, submits and reports; pauses while a backend is unavailable."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TypeVar
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import structlog

from sfmc_import.client import Client, NotTaken, Submission, SubmitResult
from sfmc_import.definitions import CachedDefinitions
from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.request import BadRequestError, FileInfo, IdTakenError
from sfmc_import.retrying import NO_JITTER, WATCHER, Retry, Times, after
from sfmc_import.routing import AmbiguousRoute, Deliver, FileSpecs, Route, Routed, Routes, Routing, Tried, Unrouted
from sfmc_import.runs import Definition
from sfmc_producers.checked_files import OpenContent, Refused, Skipped, describe, look_into
from sfmc_producers.content_errors import ContentDamagedError, ContentError
from sfmc_producers.delivery.deliveries import Target
from sfmc_producers.delivery.job import UNUSABLE, Job
from sfmc_producers.delivery.locations import is_location, located
from sfmc_producers.delivery.names import name_problem
from sfmc_producers.delivery.records import Held
from sfmc_producers.preflight import Checked

log = structlog.get_logger(__name__)
T = TypeVar("T")


class Circuit:
    """One backend: the ledger, or the definitions of a business unit. `clock` gives seconds; safe for threads."""

    def __init__(self, of: str, clock: Callable[[], float]) -> None:
        self._log = structlog.get_logger(__name__).bind(part=of)
        self._clock = clock
        self._since: float | None = None
        self._failures = 0
        self._failed_at = 0.0
        self._next_try = 0.0
        # Held for the lines of `_open` and `_close` only, never while the backend is asked.
        self._lock = threading.Lock()

    def call(self, action: Callable[[], T]) -> T | None:
        """Do `action`; None during a pause or when the backend is unavailable. Other errors pass."""
        if self.is_waiting:
            return None
        begun = self._clock()
        try:
            answer = action()
        except ServiceUnavailableError as error:
            with self._lock:
                self._open(str(error), begun)
            return None
        with self._lock:
            self._close()
        return answer

    @property
    def is_waiting(self) -> bool:
        """Whether an outage is on and the next try is still ahead."""
        # Each field is read once: another thread may close the circuit at any moment.
        return self._since is not None and self._clock() < self._next_try

    @property
    def next_in(self) -> float | None:
        """Seconds until the next try; None without an outage."""
        return None if self._since is None else max(0.0, self._next_try - self._clock())

    def _open(self, reason: str, begun: float) -> None:
        if self._since is None:
            self._since = self._clock()
            self._log.error("backend_unavailable", reason=reason)
        elif begun < self._failed_at:
            # Another thread asked at the same time and has counted this failure.
            return
        self._failed_at = self._clock()
        self._failures += 1
        # All files of a watcher share a circuit, so its tries need not be spread.
        step = after(NotApplied("unavailable", reason), self._failures, Times(chance=NO_JITTER), WATCHER)
        assert isinstance(step, Retry)
        self._next_try = self._clock() + step.after

    def _close(self) -> None:
        if self._since is not None:
            self._log.info("backend_available", seconds=round(self._clock() - self._since, 1))
        self._since, self._failures = None, 0


# A name space of our own, so that no other program's uuid5 of the same text is equal.
FILES_NAMESPACE = UUID("5b2f7a2e-3c1d-5e0b-9a57-6f1f4c7d8e90")
SPECS_FRESH_FOR = 1.0
"""Seconds in which all files of a scan share one reading of the definitions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidRequest:
    """A request that no ledger would take: the route leads to an impossible key or business unit."""

    problems: tuple[str, ...]


def own_event(file_info: FileInfo, event_id: str | None) -> str | None:
    """Give the event id where it is the identity: a file with a fingerprint is seen in other ways, too."""
    return None if file_info.has_fingerprint else event_id


def request_id_of(file_info: FileInfo, target: Routed, event_id: str | None = None) -> str:
    """Give the id that every watcher gives this file_info, today and after a restart; the ledger then takes it once."""
    parts = (target.mid, target.customer_key, file_info.fingerprint, file_info.content_hash or "")
    own = () if event_id is None else (event_id,)
    return str(uuid5(FILES_NAMESPACE, "\n".join((*parts, *own))))


def _submission(file_info: FileInfo, target: Routed, event_id: str | None, source: str) -> Submission:
    own = None if file_info.has_fingerprint else event_id
    return {
        "customer_key": target.customer_key,
        "mid": target.mid,
        "file": file_info,
        "source": source,
        "event_id": own,
        "priority": target.priority,
        "request_id": request_id_of(file_info, target, own),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingRules:
    """How files find their definition: the routes of the policy file, else the FileSpecs of the business unit.

    `time_zone` is that of the account, for the dates in patterns, `targets` are where routes deliver to. The
    FileSpecs are at most `max_age` seconds
    old: a definition that selected a file before would refuse it, and the one that selects it now would not start.
    """

    definitions: CachedDefinitions
    routes: Sequence[Route] = ()
    time_zone: str = "UTC"
    max_age: float = 10.0
    targets: Mapping[str, Target] = field(default_factory=dict)


def _problems(found: Checked, target: Routed) -> tuple[str, ...]:
    is_refused = found.is_empty and target.preflight is not None and target.preflight.empty == "fail"
    return ("the file has no rows",) if is_refused else found.problems


class Submitter:
    """Routes and submits the files of any number of folders; every answer None means "not now, ask again".

    Safe for threads, one for each folder: a backend that does not answer one of them keeps none of the others waiting.
    Raises BadRouteError when a route of the settings can never work.
    """

    def __init__(
        self, client: Client, rules: RoutingRules, clock: Callable[[], float], now: Callable[[], datetime]
    ) -> None:
        self._client, self._rules, self._clock, self._now = client, rules, clock, now
        today = self._today()
        self._routes = (today, self._read_routes(today))
        self._ledger = Circuit("ledger", clock)
        self._definitions: dict[str, Circuit] = {}
        self._specs: dict[str, tuple[float, FileSpecs]] = {}

    @property
    def default_mid(self) -> str:
        """The business unit of the settings."""
        return self._client.mid

    def route(self, file_info: FileInfo, mid: str | None) -> Routing | None:
        """Find the definition: explicit routes, then the FileSpecs of the business unit."""
        found = self._routes_today().find(file_info.location, file_info.name)
        if found is not None:
            return found
        specs = self._specs_of(mid or self._client.mid)
        return specs.find(file_info.name) if specs else None

    def explain(self, file_info: FileInfo) -> list[Tried]:
        """Say what each explicit route up to the first that matches says to this file."""
        return self._routes_today().explain(file_info.location, file_info.name)

    @property
    def is_ledger_waiting(self) -> bool:
        """Whether Redis is unavailable and the next try is still ahead."""
        return self._ledger.is_waiting

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
        if is_location(target.deliver):
            place = self._located(target)
            if not isinstance(place, Routed):
                return None if place is None else InvalidRequest(problems=(place,))
            target = place
        assert target.deliver is not None
        content = self._unpacked(target.deliver, open_content)
        if self._is_on_its_way(file_info, target, target.deliver, own):
            return self._deliver(file_info, target, target.deliver, source, own, content)
        return self._check_and_send(file_info, target, source, own, content)

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
        return self._deliver(file_info, target, target.deliver, source, own, open_content)

    def _located(self, target: Routed) -> Routed | str | None:
        """Name the target that is the file location of the definition; None while Marketing Cloud does not say it."""
        circuit = self._definitions.setdefault(target.mid, Circuit(f"definitions of {target.mid}", self._clock))
        rules = self._rules
        return circuit.call(lambda: located(target, rules.targets, self._client.mid, rules.definitions))

    def _is_on_its_way(self, file_info: FileInfo, target: Routed, deliver: Deliver, own: str | None) -> bool:
        """Tell whether the target has the file already: then its preflight was carried out."""
        place = self._rules.targets.get(deliver.target)
        return place is not None and place.knows(request_id_of(replace(file_info, name=deliver.name), target, own))

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
        sent = replace(file_info, name=deliver.name)
        job = Job(
            request_id=request_id_of(sent, target, own),
            fingerprint=file_info.fingerprint,
            name=deliver.name,
            place=place.place,
            lane=(target.mid, target.customer_key),
            open_content=open_content,
            submit=lambda: self._record(sent, target, source, own),
            unusable=lambda error: self._unusable(file_info, target, source, own, error),
            total=None if deliver.unpack else file_info.size,
        )
        answer: SubmitResult | InvalidRequest | Refused | Held | None = place.take(job)
        return answer

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
            answers.extend(self._client.submit_many([_submission(*each, source) for each in files]))
            for answer in answers:
                if isinstance(answer, ServiceUnavailableError):
                    raise answer

        self._ledger.call(act)
        if not answers:
            return [None] * len(files)
        return [self._answer(answer, *each, source) for answer, each in zip(answers, files, strict=True)]

    def report(self, file_info: FileInfo, routing: Unrouted | AmbiguousRoute) -> bool | None:
        """Put on the stream that a file starts nothing; False when it is there, None for "not now"."""
        detail: dict[str, object] = {"text": routing.text, "customer_keys": list(routing.customer_keys)}
        name = "ambiguous_route" if isinstance(routing, AmbiguousRoute) else "unrouted"
        if isinstance(routing, Unrouted):
            detail["reason"] = routing.reason
        return self._ledger.call(lambda: self._client.report(name, file=file_info, detail=detail))

    def note_folders(self, watcher: str, folders: Sequence[Mapping[str, object]] | None) -> bool:
        """Tell the ledger what a watcher says of its folders; False when it does not take it now."""
        return self._ledger.call(lambda: self._note(watcher, folders)) or False

    @property
    def next_in(self) -> float | None:
        """Seconds until an unavailable backend is tried again; None when all answer."""
        waits = (circuit.next_in for circuit in (self._ledger, *tuple(self._definitions.values())))
        return min((wait for wait in waits if wait is not None), default=None)

    def _submit(self, file_info: FileInfo, target: Routed, source: str, event_id: str | None) -> SubmitResult:
        """Submit under the id that the file always has; under its second one where another request has taken that."""
        given = _submission(file_info, target, event_id, source)
        try:
            return self._client.submit(**given)
        except IdTakenError:
            names = {"request_id": given["request_id"], "customer_key": target.customer_key}
            log.warning("file_id_taken", file=file_info.name, **names)
            # The same each time: the file is seen again by events that come again, and by scans.
            given["request_id"] = str(uuid5(FILES_NAMESPACE, f"{given['request_id']}\nsecond"))
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
        circuit = self._definitions.setdefault(target.mid, Circuit(f"definitions of {target.mid}", self._clock))
        description = circuit.call(lambda: describe(target, self._rules.definitions))
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
        state = self._client.reject(request_id=usual, **given)  # type: ignore[arg-type]
        if state != "rejected":
            # It was accepted before, when nothing was wrong with it, or by a producer that does not look.
            return SubmitResult(request_id=usual, is_new=False)
        return Refused(request_id=usual, problems=problems, code=code)

    def _note(self, watcher: str, folders: Sequence[Mapping[str, object]] | None) -> bool:
        self._client.note_folders(watcher, folders)
        return True

    def _specs_of(self, mid: str) -> FileSpecs | None:
        taken, specs = self._specs.get(mid, (0.0, None))
        if specs is not None and self._clock() - taken < SPECS_FRESH_FOR:
            return specs
        circuit = self._definitions.setdefault(mid, Circuit(f"definitions of {mid}", self._clock))
        definitions = circuit.call(lambda: self._read_definitions(mid))
        if definitions is None:
            return None
        specs = FileSpecs(definitions, mid, self._today())
        self._specs[mid] = (self._clock(), specs)
        return specs

    def _read_definitions(self, mid: str) -> Sequence[Definition]:
        found = self._rules.definitions.all_of(mid, max_age=self._rules.max_age)
        if isinstance(found, (NotApplied, Rejected)):
            text = f"Cannot read the definitions of business unit {mid}: {found.text} ({found.code})"
            raise ServiceUnavailableError(text)
        return found

    def _routes_today(self) -> Routes:
        today = self._today()
        if self._routes[0] != today:
            self._routes = (today, self._read_routes(today))
        return self._routes[1]

    def _read_routes(self, today: date) -> Routes:
        return Routes(self._rules.routes, self._client.mid, today)

    def _today(self) -> date:
        return self._now().astimezone(ZoneInfo(self._rules.time_zone)).date()
