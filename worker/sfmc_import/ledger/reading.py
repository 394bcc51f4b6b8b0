"""Reads the ledger for people and monitoring: a request, a definition, the whole."""

import re
from collections.abc import Mapping
from typing import Any

import orjson
from redis import Redis

from sfmc_import.ledger.calling import redis_errors
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.schema import DEFINITION, EVENT, PAUSES, REQUEST, SEEN
from sfmc_import.outlook import Standing
from sfmc_import.processes import Running, running
from sfmc_import.request import FileInfo, StartRequest, fold_key


class LedgerReader:
    """Plain mappings for `status` and monitoring; raises LedgerUnavailableError when Redis cannot be asked."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client: Any = client
        self.keys = keys

    def now(self) -> float:
        """Redis time in seconds since 1970."""
        with redis_errors():
            seconds, microseconds = self._client.time()
        return float(seconds) + float(microseconds) / 1e6

    def request(self, request_id: str) -> Mapping[str, Any] | None:
        """Give a request by id: state, customer_key, mid, attempt, file, task_id, times in seconds since 1970."""
        with redis_errors():
            record = REQUEST.read(self._client.hgetall(self.keys.request(request_id)))
            due = self._client.zscore(self.keys.due, request_id)
        return _request(request_id, record, due) if "state" in record else None

    def spelled(self, mid: str, customer_key: str) -> str:
        """Give the spelling of a CustomerKey under which the ledger knows its definition; else the one given."""
        with redis_errors():
            if self._client.exists(self.keys.definition(mid, customer_key)):
                return customer_key
            prefix = self.keys.definition(mid, "")
            names = self._client.scan_iter(match=glob_escaped(prefix) + "*", count=1000)
            keys = (name.decode().removeprefix(prefix) for name in names)
            return next((key for key in keys if fold_key(key) == fold_key(customer_key)), customer_key)

    def definition(self, mid: str, customer_key: str) -> Mapping[str, Any]:
        """Say who holds a definition, the seconds left of lease and window, and which follow-ups wait, in order."""
        with redis_errors():
            record = DEFINITION.read(self._client.hgetall(self.keys.definition(mid, customer_key)))
            waiting = self._client.zrange(self.keys.follow_ups(mid, customer_key), 0, -1)
        now = self.now()
        return {
            "mid": mid,
            "customer_key": customer_key,
            "known": bool(record or waiting),
            "holder": record.get("holder"),
            "fence": record.get("fencing_token", 0),
            "lease_left": max(0.0, record.get("lease_until", 0.0) - now),
            "window_left": max(0.0, record.get("window_until", 0.0) - now),
            "window_by": record.get("window_by"),
            "window_age": now - since if (since := record.get("window_since")) else None,
            "consecutive_errors": record.get("consecutive_errors", 0),
            "waiting": [request_id.decode() for request_id in waiting],
        }

    def standing(
        self, mid: str, customer_key: str, file: FileInfo, request_id: str, event_id: str | None = None
    ) -> Standing:
        """Give what a decision about a file of this definition depends on; `request_id` is the id that it would have.

        Several reads, one after the other: who decides meanwhile is not seen.
        """
        definition = self.definition(mid, customer_key)
        # The length of the key is part of the name: a colon in a key must not make it that of another event.
        of_event = (str(len(customer_key.encode())), mid, customer_key, event_id or "")
        with redis_errors():
            handled = self._client.get(self.keys.name_of(SEEN, mid, customer_key, file.fingerprint))
            event = event_id and self._client.get(self.keys.name_of(EVENT, *of_event))
        waiting = (self.request(each) for each in definition["waiting"])
        return Standing(
            own=self.request(request_id),
            handled=self._named(handled),
            event_handled=self._named(event),
            holder=self._named(definition["holder"]),
            first=next((each for each in waiting if each is not None and each["state"] == "deferred"), None),
            window_left=definition["window_left"],
            window_age=definition["window_age"],
            window_by=definition["window_by"],
            is_paused=self._is_paused(mid, customer_key),
        )

    def _is_paused(self, mid: str, customer_key: str) -> bool:
        scopes = ("all", f"mid:{mid}", f"key:{mid}:{customer_key}")
        with redis_errors():
            found = self._client.hmget(self.keys.name_of(PAUSES), scopes)
        ends = [orjson.loads(text).get("until") for text in found if text is not None]
        now = self.now() * 1000
        return any(end is None or end > now for end in ends)

    def _named(self, found: bytes | str | None) -> Mapping[str, Any] | None:
        """Give a request, or its id alone where its record has gone."""
        if not found:
            return None
        request_id = found.decode() if isinstance(found, bytes) else found
        return self.request(request_id) or {"request_id": request_id}

    def overview(self) -> Mapping[str, int]:
        """Count the unfinished requests, those overdue by now, and the events kept in the stream."""
        now = int(self.now() * 1000)
        with redis_errors():
            return {
                "unfinished": self._client.zcard(self.keys.due),
                "overdue": self._client.zcount(self.keys.due, "-inf", now),
                "events": self._client.xlen(self.keys.stream),
            }

    def running(self) -> Running:
        """Count the workers and beats that live."""
        now = self.now()
        with redis_errors():
            found = self._client.zrange(self.keys.processes, 0, -1, withscores=True)
        return running((name.decode(), now - at / 1000) for name, at in found)

    def account(self) -> str:
        """Say which account the ledger belongs to; empty before its first worker."""
        with redis_errors():
            found = self._client.hget(self.keys.account, "account")
        return "" if found is None else str(found.decode())

    def longest_overdue(self) -> float:
        """Give the seconds since which the oldest due request waits; 0 without one."""
        with redis_errors():
            oldest = self._client.zrange(self.keys.due, 0, 0, withscores=True)
        return max(0.0, self.now() - oldest[0][1] / 1000) if oldest else 0.0

    def watchers(self) -> list[dict[str, Any]]:
        """Give what each live watcher says of its folders: their state, and the files that wait, since when."""
        with redis_errors():
            said: Mapping[bytes, bytes] = self._client.hgetall(self.keys.watchers)
        return [_watcher(watcher.decode(), text) for watcher, text in sorted(said.items())]

    def recent(self, mid: str, customer_key: str, count: int, among: int = 5000) -> list[Mapping[str, Any]]:
        """Give the newest `count` events of a definition, newest first, found among the last `among` events."""
        with redis_errors():
            entries = self._client.xrevrange(self.keys.stream, count=among)
        events = (orjson.loads(fields[b"event"]) for _, fields in entries)
        own = (e for e in events if e["subject"] == customer_key and e["data"].get("mid") == mid)
        return [event for event, _ in zip(own, range(count), strict=False)]

    def keys_in_events(self, mid: str | None = None, among: int = 5000) -> set[str]:
        """Give the CustomerKeys, of a business unit or of all, that the last `among` events name."""
        with redis_errors():
            entries = self._client.xrevrange(self.keys.stream, count=among)
        events = (orjson.loads(fields[b"event"]) for _, fields in entries)
        own = (e for e in events if e["data"].get("request_id") and mid in {None, e["data"].get("mid")})
        return {str(event["subject"]) for event in own}

    def request_of(self, mid: str, task_id: str) -> str | None:
        """Say which request a TaskResultID is assigned to."""
        with redis_errors():
            assigned = self._client.get(self.keys.task(mid, task_id))
        return None if assigned is None else str(assigned.decode())


def glob_escaped(text: str) -> str:
    """Write a text as a pattern of Redis that matches this text alone."""
    return re.sub(r"([*?\[\]\\^-])", r"\\\1", text)


def _watcher(name: str, said: bytes) -> dict[str, Any]:
    at, _, text = said.partition(b" ")
    seconds = int(at) / 1000
    return {"watcher": name, "seen_at": seconds, "folders": [_folder(each, seconds) for each in orjson.loads(text)]}


def _folder(noted: dict[str, Any], at: float) -> dict[str, Any]:
    return _dated(noted, at) | {"files": [_dated(file, at) for file in noted["files"]]}


def _dated(noted: Mapping[str, Any], at: float) -> dict[str, Any]:
    """Put the time since when in the place of the age."""
    since = {"since": at - noted["age"]} if "age" in noted else {}
    return {name: value for name, value in noted.items() if name != "age"} | since


# What a person sees of a request, in this order; the other fields are for the scripts.
_ALWAYS = ("state", "mid", "customer_key", "attempt", "accepted_at", "since", "due_at", "file")
_IF_KNOWN = (
    *("asked_key", "object_id", "task_id", "soap_request_id", "import_status", "held_by"),
    *("source", "event_id", "reason", "not_before", "expires"),
)


def _request(request_id: str, record: Mapping[str, Any], due: float | None) -> dict[str, Any]:
    known = {"attempt": 0, "due_at": None if due is None else due / 1000, **record}
    shown = {"request_id": request_id} | {name: known.get(name) for name in _ALWAYS}
    return shown | {name: known[name] for name in _IF_KNOWN if name in known}


def read_request(request_id: str, record: Mapping[bytes, bytes]) -> StartRequest | None:
    """Read a recorded request back; None when the ledger does not know it."""
    fields = REQUEST.read(record)
    if "state" not in fields:
        return None
    return StartRequest(
        request_id=request_id,
        customer_key=fields["customer_key"],
        mid=fields["mid"],
        object_id=fields.get("object_id"),
        file=_read_file(fields.get("file")),
        event_id=fields.get("event_id"),
        source=fields.get("source"),
        force=fields.get("force", False),
        reason=fields.get("reason"),
        reply_to=fields.get("reply_to"),
        reply_queue=fields.get("reply_queue"),
        is_resolved="first_read" in fields,
        attempt=fields.get("attempt", 0),
    )


def _read_file(fields: dict[str, Any] | None) -> FileInfo | None:
    if fields is None:
        return None
    fields.pop("fingerprint")
    if "modified_ns" in fields:
        fields["modified_ns"] = int(fields["modified_ns"])
    return FileInfo(**fields)
