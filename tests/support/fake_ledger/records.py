"""What the twin keeps of a request, a definition and a claim; plain data, no decisions."""

from dataclasses import dataclass, field
from typing import Any

import orjson

from sfmc_import.ledger import wire
from sfmc_import.request import FileInfo, StartRequest
from sfmc_import.states import Followed


@dataclass
class Request:
    """The record of one request; times in milliseconds."""

    id: str
    mid: str
    key: str
    at: int
    event_id: str | None = None
    source: str | None = None
    reason: str | None = None
    name: str | None = None
    fp: str | None = None
    file: dict[str, Any] | None = None
    exact: bool = False
    force: bool = False
    state: str = "new"
    n: int = 0
    attempt: int = 0
    fence: int = 0
    owner: str | None = None
    sent: bool = False
    known: list[str] = field(default_factory=list)
    above: str | None = None
    nb: int = 0
    look_until: int = 0
    until: int | None = None
    lost: int = 0
    held_by: str | None = None
    task: str | None = None
    soap: str | None = None
    started: int = 0
    follow_until: int = 0
    looks: int = 0
    status: str | None = None
    expires: int = 0

    @property
    def scope(self) -> tuple[str, str]:
        return self.mid, self.key

    @property
    def rank(self) -> int:
        """The place among the follow-ups: forced ones first, then by arrival."""
        return self.at - (10**13 if self.force else 0)

    def as_request(self) -> StartRequest:
        fields = {name: value for name, value in (self.file or {}).items() if name != "fingerprint"}
        if "modified_ns" in fields:
            fields["modified_ns"] = int(fields["modified_ns"])
        return StartRequest(
            request_id=self.id,
            customer_key=self.key,
            mid=self.mid,
            file=FileInfo(**fields) if self.file else None,
            event_id=self.event_id,
            source=self.source,
            force=self.force,
            reason=self.reason,
        )

    def as_followed(self, now: int) -> Followed:
        return Followed(
            request_id=self.id,
            mid=self.mid,
            customer_key=self.key,
            task_id=self.task or "",
            status=self.status,
            looks=self.looks,
            age=(now - self.started) / 1000,
            overdue=now >= self.follow_until,
        )


@dataclass
class Definition:
    """Holder, fence, lease and window of a definition; times in milliseconds."""

    holder: str | None = None
    fence: int = 0
    lease: int = 0
    window: int = 0
    by: str | None = None
    before: int = 0
    before_by: str | None = None
    expires: int = 0


def recorded(request: StartRequest, now: int) -> Request:
    """A new record of a request."""
    arguments = wire.request_arguments(request)
    plain = ("event_id", "source", "reason", "name", "fp")
    return Request(
        id=request.request_id,
        mid=request.mid,
        key=request.customer_key,
        at=now,
        file=orjson.loads(arguments["file"]) if arguments["file"] else None,
        exact=arguments["exact"],
        force=request.force,
        **{name: arguments[name] or None for name in plain},
    )


class Expiring:
    """Keys with a value and a time to live."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, ...], tuple[str, int]] = {}

    def set(self, key: tuple[str, ...], value: str, expires: int) -> None:
        self._kept[key] = (value, expires)

    def get(self, key: tuple[str, ...], now: int) -> str | None:
        value, expires = self._kept.get(key, (None, 0))
        return value if expires > now else None

    def delete(self, key: tuple[str, ...]) -> None:
        self._kept.pop(key, None)
