"""Replays many requests, each once however often the same call comes."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

import orjson

from sfmc_import.access import ReadAccess
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.ledger.operator_keys import REPLAYS
from sfmc_import.operations import actions, knowing, listing
from sfmc_import.operations.errors import InvalidError, OperationError
from sfmc_import.operations.views import ReplaysView, RequestView

ANOTHER_BODY, OWN_KEY = "the Idempotency-Key was used with another body", "give each call a key of its own"
NAMES = "urn:sfmc-import:replay:"


@dataclass(frozen=True, slots=True)
class Call:
    """Who replays, with which Idempotency-Key, and why."""

    operator: str
    key: str
    reason: str


class _Found(NamedTuple):
    """The requests of a filter: those to be replayed, and those that a later import or replay makes that wrong for."""

    ids: list[str]
    settled: list[str]
    imported: list[str]
    replayed: list[str]

    def shown(self) -> dict[str, list[str]]:
        return {"request_ids": self.ids, "settled": self.settled, "imported": self.imported, "replayed": self.replayed}


class KeyReusedError(InvalidError):
    """The Idempotency-Key was used for something else."""

    kind = "idempotency_key_reused"
    request_id: str | None = None
    """The request of the key, where the other body asks for the same start."""


def id_of(operator: str, key: str, request_id: str) -> str:
    """Give the id of the request that replays another one under an Idempotency-Key."""
    return str(uuid5(NAMESPACE_URL, f"{NAMES}\n{operator}\n{key}\n{request_id}"))


def counted(access: ReadAccess, wanted: listing.Filter, limit: int) -> ReplaysView:
    """Say which requests would be replayed, and which not because of a later import or another replay."""
    found = _found(access, wanted, limit)
    hint = _hint(access, wanted, found)
    return ReplaysView(dry_run=True, count=len(found.ids), new_request_ids=[], hint=hint, **found.shown())


def replay_many(access: ReadAccess, wanted: listing.Filter, limit: int, call: Call) -> ReplaysView:
    """Replay the newest requests of a filter, one that has gone on meanwhile is left out.

    The same call again replays those that it did not come to, and gives the same answer. Raises KeyReusedError.
    """
    found = _noted(access, wanted, limit, call)
    new = [again for each in found.ids if (again := _replayed(access, each, call))]
    if new:
        access.ledger().confirm(new)
    hint = _hint(access, wanted, found)
    return ReplaysView(dry_run=False, count=len(new), new_request_ids=new, hint=hint, **found.shown())


def _hint(access: ReadAccess, wanted: listing.Filter, found: _Found) -> str | None:
    """Say of a filter without requests that what it names is not known here."""
    if any(found) or (wanted.mid is None and wanted.customer_key is None):
        return None
    return knowing.hint(access, access.mid(wanted.mid), wanted.customer_key)


def is_noted(access: ReadAccess, call: Call) -> bool:
    """Tell whether a call with this key was made before."""
    with redis_errors():
        return bool(access.client.exists(_name(access, call)))


def note(access: ReadAccess, what: str, request_id: str, body: Mapping[str, Any]) -> None:
    """Note with which body an Idempotency-Key is used, for the request that it makes; raises KeyReusedError."""
    client: Any = access.client
    digest = hashlib.sha256(f"{what}\n{request_id}".encode()).hexdigest()[:32]
    name, asked = access.keys.name_of(REPLAYS, digest), hashlib.sha256(repr(body).encode()).hexdigest()
    with redis_errors():
        is_first = client.set(name, asked, nx=True, ex=round(access.settings.request_ttl))
        found = None if is_first else client.get(name)
    if found is not None and found.decode() != asked:
        raise KeyReusedError(ANOTHER_BODY, OWN_KEY)


def _noted(access: ReadAccess, wanted: listing.Filter, limit: int, call: Call) -> _Found:
    """Give the requests of the first call with this key, and those that it left out."""
    client: Any = access.client
    name, asked = _name(access, call), repr((wanted, limit, call.reason))
    with redis_errors():
        found = client.get(name)
    if found is None:
        note = orjson.dumps({"asked": asked, **_found(access, wanted, limit)._asdict()})
        with redis_errors():
            client.set(name, note, nx=True, ex=round(access.settings.request_ttl))
            found = client.get(name) or note
    noted = orjson.loads(found)
    if noted["asked"] != asked:
        raise KeyReusedError(ANOTHER_BODY, OWN_KEY)
    return _Found(noted["ids"], noted.get("settled", []), noted.get("imported", []), noted.get("replayed", []))


def _name(access: ReadAccess, call: Call) -> str:
    digest = hashlib.sha256(f"{call.operator}\n{call.key}".encode()).hexdigest()[:32]
    return access.keys.name_of(REPLAYS, digest)


def _found(access: ReadAccess, wanted: listing.Filter, limit: int) -> _Found:
    found = _Found([], [], [], [])
    for each in listing.requests(access, wanted, limit=limit).items:
        _place_of(each, found).append(each.request_id)
    return found


def _place_of(view: RequestView, found: _Found) -> list[str]:
    if view.is_settled:
        return found.settled
    if view.newer_import:
        return found.imported
    return found.replayed if view.is_replayed else found.ids


def _replayed(access: ReadAccess, request_id: str, call: Call) -> str | None:
    new_id = id_of(call.operator, call.key, request_id)
    try:
        done = actions.replay(access, request_id, call.operator, call.reason, new_id=new_id, confirms=False)
    except OperationError:
        return None
    return done.new_request_id
