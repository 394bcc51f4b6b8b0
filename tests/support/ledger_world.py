"""The real scripts of the ledger on a clock that tests move: in this process (fakeredis) or on a server."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import fakeredis
import orjson
import redis as redis_py

from sfmc_import.ledger import LedgerSettings, RedisLedger
from sfmc_import.ledger.scripts import read_part, sources
from tests.support.valkey_server import keys_without_end, undescribed

START_MS = 1_800_000_000_000
CLOCK_KEY = "test:clock"
REAL_CLOCK = "redis.call('TIME')"
MOVED_CLOCK = f"(function() local ms = redis.call('GET', '{CLOCK_KEY}') "
MOVED_CLOCK += "return {math.floor(ms / 1000), ms % 1000 * 1000} end)()"


def reading_with_moved_clock(read: Callable[[str], str] = read_part) -> Callable[[str], str]:
    """Read the scripts with Redis time replaced by a key that the test moves."""

    def moved(name: str) -> str:
        text = read(name)
        if name == "lib" and text.count(REAL_CLOCK) != 1:
            raise AssertionError("lib.lua must ask for the time in one place")
        return text.replace(REAL_CLOCK, MOVED_CLOCK)

    return moved


@lru_cache(maxsize=8)
def scripts(settings: LedgerSettings, read: Callable[[str], str]) -> Mapping[str, str]:
    """Give the scripts on the moved clock; they are joined once for all tests with these settings."""
    return sources(settings.for_scripts(), reading_with_moved_clock(read))


class World:
    """A ledger over `client`, whose data may be wiped, and what a test may look at.

    The clock moves the time of the scripts. Keys expire on the clock of the server, which goes on by itself.
    """

    def __init__(self, client: Any, settings: LedgerSettings, read: Callable[[str], str] = read_part) -> None:
        self.client = client
        self.settings = settings
        self._read = read
        self.restart()

    def restart(self) -> None:
        """Forget everything, also which server the ledger has seen."""
        self.client.flushdb()
        self.ledger = RedisLedger(self.client, self.settings, scripts(self.settings, self._read))
        self.ledger.clock = lambda: self.now_ms() / 1000
        self.keys = self.ledger.keys
        self._now = START_MS
        self.advance(0)

    def now_ms(self) -> int:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += round(seconds * 1000)
        self.client.set(CLOCK_KEY, self._now, ex=3600)

    def events(self) -> list[dict[str, Any]]:
        return [orjson.loads(fields[b"event"]) for _, fields in self.client.xrange(self.keys.stream)]

    def due(self) -> dict[str, int]:
        return {name.decode(): int(at) for name, at in self.client.zrange(self.keys.due, 0, -1, withscores=True)}

    def state(self, request_id: str) -> str | None:
        state = self.client.hget(self.keys.request(request_id), "state")
        return None if state is None else state.decode()

    def endless_keys(self) -> list[str]:
        return keys_without_end(self.client)

    def undescribed(self) -> list[str]:
        return undescribed(self.client)

    def lose(self, request_id: str) -> None:
        self.client.delete(self.keys.request(request_id))

    def lose_definition(self, mid: str, customer_key: str) -> None:
        self.client.delete(self.keys.definition(mid, customer_key))

    def record(self, request_id: str) -> Mapping[str, str]:
        raw = self.client.hgetall(self.keys.request(request_id))
        return {name.decode(): value.decode() for name, value in raw.items()}

    def close(self) -> None:
        self.client.flushdb()
        self.client.close()


class RedisWorld(World):
    """On the server at `url`."""

    def __init__(self, url: str, settings: LedgerSettings, read: Callable[[str], str] = read_part) -> None:
        super().__init__(redis_py.Redis.from_url(url, socket_timeout=10), settings, read)


class FakeRedisWorld(World):
    """In this process: the scripts run in Lua over the data structures of fakeredis."""

    def __init__(self, settings: LedgerSettings, read: Callable[[str], str] = read_part) -> None:
        server = fakeredis.FakeServer(server_type="valkey")
        super().__init__(fakeredis.FakeRedis(server=server), settings, read)
