"""The problems of the API: which error is answered with which type and status."""

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from redis.exceptions import RedisError
from starlette.responses import Response

import sfmc_transport.dead_letters as letters
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
from sfmc_server.callers import ForbiddenError, UnauthorizedError

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
        UnauthorizedError: lambda _: _typed("unauthorized", problem(401, "give a token", WWW_Authenticate="Bearer")),
        ForbiddenError: lambda error: named("forbidden", 403, str(error) or "the role of this token does not allow it"),
        ServiceUnavailableError: _unavailable,
        LedgerUnavailableError: _unavailable,
        RedisError: _of_redis,
        Exception: _internal,
    }
    for kind, answer in handlers.items():
        app.add_exception_handler(kind, _handler(answer))


def _internal(error: Exception) -> Answer:
    log.error("request_failed", exc_info=error)
    return named("internal", 500, "a defect of the server: its log has more")


def _unavailable(_: Exception) -> Answer:
    answer = later(1.0)
    text = {"detail": "the server cannot do it now: Redis or Marketing Cloud does not answer; try again"}
    return _typed("unavailable", Answer(answer.status, {**answer.body, **text}, answer.headers))


def _handler(answer: Callable[[Exception], Answer]) -> Any:
    async def handle(_: Request, error: Exception) -> Response:
        return response(answer(error))

    return handle


def _of_operation(error: Exception) -> Answer:
    assert isinstance(error, OperationError)
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 400)
    fix = error.advice.in_words()
    answer = named(error.kind, status, f"{error}{f'; {fix}' if fix else ''}")
    more = {name: value for name in _MEMBERS if (value := getattr(error, name, None))}
    return Answer(answer.status, {**answer.body, **more}, answer.headers)


def _of_validation(error: Exception) -> Answer:
    assert isinstance(error, RequestValidationError)
    found = [{"pointer": "/".join(("#", *map(str, each["loc"]))), "detail": each["msg"]} for each in error.errors()]
    answer = named("invalid", 422, "the request is not valid")
    return Answer(answer.status, {**answer.body, "errors": found}, answer.headers)


def _of_redis(error: Exception) -> Answer:
    assert isinstance(error, RedisError)
    return _internal(error) if is_defect(error) else _unavailable(error)


def named(kind: str, status: int, detail: str) -> Answer:
    """Give a problem with its stable type."""
    return _typed(kind, problem(status, detail))


def _typed(kind: str, answer: Answer) -> Answer:
    return Answer(answer.status, {**answer.body, "type": PROBLEMS + kind}, answer.headers)
