"""Looks at very many requests that wait or run, and chooses the few of them that say what holds all the others."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from sfmc_import.access import ReadAccess
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.operations.in_trouble import LONG_SECONDS, Alike
from sfmc_import.operations.open_circuits import WorksAgain, works_again
from sfmc_import.processes import process_of
from sfmc_import.waiting import BUDGET, NO_FAILURE, is_odd

LOOKED_AT = 1000
"""How many of the requests that are due next, and of the runs that are polled next, are looked at."""

MOST = 200
"""How many of these are read as a whole at most."""

_DEADLINES = ("retry_until", "reconcile_until", "follow_until", "expires")
_FIELDS = ("state", "mid", "key", "wait", "waited", "error", "status", "since", "owner", "resolving", "polled")
_ALL = (*_FIELDS, *_DEADLINES)
Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """The requests to read: those that began to fail first, are tried first and end first of each kind.

    `alike` says by request how many others it stands for. `looked_at` is None where all unfinished ones were.
    """

    request_ids: tuple[str, ...] = ()
    alike: Mapping[str, Alike] = field(default_factory=dict)
    looked_at: int | None = None


@dataclass(slots=True)
class _Kind:
    count: int = 0
    customer_keys: set[str] = field(default_factory=set)
    first: dict[str, tuple[float, str]] = field(default_factory=dict)

    def add(self, request_id: str, customer_key: str, times: Iterable[tuple[str, float]]) -> None:
        self.count += 1
        self.customer_keys.add(customer_key)
        for name, at in times:
            if name not in self.first or (at, request_id) < self.first[name]:
                self.first[name] = (at, request_id)

    @property
    def chosen(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(request_id for _, request_id in self.first.values()))


def gather(access: ReadAccess, most: int = LOOKED_AT) -> Gathered:
    """Look at the requests that are due next and at the runs that are polled next, in two round trips."""
    due, unfinished = _due(access, most)
    with redis_errors(), access.client.pipeline(transaction=False) as pipe:
        for request_id in due:
            pipe.hmget(access.keys.request(request_id), _ALL)
        rows = pipe.execute()
    now, kinds, works = access.reader.now() * 1000, dict[Any, _Kind](), works_again(access)
    for (request_id, at), row in zip(due.items(), rows, strict=True):
        fields = {name: value.decode() for name, value in zip(_ALL, row, strict=True) if value}
        if _may_be_hit(fields):
            _add(kinds, request_id, fields, at, now, works)
    return _gathered(kinds.values(), len(due) if unfinished > len(due) else None)


def _due(access: ReadAccess, most: int) -> tuple[dict[str, float], int]:
    with redis_errors(), access.client.pipeline(transaction=False) as pipe:
        pipe.zrange(access.keys.due, 0, most - 1, withscores=True)
        pipe.zrange(access.keys.follows, 0, most - 1, withscores=True)
        pipe.zcard(access.keys.due)
        due, followed, unfinished = pipe.execute()
    return {name.decode(): at for name, at in [*due, *followed]}, unfinished


def _may_be_hit(fields: Fields) -> bool:
    """Tell whether something failed that is not past, is under way, or is odd."""
    if "error" in fields:
        return _wait(fields) not in NO_FAILURE
    return _is_under_way(fields) or (fields.get("state") == "started" and is_odd(fields.get("status")))


def _wait(fields: Fields) -> str:
    wait = fields.get("wait", "")
    return fields.get("waited", wait) if wait in {"", "queued"} else wait


def _is_under_way(fields: Fields) -> bool:
    is_held = fields.get("state") in {"starting", "reconciling"} and "owner" in fields
    return is_held or fields.get("resolving", "0") != "0"


def _add(kinds: dict[Any, _Kind], request_id: str, fields: Fields, due: float, now: float, works: WorksAgain) -> None:
    error = orjson.loads(fields["error"]) if "error" in fields else {}
    since, failed_at = float(fields.get("since", 0)), error.get("at", 0)
    asked = since if fields["state"] == "starting" else float(fields.get("polled", 0))
    is_long = _is_under_way(fields) and now - asked >= LONG_SECONDS * 1000
    kind = (
        *(fields.get(name) for name in ("mid", "state", "wait", "waited", "status")),
        error.get("code"),
        error.get("text") if error.get("code") == BUDGET else None,
        failed_at > since,
        bool(error) and works.since(fields["mid"], error["code"], failed_at / 1000) is not None,
        _is_under_way(fields),
        process_of(fields.get("owner", "")) if is_long else None,
    )
    times = [("due", due), *((name, float(fields[name])) for name in _DEADLINES if name in fields)]
    times += [("since", error.get("since", failed_at)), ("first", error.get("first_at", failed_at))] if error else []
    times += [("asked", asked)] if is_long else []
    kinds.setdefault(kind, _Kind()).add(request_id, fields["key"], times)


def _gathered(kinds: Iterable[_Kind], looked_at: int | None) -> Gathered:
    ids: dict[str, None] = {}
    alike = {}
    for kind in kinds:
        chosen = kind.chosen
        if len(ids) + len(chosen) <= MOST:
            ids |= dict.fromkeys(chosen)
            alike[chosen[0]] = Alike(kind.count - len(chosen), frozenset(kind.customer_keys))
    return Gathered(request_ids=tuple(ids), alike=alike, looked_at=looked_at)
