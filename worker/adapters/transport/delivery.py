"""One consumer's hold on its messages in Redis: pop, claim, give back, set aside; knows no kombu, no Celery."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis
from redis.commands.core import Script

from worker.adapters.transport import scripts
from worker.adapters.transport.keys import Keys

FORGET_AFTER = 3600
"""Seconds after which a silent consumer is struck off; far longer than TCP keeps a cut connection's data."""

OLDEST_SERVER = (6, 2)
"""First Redis with BLMOVE and LMOVE."""


class ServerTooOldError(RuntimeError):
    """The server has no BLMOVE."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`dead_after`: seconds without a beat; `dead_letters`: entries kept at most."""

    dead_after: float
    dead_letters: int


class Delivery:
    """The scripts, bound to one connection pool and to one consumer id.

    Every method may raise redis.ConnectionError or redis.TimeoutError; all may be repeated then.
    """

    def __init__(self, pool: redis.ConnectionPool, keys: Keys, consumer: str, limits: Limits) -> None:
        self.pool = pool
        self.keys = keys
        self._consumer = consumer
        self._limits = limits
        # without kombu's key prefixing, which covers only the first key of a script
        self._client: Any = redis.Redis(connection_pool=pool)
        register = self._client.register_script
        self._claim: Script = register(scripts.CLAIM)
        self._drop: Script = register(scripts.DROP)
        self._give_back: Script = register(scripts.GIVE_BACK)
        self._beat: Script = register(scripts.BEAT)
        self._set_aside_entry: Script = register(scripts.SET_ASIDE_ENTRY)
        self._set_aside_claimed: Script = register(scripts.SET_ASIDE_CLAIMED)
        self._put_back: Script = register(scripts.PUT_BACK)
        self._overdue: Script = register(scripts.OVERDUE)

    def check_server(self) -> None:
        """Raise `ServerTooOldError` where BLMOVE is missing."""
        check_version(str(self._client.info("server").get("redis_version", "0")))

    def in_flight(self, source: str) -> str:
        """The in-flight list of this consumer for the queue key `source`."""
        return self.keys.in_flight(self._member(source))

    def pop_command(self, source: str, timeout: float) -> tuple[str | float, ...]:
        """The command that waits up to `timeout` seconds for an entry of one queue."""
        return ("BLMOVE", source, self.in_flight(source), "RIGHT", "LEFT", timeout)

    def take_command(self, sources: Sequence[str]) -> tuple[str | int, ...]:
        """The command that takes the first entry there is in several queues, without waiting."""
        pairs = [key for source in sources for key in (source, self.in_flight(source))]
        return ("EVAL", scripts.TAKE, len(pairs), *pairs)

    def claim(self, source: str, raw: bytes, tag: str, queue: str) -> bool:
        """Move an entry from in flight to `unacked` under `tag`; False: somebody took it back before.

        The destination noted for a later return is the queue itself, not exchange and routing key: kombu
        would look these up in a binding table, and drops the message when the table is gone.
        """
        keys = [self.in_flight(source), self.keys.unacked_key, self.keys.unacked_index_key]
        return bool(self._claim(keys=keys, args=[raw, tag, _destination(queue)]))

    def drop(self, source: str, raw: bytes) -> bool:
        """Forget an entry that its consumer need not acknowledge; False: taken back before."""
        return bool(self._drop(keys=[self.in_flight(source)], args=[raw]))

    def give_back(self, source: str, raw: bytes) -> bool:
        """Move an entry from in flight back to its queue, first in line."""
        return bool(self._give_back(keys=[self.in_flight(source), source], args=[raw]))

    def beat(self, sources: Sequence[str], *, leave: bool = False) -> dict[str, int]:
        """Say that this consumer lives (or leaves), and return what it or a dead one left in flight.

        Only while no pop of this consumer is outstanding. Returns the count of entries put back per list.
        """
        limits: list[str | float] = [self._limits.dead_after, FORGET_AFTER, "1" if leave else ""]
        args: list[str | float] = [self.keys.in_flight_prefix, *limits, *map(self._member, sources)]
        flat = self._beat(keys=[self.keys.consumers], args=args)
        return {bytes(flat[i]).decode(): int(flat[i + 1]) for i in range(0, len(flat), 2)}

    def set_aside_entry(self, source: str, raw: bytes, reason: str, detail: str) -> str | None:
        """Make an entry in flight a dead letter; returns its id, None if somebody took it back before."""
        keys = [self.in_flight(source), self.keys.dead_letters]
        return _id(self._set_aside_entry(keys=keys, args=[self._limits.dead_letters, raw, source, reason, detail]))

    def set_aside_claimed(self, tag: str, source: str, raw: bytes, reason: str, detail: str) -> str | None:
        """Make a claimed message a dead letter; returns its id, None if it is not claimed any more."""
        keys = [self.keys.unacked_key, self.keys.unacked_index_key, self.keys.dead_letters]
        args: list[bytes | str | int] = [self._limits.dead_letters, raw, source, reason, detail, tag]
        return _id(self._set_aside_claimed(keys=keys, args=args))

    def unacked(self, tag: str) -> bytes | None:
        """What `unacked` holds under `tag`: JSON of message, exchange and routing key."""
        value: bytes | None = self._client.hget(self.keys.unacked_key, tag)
        return value

    def overdue(self, visibility_timeout: float, limit: int | None) -> list[str]:
        """Tags claimed longer ago than `visibility_timeout` seconds on the server's clock, latest first."""
        keys = [self.keys.unacked_index_key, self.keys.unacked_key]
        return [bytes(tag).decode() for tag in self._overdue(keys=keys, args=[visibility_timeout, limit or 0])]

    def put_back(self, tag: str, seen: bytes, raw: bytes, sources: Sequence[str], *, last: bool) -> bool:
        """Move a claimed message to its queues as `raw`; False if it changed since `seen` was read."""
        keys = [self.keys.unacked_key, self.keys.unacked_index_key, *sources]
        return bool(self._put_back(keys=keys, args=[tag, seen, raw, "LPUSH" if last else "RPUSH"]))

    def _member(self, source: str) -> str:
        return f"{self._consumer}:{source}"


def check_version(version: str) -> None:
    """Raise `ServerTooOldError` for a `redis_version` (INFO server) before 6.2; Valkey reports 7.2 there."""
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_SERVER:
        raise ServerTooOldError(
            f"this Redis is version {version}: delivery without loss needs 6.2 or newer (BLMOVE); "
            "upgrade the server or choose the stock transport"
        )


def _destination(queue: str) -> str:
    return f',"",{json.dumps(queue)}]'


def _id(reply: bytes | None) -> str | None:
    return None if reply is None else bytes(reply).decode()
