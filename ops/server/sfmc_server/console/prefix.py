"""Serves under a path that a proxy puts before ours, whether the proxy takes it away or leaves it."""

import re
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sfmc_import.errors import SettingsError

_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")


def checked_prefix(path: str) -> str:
    """Give the path of SFMC_PUBLIC_URL without a slash at its end; raises SettingsError for unusual characters."""
    prefix = path.rstrip("/")
    if not _PATH.fullmatch(prefix):
        raise SettingsError([f"SFMC_PUBLIC_URL: {path} is no plain path; give letters, digits and . _ ~ - between /"])
    return prefix


class PathPrefix:
    """Takes the prefix from the paths that have it, and puts it before addresses of the API in answers."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def located(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [self._with_prefix(*each) for each in message.get("headers", ())]}
            await send(message)

        await self._app(self._without_prefix(scope), receive, located)

    def _without_prefix(self, scope: Scope) -> Scope:
        path: str = scope["path"]
        if path != self._prefix and not path.startswith(f"{self._prefix}/"):
            return scope
        changed: dict[str, Any] = {**scope, "path": path[len(self._prefix) :] or "/"}
        raw: bytes | None = scope.get("raw_path")
        if raw is not None and raw.startswith(self._prefix.encode()):
            changed["raw_path"] = raw[len(self._prefix) :] or b"/"
        return changed

    def _with_prefix(self, name: bytes, value: bytes) -> tuple[bytes, bytes]:
        is_ours = name.lower() == b"location" and value.startswith(b"/v1/")
        return name, self._prefix.encode() + value if is_ours else value
