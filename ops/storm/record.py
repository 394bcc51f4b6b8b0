"""What is left after a storm, as plain data: events, records, journals, applied starts, left-over keys."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import redis

from worker.adapters.ledger.keys import Keys

KEYS = Keys()
QUEUE = "imports"
_TRANSPORT = r"\{sfmc-import(:events)?\}:transport:"
BOUNDED = re.compile(
    rf"{re.escape(KEYS.stream)}\Z|{re.escape(KEYS.due)}\Z|_kombu\.binding|{QUEUE}\Z|unacked|{_TRANSPORT}"
)
"""Keys without a time to live that something else bounds."""


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
    """One applied start, as the sandbox tells it; `at` in seconds since 1970 on this machine's clock."""

    at: float
    task_id: str
    key: str
    status: str
    result: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that a producer counts as accepted."""

    request_id: str
    key: str
    way: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """Everything that the judge is given; `left` names what should be empty and holds how much is in it."""

    sent: list[Sent]
    events: list[Event]
    states: Mapping[str, str]
    performs: list[Perform]
    left: Mapping[str, int]
    endless: list[str]


def read_events(client: "redis.Redis") -> list[Event]:
    """The events of the stream, oldest first."""
    entries: Any = client.xrange(KEYS.stream)
    return [_event(name, orjson.loads(fields[b"event"])) for name, fields in entries]


def _event(entry: bytes, event: Mapping[str, Any]) -> Event:
    data = event["data"]
    at = int(entry.partition(b"-")[0]) / 1000
    name = str(event["type"]).removeprefix("sfmc.import.")
    return Event(at, str(event["id"]), name, str(data.get("request_id")), str(event["subject"]), data)


def read_states(client: "redis.Redis") -> dict[str, str]:
    """The state of every request in the ledger."""
    prefix = KEYS.request("")
    names: Any = client.scan_iter(match=f"{prefix}*", count=1000)
    return {name.decode().removeprefix(prefix): _text(client.hget(name, "state")) for name in names}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else ""


def read_performs(shown: list[dict[str, Any]]) -> list[Perform]:
    """The applied starts from the sandbox's own record."""
    return [
        Perform(
            datetime.fromisoformat(p["time"]).timestamp(), p["task_id"], p["customer_key"], p["status"], p["result"]
        )
        for p in shown
    ]


def read_journals(folder: Path) -> Iterator[Sent]:
    """What the producers wrote down."""
    for journal in sorted(folder.glob("*.journal")):
        for line in journal.read_text("utf-8").splitlines():
            entry = json.loads(line)
            yield Sent(entry["id"], entry["key"], entry["way"], entry["at"])


def read_left(client: "redis.Redis") -> dict[str, int]:
    """How much is in what must be empty at the end."""
    in_flight = sum(int(client.llen(name)) for name in client.scan_iter(match="*transport:inflight:*"))
    return {
        "due": int(client.zcard(KEYS.due)),
        "queue": int(client.llen(QUEUE)),
        "unacked": int(client.hlen("unacked")),
        "in flight": in_flight,
        "waiting": sum(1 for _ in client.scan_iter(match=f"{KEYS.tag}w:*")),
        "dead letters": sum(int(client.xlen(name)) for name in client.scan_iter(match="*transport:dead_letters")),
    }


def read_endless(client: "redis.Redis") -> list[str]:
    """The keys that would stay for ever."""
    names: Any = client.scan_iter(count=1000)
    permanent = (name.decode() for name in names if client.ttl(name) == -1)
    return sorted(name for name in permanent if not BOUNDED.match(name))
