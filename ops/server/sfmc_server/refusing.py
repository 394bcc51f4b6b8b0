"""The problems of the API: which error is answered with which type and status."""

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from redis.exceptions import RedisError
from starlette.responses import Response

import sfmc_transport.dead_letters as letters
from sfmc_import.access import ReadAccess
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
from sfmc_server.callers import ForbiddenError, UnauthorizedError
from sfmc_server.outages import RECORDED, said_of_redis, unconfirmed

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


def _unavailable(error: Exception, access: ReadAccess) -> Answer:
    answer, said = later(1.0), said_of_redis(error, access)
    who = f"Redis {said.text} ({said.fix})" if said else "Redis or Marketing Cloud does not answer"
    since = f"; {said.since}" if said and said.since else ""
    text = {"detail": f"the server cannot do it now: {who}; try again{since}"}
    return _typed("unavailable", Answer(answer.status, {**answer.body, **text}, answer.headers))


def _not_confirmed(request: Request, error: Exception, named_id: str) -> Answer:
    """Answer an action that is recorded: the same one again, with the same key, asks for the confirmation alone."""
    request_id = named_id or str(request.path_params.get("request_id", ""))
    log.warning("not_confirmed", path=request.url.path, request_id=request_id or None, reason=str(error))
    which = f" of request {request_id}" if request_id else ""
    text = f"disk or replicas of Redis have not confirmed in time what was recorded{which}: {RECORDED}"
    text += "; ask again, with the same Idempotency-Key, to have it confirmed; on that server doctor names the cause"
    answer = named("not_confirmed", 503, text)
    more = {"request_id": request_id} if request_id else {}
    return Answer(503, {**answer.body, **more}, {"Retry-After": "1"})


def _handler(answer: Callable[[Exception], Answer]) -> Any:
    async def handle(_: Request, error: Exception) -> Response:
        return response(answer(error))

    return handle


async def _outage(request: Request, error: Exception) -> Response:
    if isinstance(error, RedisError) and is_defect(error):
        return response(_internal(error))
    is_recorded, request_id = unconfirmed(error)
    if is_recorded:
        return response(_not_confirmed(request, error, request_id))
    return response(_unavailable(error, request.app.state.access))


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
