"""What a chaos run left, of one deployment: the producers' journals, events, records, the sandbox's own record."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import redis

from sfmc_harness.chaos.messages import FAR
from sfmc_harness.chaos.plan import FIRST, SECOND, Deployment
from sfmc_import.ledger.keys import Keys
from sfmc_import.request import UNACKED
from sfmc_transport.queues import SEPARATORS, length

QUEUE = "imports"
REFUSAL = "message_rejected"


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `at` is the Redis time at which it was written, in seconds since 1970."""

    at: float
    id: str
    name: str
    request_id: str
    key: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Perform:
    """One applied start, as the sandbox recorded it; `at` in seconds since 1970 on this machine's clock."""

    at: float
    task_id: str
    key: str
    status: str
    result: Mapping[str, Any] | None

    @property
    def file(self) -> str | None:
        """The file that was imported; None if none was."""
        return (self.result or {}).get("file")


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that a producer counts as sent; it may have got there in each of its `tries`.

    `eta` and `expires` are the times that it carries, in seconds since 1970.
    """

    request_id: str
    key: str
    way: str
    at: float
    tries: int = 1
    refused: bool = False
    eta: float | None = None
    expires: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalState:
    """All that the checker reads; `left` has the places that should be empty, with how much is in each.

    `foreign` are the ids that producers of other deployments sent. `waiting` are the requests in `due` that have a
    next time far ahead, with the time their sender named.
    """

    sent: list[Sent]
    events: list[Event]
    states: Mapping[str, str]
    performs: list[Perform]
    left: Mapping[str, int]
    endless: list[str]
    foreign: frozenset[str] = frozenset()
    waiting: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads what one deployment left in Redis."""

    client: "redis.Redis"
    deployment: Deployment

    @property
    def keys(self) -> Keys:
        """The keys of its ledger."""
        return Keys(self.deployment.prefix)

    def events(self) -> list[Event]:
        """The events of the stream, oldest first."""
        entries: Any = self.client.xrange(self.keys.stream)
        return [_event(name, orjson.loads(fields[b"event"])) for name, fields in entries]

    def states(self) -> dict[str, str]:
        """The state of every request in the ledger."""
        prefix = self.keys.request("")
        names: Any = self.client.scan_iter(match=f"{prefix}*", count=1000)
        return {name.decode().removeprefix(prefix): self._field(name, "state") for name in names}

    def waiting(self) -> dict[str, float | None]:
        """The unfinished requests whose next time is far ahead."""
        due: Any = self.client.zrangebyscore(self.keys.due, self._far(), "+inf")
        names = {request.decode(): self.keys.request(request.decode()) for request in due}
        asked = {request: self._field(name, "not_before") for request, name in names.items()}
        return {request: float(text) / 1000 if text else None for request, text in asked.items()}

    def left(self) -> dict[str, int]:
        """How much is in what must be empty at the end."""
        prefix = self.deployment.broker_prefix
        transport = f"{prefix}{self.keys.tag}transport:"
        in_flight = self.client.scan_iter(match=f"{transport}inflight:*", count=1000)
        return {
            "due": int(self.client.zcount(self.keys.due, "-inf", self._far())),
            "queue": length(self.client, f"{prefix}{QUEUE}"),
            "unacked": int(self.client.hlen(f"{prefix}{UNACKED}")),
            "in flight": sum(int(self.client.llen(name)) for name in in_flight),
            "waiting": sum(1 for _ in self.client.scan_iter(match=f"{self.keys.tag}w:*", count=1000)),
            "unreported": int(self.client.llen(f"{transport}unreported")),
        }

    def endless(self) -> list[str]:
        """The keys that would stay for ever, of whatever deployment."""
        names: Any = self.client.scan_iter(count=1000)
        permanent = (name.decode() for name in names if self.client.ttl(name) == -1)
        return sorted(name for name in permanent if not BOUNDED.match(name))

    def _far(self) -> float:
        seconds, _ = self.client.time()
        return (float(seconds) + FAR / 3) * 1000

    def _field(self, name: Any, of: str) -> str:
        value = self.client.hget(name, of)
        return value.decode() if isinstance(value, bytes) else ""


def _bounded(deployment: Deployment) -> str:
    keys, prefix = Keys(deployment.prefix), re.escape(deployment.broker_prefix)
    own = "|".join(rf"{re.escape(name)}\Z" for name in (keys.stream, keys.due, keys.account))
    kombu = rf"{prefix}(_kombu\.binding|{re.escape(UNACKED)}|{QUEUE}(\.upkeep)?(({'|'.join(SEPARATORS)})\d)?\Z)"
    return rf"{own}|{kombu}|{prefix}{re.escape(keys.tag)}transport:"


BOUNDED = re.compile("|".join(_bounded(deployment) for deployment in (FIRST, SECOND)))
"""Keys without a time to live that something else bounds."""


def _event(entry: bytes, event: Mapping[str, Any]) -> Event:
    data = event["data"]
    at = int(entry.partition(b"-")[0]) / 1000
    name = str(event["type"]).removeprefix("sfmc.import.")
    return Event(at, str(event["id"]), name, str(data.get("request_id")), str(event["subject"]), data)


def performs_of(shown: list[dict[str, Any]], account_id: str) -> list[Perform]:
    """The applied starts in a business unit, from the sandbox's own record."""
    return [
        Perform(
            datetime.fromisoformat(p["time"]).timestamp(), p["task_id"], p["customer_key"], p["status"], p["result"]
        )
        for p in shown
        if str(p["mid"]) == account_id
    ]


def read_journals(folder: Path, deployment: Deployment) -> Iterator[Sent]:
    """The messages in the journals of the producers of one deployment."""
    for journal in sorted(folder.glob(f"{deployment.name}-*.journal")):
        for line in journal.read_text("utf-8").splitlines():
            entry = json.loads(line)
            yield Sent(entry.pop("id"), **entry)
