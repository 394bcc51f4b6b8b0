"""What is done to the processes and their connections, each deed with its own end; random under a seed."""

import random
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import redis

from ops.local.valkey import Valkey
from ops.storm.agenda import Agenda
from ops.storm.fleet import Fleet, Member
from ops.storm.plan import GRACE_SECONDS, LEASE_SECONDS
from ops.storm.proxy import Proxy

POLL_SECONDS = 0.1


@dataclass
class Mischief:
    """The deeds, and how often each was done. Everything happens on the agenda's thread."""

    fleet: Fleet
    valkey: Valkey
    before_valkey: Proxy
    before_sandbox: Proxy
    agenda: Agenda
    chance: random.Random
    done: Counter[str] = field(default_factory=Counter)
    _valkey_busy: bool = False

    def strike(self) -> None:
        """Do one deed, chosen by chance."""
        deeds = self.deeds()
        deed = self.chance.choices([deed for _, deed in deeds], [weight for weight, _ in deeds])[0]
        deed()

    def deeds(self) -> list[tuple[int, Callable[[], None]]]:
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
            self.fleet.kill(member)
            self.agenda.after(self.chance.uniform(0, 2), lambda: self.fleet.start(member))

    def kill_beat(self) -> None:
        """SIGKILL; back after a moment."""
        member = self._pick("beat")
        if member:
            self.done["beats killed"] += 1
            member.busy = True
            self.fleet.kill(member)
            self.agenda.after(self.chance.uniform(0, 3), lambda: self.fleet.start(member))

    def end_worker(self) -> None:
        """SIGTERM, as a rolling restart does; SIGKILL when the grace period is over."""
        member = self._pick("worker")
        if member:
            self.done["workers told to end"] += 1
            member.busy = True
            self.fleet.signal(member, signal.SIGTERM)
            self._await_end(member, GRACE_SECONDS)

    def _await_end(self, member: Member, patience: float) -> None:
        if member.is_running and patience > 0:
            self.agenda.after(POLL_SECONDS, lambda: self._await_end(member, patience - POLL_SECONDS))
            return
        if member.is_running:
            self.done["killed after the grace period"] += 1
            self.fleet.kill(member)
        self.fleet.start(member)

    def freeze_worker(self) -> None:
        """SIGSTOP, for longer than the lease as often as not."""
        member = self._pick("worker")
        if member:
            self.done["workers frozen"] += 1
            member.busy = True
            self.fleet.signal(member, signal.SIGSTOP)
            self.agenda.after(self.chance.uniform(0.5, 2 * LEASE_SECONDS), lambda: self._thaw(member))

    def _thaw(self, member: Member) -> None:
        self.fleet.signal(member, signal.SIGCONT)
        member.busy = False

    def crash_valkey(self) -> None:
        """SIGKILL of the server; back after up to three seconds."""
        if self._take_valkey("Valkey killed"):
            self.valkey.kill()
            self.agenda.after(self.chance.uniform(0, 3), self._start_valkey)

    def _start_valkey(self) -> None:
        self.valkey.start()
        self._valkey_busy = False

    def freeze_valkey(self) -> None:
        """SIGSTOP of the server for up to six seconds."""
        if self._take_valkey("Valkey frozen"):
            self.valkey.pause()
            self.agenda.after(self.chance.uniform(0.5, 6), self._thaw_valkey)

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
            proxy.strike(weather, self.chance.uniform(0.3, 1), self.chance)  # type: ignore[arg-type]
        self.agenda.after(self.chance.uniform(0.5, 8), proxy.clear)

    def _pick(self, kind: str) -> Member | None:
        free = [m for m in self.fleet.members if m.name.startswith(kind) and not m.busy and m.is_running]
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
