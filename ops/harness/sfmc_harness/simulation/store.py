"""The ledger's own scripts on a real server, on virtual time, which each call brings along and by which keys age."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from sfmc_harness.simulation.wire import QuickRedis
from sfmc_import.ledger import LedgerSettings
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.scripts import read_part, sources

REAL_CLOCK = "redis.call('TIME')"
GIVEN_CLOCK = "{math.floor(ARGV[2] / 1000), ARGV[2] % 1000 * 1000}"
AHEAD_MS = 10 * 365 * 86_400_000
"""Keys expire so long after their virtual time, so that the clock of the server never removes one."""

_LIVES = (
    (re.compile(r"'PEXPIRE', key, str\(ms\)"), f"'PEXPIREAT', key, str(now + ms + {AHEAD_MS})"),
    (re.compile(r"'PX', (cfg\.\w+)"), rf"'PXAT', str(now + \1 + {AHEAD_MS})"),
    (re.compile(r"'PX', (ttl|str\([^()]*\))"), rf"'PXAT', str(now + tonumber(\1) + {AHEAD_MS})"),
)
"""How the scripts say how long a key lives, and what stands for it here."""

_EXPIRE = """
local clock = redis.call('TIME')
local gone = clock[1] * 1000 + math.floor(clock[2] / 1000) - ARGV[1]
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key)
  if left >= 0 and left + gone <= 0 then redis.call('DEL', key) end
end
"""

FIELDS = ("state", "key", "force", "postponed", "worker_losses", "resolving", "turn", "waits_place", "definition")
"""The fields of a request that the invariants speak of."""

_LOOK = """
local requests, definitions, waiting, endless, soonest = {}, {}, {}, {}, 1e15
local clock = redis.call('TIME')
for _, key in ipairs(redis.call('KEYS', '*')) do
  local is_ours = string.sub(key, 1, #ARGV[1]) == ARGV[1]
  local letter = is_ours and string.sub(key, #ARGV[1] + 1, #ARGV[1] + 2)
  if letter == 'r:' then
    requests[#requests + 1] = string.sub(key, #ARGV[1] + 3)
    requests[#requests + 1] = cjson.encode(redis.call('HMGET', key, @FIELDS@))
  elseif letter == 'd:' then
    definitions[#definitions + 1] = string.sub(key, #ARGV[1] + 3)
    definitions[#definitions + 1] = cjson.encode(redis.call('HGETALL', key))
  elseif letter == 'w:' then
    waiting[#waiting + 1] = {string.sub(key, #ARGV[1] + 3), redis.call('ZRANGE', key, 0, -1)}
  end
  local left = redis.call('PTTL', key)
  if left == -1 then endless[#endless + 1] = key else soonest = math.min(soonest, left) end
end
soonest = string.format('%.0f', soonest + clock[1] * 1000 + math.floor(clock[2] / 1000))
return {requests, definitions, waiting, endless, soonest, redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES'),
  redis.call('XRANGE', KEYS[2], ARGV[2], '+')}
"""
"""Each record is one text, which is read anew only when it has changed."""


@dataclass(frozen=True, slots=True)
class View:
    """What stands in Redis at one moment; `events` are those that are new since the last view."""

    now: int
    requests: Mapping[str, Mapping[str, str]]
    definitions: Mapping[str, Mapping[str, str]]
    follow_ups: Mapping[str, tuple[str, ...]]
    endless: tuple[str, ...]
    due: Mapping[str, int]
    events: tuple[Mapping[str, Any], ...]


def on_given_time(read: Callable[[str], str]) -> Callable[[str], str]:
    """Read the scripts with the time of Redis replaced by the second argument of the call, by which keys live too."""

    def given(name: str) -> str:
        text = read(name)
        if name == "lib" and text.count(REAL_CLOCK) != 1:
            raise AssertionError("lib.lua must ask for the time in one place")
        for life, stands in _LIVES:
            text = life.sub(stands, text)
        if "'PX', " in text:
            raise AssertionError(f"{name}.lua has a time to live that is not on virtual time")
        return text.replace(REAL_CLOCK, GIVEN_CLOCK)

    return given


class Store:
    """One server whose data may be wiped, and the scripts of the ledger in it.

    `read` gives the text of a Lua file by its name; those of the product unless given.
    """

    def __init__(self, url: str, settings: LedgerSettings, read: Callable[[str], str] = read_part) -> None:
        self.client = QuickRedis(url)
        self.settings = settings
        self.keys = Keys(settings.prefix)
        self.scripts = sources(settings.for_scripts(), on_given_time(read))
        # A script that the server does not know yet would cost a step more.
        for text in self.scripts.values():
            self.client.script_load(text)
        self._look = self.client.script_load(_LOOK.replace("@FIELDS@", ", ".join(map(repr, FIELDS))))
        self._expire = self.client.script_load(_EXPIRE)
        self._bounded: dict[bytes, bool] = {}
        self.wipe()

    def wipe(self) -> None:
        """Forget everything."""
        self.client.flushdb()
        self._last_event = "-"
        self._soonest = 0
        self._seen: Any = None
        self._records: dict[bytes, Mapping[str, str]] = {}

    def expire(self, now: int) -> None:
        """Remove the keys whose time is over."""
        if now >= self._soonest:
            self.client.evalsha(self._expire, 0, now + AHEAD_MS)

    def write(self, sha: str, count: int, *given: Any) -> Any:
        """Carry out a script, and look at what it leaves, in one turn of the connection."""
        answer, self._seen = self.client.evalsha_and(("EVALSHA", *self._looking()), sha, count, *given)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _looking(self) -> tuple[Any, ...]:
        return (self._look, 2, self.keys.due, self.keys.stream, self.keys.tag, self._last_event)

    def look(self, now: int) -> View:
        """Read everything that the invariants speak of; after a write that is here already."""
        answer = self.client.evalsha(*self._looking()) if self._seen is None else self._seen
        self._seen = None
        if isinstance(answer, Exception):
            raise answer
        requests, definitions, follow_ups, endless, soonest, due, entries = answer
        self._soonest = int(soonest) - AHEAD_MS
        if entries:
            self._last_event = "(" + entries[-1][0].decode()
        return View(
            now,
            {name.decode(): self._record(text, _named) for name, text in _pairs(requests)},
            {name.decode(): self._record(text, _fields) for name, text in _pairs(definitions)},
            {name.decode(): tuple(each.decode() for each in ids) for name, ids in follow_ups},
            tuple(key.decode() for key in endless if not self._is_bounded(key)),
            {request.decode(): int(float(at)) for request, at in _pairs(due)},
            tuple(orjson.loads(fields[1]) for _, fields in entries),
        )

    def _record(self, text: bytes, read: Callable[[list[Any]], Mapping[str, str]]) -> Mapping[str, str]:
        found = self._records.get(text)
        if found is None:
            found = self._records[text] = read(orjson.loads(text))
        return found

    def _is_bounded(self, name: bytes) -> bool:
        if name not in self._bounded:
            key = self.keys.describe(name.decode())
            self._bounded[name] = key is not None and not key.ttl
        return self._bounded[name]

    def close(self) -> None:
        """Close the connection."""
        self.client.close()


def _pairs(flat: list[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _named(values: list[Any]) -> dict[str, str]:
    return {name: value for name, value in zip(FIELDS, values, strict=True) if value is not False}


def _fields(flat: list[str]) -> dict[str, str]:
    return dict(_pairs(flat))
