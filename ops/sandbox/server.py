"""One HTTP server around one sandbox: takes the port, announces the address, ends when told; no routes."""

import socket
from collections.abc import Callable

import uvicorn

from ops.sandbox.core import Sandbox
from ops.sandbox.settings import SandboxSettings
from ops.sandbox.web.app import make_app
from ops.sandbox.web.connection import ReachableConnection

_GRACE = 3
_KEEP_ALIVE = 75
_BACKLOG = 2048


class SandboxServer(uvicorn.Server):
    """Serves a sandbox until `stop` is called.

    `announce` hears the address, without a trailing slash, as soon as calls are answered. Raises OSError where the
    address cannot be taken, and DataFolderError where the data folder cannot be used.
    """

    def __init__(self, settings: SandboxSettings, host: str, port: int, announce: Callable[[str], None]) -> None:
        self._listener = _listen(host, port)
        self._url = _url("https" if settings.tls else "http", host, self._listener.getsockname()[1])
        self._announce = announce
        super().__init__(_config(settings))

    async def run_until_stopped(self) -> None:
        """Serve; not uvicorn's `serve`, which would put its own signal handlers over the command's."""
        await self._serve(sockets=[self._listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn to begin listening."""
        await super().startup(sockets)
        if self.started:
            self._announce(self._url)

    def stop(self) -> None:
        """End soon: finish calls in hand for a few seconds, then close."""
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
