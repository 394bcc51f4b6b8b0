"""Carries out the injected faults of one call, before and after the operation."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sfmc_sandbox import connection, slow_answers
from sfmc_sandbox.account import Sandbox
from sfmc_sandbox.clock import Clock
from sfmc_sandbox.fault_catalogue import TOKEN_REFUSED, Stage
from sfmc_sandbox.faults import InjectedFault
from sfmc_sandbox.login import LOGIN_FAILED, TOKEN_EXPIRED
from sfmc_sandbox.objects.kind import NOT_FOUND, VALIDATION_ERROR, RefusalError
from sfmc_sandbox.operations import Call, echo, refused
from sfmc_sandbox.wire.codec import children, decode_object
from sfmc_sandbox.wire.envelope import SoapFaultError

_MINUTE = 60.0
_REFUSED = "Not Authorized"
_SOAP_FAULTS = {
    "fault_2": ("Server", 2, "Exception occurred during [{operation}] ErrorID: 1"),
    "fault_9": ("Server", 9, "In Maintenance"),
    "fault_10": ("Server", 10, "Unplanned Outage: queue your calls and ask GetSystemStatus until it is over."),
    "fault_11": ("Client", 11, "Not authorized"),
    "fault_12": ("Client", 12, "Bad username or password"),
    "fault_13": ("Server", 13, "We are experiencing database problems. This request was not processed."),
    "fault_17": ("Server", 17, "The call volume of this account is limited for the moment. Try again later."),
    "token_expired": ("Security", None, TOKEN_EXPIRED),
    "login_failed": ("Security", None, LOGIN_FAILED),
}
_TIMEOUT = (
    "Timeout expired.  The timeout period elapsed prior to completion of the operation or the server is not responding."
)
_ERRORS = {
    "error_43010": (NOT_FOUND, "ImportDefinition Not Found"),
    "error_43060": (VALIDATION_ERROR, "Validation Error"),
    "error_timeout": (2, _TIMEOUT),
}
_PLAIN = {"http_400": (400, "Bad Request"), "http_500": (500, "Internal Server Error")}
_RETRY = {"http_429": (429, "Too Many Requests"), "http_503": (503, "Service Unavailable")}
_ANY_STATUS = {"http_any", "account_wide"}

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_DOCS = "https://developer.salesforce.com/docs"

# For a connection that is closed already: Starlette wants a Response, and this one is never sent.
_GONE = Response(status_code=500)


async def around(
    request: Request,
    injected: Sequence[InjectedFault],
    clock: Clock,
    answer: Callable[[], Awaitable[Response]],
    refuse: Callable[[SoapFaultError], Response],
) -> Response:
    """Answer a request, with its faults before and after; `refuse` turns a SOAP fault into a response."""
    try:
        for fault in injected:
            early = await before(request, fault, clock) if fault.kind.stage is Stage.BEFORE else None
            if early is not None:
                return early
        response = await answer()
        for fault in injected:
            if fault.kind.stage is Stage.AFTER:
                response = await after(request, fault, response)
    except SoapFaultError as problem:
        return refuse(problem)
    return response


async def around_plain(
    request: Request, operation: str, answer: Callable[[], Awaitable[Response]], mid: str = ""
) -> Response:
    """Like `around`, for `Token` and `Wsdl`: a SOAP fault becomes the 401 of those endpoints."""
    sandbox: Sandbox = request.app.state.sandbox
    injected = sandbox.faults.injected_into(operation, "", [], mid)
    return await around(request, injected, sandbox.clock, answer, _not_authorized)


def _not_authorized(problem: SoapFaultError) -> Response:
    return JSONResponse({"documentation": "", "errorcode": problem.code or 0, "message": _REFUSED}, 401)


async def before(request: Request, fault: InjectedFault, clock: Clock) -> Response | None:
    """Carry out a fault before the call is applied: an early answer, or None to go on. Raises SoapFaultError."""
    name = fault.kind.name
    if name == "delay":
        await asyncio.sleep(fault.parameters["seconds"])
    elif name == "drop_before_applying":
        await connection.reset(request)
        return _GONE
    elif name == "hang":
        await connection.until_closed(request)
        return _GONE
    elif name == "throttle":
        _throttle(fault, clock.timestamp())
    elif name in _SOAP_FAULTS:
        _raise(name, fault)
    elif name == "fault_any":
        raise SoapFaultError("Server", fault.parameters["text"], code=int(fault.parameters["code"]))
    return plain(fault)


def plain(fault: InjectedFault) -> Response | None:
    """The answer of a fault that is an HTTP status; None for all others."""
    name = fault.kind.name
    if name in _PLAIN:
        status, text = _PLAIN[name]
        return Response(text, status, media_type="text/plain")
    if name in _RETRY:
        status, text = _RETRY[name]
        wait = fault.parameters["retry_after"] or str(int(fault.parameters["seconds"]))
        return Response(text, status, media_type="text/plain", headers={"Retry-After": wait})
    if name in _ANY_STATUS:
        return _any_status(fault.parameters)
    if name == TOKEN_REFUSED:
        refused = {key: fault.parameters[key] for key in ("error", "error_description")}
        return JSONResponse({**refused, "error_uri": _DOCS}, int(fault.parameters["status"]))
    return None


def _any_status(parameters: Mapping[str, Any]) -> Response:
    status, wait = int(parameters["status"]), parameters["retry_after"]
    text = parameters.get("text") or _PHRASES.get(status, "Refused")
    headers = {"Retry-After": wait} if wait else {}
    return Response(text, status, media_type="text/plain", headers=headers)


async def after(request: Request, fault: InjectedFault, response: Response) -> Response:
    """Carry out a fault after the call was applied: the answer to send instead. Raises SoapFaultError."""
    name = fault.kind.name
    if name == "drop_after_applying":
        await connection.reset(request)
    elif name == "truncated":
        await connection.cut_short(request, slow_answers.half(response))
    elif name == "hang_after_applying":
        await connection.until_closed(request)
    elif name == "trickle_all":
        pieces = slow_answers.pieces(slow_answers.as_sent(response), fault.parameters["bytes_per_second"])
        await connection.write_slowly(request, pieces)
    elif name == "http_any_after_applying":
        return _any_status(fault.parameters)
    elif name == "fault_2_after_applying":
        _raise("fault_2", fault)
    elif name == "delay_after_applying":
        await asyncio.sleep(fault.parameters["seconds"])
        return response
    else:
        return slow_answers.changed(name, fault.parameters, response) or _REPLACEMENTS[name]()
    return _GONE


def effects(injected: list[InjectedFault]) -> dict[str, Any]:
    """What changes in the runs that this call starts."""
    changes: dict[str, Any] = {}
    for fault in injected:
        if fault.kind.stage is Stage.RUN:
            changes |= _EFFECTS[fault.kind.name](fault.parameters)
    return changes


def refusing(injected: list[InjectedFault]) -> Callable[[Sandbox, Call], dict[str, Any]] | None:
    """The operation that refuses every object if a rule asks for that, else None."""
    refusal = next((_refusal(fault) for fault in injected if fault.kind.name in {*_ERRORS, "error_any"}), None)
    return None if refusal is None else lambda _, call: _refused(refusal, call)


def _refusal(fault: InjectedFault) -> RefusalError:
    if fault.kind.name == "error_any":
        return RefusalError(int(fault.parameters["code"]), fault.parameters["text"])
    return RefusalError(*_ERRORS[fault.kind.name])


def content(injected: list[InjectedFault], values: dict[str, Any]) -> dict[str, Any]:
    """The values of an answer after faults in its content."""
    if any(fault.kind.name == "missing_task" for fault in injected):
        results = [{**result, "Task": _LEFT_OUT} for result in values.get("Results", ())]
        return {**values, "Results": results}
    return values


_LEFT_OUT = None
_EFFECTS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "late_row": lambda parameters: {"late": parameters["seconds"]},
    "slow_run": lambda parameters: {"slow": parameters["seconds"]},
    "status_unknown": lambda _: {"status": "Unknown"},
    "status_strange": lambda parameters: {"status": parameters["status"]},
    "empty_run": lambda _: {"empty": True},
    "error_run": lambda _: {"refused": "an error was asked for"},
}
_REPLACEMENTS: Mapping[str, Callable[[], Response]] = {
    "http_500_after_applying": lambda: Response("Internal Server Error", 500, media_type="text/plain"),
    "garbage": lambda: Response(b"\x00\x01 not xml <<<", 200, media_type="text/xml; charset=utf-8"),
    "wrong_content_type": lambda: Response("<html><body>Sorry.</body></html>", 200, media_type="text/html"),
}


def _throttle(fault: InjectedFault, now: float) -> None:
    calls = fault.rule.calls
    calls[:] = [moment for moment in calls if now - moment < _MINUTE]
    if len(calls) >= fault.parameters["calls_per_minute"]:
        _raise("fault_17", fault)
    calls.append(now)


def _raise(name: str, fault: InjectedFault) -> None:
    kind, code, text = _SOAP_FAULTS[name]
    raise SoapFaultError(kind, text.format(operation=fault.operation), code=code)


def _refused(refusal: RefusalError, call: Call) -> dict[str, Any]:
    if children(call.payload, "RetrieveRequest"):
        return {"OverallStatus": f"Error: {refusal.message}", "RequestID": call.request_id}
    objects = children(call.payload, "Definitions", "Definition") + children(call.payload, "Objects")
    task = {"StatusCode": "Error", "StatusMessage": refusal.message}
    results = [{**refused(refusal), "NewID": 0, "Object": echo(decode_object(one)), "Task": task} for one in objects]
    return {
        "Results": results, "OverallStatus": "Error", "OverallStatusMessage": refusal.message,
        "RequestID": call.request_id,
    }  # fmt: skip
