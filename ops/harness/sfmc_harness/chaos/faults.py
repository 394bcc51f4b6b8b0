"""What is done to the processes and their connections, each deed with its own end; random under a seed."""

import asyncio
import random
import signal
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Self

import redis

from sfmc_harness.chaos.plan import GRACE_SECONDS, LEASE_SECONDS, Schedule
from sfmc_harness.chaos.processes import Process, ProcessGroup
from sfmc_local.redis_server import Valkey, free_port

NetworkFault = Literal["clear", "cut", "blackhole", "deaf"]
_CHUNK = 65_536
_RESET = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class _Link:
    """One connection through the proxy: requests go from `client` to `server`, replies come back."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    weather: NetworkFault = "clear"

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

    def inject(self, weather: NetworkFault, share: float = 1.0, chance: random.Random | None = None) -> None:
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

    def _strike(self, weather: NetworkFault, share: float, luck: float) -> None:
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


POLL_SECONDS = 0.1


@dataclass
class FaultInjector:
    """The available_faults, and how often each was done. Everything happens on the schedule's thread."""

    processes: ProcessGroup
    valkey: Valkey
    before_valkey: Proxy
    before_sandbox: Proxy
    schedule: Schedule
    chance: random.Random
    done: Counter[str] = field(default_factory=Counter)
    _valkey_busy: bool = False

    def inject(self) -> None:
        """Do one deed, chosen by chance."""
        available_faults = self.available_faults()
        deed = self.chance.choices([deed for _, deed in available_faults], [weight for weight, _ in available_faults])[
            0
        ]
        deed()

    def available_faults(self) -> list[tuple[int, Callable[[], None]]]:
        """Every deed with its weight."""
        return [
            (6, self.kill_worker),
            (3, self.end_worker),
            (3, self.freeze_worker),
            (1, self.kill_beat),
            (2, self.crash_valkey),
            (1, self.freeze_valkey),
            (2, self.kill_clients),
            (1, self.pause_clients),
            (6, self.spoil_connections),
        ]

    def kill_worker(self) -> None:
        """SIGKILL; back after a moment."""
        member = self._pick("worker")
        if member:
            self.done["workers killed"] += 1
            member.busy = True
            self.processes.kill(member)
            self.schedule.after(self.chance.uniform(0, 2), lambda: self.processes.start(member))

    def kill_beat(self) -> None:
        """SIGKILL; back after a moment."""
        member = self._pick("beat")
        if member:
            self.done["beats killed"] += 1
            member.busy = True
            self.processes.kill(member)
            self.schedule.after(self.chance.uniform(0, 3), lambda: self.processes.start(member))

    def end_worker(self) -> None:
        """SIGTERM, as a rolling restart does; SIGKILL when the grace period is over."""
        member = self._pick("worker")
        if member:
            self.done["workers told to end"] += 1
            member.busy = True
            self.processes.signal(member, signal.SIGTERM)
            self._await_end(member, GRACE_SECONDS)

    def _await_end(self, member: Process, patience: float) -> None:
        if member.is_running and patience > 0:
            self.schedule.after(POLL_SECONDS, lambda: self._await_end(member, patience - POLL_SECONDS))
            return
        if member.is_running:
            self.done["killed after the grace period"] += 1
            self.processes.kill(member)
        self.processes.start(member)

    def freeze_worker(self) -> None:
        """SIGSTOP, for longer than the lease as often as not."""
        member = self._pick("worker")
        if member:
            self.done["workers frozen"] += 1
            member.busy = True
            self.processes.signal(member, signal.SIGSTOP)
            self.schedule.after(self.chance.uniform(0.5, 2 * LEASE_SECONDS), lambda: self._thaw(member))

    def _thaw(self, member: Process) -> None:
        self.processes.signal(member, signal.SIGCONT)
        member.busy = False

    def crash_valkey(self) -> None:
        """SIGKILL of the server; back after up to three seconds."""
        if self._take_valkey("Valkey killed"):
            self.valkey.kill()
            self.schedule.after(self.chance.uniform(0, 3), self._start_valkey)

    def _start_valkey(self) -> None:
        self.valkey.start()
        self._valkey_busy = False

    def freeze_valkey(self) -> None:
        """SIGSTOP of the server for up to six seconds."""
        if self._take_valkey("Valkey frozen"):
            self.valkey.pause()
            self.schedule.after(self.chance.uniform(0.5, 6), self._thaw_valkey)

    def _thaw_valkey(self) -> None:
        self.valkey.resume()
        self._valkey_busy = False

    def kill_clients(self) -> None:
        """CLIENT KILL of everybody."""
        if not self._valkey_busy:
            self.done["CLIENT KILL"] += 1
            self._command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def pause_clients(self) -> None:
        """CLIENT PAUSE for up to three seconds."""
        if not self._valkey_busy:
            self.done["CLIENT PAUSE"] += 1
            kind = self.chance.choice(["ALL", "WRITE"])
            self._command("CLIENT", "PAUSE", str(self.chance.randrange(500, 3000)), kind)

    def spoil_connections(self) -> None:
        """Cut, blackhole or deafen some connections to Valkey or to the sandbox, or refuse new ones."""
        name, proxy = self.chance.choice([("Valkey", self.before_valkey), ("sandbox", self.before_sandbox)])
        weather = self.chance.choice(["cut", "blackhole", "deaf", "deaf", "refuse"])
        self.done[f"connections to {name}: {weather}"] += 1
        if weather == "refuse":
            proxy.refuse()
        else:
            proxy.inject(weather, self.chance.uniform(0.3, 1), self.chance)  # type: ignore[arg-type]
        self.schedule.after(self.chance.uniform(0.5, 8), proxy.clear)

    def _pick(self, kind: str) -> Process | None:
        free = [m for m in self.processes.members if m.name.startswith(kind) and not m.busy and m.is_running]
        return self.chance.choice(free) if free else None

    def _take_valkey(self, deed: str) -> bool:
        if self._valkey_busy:
            return False
        self.done[deed] += 1
        self._valkey_busy = True
        return True

    def _command(self, *words: str) -> None:
        with suppress(redis.RedisError), redis.Redis.from_url(self.valkey.url, socket_timeout=5) as client:
            client.execute_command(*words)
