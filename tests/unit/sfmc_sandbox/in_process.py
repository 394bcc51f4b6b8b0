"""The sandbox's application called without sockets, for tests that make thousands of calls."""

import asyncio
from dataclasses import dataclass
from typing import Any, Self

from sfmc_sandbox.account import Sandbox
from sfmc_sandbox.server import make_app
from sfmc_sandbox.settings import DEFAULT_MID, SandboxSettings


@dataclass(frozen=True)
class Answer:
    status: int
    content: bytes


class InProcess:
    """One sandbox that checks every reply; use as a context manager."""

    def __init__(self, **settings: Any) -> None:
        self.sandbox = Sandbox(SandboxSettings(validate=True, **settings))
        self._app = make_app(self.sandbox)
        self._loop = asyncio.new_event_loop()
        self.token = self.sandbox.tokens.issue(self.sandbox.clients[0], DEFAULT_MID)

    def __enter__(self) -> Self:
        self.sandbox.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.sandbox.stop()
        self._loop.close()

    def post(self, body: bytes, headers: dict[str, str] | None = None, path: str = "/Service.asmx") -> Answer:
        return self.ask("POST", path, body, headers or {})

    def ask(self, method: str, path: str, body: bytes, headers: dict[str, str], query: bytes = b"") -> Answer:
        return self._loop.run_until_complete(self._call(method, path, body, headers, query))

    async def _call(self, method: str, path: str, body: bytes, headers: dict[str, str], query: bytes) -> Answer:
        sent: list[dict[str, Any]] = []
        received = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            return received.pop() if received else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        names = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
            "raw_path": path.encode(), "root_path": "", "scheme": "http", "query_string": query,
            "headers": [(b"host", b"127.0.0.1"), *names], "client": ("127.0.0.1", 1), "server": ("sandbox", 80),
        }  # fmt: skip
        await self._app(scope, receive, send)
        content = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(sent[0]["status"], content)
