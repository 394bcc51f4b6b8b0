"""Dates every answer by the clock of the sandbox, as the header Date of the live service is by its own."""

from email.utils import formatdate

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sfmc_sandbox.clock import Clock


class Dated:
    """Adds the header Date."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer with a date."""

        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Date"] = formatdate(self._clock.timestamp(), usegmt=True)
            await send(message)

        await self._app(scope, receive, send_dated)
