"""A TCP proxy whose connections can be cut, blackholed or made deaf; runs in a thread and knows no protocol."""

import asyncio
import random
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Self

from ops.local.valkey import free_port

Weather = Literal["clear", "cut", "blackhole", "deaf"]
_CHUNK = 65_536
_RESET = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class _Link:
    """One connection through the proxy: requests go from `client` to `server`, replies come back."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    weather: Weather = "clear"

    def swallows(self, *, reply: bool) -> bool:
        return self.weather == "blackhole" or (self.weather == "deaf" and reply)

    def reset(self) -> None:
        """End both sides with RST, as a failing network does."""
        for writer in (self.client, self.server):
            with suppress(OSError, AttributeError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()


class Proxy:
    """Listens on a loopback port and forwards to `target`; use as a context manager.

    What is swallowed is gone for good: a connection that swallowed anything is reset when the weather clears.
    """

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None
        self._refusing = False
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{target}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        serving = asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self._server = asyncio.run_coroutine_threadsafe(serving, self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for link in list(self._links):
            link.reset()
        pumps = asyncio.all_tasks() - {asyncio.current_task()}
        if pumps:
            await asyncio.wait(pumps, timeout=2)
        # Aborted transports close their sockets in the loop's next rounds.
        await asyncio.sleep(0.01)

    def strike(self, weather: Weather, share: float = 1.0, chance: random.Random | None = None) -> None:
        """Change the weather of a share of the connections that exist now; new ones are clear."""
        dice = chance or random.Random(0)  # noqa: S311 - repeatable on purpose
        self._loop.call_soon_threadsafe(self._strike, weather, share, dice.random())

    def refuse(self) -> None:
        """Close every new connection at once, until `clear`."""
        self._refusing = True

    def clear(self) -> None:
        """End every trouble; connections that swallowed something are reset."""
        self._refusing = False
        self._loop.call_soon_threadsafe(self._clear)

    def _strike(self, weather: Weather, share: float, luck: float) -> None:
        dice = random.Random(luck)  # noqa: S311 - repeatable on purpose
        for link in [link for link in self._links if dice.random() < share]:
            link.weather = weather
            if weather == "cut":
                link.reset()

    def _clear(self) -> None:
        for link in list(self._links):
            if link.weather != "clear":
                link.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        try:
            back, server = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(writer, server)
        self._links.add(link)
        await asyncio.gather(self._pump(link, reader, server, reply=False), self._pump(link, back, writer, reply=True))
        self._links.discard(link)

    async def _pump(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, reply: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                if not link.swallows(reply=reply):
                    writer.write(data)
                    await writer.drain()
        # A deaf or blackholed side stays open and silent: nobody is told.
        if not link.swallows(reply=reply):
            for side in (link.client, link.server):
                side.close()
