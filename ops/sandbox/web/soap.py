"""The SOAP endpoint: from bytes to bytes, with the faults that were asked for on the way."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response

from ops.sandbox.core import Sandbox
from ops.sandbox.faults import Stage, Struck
from ops.sandbox.operations.call import Call
from ops.sandbox.operations.change import create, delete, update
from ops.sandbox.operations.describe import describe
from ops.sandbox.operations.perform import perform
from ops.sandbox.operations.retrieve import retrieve
from ops.sandbox.operations.status import system_status, version_info
from ops.sandbox.security import authenticate
from ops.sandbox.web import striking
from ops.sandbox.web.body import limited_body
from ops.sandbox.web.subjects import subjects_of
from ops.sandbox.wire import reply
from ops.sandbox.wire.envelope import Envelope, action_of, parse_envelope
from ops.sandbox.wire.faults import BadRequestError, SoapFaultError
from ops.sandbox.wire.validate import problems_of

XML = "text/xml; charset=utf-8"
_log = structlog.get_logger("sandbox")

_OPERATIONS: Mapping[str, Callable[[Sandbox, Call], dict[str, Any]]] = {
    "Create": create,
    "Retrieve": retrieve,
    "Update": update,
    "Delete": delete,
    "Describe": describe,
    "Perform": perform,
    "GetSystemStatus": system_status,
    "VersionInfo": version_info,
}


async def endpoint(request: Request) -> Response:
    """`POST /Service.asmx`: 200 for answers, 500 for SOAP faults, 400 for anything that is no SOAP."""
    sandbox: Sandbox = request.app.state.sandbox
    try:
        envelope = parse_envelope(await limited_body(request, sandbox.settings.body_limit))
    except BadRequestError:
        return Response("Bad Request", 400, media_type="text/plain")
    try:
        action = action_of(envelope, request.headers)
    except SoapFaultError as problem:
        return _fault(request, sandbox, envelope, problem)
    struck = _strike(sandbox, action, envelope)
    if not struck:
        return answer(request, sandbox, envelope, action, [])

    async def answered() -> Response:
        return answer(request, sandbox, envelope, action, struck)

    return await striking.around(
        request, struck, sandbox.clock, answered, lambda problem: _fault(request, sandbox, envelope, problem)
    )


def answer(request: Request, sandbox: Sandbox, envelope: Envelope, action: str, struck: list[Struck]) -> Response:
    """Authenticate, apply and answer."""
    try:
        caller = authenticate(envelope, sandbox.users, sandbox.settings.mids, sandbox.tokens)
        call = Call(caller, envelope.payload, str(uuid.uuid4()), striking.effects(struck))
        operation = striking.refusing(struck) or _OPERATIONS[action]
        values = striking.content(struck, operation(sandbox, call))
    except SoapFaultError as problem:
        return _fault(request, sandbox, envelope, problem)
    body = reply.answer(envelope.soap, action, envelope.message_id, sandbox.clock.now(), values)
    altered = any(one.kind.stage is Stage.ANSWER for one in struck)
    return _checked(sandbox, body, 200, check=not altered)


def _fault(request: Request, sandbox: Sandbox, envelope: Envelope, problem: SoapFaultError) -> Response:
    actor = f"{str(request.base_url).rstrip('/')}/Service.asmx"
    body = reply.fault(envelope.soap, envelope.message_id, sandbox.clock.now(), problem, actor)
    return _checked(sandbox, body, 500, check=True)


def _checked(sandbox: Sandbox, body: bytes, status: int, *, check: bool) -> Response:
    if sandbox.settings.validate and check:
        problems = problems_of(body)
        if problems:
            sandbox.invalid_replies.extend(problems)
            _log.error("reply_invalid", problems=problems)
            return Response(f"invalid reply: {problems}", 599, media_type="text/plain")
    return Response(body, status, media_type=XML)


def _strike(sandbox: Sandbox, action: str, envelope: Envelope) -> list[Struck]:
    if not sandbox.faults:
        return []
    object_type, keys = subjects_of(sandbox, envelope.payload)
    return sandbox.faults.strike(action, object_type, keys)
