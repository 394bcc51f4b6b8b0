"""One HTTP server around one sandbox: takes the port, announces the address, ends when told; no routes."""

import asyncio
import socket
from collections.abc import Callable

import uvicorn

from ops.sandbox.core import Sandbox
from ops.sandbox.settings import SandboxSettings
from ops.sandbox.web.app import make_app
from ops.sandbox.web.connection import ReachableConnection

_GRACE = 3
_BACKLOG = 2048


class SandboxServer:
    """Serves a sandbox until `stop` is called. Raises OSError where the address cannot be taken."""

    def __init__(self, settings: SandboxSettings, host: str, port: int) -> None:
        self._listener = _listen(host, port)
        self._host = host
        self._server = uvicorn.Server(
            uvicorn.Config(
                make_app(Sandbox(settings)),
                http=ReachableConnection,
                ws="none",
                log_config=None,
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=_GRACE,
                timeout_keep_alive=75,
                server_header=False,
                lifespan="on",
            )
        )

    @property
    def url(self) -> str:
        """The address callers use, without a trailing slash."""
        host = "127.0.0.1" if self._host in {"0.0.0.0", ""} else self._host  # noqa: S104  a name for people
        return f"http://{host}:{self._listener.getsockname()[1]}"

    async def run(self, announce: Callable[[str], None]) -> None:
        """Serve; `announce` hears the address as soon as calls are answered."""
        serving = asyncio.create_task(self._serve())
        while not self._server.started and not serving.done():
            await asyncio.sleep(0.005)
        if self._server.started:
            announce(self.url)
        await serving

    def stop(self) -> None:
        """End soon: finish calls in hand for a few seconds, then close."""
        self._server.should_exit = True

    async def _serve(self) -> None:
        # Not serve(): it would put its own signal handlers over the command's.
        await self._server._serve(sockets=[self._listener])  # noqa: SLF001


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind((host, port))
    listener.listen(_BACKLOG)
    return listener
