"""The lists of a queue, one for each priority, and the messages that wait in them at most once."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

PRIORITIES = tuple(range(10))
"""The priorities that Celery sends, first the one that is read first: on Redis 0 comes before 9."""

SEPARATORS = ("\x06\x16", ":")
"""What senders write between the name of a queue and a priority above 0: kombu's own `sep`, and that of the example in
Celery's manual. We write the first."""

OTHER_SEPARATORS = ("\x06", "\x16", "::", *".-_/|#@~+*;, ", "--", "__")
"""What a sender could write instead. No worker reads these lists."""


def endings(steps: Sequence[int], *, wide: bool = True) -> list[str]:
    """Give what the keys of the lists of these priorities have behind that of priority 0, in the order of reading.

    Few senders write the lists of the second separator, and each list costs time: only a `wide` look reads them.
    """
    separators = SEPARATORS if wide else SEPARATORS[:1]
    return [f"{separator}{step}" if step else "" for step in steps for separator in (separators if step else ("",))]


def lists_of(queue: str) -> list[str]:
    """Give the keys of the lists into which senders with any `priority_steps` write; `queue` is the key of the first.

    A sender rounds a priority down to one of its steps (kombu's own are 0, 3, 6 and 9), so the lists of all ten
    priorities cover every choice of steps.
    """
    return [queue + ending for ending in endings(PRIORITIES)]


KOMBU_STEPS = (0, 3, 6, 9)
"""The `priority_steps` of a worker that does not set them."""


def rounded(priority: int) -> int:
    """Round down to a priority that every worker reads: who takes the message may be one with the steps of kombu."""
    return max(step for step in KOMBU_STEPS if step <= max(priority, 0))


def length(client: Any, queue: str) -> int:
    """Count the messages that wait in a queue, over all priorities."""
    with client.pipeline(transaction=False) as pipe:
        for key in lists_of(queue):
            pipe.llen(key)
        return sum(map(int, pipe.execute()))


def in_order(names: Mapping[str, str], steps: Sequence[int], *, wide: bool) -> Mapping[str, str]:
    """Map the key of each list to its queue, in the order of reading; `names` maps the keys of the first lists."""
    return _in_order(tuple(names.items()), tuple(steps), wide)


@lru_cache(maxsize=64)
def _in_order(names: tuple[tuple[str, str], ...], steps: tuple[int, ...], wide: bool) -> Mapping[str, str]:
    return MappingProxyType({key + end: queue for end in endings(steps, wide=wide) for key, queue in names})


def is_seldom(key: str) -> bool:
    """Tell whether this is a list of the second separator."""
    return key[-2:-1] == SEPARATORS[1]


def unread(client: Any, queue: str) -> dict[str, int]:
    """Count the messages in lists of this queue that no worker reads, by key: their senders have another `sep`."""
    keys = [f"{queue}{separator}{priority}" for separator in OTHER_SEPARATORS for priority in PRIORITIES[1:]]
    with client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.llen(key)
        # What is no list belongs to somebody else, and is an error here.
        counts = pipe.execute(raise_on_error=False)
    return {key: count for key, count in zip(keys, counts, strict=True) if isinstance(count, int) and count}


def first(client: Any, queue: str) -> bytes | None:
    """Give the message that is taken next, as it stands in Redis; None of an empty queue."""
    for key in lists_of(queue):
        if entries := client.lrange(key, -1, -1):
            return bytes(entries[0])
    return None


NEWEST_HEADER = "sfmc_newest"
"""A name: the message takes the place of the one of this name that waits, and is the first in line."""

ONCE_HEADER = "sfmc_once"
"""A list of names: the message is not sent if one waits already for each of them."""

STALE_SECONDS = 600
"""A name that has waited for longer is sent again: somebody may have deleted the message."""

PUSH_NEWEST = """
-- KEYS: queue, newest.  ARGV: entry, name, seconds to live.
local before = redis.call('HGET', KEYS[2], ARGV[2])
-- the first write needs no memory: so a full server does not refuse the others
redis.call('HDEL', KEYS[2], ARGV[2])
if before then redis.call('LREM', KEYS[1], -1, before) end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[3])
return 1
"""

PUSH_ONCE = """
-- KEYS: queue, waiting.  ARGV: entry, seconds to live, name…
local now = tonumber(redis.call('TIME')[1])
local is_new = redis.call('LLEN', KEYS[1]) == 0
-- the first write needs no memory: so a full server does not refuse the others
if is_new then redis.call('DEL', KEYS[2]) else redis.call('HDEL', KEYS[2], '') end
for i = 3, #ARGV do
    local since = tonumber(redis.call('HGET', KEYS[2], ARGV[i]) or 0)
    -- one of the future is of before the clock of the server went back
    if now - since >= tonumber(ARGV[2]) or since > now + 5 then is_new = true end
end
if not is_new then return 0 end
for i = 3, #ARGV do redis.call('HSET', KEYS[2], ARGV[i], now) end
redis.call('EXPIRE', KEYS[2], ARGV[2])
redis.call('LPUSH', KEYS[1], ARGV[1])
return 1
"""

