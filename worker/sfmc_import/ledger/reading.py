"""Looking into the ledger for people: where a request, a definition and the whole stand; changes nothing."""

from collections.abc import Mapping
from typing import Any

import orjson
from redis import Redis

from sfmc_import.ledger.redis_ledger import redis_errors
from sfmc_import.ledger.schema import Keys


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
            record = _texts(self._client.hgetall(self.keys.request(request_id)))
            due = self._client.zscore(self.keys.due, request_id)
        return _request(request_id, record, due) if "state" in record else None

    def definition(self, mid: str, customer_key: str) -> Mapping[str, Any]:
        """Say who holds a definition, the seconds left of lease and window, and which follow-ups wait, in order."""
        with redis_errors():
            record = _texts(self._client.hgetall(self.keys.definition(mid, customer_key)))
            waiting = self._client.zrange(self.keys.waiting(mid, customer_key), 0, -1)
        now = self.now()
        return {
            "mid": mid,
            "customer_key": customer_key,
            "holder": record.get("holder"),
            "fence": int(record.get("fence", 0)),
            "lease_left": _left(record.get("lease"), now),
            "window_left": _left(record.get("window"), now),
            "window_by": record.get("by"),
            "waiting": [request_id.decode() for request_id in waiting],
        }

    def overview(self) -> Mapping[str, int]:
        """Count the unfinished requests, those overdue by now, and the events kept in the stream."""
        now = int(self.now() * 1000)
        with redis_errors():
            return {
                "unfinished": self._client.zcard(self.keys.due),
                "overdue": self._client.zcount(self.keys.due, "-inf", now),
                "events": self._client.xlen(self.keys.stream),
            }

    def recent(self, mid: str, customer_key: str, count: int, among: int = 5000) -> list[Mapping[str, Any]]:
        """Give the newest `count` events of a definition, newest first, found among the last `among` events."""
        with redis_errors():
            entries = self._client.xrevrange(self.keys.stream, count=among)
        events = (orjson.loads(fields[b"event"]) for _, fields in entries)
        own = (e for e in events if e["subject"] == customer_key and e["data"].get("mid") == mid)
        return [event for event, _ in zip(own, range(count), strict=False)]

    def request_of(self, mid: str, task_id: str) -> str | None:
        """Say which request a TaskResultID was given to."""
        with redis_errors():
            claim = self._client.get(self.keys.task(mid, task_id))
        return None if claim is None else str(claim.decode())


def _request(request_id: str, record: Mapping[str, str], due: float | None) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "request_id": request_id,
        "state": record["state"],
        "mid": record["mid"],
        "customer_key": record["key"],
        "attempt": int(record.get("attempt", 0)),
        "accepted_at": int(record["at"]) / 1000,
        "since": int(record["since"]) / 1000,
        "due_at": None if due is None else due / 1000,
        "file": orjson.loads(record["file"]) if "file" in record else None,
    }
    names = {"task": "task_id", "soap": "soap_request_id", "status": "import_status", "held_by": "held_by"}
    plain = ("source", "event_id", "reason")
    fields |= {ours: record[theirs] for theirs, ours in names.items() if theirs in record}
    return fields | {name: record[name] for name in plain if name in record}


def _texts(record: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in record.items()}


def _left(until: str | None, now: float) -> float:
    return max(0.0, int(until or 0) / 1000 - now)
