"""Who asks, what its role allows, and the parts that the routes of the API have in common."""

import re
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import NAMESPACE_URL, uuid5

from fastapi import Depends, Header, Path, Query, Request

from sfmc_import.access import ReadAccess
from sfmc_import.client import Client
from sfmc_import.operations import listing, requests, tokens
from sfmc_import.operations.errors import InvalidError
from sfmc_import.operations.limits import MAX_TEXT
from sfmc_import.operations.lost_writes import said_of_loss
from sfmc_import.operations.views import RequestView, View
from sfmc_server.answers import PROBLEMS
from sfmc_server.authentication import bearer_token
from sfmc_server.description import described_problem
from sfmc_server.outages import REDIS
from sfmc_server.parameters import check_parameters


class Caller(View):
    """Who asks."""

    name: str
    role: tokens.Role
    sources: tuple[str, ...] = ()


class UnauthorizedError(Exception):
    """No token, or one that does not count."""


class ForbiddenError(Exception):
    """The role of the token does not allow it."""


_ALLOWED: Mapping[str, frozenset[str]] = {
    "read": frozenset({"viewer", "operator"}),
    "show": frozenset({"viewer", "operator", "source"}),
    "submit": frozenset({"operator", "source"}),
    "operate": frozenset({"operator"}),
}


def _caller(request: Request, what: str) -> Caller:
    token = bearer_token(request.headers)
    access: ReadAccess = request.app.state.access
    found = tokens.known(access, token) if token else None
    if token:
        access.outages.answered(REDIS)
    if found is None:
        raise UnauthorizedError(said_of_loss(access, "tokens"))
    if found.role not in _ALLOWED[what]:
        raise ForbiddenError
    return Caller(name=found.name, role=found.role, sources=found.sources)


def _may(what: str) -> Any:
    def check(request: Request) -> Caller:
        found = _caller(request, what)
        check_parameters(request)
        return found

    return Depends(check)


Reads = Annotated[Caller, _may("read")]
Shows = Annotated[Caller, _may("show")]
Submits = Annotated[Caller, _may("submit")]
Operates = Annotated[Caller, _may("operate")]


def _access(request: Request) -> ReadAccess:
    access: ReadAccess = request.app.state.access
    return access


def _client(request: Request) -> Client:
    client: Client = request.app.state.client
    return client


def _request_id(request: Request, request_id: Annotated[str, Path(max_length=128)]) -> str:
    return requests.spelled(_access(request), request_id)


Access = Annotated[ReadAccess, Depends(_access)]
Submitter = Annotated[Client, Depends(_client)]
Id = Annotated[str, Path(max_length=128)]
RequestId = Annotated[str, Depends(_request_id)]
IdempotencyKey = Annotated[str | None, Header(max_length=300)]
Limit = Annotated[int, Query(ge=1, le=listing.MAX_LIMIT)]
Cursor = Annotated[str | None, Query(max_length=128)]
Why = Annotated[str | None, Query(min_length=1, max_length=MAX_TEXT)]
Mid = Annotated[str, Path(pattern=r"^[0-9]{1,19}$")]
Key = Annotated[str, Path(min_length=1, max_length=256)]

_ANSWERS = {
    401: "There is no token that counts.",
    403: "The role of the token does not allow it.",
    404: "It is not there.",
    409: "It does not fit the state of the request.",
    422: "The request is not valid.",
    503: "Not now: Redis or Marketing Cloud does not answer.",
}
RESPONSES: dict[int | str, dict[str, Any]] = {status: described_problem(text) for status, text in _ANSWERS.items()}
"""The problems that any route may answer with."""


def request_id_of(caller: Caller, key: str) -> str:
    """Give the id of the request that a caller submits under an Idempotency-Key."""
    return str(uuid5(NAMESPACE_URL, f"{PROBLEMS}{caller.name}\n{key}"))


def source_of(caller: Caller, given: str | None) -> dict[str, str]:
    """Name the source of what a token of the role `source` submits: so its requests are known as its own."""
    if caller.role != "source":
        return {}
    return {"source": caller.name if given in {None, caller.name} else f"{caller.name}/{given}"[:MAX_TEXT]}


def check_source(caller: Caller, source: str) -> None:
    """Raise ForbiddenError where a token of the role `source` is not for this one."""
    if caller.sources and source not in caller.sources:
        raise ForbiddenError(f"this token is for other sources: {', '.join(caller.sources)}")


def is_own(caller: Caller, view: RequestView) -> bool:
    """Tell whether a caller may see a request: a source sees what was submitted with its token."""
    return caller.role != "source" or (view.source or "").partition("/")[0] == caller.name


_KEY = re.compile(r'"([\x20\x21\x23-\x5b\x5d-\x7e]{1,255})"|([\x21\x23-\x7e]{1,255})')


def inner(header: str) -> str:
    """Give an Idempotency-Key: a string of Structured Fields, or bare; raises InvalidError."""
    found = _KEY.fullmatch(header.strip())
    if found is None:
        raise InvalidError("Idempotency-Key must be 1 to 255 printable ASCII characters, in quotes or bare")
    return found[1] or found[2]
