"""Faults of processes, Redis and connections, chosen by a seeded random generator; each fault ends by itself."""

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
from functools import partial
from typing import Literal, Self

import redis

from sfmc_harness.chaos.plan import GRACE_SECONDS, LEASE_SECONDS, Plan, Schedule
from sfmc_harness.chaos.processes import Process, ProcessGroup
from sfmc_harness.chaos.sandbox import OUTAGES, Sandbox
from sfmc_local.redis_server import Valkey, free_port

NetworkFault = Literal["cut", "blackhole", "deaf"]
_CHUNK = 65_536
_RESET = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class _Link:
    """One connection through the proxy: requests go from `client` to `server`, replies come back."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    fault: NetworkFault | None = None

    def drops(self, *, reply: bool) -> bool:
        return self.fault == "blackhole" or (self.fault == "deaf" and reply)

    def reset(self) -> None:
        """End both sides with RST, as a failing network does."""
        for writer in (self.client, self.server):
            with suppress(OSError, AttributeError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()


class Proxy:
    """Listens on a loopback port and forwards to `target`; use as a context manager.

    Bytes that are dropped are lost. `clear` resets every connection that may have lost some.
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

    def inject(self, fault: NetworkFault, share: float = 1.0, chance: random.Random | None = None) -> None:
        """Give `fault` to a share of the connections that exist now; new connections have none."""
        dice = chance or random.Random(0)  # noqa: S311 - repeatable on purpose
        self._loop.call_soon_threadsafe(self._inject, fault, share, dice.random())

    def forward_to(self, target: int) -> None:
        """Forward new connections to another port; those that exist stay where they are."""
        self._target = target

    def refuse(self) -> None:
        """Close every new connection at once, until `clear`."""
        self._refusing = True

    def clear(self) -> None:
        """End every fault and reset the connections that had one."""
        self._refusing = False
        self._loop.call_soon_threadsafe(self._clear)

    def _inject(self, fault: NetworkFault, share: float, seed: float) -> None:
        dice = random.Random(seed)  # noqa: S311 - repeatable on purpose
        for link in [link for link in self._links if dice.random() < share]:
            link.fault = fault
            if fault == "cut":
                link.reset()

    def _clear(self) -> None:
        for link in list(self._links):
            if link.fault:
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
                if not link.drops(reply=reply):
                    writer.write(data)
                    await writer.drain()
        # A deaf or blackholed connection stays open and silent: neither end learns of it.
        if not link.drops(reply=reply):
            for side in (link.client, link.server):
                side.close()


POLL_SECONDS = 0.1


