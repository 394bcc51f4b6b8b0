"""What a control request asks for: its JSON object, and the answer to one that makes no sense."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ops.sandbox.faults import RuleError
from ops.sandbox.web.body import limited_body
from ops.sandbox.wire.faults import BadRequestError

_LARGEST = 1024 * 1024


class ControlError(ValueError):
    """A control request that makes no sense; answered with HTTP 400 and the text."""


CONTROL_ERRORS = (ControlError, RuleError)


async def refuse(request: Request, problem: Exception) -> Response:
    """Turn a one of CONTROL_ERRORS into its answer."""
    del request
    return JSONResponse({"error": str(problem)}, 400)


async def json_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object. Raises ControlError."""
    try:
        body = orjson.loads(await limited_body(request, _LARGEST) or b"{}")
    except (BadRequestError, ValueError) as problem:
        raise ControlError("the body must be a JSON object") from problem
    if not isinstance(body, dict):
        raise ControlError("the body must be a JSON object")
    return body
