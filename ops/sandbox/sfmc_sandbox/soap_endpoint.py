"""The SOAP endpoint: reads a request, calls the operation, writes the reply and injects faults."""

import uuid
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any

import structlog
from lxml import etree
from starlette.requests import Request
from starlette.responses import Response

from sfmc_sandbox import fault_injection
from sfmc_sandbox.account import Sandbox
from sfmc_sandbox.connection import limited_body
from sfmc_sandbox.fault_catalogue import WSDL, Stage
from sfmc_sandbox.faults import InjectedFault
from sfmc_sandbox.login import authenticate
from sfmc_sandbox.operations import Call, create, delete, describe, perform, system_status, update, version_info
from sfmc_sandbox.retrieve import retrieve
from sfmc_sandbox.wire import envelope as envelopes
from sfmc_sandbox.wire import schema as documents
from sfmc_sandbox.wire.codec import children
from sfmc_sandbox.wire.envelope import BadRequestError, Envelope, SoapFaultError, action_of, parse_envelope
from sfmc_sandbox.wire.schema import problems_of
from sfmc_sandbox.wire.vocabulary import SOAP_12, XSI_TYPE, local_name, local_value


async def wsdl(request: Request) -> Response:
    """`GET|HEAD /etframework.wsdl`."""

    async def answer() -> Response:
        return _document(documents.wsdl(str(request.base_url).rstrip("/")))

    return await fault_injection.around_plain(request, WSDL, answer)


async def fault_schema(request: Request) -> Response:
    """`GET|HEAD /ETFrameworkFault.xsd`."""
    del request
    return _document(documents.fault_schema())


def _document(content: bytes) -> Response:
    modified = formatdate(documents.last_modified(), usegmt=True)
    return Response(content, media_type="text/xml; charset=utf-8", headers={"Last-Modified": modified})


_OBJECTS = (("Definitions", "Definition"), ("Objects",), ("DescribeRequests", "ObjectDefinitionRequest"))


def subjects_of(sandbox: Sandbox, payload: etree._Element) -> tuple[str, list[str]]:
    """The object type and all keys a call mentions; an ObjectID or another spelling also counts as its definition."""
    objects = [element for path in _OBJECTS for element in children(payload, *path)]
    request = children(payload, "RetrieveRequest")
    if request:
        kind = "".join(_texts(children(request[0], "ObjectType"))).partition("[")[0]
        return kind, _with_keys(sandbox, _filter_values(request[0]))
    types = [local_value(element.get(XSI_TYPE, "")) for element in objects]
    names = [text for one in objects for name in ("CustomerKey", "ObjectID") for text in _texts(children(one, name))]
    return (types[0] if types else ""), _with_keys(sandbox, names)


def _filter_values(request: etree._Element) -> list[str]:
    parts = children(request, "Filter")
    return _texts([node for part in parts for node in part.iter() if local_name(node.tag) == "Value"])


def _texts(elements: list[etree._Element]) -> list[str]:
    return [(element.text or "").strip() for element in elements]


def _with_keys(sandbox: Sandbox, names: list[str]) -> list[str]:
    return [*names, *(key for name in names for key in sandbox.keys_of(name))]


XML, SOAP_XML = "text/xml; charset=utf-8", "application/soap+xml; charset=utf-8"
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
    """`POST /Service.asmx`: 200 for answers, 500 for SOAP faults, 400 for anything else than SOAP."""
    sandbox: Sandbox = request.app.state.sandbox
    try:
        envelope = parse_envelope(await limited_body(request, sandbox.limits.request_bytes))
    except BadRequestError:
        return Response("Bad Request", 400, media_type="text/plain")
    try:
        action = action_of(envelope, request.headers)
    except SoapFaultError as problem:
        return _fault(request, sandbox, envelope, problem)
    injected = _injected_faults(sandbox, action, envelope)
    if not injected:
        return answer(request, sandbox, envelope, action, [])

    async def answered() -> Response:
        return answer(request, sandbox, envelope, action, injected)

    return await fault_injection.around(
        request, injected, sandbox.clock, answered, lambda problem: _fault(request, sandbox, envelope, problem)
    )


def answer(
    request: Request, sandbox: Sandbox, envelope: Envelope, action: str, injected: list[InjectedFault]
) -> Response:
    """Authenticate, apply and answer."""
    try:
        caller = authenticate(envelope, sandbox.users, sandbox.settings.mids, sandbox.tokens)
        call = Call(caller, envelope.payload, str(uuid.uuid4()), fault_injection.effects(injected))
        operation = fault_injection.refusing(injected) or _OPERATIONS[action]
        values = fault_injection.content(injected, operation(sandbox, call))
    except SoapFaultError as problem:
        return _fault(request, sandbox, envelope, problem)
    body = envelopes.answer(envelope.soap, action, envelope.message_id, sandbox.clock.now(), values)
    altered = any(fault.kind.stage is Stage.ANSWER for fault in injected)
    return _checked(sandbox, Response(body, 200, media_type=_kind(request, envelope)), check=not altered)


def _fault(request: Request, sandbox: Sandbox, envelope: Envelope, problem: SoapFaultError) -> Response:
    actor = f"{str(request.base_url).rstrip('/')}/Service.asmx"
    body = envelopes.fault(envelope.soap, envelope.message_id, sandbox.clock.now(), problem, actor)
    return _checked(sandbox, Response(body, 500, media_type=_kind(request, envelope)), check=True)


def _kind(request: Request, envelope: Envelope) -> str:
    """The content type of the answer: that of SOAP 1.2 for a request which names it, `text/xml` for all others."""
    named = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return SOAP_XML if named == "application/soap+xml" and envelope.soap == SOAP_12 else XML


def _checked(sandbox: Sandbox, response: Response, *, check: bool) -> Response:
    problems = problems_of(bytes(response.body)) if sandbox.settings.validate and check else []
    if not problems:
        return response
    sandbox.invalid_replies.extend(problems)
    _log.error("reply_invalid", problems=problems)
    return Response(f"invalid reply: {problems}", 599, media_type="text/plain")


def _injected_faults(sandbox: Sandbox, action: str, envelope: Envelope) -> list[InjectedFault]:
    if not sandbox.faults:
        return []
    object_type, keys = subjects_of(sandbox, envelope.payload)
    return sandbox.faults.injected_into(action, object_type, keys, _mid_of(sandbox, envelope))


def _mid_of(sandbox: Sandbox, envelope: Envelope) -> str:
    """The business unit of the login; empty if the login is refused."""
    try:
        return str(authenticate(envelope, sandbox.users, sandbox.settings.mids, sandbox.tokens).mid)
    except SoapFaultError:
        return ""
