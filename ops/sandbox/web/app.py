"""The routes of the sandbox as one ASGI application; holds no behaviour."""

import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ops.sandbox.core import Sandbox
from ops.sandbox.web import asked, control, page, shortcuts, soap, token, wsdl


def make_app(sandbox: Sandbox) -> Starlette:
    """The application for one sandbox; it starts the sandbox's imports and stops them at its end."""

    @contextlib.asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        sandbox.start()
        yield
        sandbox.stop()

    refusals = dict.fromkeys(asked.CONTROL_ERRORS, asked.refuse)
    app = Starlette(routes=_routes(), lifespan=life, exception_handlers=refusals)
    app.state.sandbox = sandbox
    return app


def _routes() -> list[Route]:
    return [
        Route("/Service.asmx", soap.endpoint, methods=["POST"]),
        Route("/etframework.wsdl", wsdl.wsdl),
        Route("/ETFrameworkFault.xsd", wsdl.fault_schema),
        Route("/v2/token", token.issue, methods=["POST"]),
        Route("/v1/requestToken", token.issue_legacy, methods=["POST"]),
        Route("/platform/v1/endpoints/soap", token.discover),
        Route("/_sandbox", page.page),
        Route("/_sandbox/", page.page),
        Route("/_sandbox/health", control.health),
        Route("/_sandbox/performs", control.performs),
        Route("/_sandbox/performs/{task_id:int}/bad-rows", control.bad_rows),
        Route("/_sandbox/faults", control.faults, methods=["GET", "POST", "DELETE"]),
        Route("/_sandbox/faults/{number:int}", control.fault, methods=["DELETE"]),
        Route("/_sandbox/catalogue", control.catalogue),
        Route("/_sandbox/clock", control.clock, methods=["GET", "POST"]),
        Route("/_sandbox/reset", control.reset, methods=["POST"]),
        Route("/_sandbox/tokens", control.tokens, methods=["DELETE"]),
        Route("/_sandbox/definitions", shortcuts.definitions, methods=["POST"]),
        Route("/_sandbox/definitions/{customer_key:path}", shortcuts.definition),
        Route("/_sandbox/callers", shortcuts.callers, methods=["POST"]),
        Route("/_sandbox/system-status", shortcuts.system_status, methods=["POST"]),
        Route("/{path:path}", _any_case, methods=["GET", "POST"]),
    ]


_KNOWN_ENDINGS = (
    ("/service.asmx", "POST", soap.endpoint),
    ("/v2/token", "POST", token.issue),
    ("/v1/requesttoken", "POST", token.issue_legacy),
    ("/etframework.wsdl", "GET", wsdl.wsdl),
    ("/etframeworkfault.xsd", "GET", wsdl.fault_schema),
)


async def _any_case(request: Request) -> Response:
    """Clients write these paths in other cases, and put others before them when an address is checked by pattern."""
    path = f"/{request.path_params['path'].lower()}"
    for ending, method, handler in _KNOWN_ENDINGS:
        if path.endswith(ending):
            return await handler(request) if request.method in {method, _HEAD.get(method)} else Response("", 405)
    return Response("Not Found", 404, media_type="text/plain")


_HEAD = {"GET": "HEAD"}
