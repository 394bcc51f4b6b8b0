"""Protects the control API from web pages: a browser must not call it for a page of another site."""

import ipaddress
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

_PREFIX = "/_sandbox"
_JSON = "application/json"
_CHANGES = {"POST", "PUT", "PATCH", "DELETE"}


class ControlGuard:
    """Answers calls of the control API with 403 or 415 that a page of another site could have caused.

    A page can name its own host this machine (DNS rebinding): the Host must be localhost, an IP address or an allowed
    name. A page can send forms to any address: an Origin must be the address that is called, and a body must be JSON,
    which no form can be.
    """

    def __init__(self, app: ASGIApp, allowed: Iterable[str]) -> None:
        self._app = app
        self._allowed = {"localhost", *(name.lower() for name in allowed)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        refusal = self._refusal(scope) if scope["type"] == "http" and _is_control(scope["path"]) else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_allowed(_name_of(host)):
            return _refused(403, f"the name {host!r} is not allowed here: start the sandbox with --allow-host NAME")
        if not _is_same_site(headers, host, changes=scope["method"] in _CHANGES):
            return _refused(403, "pages of other sites must not call the control API")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if scope["method"] in _CHANGES and kind != _JSON and _has_body(headers):
            return _refused(415, f"send JSON with the header Content-Type: {_JSON}")
        return None

    def _is_allowed(self, name: str) -> bool:
        return name in self._allowed or _is_address(name)


def _is_control(path: str) -> bool:
    return path.lower().startswith(_PREFIX)


def _name_of(host: str) -> str:
    """The name or address in a Host header, without port and brackets."""
    name = host.strip().lower()
    if name.startswith("["):
        address, closed, _ = name[1:].partition("]")
        return address if closed else ""
    return name.partition(":")[0].removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_same_site(headers: Headers, host: str, *, changes: bool) -> bool:
    """Whether no page of another site is behind a call. A link from one to the page here is allowed."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
    if origin is not None and origin.lower().partition("://")[2] != host.strip().lower():
        return False
    return not changes or site in {"none", "same-origin"}


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers or "content-type" in headers


def _refused(status: int, reason: str) -> Response:
    return JSONResponse({"error": reason}, status)
