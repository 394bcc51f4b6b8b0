"""A client and a cache of definitions in memory: records each request once and can be made unavailable."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sfmc_import.client import NotTaken, Rejection, ServiceUnavailableError, Submission, SubmitResult
from sfmc_import.definitions import OldList, ReadList
from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.file_format import FileDescription
from sfmc_import.ports import Refusal
from sfmc_import.request import BadRequestError, FileInfo, IdTakenError, StartRequest, read_request
from sfmc_import.routing import Route
from sfmc_import.runs import Definition
from sfmc_import.states import Reported


@dataclass
class FakeClient:
    """`ledger_is_down`, `cloud_is_down`, `mids_down` make it unavailable; `reported` and `requests` came in.

    With `confirms_nothing` it records, and disk and replicas never have it.
    """

    mid: str = "510001234"
    time_zone: str = "Europe/Berlin"
    routes: Sequence[Route] = ()
    by_mid: dict[str, list[Definition]] = field(default_factory=dict)
    events: list[Mapping[str, Any]] = field(default_factory=list)
    requests: dict[str, StartRequest] = field(default_factory=dict)
    priorities: dict[str, int | None] = field(default_factory=dict)
    reported: list[tuple[str, FileInfo, Mapping[str, Any]]] = field(default_factory=list)
    folders: dict[str, Sequence[Mapping[str, Any]] | None] = field(default_factory=dict)
    descriptions: dict[str, FileDescription] = field(default_factory=dict)
    rejected: dict[str, tuple[str, str, str, str]] = field(default_factory=dict)
    followed_within: float | None = None
    calls: int = 0
    ledger_is_down: bool = False
    confirms_nothing: bool = False
    confirmed: list[list[str | Reported]] = field(default_factory=list)
    cloud_is_down: bool = False
    mids_down: set[str] = field(default_factory=set)
    time: float = 1_772_884_800.0
    clocks: dict[str, float | None] = field(default_factory=dict)
    list_age: float = 0.0
    old: list[OldList] = field(default_factory=list)
    login: str = ""

    def submit(self, *, request_id: str, file: FileInfo, priority: int | None = None, **fields: Any) -> SubmitResult:
        known = {name: value for name, value in asdict(file).items() if value is not None}
        request = read_request(request_id, self.mid, {**fields, "file": known})
        self._call()
        is_new = request_id not in self.requests
        if not is_new and self.requests[request_id].content != request.content:
            raise IdTakenError(request_id)
        self.requests.setdefault(request_id, request)
        self.priorities.setdefault(request_id, priority)
        return SubmitResult(request_id=request_id, is_new=is_new)

    def state_of(self, submission: Any) -> str | None:
        self._call()
        request_id = submission["request_id"]
        if request_id in self.rejected:
            return "rejected"
        known = self.requests.get(request_id)
        if known is not None and known.content != _read(submission).content:
            raise IdTakenError(request_id)
        return None if known is None else "completed"

    def own_id(self, usual: str) -> str:
        self._call()
        return f"own:{usual}"

    def submit_many(self, submissions: Sequence[Submission]) -> list[SubmitResult | NotTaken]:
        answers: list[SubmitResult | NotTaken] = []
        for each in submissions:
            # One round trip: when it breaks, that is the answer to all.
            broken = bool(answers) and isinstance(answers[-1], ServiceUnavailableError)
            answers.append(answers[-1] if broken else self._submitted(each))
        return answers

    def confirm(self, recorded: Sequence[str | Reported]) -> None:
        if self.confirms_nothing:
            raise ServiceUnavailableError("Redis at 127.0.0.1:6379 has not confirmed in time")
        said = {Reported(file.fingerprint, name) for name, file, _ in self.reported}
        assert set(recorded) <= self.requests.keys() | self.rejected.keys() | said
        self.confirmed.append(list(recorded))

    def _submitted(self, submission: Any) -> SubmitResult | NotTaken:
        try:
            return self.submit(**submission)
        except (BadRequestError, ServiceUnavailableError) as error:
            return error

    def old_lists(self) -> list[OldList]:
        """Those that could not be read anew."""
        return self.old

    def read_old_lists(self) -> None:
        """Read them anew, which succeeds."""
        self.old.clear()

    def list_of(self, mid: str, *, max_age: float = 0.0) -> ReadList | NotApplied:
        """As old as a test says."""
        found = self.all_of(mid, max_age=max_age)
        return found if isinstance(found, NotApplied) else ReadList(found, 0.0, lambda: self.list_age)

    def all_of(self, mid: str, *, max_age: float = 0.0) -> Sequence[Definition] | NotApplied:
        del max_age
        if self.cloud_is_down or mid in self.mids_down:
            return NotApplied(code="connection", text="Marketing Cloud does not answer")
        return self.by_mid.get(mid, [])

    def reject(self, *, request_id: str, file: FileInfo, code: str, text: str, **fields: Any) -> Rejection:
        self._call()
        if request_id in self.requests:
            if self.requests[request_id].file != file:
                raise IdTakenError(request_id)
            return Rejection(request_id, "completed")
        self.rejected.setdefault(request_id, (file.name, fields["customer_key"], code, text))
        return Rejection(request_id, "rejected")

    def description(self, _mid: str, customer_key: str, *, max_age: float) -> FileDescription | Refusal:
        del max_age
        if self.cloud_is_down:
            return NotApplied(code="connection", text="Marketing Cloud does not answer")
        return self.descriptions.get(customer_key) or Rejected("43010", "no such definition")

    def report(self, name: str, *, file: FileInfo, detail: Mapping[str, Any]) -> bool:
        self._call()
        is_new = not any((name, file.fingerprint) == (other, known.fingerprint) for other, known, _ in self.reported)
        self.reported.append((name, file, detail))
        return is_new

    def now(self) -> float:
        self._call()
        return self.time

    def note_clock(self, process: str, ahead: float | None) -> None:
        self._call()
        self.clocks[process] = ahead

    def note_folders(self, watcher: str, folders: Sequence[Mapping[str, Any]] | None) -> None:
        self._call()
        self.folders[watcher] = folders

    def follow(
        self, request_id: str, *, within: float | None = None, on_outage: Callable[[str], None] | None = None
    ) -> Iterator[Mapping[str, Any]]:
        del on_outage
        self.followed_within = within
        return (event for event in self.events if event["data"]["request_id"] == request_id)

    def define(self, customer_key: str, file_spec: str, mid: str | None = None) -> None:
        self.by_mid.setdefault(mid or self.mid, []).append(Definition(customer_key=customer_key, file_spec=file_spec))

    @property
    def started(self) -> list[tuple[str, str]]:
        """The files and the definitions they start, in order."""
        return [(each.file.name if each.file else "", each.customer_key) for each in self.requests.values()]

    def _call(self) -> None:
        self.calls += 1
        if self.ledger_is_down:
            raise ServiceUnavailableError("Redis at 127.0.0.1:6379 does not answer")


def _read(submission: Any) -> StartRequest:
    request_id, given = submission["request_id"], {name: value for name, value in submission.items() if value}
    given = {name: value for name, value in given.items() if name not in ("request_id", "priority")}
    return read_request(request_id, submission["mid"], given)
