"""A door in memory that behaves as the real one: it records once, forgets nothing, and closes when told to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sfmc_import.client import ServiceUnavailableError
from sfmc_import.request import FileInfo, StartRequest
from sfmc_import.runs import Definition
from sfmc_import.settings.policy_file import Route


@dataclass
class FakeClient:
    """`ledger_is_down` and `cloud_is_down` close it; `reported` and `requests` are what came in."""

    mid: str = "510001234"
    time_zone: str = "Europe/Berlin"
    routes: Sequence[Route] = ()
    by_mid: dict[str, list[Definition]] = field(default_factory=dict)
    events: list[Mapping[str, Any]] = field(default_factory=list)
    requests: dict[str, StartRequest] = field(default_factory=dict)
    reported: list[tuple[str, FileInfo, Mapping[str, Any]]] = field(default_factory=list)
    followed_within: float | None = None
    knocks: int = 0
    ledger_is_down: bool = False
    cloud_is_down: bool = False

    def submit(self, request: StartRequest) -> bool:
        self._knock()
        is_new = request.request_id not in self.requests
        self.requests.setdefault(request.request_id, request)
        return is_new

    def definitions(self, mid: str) -> Sequence[Definition]:
        if self.cloud_is_down:
            raise ServiceUnavailableError("Marketing Cloud does not answer")
        return self.by_mid.get(mid, [])

    def report(self, name: str, *, file: FileInfo, detail: Mapping[str, Any]) -> None:
        self._knock()
        self.reported.append((name, file, detail))

    def follow(self, request_id: str, within: float | None = None) -> Iterator[Mapping[str, Any]]:
        self.followed_within = within
        return (event for event in self.events if event["data"]["request_id"] == request_id)

    def define(self, customer_key: str, file_spec: str, mid: str | None = None) -> None:
        self.by_mid.setdefault(mid or self.mid, []).append(Definition(customer_key=customer_key, file_spec=file_spec))

    @property
    def started(self) -> list[tuple[str, str]]:
        """The files and the definitions they start, in order."""
        return [(each.file.name if each.file else "", each.customer_key) for each in self.requests.values()]

    def _knock(self) -> None:
        self.knocks += 1
        if self.ledger_is_down:
            raise ServiceUnavailableError("Redis at 127.0.0.1:6379 does not answer")
