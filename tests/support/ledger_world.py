"""Ledgers on a clock that tests move: the twin in memory and the real scripts on Valkey, behind one face."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import orjson
import redis as redis_py

from sfmc_import.ledger import LedgerSettings, RedisLedger
from sfmc_import.ledger.redis_ledger import read_script, sources
from sfmc_import.ports import Ledger
from tests.support.fake_ledger import MemoryLedger
from tests.support.valkey_server import keys_without_end

START_MS = 1_800_000_000_000
CLOCK_KEY = "test:clock"
REAL_CLOCK = "redis.call('TIME')"
MOVED_CLOCK = f"(function() local ms = redis.call('GET', '{CLOCK_KEY}') "
MOVED_CLOCK += "return {math.floor(ms / 1000), ms % 1000 * 1000} end)()"


class World(Protocol):
    """A ledger with its clock, and what a test may look at."""

    ledger: Ledger

    def advance(self, seconds: float) -> None: ...
    def now_ms(self) -> int: ...
    def events(self) -> list[dict[str, Any]]: ...
    def due(self) -> dict[str, int]: ...
    def state(self, request_id: str) -> str | None: ...
    def endless_keys(self) -> list[str]: ...
    def lose(self, request_id: str) -> None: ...
    def lose_definition(self, mid: str, customer_key: str) -> None: ...


class MemoryWorld:
    """The twin."""

    def __init__(self, settings: LedgerSettings) -> None:
        self._now = START_MS
        self.ledger = MemoryLedger(self.now_ms, settings)

    def now_ms(self) -> int:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += round(seconds * 1000)

    def events(self) -> list[dict[str, Any]]:
        return self.ledger.events

    def due(self) -> dict[str, int]:
        return dict(self.ledger.store.due)

    def state(self, request_id: str) -> str | None:
        found = self.ledger.store.find(request_id)
        return None if found is None else found.state

    def endless_keys(self) -> list[str]:
        return [r.id for r in self.ledger.store.requests.values() if not r.expires]

    def lose(self, request_id: str) -> None:
        del self.ledger.store.requests[request_id]

    def lose_definition(self, mid: str, customer_key: str) -> None:
        self.ledger.store.definitions.pop((mid, customer_key), None)


def reading_with_moved_clock(read: Callable[[str], str] = read_script) -> Callable[[str], str]:
    """Read the scripts with Redis time replaced by a key that the test moves."""

    def moved(name: str) -> str:
        text = read(name)
        if name == "prelude" and text.count(REAL_CLOCK) != 1:
            raise AssertionError("the prelude must ask for the time in one place")
        return text.replace(REAL_CLOCK, MOVED_CLOCK)

    return moved


class RedisWorld:
    """The real scripts on a real server whose data may be wiped."""

    def __init__(self, url: str, settings: LedgerSettings, read: Callable[[str], str] = read_script) -> None:
        self.client: Any = redis_py.Redis.from_url(url, socket_timeout=10)
        self.settings = settings
        scripts = sources(settings.for_scripts(), reading_with_moved_clock(read))
        self.ledger = RedisLedger(self.client, settings, scripts)
        self.keys = self.ledger.keys
        self.restart()

    def restart(self) -> None:
        """Forget everything."""
        self.client.flushdb()
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
        return self.record(request_id).get("state")

    def endless_keys(self) -> list[str]:
        return keys_without_end(self.client)

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
