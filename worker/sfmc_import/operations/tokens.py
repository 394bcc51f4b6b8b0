"""Tokens of the HTTP API: made once, shown once, kept as a hash."""

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import orjson

from sfmc_import.access import ReadAccess
from sfmc_import.advice import with_command
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.ledger.operator_keys import TOKENS
from sfmc_import.operations.errors import ConflictError, InvalidError, NotFoundError
from sfmc_import.operations.views import Time, View, time_of

Role = Literal["viewer", "operator", "source"]
ROLES: Mapping[Role, str] = {
    "viewer": "reads everything, changes nothing",
    "operator": "reads everything, and cancels, replays, resolves, forces, pauses",
    "source": "submits requests, and shows those that were submitted with it",
}
BEGIN = "sfmc_"
MAX_TOKENS = 1000
MAX_SOURCES = 50
_SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class TokenView(View):
    """A token without itself. `sources` are those that it may speak for, of the role `source`; empty: any."""

    name: str
    role: Role
    sources: tuple[str, ...] = ()
    created_by: str
    created_at: Time


def add(access: ReadAccess, name: str, role: Role, operator: str, sources: Sequence[str] = ()) -> str:
    """Make a token and give it; it is shown this once. Raises InvalidError, and ConflictError for a name in use."""
    _check_sources(role, sources)
    if not _NAME.fullmatch(name):
        raise InvalidError(f"{name!r} is no name for a token", "give 1 to 64 letters, digits or . _ @ -")
    known = listed(access)
    if any(each.name == name for each in known):
        raise ConflictError(f"there is a token {name}", "revoke it first, or give this one another name")
    if len(known) >= MAX_TOKENS:
        raise ConflictError(f"there are {MAX_TOKENS} tokens", "revoke those that are not used")
    token = BEGIN + secrets.token_urlsafe(32)
    note: dict[str, Any] = {"name": name, "role": role, "sources": list(sources)}
    note |= {"created_by": operator, "created_at": access.reader.now()}
    with redis_errors():
        access.client.hset(access.keys.name_of(TOKENS), digest(token), orjson.dumps(note).decode())
    return token


def _check_sources(role: Role, sources: Sequence[str]) -> None:
    if sources and role != "source":
        raise InvalidError("only a token of the role source is for some sources")
    wrong = next((each for each in sources if not _SOURCE.fullmatch(each)), None)
    if wrong is not None or len(sources) > MAX_SOURCES:
        raise InvalidError(
            f"{wrong!r} is no name of a source" if wrong else f"a token has {MAX_SOURCES} sources at most"
        )


def listed(access: ReadAccess) -> list[TokenView]:
    """Give all tokens by name."""
    return sorted((view for _, view in _all(access)), key=lambda view: view.name)


def revoke(access: ReadAccess, name: str) -> None:
    """Let a token count no more, from now on; raises NotFoundError."""
    digests = [stored for stored, view in _all(access) if view.name == name]
    if not digests:
        raise NotFoundError(f"there is no token {name}", with_command("see", "tokens", "list"))
    with redis_errors():
        access.client.hdel(access.keys.name_of(TOKENS), *digests)


def known(access: ReadAccess, token: str) -> TokenView | None:
    """Give whose token this is; None for one that was never given, or was revoked."""
    return of_digest(access, digest(token))


def of_digest(access: ReadAccess, known_digest: str) -> TokenView | None:
    """Give whose token has this SHA-256; None where none has it any more."""
    with redis_errors():
        client: Any = access.client
        found = client.hget(access.keys.name_of(TOKENS), known_digest)
    return None if found is None else _view(found)


def _all(access: ReadAccess) -> list[tuple[str, TokenView]]:
    with redis_errors():
        client: Any = access.client
        found = client.hgetall(access.keys.name_of(TOKENS))
    return [(name.decode(), _view(text)) for name, text in found.items()]


def _view(text: bytes) -> TokenView:
    note = orjson.loads(text)
    created = time_of(note["created_at"])
    assert created is not None
    return TokenView(
        name=note["name"],
        role=note["role"],
        sources=note.get("sources", []),
        created_by=note["created_by"],
        created_at=created,
    )


def digest(token: str) -> str:
    """Give what is stored of a token."""
    # A token has 256 random bits: no salt and no slow hash would make it harder to guess.
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
