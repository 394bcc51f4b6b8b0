"""The HTTP server of one sandbox: routes, port, start and stop."""

import contextlib
import socket
from collections.abc import AsyncIterator, Callable

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from sfmc_sandbox import control, control_clock, page, soap_endpoint, token_endpoint
from sfmc_sandbox.account import Sandbox
from sfmc_sandbox.connection import BodyRefusedError, QuietEnd, ReachableConnection
from sfmc_sandbox.dating import Dated
from sfmc_sandbox.guard import ControlGuard
from sfmc_sandbox.settings import SandboxSettings


def make_app(sandbox: Sandbox) -> Starlette:
    """The application for one sandbox; it starts the sandbox's imports and stops them at its end."""

    @contextlib.asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        sandbox.start()
        yield
        sandbox.stop()

    refusals = {**dict.fromkeys(control.CONTROL_ERRORS, control.refuse), BodyRefusedError: _body_refused}
    refusals[ClientDisconnect] = _is_gone
    around = [Middleware(QuietEnd), Middleware(Dated, clock=sandbox.clock)]
    around.append(Middleware(ControlGuard, allowed=sandbox.settings.allowed_hosts))
    app = Starlette(routes=_routes(), lifespan=life, exception_handlers=refusals, middleware=around)
    app.state.sandbox = sandbox
    return app


async def _body_refused(request: Request, problem: Exception) -> Response:
    del request
    assert isinstance(problem, BodyRefusedError)
    return Response(problem.text, problem.status, media_type="text/plain")


async def _is_gone(request: Request, problem: Exception) -> Response:
    """Answer a caller that went while its body came: it reads nothing any more."""
    del request, problem
    return Response(status_code=400)


def _routes() -> list[Route]:
    return [
        Route("/Service.asmx", soap_endpoint.endpoint, methods=["POST"]),
        Route("/etframework.wsdl", soap_endpoint.wsdl),
        Route("/ETFrameworkFault.xsd", soap_endpoint.fault_schema),
        Route("/v2/token", token_endpoint.issue, methods=["POST"]),
        Route("/v1/requestToken", token_endpoint.issue_legacy, methods=["POST"]),
        Route("/platform/v1/endpoints/soap", token_endpoint.discover),
        Route("/_sandbox", page.page),
        Route("/_sandbox/", page.page),
        Route("/_sandbox/health", control.health),
        Route("/_sandbox/performs", control.performs),
        Route("/_sandbox/performs/{task_id:int}/bad-rows", control.bad_rows),
        Route("/_sandbox/faults", control.faults, methods=["GET", "POST", "DELETE"]),
        Route("/_sandbox/faults/{number:int}", control.fault, methods=["DELETE"]),
        Route("/_sandbox/catalogue", control.catalogue),
        Route("/_sandbox/clock", control_clock.clock, methods=["GET", "POST"]),
        Route("/_sandbox/limits", control.limits),
        Route("/_sandbox/reset", control.reset, methods=["POST"]),
        Route("/_sandbox/tokens", control.tokens, methods=["POST", "DELETE"]),
        Route("/_sandbox/definitions", control.definitions, methods=["POST"]),
        Route("/_sandbox/definitions/{customer_key:path}", control.definition),
        Route("/_sandbox/callers", control.callers, methods=["POST"]),
        Route("/_sandbox/system-status", control.system_status, methods=["POST"]),
        Route("/{path:path}", _any_case, methods=["GET", "POST"]),
    ]


KNOWN_PATH_SUFFIXES = (
    ("/service.asmx", "POST", soap_endpoint.endpoint),
    ("/v2/token", "POST", token_endpoint.issue),
    ("/v1/requesttoken", "POST", token_endpoint.issue_legacy),
    ("/etframework.wsdl", "GET", soap_endpoint.wsdl),
    ("/etframeworkfault.xsd", "GET", soap_endpoint.fault_schema),
)


async def _any_case(request: Request) -> Response:
    """Clients write these paths in other cases, and put others before them when an address is checked by pattern."""
    path = f"/{request.path_params['path'].lower()}"
    for suffix, method, handler in KNOWN_PATH_SUFFIXES:
        if path.endswith(suffix):
            return await handler(request) if request.method in {method, _HEAD.get(method)} else Response("", 405)
    return Response("Not Found", 404, media_type="text/plain")


_HEAD = {"GET": "HEAD"}


_GRACE = 3
_KEEP_ALIVE = 75
_BACKLOG = 2048


class SandboxServer(uvicorn.Server):
    """Serves a sandbox until `stop` is called.

    `announce` is called with the address, without a trailing slash, as soon as calls are answered. Raises OSError if
    the address cannot be used, and DataFolderError if the data folder cannot be used.
    """

    def __init__(self, settings: SandboxSettings, host: str, port: int, announce: Callable[[str], None]) -> None:
        self._listener = _listen(host, port)
        self._url = _url("https" if settings.tls else "http", host, self._listener.getsockname()[1])
        self._announce = announce
        self._failure: Exception | None = None
        super().__init__(_config(settings))

    async def run_until_stopped(self) -> None:
        """Serve until `stop`. Uvicorn's `serve` is not used: it would replace the signal handlers of the command."""
        await self._serve(sockets=[self._listener])
        if self._failure is not None:
            raise self._failure

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn to begin listening."""
        await super().startup(sockets)
        if not self.started:
            return
        try:
            self._announce(self._url)
        except Exception as error:  # noqa: BLE001 - raised again when uvicorn has closed what it opened
            self._failure, self.should_exit = error, True

    def stop(self) -> None:
        """Stop: finish running calls for a few seconds, then close."""
        self.should_exit = True


def _config(settings: SandboxSettings) -> uvicorn.Config:
    return uvicorn.Config(
        make_app(Sandbox(settings)),
        http=ReachableConnection,
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_GRACE,
        timeout_keep_alive=_KEEP_ALIVE,
        server_header=False,
        date_header=False,
        lifespan="on",
        ssl_certfile=settings.tls,
    )


def _url(scheme: str, host: str, port: int) -> str:
    reachable = "127.0.0.1" if host in {"0.0.0.0", ""} else host  # noqa: S104  a name for people
    return f"{scheme}://[{reachable}]:{port}" if ":" in reachable else f"{scheme}://{reachable}:{port}"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind((host, port))
    listener.listen(_BACKLOG)
    return listener