FORGET = """
-- The end of a claim.  KEYS: …, newest, waiting.  ARGV: entry, …, name of the newest or '', name…
local function forget_waiting(newest, waiting, first)
    local name = ARGV[first]
    if name ~= '' and redis.call('HGET', newest, name) == ARGV[1] then redis.call('HDEL', newest, name) end
    for i = first + 1, #ARGV do redis.call('HDEL', waiting, ARGV[i]) end
end
"""

BIND = """
-- KEYS: kombu's two tables of an exchange.  ARGV: what it notes about a queue.  Works while the server is full.
for _, table in ipairs(KEYS) do
    redis.call('SREM', table, '')
    redis.call('SADD', table, ARGV[1])
end
return 1
"""

KEPT = "kept-"
"""Before the delivery tag of a message that is kept for want of its record: when it returns no worker died with it."""

ACKNOWLEDGE = """
-- KEYS: unacked, unacked_index, record.  ARGV: delivery tag, the tag under which it is kept.
-- 0: what the task recorded went to another server, or is lost: the message returns by its timeout.
-- The first write needs no memory: so a full server does not refuse the others.
if redis.call('EXISTS', KEYS[3]) == 0 then
    local value, since = redis.call('HGET', KEYS[1], ARGV[1]), redis.call('ZSCORE', KEYS[2], ARGV[1])
    if value and since then
        redis.call('HDEL', KEYS[1], ARGV[1])
        redis.call('ZREM', KEYS[2], ARGV[1])
        redis.call('ZADD', KEYS[2], since, ARGV[2])
        redis.call('HSET', KEYS[1], ARGV[2], value)
    end
    return 0
end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
"""

TAKE = """
-- KEYS: consumers, the first list of each queue…  ARGV: prefix of in-flight lists, prefix of members, what the keys of
-- the other lists of each queue have behind that of the first…, in the order of reading, '' of the first itself.
-- Pops from the first list that holds anything and enters its member, so that the entry is found if its consumer
-- dies. Returns list, entry, and whether a list behind the first holds something too (1 or 0).
-- The names of the lists are made here: most looks need none but the first ones, and each argument costs time.
-- The first write needs no memory: so a full server does not refuse the others.
local in_flight = ARGV[1] .. ARGV[2]
redis.call('LREM', in_flight .. KEYS[2] .. ARGV[3], 1, '')
local function behind(e, k)
    local others = {}
    for j = k, #KEYS do others[#others + 1] = KEYS[j] .. ARGV[e] end
    for i = e + 1, #ARGV do
        for j = 2, #KEYS do others[#others + 1] = KEYS[j] .. ARGV[i] end
    end
    return #others > 0 and redis.call('EXISTS', unpack(others)) or 0
end
for e = 3, #ARGV do
    for k = 2, #KEYS do
        local list = KEYS[k] .. ARGV[e]
        local entry = redis.call('LMOVE', list, in_flight .. list, 'RIGHT', 'LEFT')
        if entry then
            local now = redis.call('TIME')
            redis.call('ZADD', KEYS[1], now[1] + now[2] / 1000000, ARGV[2] .. list)
            -- of the first list the next pop waits
            local from = e == 3 and k == 2 and 3 or k
            return {list, entry, behind(e, from) > 0 and 1 or 0}
        end
    end
end
return false
"""

TAKE_SHA = hashlib.sha1(TAKE.encode(), usedforsecurity=False).hexdigest()


class Pop(NamedTuple):
    """A pop that the server has not answered yet; `sources` maps the key of each list to its queue."""

    command: str
    sources: Mapping[str, str]

    @property
    def is_look(self) -> bool:
        """Whether it looks by script into several lists, without waiting."""
        return self.command.startswith("EVAL")


@dataclass(frozen=True, slots=True)
class Names:
    """What a message says about waiting."""

    newest: str = ""
    once: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.newest or self.once)

    @property
    def arguments(self) -> Sequence[str]:
        """The last arguments of a claim."""
        return (self.newest, *self.once)


def names_of(payload: Mapping[str, Any]) -> Names:
    """Read the headers of a message; what is of another shape says nothing."""
    headers = payload.get("headers")
    if not isinstance(headers, Mapping):
        return Names()
    newest, once = headers.get(NEWEST_HEADER), headers.get(ONCE_HEADER)
    return Names(
        newest=newest if isinstance(newest, str) else "",
        once=tuple(map(str, once)) if isinstance(once, list) and once else (),
    )