@dataclass
class FaultInjector:
    """Injects faults and counts them. Everything happens on the schedule's thread."""

    plan: Plan
    processes: ProcessGroup
    valkey: Valkey
    before_valkey: Proxy
    before_sandbox: Proxy
    sandbox: Sandbox
    schedule: Schedule
    chance: random.Random
    done: Counter[str] = field(default_factory=Counter)
    _valkey_busy: bool = False

    def inject(self) -> None:
        """Inject one fault, chosen at random by weight."""
        available = self.available_faults()
        if available:
            weights, faults = zip(*available, strict=True)
            self.chance.choices(faults, weights)[0]()

    def available_faults(self) -> list[tuple[int, Callable[[], None]]]:
        """The faults of the plan with their weights."""
        known: list[tuple[str, int, Callable[[], None]]] = [
            ("workers", 6, self.kill_worker),
            ("workers", 3, self.end_worker),
            ("workers", 3, self.freeze_worker),
            ("beats", 1, self.kill_beat),
            ("valkey", 2, self.crash_valkey),
            ("valkey", 1, self.freeze_valkey),
            ("clients", 2, self.kill_clients),
            ("clients", 1, self.pause_clients),
            ("connections", 6, self.disturb_connections),
            ("full-redis", 2, self.fill_valkey),
            *((name, 2, partial(self.refuse, name)) for name in OUTAGES),
        ]
        return [(weight, fault) for name, weight, fault in known if self.plan.has(name)]

    def kill_worker(self) -> None:
        """SIGKILL; back after a moment."""
        process = self._pick("worker")
        if process:
            self.done["workers killed"] += 1
            process.busy = True
            self.processes.kill(process)
            self.schedule.after(self.chance.uniform(0, 2), lambda: self.processes.start(process))

    def kill_beat(self) -> None:
        """SIGKILL; back after a moment."""
        process = self._pick("beat")
        if process:
            self.done["beats killed"] += 1
            process.busy = True
            self.processes.kill(process)
            self.schedule.after(self.chance.uniform(0, 3), lambda: self.processes.start(process))

    def end_worker(self) -> None:
        """SIGTERM, as a rolling restart does; SIGKILL when the grace period is over."""
        process = self._pick("worker")
        if process:
            self.done["workers terminated"] += 1
            process.busy = True
            self.processes.signal(process, signal.SIGTERM)
            self._await_end(process, GRACE_SECONDS)

    def _await_end(self, process: Process, left: float) -> None:
        if process.is_running and left > 0:
            self.schedule.after(POLL_SECONDS, lambda: self._await_end(process, left - POLL_SECONDS))
            return
        if process.is_running:
            self.done["killed after the grace period"] += 1
            self.processes.kill(process)
        self.processes.start(process)

    def freeze_worker(self) -> None:
        """SIGSTOP, for longer than the lease as often as not."""
        process = self._pick("worker")
        if process:
            self.done["workers frozen"] += 1
            process.busy = True
            self.processes.signal(process, signal.SIGSTOP)
            self.schedule.after(self.chance.uniform(0.5, 2 * LEASE_SECONDS), lambda: self._thaw(process))

    def _thaw(self, process: Process) -> None:
        self.processes.signal(process, signal.SIGCONT)
        process.busy = False

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

    def fill_valkey(self) -> None:
        """No memory left, with noeviction, for up to six seconds: whatever needs memory is refused."""
        if self._take_valkey("Valkey full"):
            self._command("CONFIG", "SET", "maxmemory", "1")
            self.schedule.after(self.chance.uniform(1, 6), self._empty_valkey)

    def _empty_valkey(self) -> None:
        if self._command("CONFIG", "SET", "maxmemory", "0"):
            self._valkey_busy = False
        else:
            self.schedule.after(POLL_SECONDS, self._empty_valkey)

    def refuse(self, name: str) -> None:
        """Let all calls of one kind fail for up to eight seconds."""
        self.done[f"outages: {name}"] += 1
        number = self.sandbox.begin_outage(name)
        self.schedule.after(self.chance.uniform(1, 8), lambda: self.sandbox.end_outage(number))

    def kill_clients(self) -> None:
        """CLIENT KILL of every client."""
        if not self._valkey_busy:
            self.done["CLIENT KILL"] += 1
            self._command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def pause_clients(self) -> None:
        """CLIENT PAUSE for up to three seconds."""
        if not self._valkey_busy:
            self.done["CLIENT PAUSE"] += 1
            kind = self.chance.choice(["ALL", "WRITE"])
            self._command("CLIENT", "PAUSE", str(self.chance.randrange(500, 3000)), kind)

    def disturb_connections(self) -> None:
        """Cut, blackhole or deafen some connections to Valkey or to the sandbox, or refuse new ones."""
        name, proxy = self.chance.choice([("Valkey", self.before_valkey), ("sandbox", self.before_sandbox)])
        faults: list[NetworkFault | Literal["refuse"]] = ["cut", "blackhole", "deaf", "deaf", "refuse"]
        fault = self.chance.choice(faults)
        self.done[f"connections to {name}: {fault}"] += 1
        if fault == "refuse":
            proxy.refuse()
        else:
            proxy.inject(fault, self.chance.uniform(0.3, 1), self.chance)
        self.schedule.after(self.chance.uniform(0.5, 8), proxy.clear)

    def _pick(self, kind: str) -> Process | None:
        free = [m for m in self.processes.all if m.name.startswith(kind) and not m.busy and m.is_running]
        return self.chance.choice(free) if free else None

    def _take_valkey(self, fault: str) -> bool:
        if self._valkey_busy:
            return False
        self.done[fault] += 1
        self._valkey_busy = True
        return True

    def _command(self, *words: str) -> bool:
        with suppress(redis.RedisError), redis.Redis.from_url(self.valkey.url, socket_timeout=5) as client:
            client.execute_command(*words)
            return True
        return False
