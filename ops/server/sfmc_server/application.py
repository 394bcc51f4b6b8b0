"""The ASGI application: /events/{source}, /healthz, /readyz and the description of them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib.metadata import version
from urllib.parse import parse_qsl

import structlog
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match

from sfmc_server import description
from sfmc_server.answers import UNKNOWN_SOURCE, UNREADABLE, Answer, RefusedError, later, problem, response
from sfmc_server.authentication import Received
from sfmc_server.bodies import Budget, read_body
from sfmc_server.push_source import PushSource

READY_SECONDS = 3.0
METHODS = "POST, OPTIONS"

log = structlog.get_logger("sfmc_server.application")


def create_app(
    sources: Mapping[str, PushSource],
    is_ready: Callable[[], bool],
    add_api: Callable[[FastAPI], None] = lambda _: None,
) -> FastAPI:
    """Make the application; `is_ready` asks Redis, and may block. `add_api` adds what stands under /v1."""
    health = Health(is_ready)

    @asynccontextmanager
    async def until_the_end(_: FastAPI) -> AsyncIterator[None]:
        yield
        for source in sources.values():
            source.close()
        health.close()

    app = description.DescribedApp(
        title="sfmc-import",
        version=version("sfmc-import"),
        description=description.TEXT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=until_the_end,
        exception_handlers={HTTPException: _as_problem},
    )
    Events(sources).add_to(app)
    health.add_to(app)
    add_api(app)
    return app


async def _as_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.BAD_REQUEST and request.url.path.startswith("/v1/"):
        # FastAPI says so of a body that is no UTF-8, or nested too deeply.
        return response(UNREADABLE)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return response(problem(error.status_code, Allow=", ".join(sorted(_methods(request)))))
    headers = {name.replace("-", "_"): value for name, value in (error.headers or {}).items()}
    return response(problem(error.status_code, **headers))


def _methods(request: Request) -> set[str]:
    """Give the methods of all routes of a path: Starlette names those of the first one."""
    place = {name: request.scope[name] for name in ("type", "path", "root_path", "headers") if name in request.scope}
    asked = {method: place | {"method": method} for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS")}
    return {
        method
        for method, scope in asked.items()
        if any(route.matches(dict(scope))[0] is Match.FULL for route in request.app.routes)
    }


class Events:
    """The path /events/{source}."""

    def __init__(self, sources: Mapping[str, PushSource]) -> None:
        self._sources = sources
        self._budget = Budget()

    def add_to(self, app: FastAPI) -> None:
        """Add its methods to an application."""
        # A plain route of Starlette: FastAPI would read nothing of a POST here, and costs a tenth of it.
        app.add_route("/events/{source}", self.handle, methods=["POST", "OPTIONS"])

    async def handle(self, request: Request) -> Response:
        """Give the answer to either method."""
        return await (self.ask(request) if request.method == "OPTIONS" else self.post(request))

    async def post(self, request: Request) -> Response:
        """Take what a sender posts."""
        try:
            return response(await self._posted(request))
        except RefusedError as error:
            return response(error.answer)
        except ClientDisconnect:
            # Whoever has gone reads no answer.
            return response(problem(400))
        except Exception:
            # The edge to the sender: it posts again.
            log.exception("post_failed", source=request.path_params["source"])
            return response(problem(500))

    async def _posted(self, request: Request) -> Answer:
        source = self._sources.get(request.path_params["source"])
        if source is None:
            return UNKNOWN_SOURCE
        options, declared = source.options, request.headers.get("content-length")
        with self._budget.share() as share:
            body = await read_body(request.stream(), declared, options.max_body, options.body_deadline, share)
            query = dict(parse_qsl(request.scope["query_string"].decode("latin-1")))
            return await source.take(Received(dict(request.headers), query, body))

    async def ask(self, request: Request) -> Response:
        """Answer the handshake of CloudEvents: whether this origin may post, and how fast."""
        source = self._sources.get(request.path_params["source"])
        if source is None:
            return response(UNKNOWN_SOURCE)
        origin = request.headers.get("webhook-request-origin", "").strip()
        if not origin:
            return response(Answer(200, {}, {"Allow": METHODS}))
        if origin.lower() not in source.options.allowed_origins:
            return response(problem(403))
        allowed = {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*", "Allow": METHODS}
        return response(Answer(200, {}, allowed))


class Health:
    """The paths /healthz and /readyz."""

    def __init__(self, is_ready: Callable[[], bool]) -> None:
        self._is_ready = is_ready
        # A thread of its own: one that hangs keeps no POST waiting.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sfmc-ready")
        self._asked: asyncio.Future[bool] | None = None

    def add_to(self, app: FastAPI) -> None:
        """Add both to an application."""
        app.add_api_route("/healthz", self.alive, methods=["GET"], **description.HEALTHZ)
        app.add_api_route("/readyz", self.ready, methods=["GET"], **description.READYZ)

    def close(self) -> None:
        """End the thread when Redis has answered."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def alive(self) -> Response:
        """Say that the process answers."""
        return response(Answer(200, {"status": "ok"}))

    async def ready(self) -> Response:
        """Say whether Redis answers: what is posted now can be taken."""
        if self._asked is None or self._asked.done():
            self._asked = asyncio.get_running_loop().run_in_executor(self._thread, self._is_ready)
        try:
            is_ready = await asyncio.wait_for(asyncio.shield(self._asked), READY_SECONDS)
        except TimeoutError:
            is_ready = False
        return response(Answer(200, {"status": "ok"}) if is_ready else later(1.0))
