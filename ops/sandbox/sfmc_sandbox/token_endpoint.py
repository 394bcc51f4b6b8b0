"""Token endpoints and endpoint discovery, as the authentication and REST hosts of Marketing Cloud answer."""

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sfmc_sandbox import fault_injection
from sfmc_sandbox.account import Sandbox
from sfmc_sandbox.connection import limited_body
from sfmc_sandbox.fault_catalogue import TOKEN
from sfmc_sandbox.login import match
from sfmc_sandbox.settings import Principal

_SCOPE = (
    "offline automations_execute automations_read automations_write data_extensions_read data_extensions_write "
    "file_locations_read file_locations_write list_and_subscribers_read list_and_subscribers_write"
)
_DOCS = "https://developer.salesforce.com/docs"
_BAD_CLIENT = {
    "error": "invalid_client",
    "error_description": (
        "Client authentication failed. Make sure that the client credentials are correct and belong to this tenant."
    ),
    "error_uri": _DOCS,
}
_LEGACY_REFUSED = {"message": "Unauthorized", "errorcode": 1, "documentation": ""}
_LARGEST = 64 * 1024


async def issue(request: Request) -> Response:
    """`POST /v2/token`: a token for the business unit `account_id`, or 401."""
    asked = await _fields(request)
    return await fault_injection.around_plain(request, TOKEN, lambda: _issue(request, asked), _mid_of(request, asked))


async def issue_legacy(request: Request) -> Response:
    """`POST /v1/requestToken`: the old pair of tokens; the legacy one goes into the oAuth header."""
    asked = await _fields(request) or {}
    mid = _mid_of(request, {"client_id": asked.get("clientId")})
    return await fault_injection.around_plain(request, TOKEN, lambda: _issue_legacy(request, asked), mid)


def _mid_of(request: Request, asked: Mapping[str, Any] | None) -> str:
    """The business unit that a request for a token names, or the one that its client acts in."""
    sandbox: Sandbox = request.app.state.sandbox
    asked = asked or {}
    if asked.get("account_id"):
        return str(asked["account_id"])
    client = next((one for one in sandbox.clients if one.name == asked.get("client_id")), None)
    return str(_business_unit(sandbox, client, None) or "")


async def _issue(request: Request, asked: Mapping[str, Any] | None) -> Response:
    sandbox: Sandbox = request.app.state.sandbox
    if asked is None or asked.get("grant_type") != "client_credentials":
        return JSONResponse({**_BAD_CLIENT, "error": "unsupported_grant_type"}, 400)
    principal = match(sandbox.clients, str(asked.get("client_id", "")), str(asked.get("client_secret", "")))
    mid = _business_unit(sandbox, principal, asked.get("account_id"))
    if principal is None or mid is None:
        return JSONResponse(_BAD_CLIENT, 401)
    base = str(request.base_url)
    return JSONResponse(
        {
            "access_token": sandbox.tokens.issue(principal, mid),
            "token_type": "Bearer",
            "expires_in": sandbox.tokens.expires_in,
            "scope": str(asked.get("scope") or _SCOPE),
            "soap_instance_url": base,
            "rest_instance_url": base,
        }
    )


async def _issue_legacy(request: Request, asked: Mapping[str, Any]) -> Response:
    sandbox: Sandbox = request.app.state.sandbox
    principal = match(sandbox.clients, str(asked.get("clientId", "")), str(asked.get("clientSecret", "")))
    mid = _business_unit(sandbox, principal, None)
    if principal is None or mid is None:
        return JSONResponse(_LEGACY_REFUSED, 401)
    return JSONResponse(
        {
            "accessToken": sandbox.tokens.issue(principal, mid, legacy=True),
            "expiresIn": sandbox.tokens.legacy_lifetime,
            "legacyToken": sandbox.tokens.issue(principal, mid, legacy=True),
            "refreshToken": secrets.token_urlsafe(24),
        }
    )


async def discover(request: Request) -> Response:
    """`GET /platform/v1/endpoints/soap`: where the SOAP service is."""
    return JSONResponse({"url": f"{request.base_url}Service.asmx"})


async def _fields(request: Request) -> Mapping[str, Any] | None:
    """The request as JSON, or as a form the way OAuth libraries send it."""
    try:
        body = await limited_body(request, _LARGEST)
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return dict(parse_qsl(body.decode()))
        fields = orjson.loads(body)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None


def _business_unit(sandbox: Sandbox, principal: Principal | None, asked: Any) -> int | None:
    allowed = [mid for mid in sandbox.settings.mids if principal and principal.may_act_in(mid)]
    if asked is None or asked == "":
        return allowed[0] if allowed else None
    return next((mid for mid in allowed if str(mid) == str(asked)), None)
