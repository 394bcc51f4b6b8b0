"""Each answer names the time of the sandbox, as the live service names its own."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from starlette.responses import PlainTextResponse

from sfmc_sandbox.clock import Clock
from sfmc_sandbox.dating import Dated


def test_an_answer_is_dated_by_the_clock_that_can_be_set() -> None:
    clock = Clock()
    clock.freeze()
    clock.set(datetime(2026, 1, 31, 12, 0, 7, tzinfo=UTC))
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    asyncio.run(Dated(PlainTextResponse("ok"), clock)({"type": "http"}, receive, send))

    assert (b"date", b"Sat, 31 Jan 2026 12:00:07 GMT") in sent[0]["headers"]
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
