"""The problems of the API: which error is answered with which type and status."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from redis.exceptions import RedisError, ResponseError
from starlette.responses import Response

import sfmc_transport.dead_letters as letters
from sfmc_import.display import clause
from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.ledger.calling import is_defect
from sfmc_import.operations.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    OperationError,
    PreconditionError,
)
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.request import BadRequestError, IdTakenError
from sfmc_server.answers import PROBLEMS, Answer, later, problem, response
from sfmc_server.callers import OF_API, ForbiddenError, UnauthorizedError

log = structlog.get_logger("sfmc_server.refusing")
_STATUS = {NotFoundError: 404, ConflictError: 409, InvalidError: 422, PreconditionError: 412}
_MEMBERS = ("state", "request_id")


def add_to(app: FastAPI) -> None:
    """Answer every error of the API with a problem."""
    handlers: Mapping[type[Exception], Callable[[Exception], Answer]] = {
        OperationError: _of_operation,
        letters.DeadLetterNotFoundError: lambda error: named("not_found", 404, str(error)),
        IdTakenError: lambda error: named("idempotency_key_reused", 422, str(error)),
        BadRequestError: lambda error: named("invalid", 422, "; ".join(getattr(error, "problems", [str(error)]))),
        RequestValidationError: _of_validation,
        UnauthorizedError: _unauthorized,
        ForbiddenError: lambda error: named("forbidden", 403, str(error) or "the role of this token does not allow it"),
        Exception: _internal,
    }
    for kind, answer in handlers.items():
        app.add_exception_handler(kind, _handler(answer))
    for kind in (ServiceUnavailableError, LedgerUnavailableError, RedisError):
        app.add_exception_handler(kind, _outage)


def _internal(error: Exception) -> Answer:
    log.error("request_failed", exc_info=error)
    return named("internal", 500, "a defect of the server: its log has more")


def _unauthorized(error: Exception) -> Answer:
    return _typed("unauthorized", problem(401, f"give a token{error}", WWW_Authenticate="Bearer"))


def _unavailable(error: Exception, since: float | None) -> Answer:
    answer = later(1.0)
    known = (
        since and f"; it has not answered this server since {datetime.fromtimestamp(since, UTC):%Y-%m-%d %H:%M:%S} UTC"
    )
    text = {"detail": f"the server cannot do it now: {_who(error)}; try again{known or ''}"}
    return _typed("unavailable", Answer(answer.status, {**answer.body, **text}, answer.headers))


def _who(error: Exception) -> str:
    """Say who does not do its part; addresses stay in the log."""
    cause = error if isinstance(error, RedisError) else error.__cause__ or error
    cause = cause.__cause__ or cause
    if isinstance(cause, ResponseError):
        return "Redis takes no writes now (doctor says why)"
    if isinstance(cause, (RedisError, LedgerUnavailableError)):
        return "Redis does not answer (start it)"
    return "Redis or Marketing Cloud does not answer"


def _handler(answer: Callable[[Exception], Answer]) -> Any:
    async def handle(_: Request, error: Exception) -> Response:
        return response(answer(error))

    return handle


async def _outage(request: Request, error: Exception) -> Response:
    if isinstance(error, RedisError) and is_defect(error):
        return response(_internal(error))
    return response(_unavailable(error, request.app.state.access.outages.failed(OF_API)))


def _of_operation(error: Exception) -> Answer:
    assert isinstance(error, OperationError)
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 400)
    fix = error.advice.in_words()
    answer = named(error.kind, status, f"{clause(error)}; {fix}" if fix else str(error))
    more = {name: value for name in _MEMBERS if (value := getattr(error, name, None))}
    return Answer(answer.status, {**answer.body, **more}, answer.headers)


def _of_validation(error: Exception) -> Answer:
    assert isinstance(error, RequestValidationError)
    found = [{"pointer": "/".join(("#", *map(str, each["loc"]))), "detail": each["msg"]} for each in error.errors()]
    answer = named("invalid", 422, "the request is not valid")
    return Answer(answer.status, {**answer.body, "errors": found}, answer.headers)


def named(kind: str, status: int, detail: str) -> Answer:
    """Give a problem with its stable type."""
    return _typed(kind, problem(status, detail))


def _typed(kind: str, answer: Answer) -> Answer:
    return Answer(answer.status, {**answer.body, "type": PROBLEMS + kind}, answer.headers)
