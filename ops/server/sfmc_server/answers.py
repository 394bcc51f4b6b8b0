"""Answers of the server: small JSON, and problems as RFC 9457 writes them; none says more than a sender may know."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

PROBLEMS = "urn:sfmc-import:problem:"
PROBLEM = "application/problem+json"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, JSON body and further headers."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """A request ends with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def problem(status: int, detail: str = "", **headers: str) -> Answer:
    """Give the answer for what cannot be taken; names of headers have `_` for `-`."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, body | ({"detail": detail} if detail else {}), named)


NOT_ALLOWED = problem(401, WWW_Authenticate="Bearer")
UNREADABLE = Answer(
    422,
    {
        "type": f"{PROBLEMS}invalid",
        "title": HTTPStatus(422).phrase,
        "status": 422,
        "detail": "the body cannot be read: it must be JSON in UTF-8",
    },
)
UNKNOWN_SOURCE = problem(404, "there is no source of this name")


def too_large(what: str) -> Answer:
    """Give the answer to a body over a limit; what is left of it is not read."""
    return problem(413, what, Connection="close")


def later(seconds: float | None) -> Answer:
    """Give the answer while the ledger, or what decides, is away: the sender posts again."""
    return problem(503, "not now: post it again", Retry_After=str(max(1, round(seconds or 1.0))))


def response(answer: Answer) -> Response:
    """Write an answer."""
    media = JSON if answer.status < 400 else PROBLEM
    return Response(orjson.dumps(answer.body), answer.status, dict(answer.headers), media)
