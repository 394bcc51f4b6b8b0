"""What a queue entry must be, and how it moves between queue, in-flight list, unacked and dead letters."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import redis
from kombu.utils.json import dumps
from redis.commands.core import Script

from sfmc_transport.kept_connection import KeptConnection
from sfmc_transport.queues import (
    ACKNOWLEDGE,
    BIND,
    FORGET,
    KEPT,
    PUSH_NEWEST,
    PUSH_ONCE,
    STALE_SECONDS,
    TAKE,
    TAKE_SHA,
    Names,
    endings,
)
from sfmc_transport.server_version import check_version
from sfmc_transport.unpacking import MAX_MESSAGE_BYTES, OversizedError, read_json

Built = TypeVar("Built")
NO_NAMES = Names()

Payload = dict[str, Any]
"""A message as kombu writes it: body, content-type, content-encoding, headers, properties."""

RETURNS_HEADER = "sfmc_returns"
"""Message header that counts how often a worker died or stalled with this message, or its acknowledgement failed."""


class UndecodableEntryError(Exception):
    """An entry that kombu could not deliver, or could not put back later; the text says why."""

    reason = "undecodable"


class OversizedEntryError(UndecodableEntryError):
    """An entry with more bytes than a message may have."""

    reason = "too_large"


def read_entry(raw: bytes) -> Payload:
    """Return the message in `raw`, checked for everything that kombu takes for granted later.

    Raises:
        UndecodableEntryError: no worker could handle these bytes.
    """
    return _checked(_parsed(raw))


def read_unacked(value: bytes) -> tuple[Payload, str, str]:
    """Return message, exchange and routing key from a value of kombu's `unacked` hash.

    Raises:
        UndecodableEntryError: a worker with the stock transport may have taken such a message.
    """
    held = _parsed(value)
    _require(isinstance(held, list) and len(held) == 3, "not message, exchange and routing key")
    payload, exchange, routing_key = held
    return _checked(payload), str(exchange or ""), str(routing_key or "")


def decode(build: Callable[[], Built]) -> Built:
    """Return what `build` makes of a message, an undecodable body being an `UndecodableEntryError`."""
    try:
        message = build()
    except UndecodableEntryError:
        raise
    except Exception as problem:
        raise UndecodableEntryError(f"the body cannot be decoded: {problem!r}") from problem
    errors = getattr(message, "errors", None)
    if not errors:
        return message
    if isinstance(errors[0][1], OversizedError):
        raise OversizedEntryError(str(errors[0][1]))
    raise UndecodableEntryError(f"the body cannot be decoded: {errors[0][1]!r}")


def count_return(payload: Payload) -> int:
    """Mark `payload` as given back by a worker that died or stalled; returns how often that happened."""
    headers = payload.setdefault("headers", {})
    count = headers.get(RETURNS_HEADER, 0)
    headers[RETURNS_HEADER] = count + 1 if isinstance(count, int) else 1
    return int(headers[RETURNS_HEADER])


def mark_redelivered(payload: Payload) -> Payload:
    """Set what Celery reads as `redelivered`, as kombu does."""
    payload.setdefault("headers", {})["redelivered"] = True
    payload["properties"].setdefault("delivery_info", {})["redelivered"] = True
    return payload


def without_count(raw: bytes) -> bytes:
    """The entry with the count of returns taken off, for a replay; anything unreadable stays as it is."""
    try:
        payload = read_entry(raw)
    except UndecodableEntryError:
        return raw
    if payload.get("headers", {}).pop(RETURNS_HEADER, None) is None:
        return raw
    return bytes(dumps(payload), "utf-8")


def _parsed(raw: bytes) -> Any:
    if len(raw) > MAX_MESSAGE_BYTES:
        raise OversizedEntryError(f"it has {len(raw)} bytes, more than {MAX_MESSAGE_BYTES}")
    try:
        return read_json(raw)
    except Exception as problem:  # foreign bytes: json, the type hooks of kombu and recursion all may raise
        raise UndecodableEntryError(f"not JSON: {problem!r}") from problem


def _checked(payload: Any) -> Payload:
    if not isinstance(payload, dict):
        raise UndecodableEntryError("not a JSON object")
    _require(isinstance(payload.get("headers", {}), dict), "headers are not an object")
    _require(isinstance(payload.get("body", ""), str), "the body is not a string")
    _check_properties(payload.get("properties"))
    return payload


def _check_properties(properties: object) -> None:
    if not isinstance(properties, Mapping):
        raise UndecodableEntryError("no properties")
    _require(isinstance(properties.get("delivery_info", {}), dict), "delivery_info is not an object")
    encoding = properties.get("body_encoding")
    _require(encoding is None or isinstance(encoding, str), "body_encoding is not a string")
    priority = properties.get("priority", 0)
    # int(Infinity) would fail when the message is put back, and kombu drops what it cannot put back
    _require(priority not in (float("inf"), float("-inf")), "the priority is not a number")


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise UndecodableEntryError(otherwise)


CLAIM = f"""{FORGET}
-- KEYS: in-flight list, unacked, unacked_index, newest, waiting.
-- ARGV: entry, delivery tag, what follows the entry in unacked, name of the newest, names that wait.
-- 1: this delivery is ours; 0: somebody took the entry back meanwhile.
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 1 then return 1 end
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
if ARGV[4] then forget_waiting(KEYS[4], KEYS[5], 4) end
local now = redis.call('TIME')
redis.call('ZADD', KEYS[3], string.format('%d.%06d', now[1], now[2]), ARGV[2])
redis.call('HSET', KEYS[2], ARGV[2], '[' .. ARGV[1] .. ARGV[3])
return 1
"""

DELETE = """
-- KEYS: in-flight list.  ARGV: entry.  For consumers that want no acknowledgement.
return redis.call('LREM', KEYS[1], 1, ARGV[1])
"""

REQUEUE = """
-- KEYS: in-flight list, queue.  ARGV: entry.  Back to the end from which the queue is read.
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
redis.call('RPUSH', KEYS[2], ARGV[1])
return 1
"""

HEARTBEAT = """
-- KEYS: consumers.
-- ARGV: prefix of in-flight lists, seconds until dead, seconds until forgotten, leave ('1' or ''), own members…
-- Own lists are emptied into their queues: the caller has no pop outstanding, so whatever is there was popped for a
-- connection that is gone. Lists of the dead likewise. A member stays known long after its last beat, because a pop
-- that was under way in a cut connection may still fill its list. Returns member, count, … of what went back.
-- The first write needs no memory: so a full server does not refuse the others.
redis.call('ZREM', KEYS[1], '')
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
local returned = {}
local function empty(member)
    local queue = string.sub(member, string.find(member, ':', 1, true) + 1)
    local count = 0
    while redis.call('LMOVE', ARGV[1] .. member, queue, 'LEFT', 'RIGHT') do count = count + 1 end
    if count > 0 then
        returned[#returned + 1] = member
        returned[#returned + 1] = count
    end
end
for i = 5, #ARGV do
    if ARGV[4] == '1' then redis.call('ZREM', KEYS[1], ARGV[i])
    else redis.call('ZADD', KEYS[1], now, ARGV[i]) end
    empty(ARGV[i])
end
-- Times of before the clock of the server went back: from now on they count as now.
local ahead = redis.call('ZRANGE', KEYS[1], string.format('(%.6f', now + 5), '+inf', 'BYSCORE')
for _, member in ipairs(ahead) do redis.call('ZADD', KEYS[1], now, member) end
local dead = redis.call('ZRANGE', KEYS[1], '-inf', now - ARGV[2], 'BYSCORE')
for _, member in ipairs(dead) do empty(member) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3])
return returned
"""

_ADD_DEAD_LETTER = """
local letters, unreported = KEYS[#KEYS - 1], KEYS[#KEYS]
local id = redis.call('XADD', letters, 'MAXLEN', ARGV[1], '*',
    'entry', ARGV[2], 'queue', ARGV[3], 'reason', ARGV[4], 'detail', ARGV[5])
redis.call('RPUSH', unreported, id)
-- An id is short: an event says of a letter that is gone that it was there.
redis.call('LTRIM', unreported, -100 * ARGV[1], -1)
return id
"""

DEAD_LETTER_ENTRY = (
    """
-- KEYS: in-flight list, dead letters, unreported.  ARGV: limit, entry, queue, reason, detail.
if redis.call('LREM', KEYS[1], 1, ARGV[2]) == 0 then return false end
"""
    + _ADD_DEAD_LETTER
)

DEAD_LETTER_CLAIMED = (
    """
-- KEYS: unacked, unacked_index, dead letters, unreported.  ARGV: limit, entry, queue, reason, detail, delivery tag.
if redis.call('HDEL', KEYS[1], ARGV[6]) == 0 then return false end
redis.call('ZREM', KEYS[2], ARGV[6])
"""
    + _ADD_DEAD_LETTER
)

RESTORE = """
-- KEYS: unacked, unacked_index, queue…  ARGV: delivery tag, value as read before, entry to push, end.
-- 0: acknowledged or put back by somebody else since the value was read.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
for i = 3, #KEYS do redis.call(ARGV[4], KEYS[i], ARGV[3]) end
return 1
"""

OVERDUE = """
-- KEYS: unacked_index, unacked.  ARGV: visibility timeout in seconds, limit (0: none).
-- Tags claimed longer ago than the timeout on the server's clock, latest first; an index row without its
-- message is removed on the way. One of before the clock went back counts as claimed now.
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local ahead = redis.call('ZRANGE', KEYS[1], string.format('(%.6f', now + 5), '+inf', 'BYSCORE', 'LIMIT', 0, 1000)
for _, tag in ipairs(ahead) do redis.call('ZADD', KEYS[1], now, tag) end
local limit = ARGV[2] ~= '0' and {'LIMIT', 0, ARGV[2]} or {}
local tags = redis.call('ZRANGE', KEYS[1], now - ARGV[1], '-inf', 'BYSCORE', 'REV', unpack(limit))
local overdue = {}
for _, tag in ipairs(tags) do
    if redis.call('HEXISTS', KEYS[2], tag) == 1 then overdue[#overdue + 1] = tag
    else redis.call('ZREM', KEYS[1], tag) end
end
return overdue
"""


DEFAULT_PREFIX = "{sfmc-import:events}:transport:"
"""Before every own key; the braces put them into the slot of the stream of events."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Full key names; `kombu_prefix` is kombu's `global_keyprefix` and stands before everything.

    No own key that holds messages carries a TTL, because losing one could lose a message; each is bounded instead:
    `consumers` forgets a consumer an hour after its last beat, an in-flight list holds what one pop
    took and is gone when empty, `dead_letters` is trimmed to a limit, `unreported`, short ids, to a hundred times it.
    """

    prefix: str = DEFAULT_PREFIX
    kombu_prefix: str = ""
    unacked: str = "unacked"
    unacked_index: str = "unacked_index"

    @property
    def consumers(self) -> str:
        """Sorted set: member `<consumer id>:<queue key>`, score = server time of its last beat, seconds."""
        return f"{self.kombu_prefix}{self.prefix}consumers"

    @property
    def dead_letters(self) -> str:
        """Stream: one entry per message set aside; the id tells when, on the server's clock."""
        return f"{self.kombu_prefix}{self.prefix}dead_letters"

    @property
    def newest(self) -> str:
        """Hash: name to the message of this name that waits."""
        return f"{self.kombu_prefix}{self.prefix}newest"

    def waiting(self, source: str) -> str:
        """Hash: name to the time since which a message waits for it, seconds; one for each list of a queue.

        When a list is empty nothing waits in it, so its names are forgotten, and no other's.
        """
        return f"{self.kombu_prefix}{self.prefix}waiting:{source}"

    @property
    def nothing(self) -> str:
        """A list that never exists."""
        return f"{self.kombu_prefix}{self.prefix}nothing"

    @property
    def unreported(self) -> str:
        """List: the ids of the dead letters that were not reported yet, oldest first."""
        return f"{self.kombu_prefix}{self.prefix}unreported"

    @property
    def in_flight_prefix(self) -> str:
        """Before a member of `consumers`: the list of entries popped by it and not yet claimed."""
        return f"{self.kombu_prefix}{self.prefix}inflight:"

    @property
    def unacked_key(self) -> str:
        """Hash of kombu: delivery tag to the message that a worker holds."""
        return f"{self.kombu_prefix}{self.unacked}"

    @property
    def unacked_index_key(self) -> str:
        """Sorted set of kombu: delivery tag by the time it was claimed, seconds."""
        return f"{self.kombu_prefix}{self.unacked_index}"

    def queue(self, name: str) -> str:
        """The list of a queue, without priority."""
        return f"{self.kombu_prefix}{name}"

    def in_flight(self, member: str) -> str:
        """The in-flight list of one member of `consumers`."""
        return f"{self.in_flight_prefix}{member}"


MAX_DETAIL = 1000
"""Characters of the detail of a dead letter; some errors quote the whole message."""

FORGET_AFTER = 3600
"""Seconds after which a silent consumer is forgotten; far longer than TCP keeps a cut connection's data."""


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
        self._kept = KeptConnection(pool)
        register = self._client.register_script
        self._claim: Script = register(CLAIM)
        self._push_newest: Script = register(PUSH_NEWEST)
        self._push_once: Script = register(PUSH_ONCE)
        self._bind: Script = register(BIND)
        self._delete: Script = register(DELETE)
        self._requeue: Script = register(REQUEUE)
        self._beat: Script = register(HEARTBEAT)
        self._dead_letter_entry: Script = register(DEAD_LETTER_ENTRY)
        self._dead_letter_claimed: Script = register(DEAD_LETTER_CLAIMED)
        self._restore: Script = register(RESTORE)
        self._overdue: Script = register(OVERDUE)
        self._acknowledge: Script = register(ACKNOWLEDGE)

    def check_server(self) -> None:
        """Raise `ServerTooOldError` where BLMOVE is missing."""
        check_version(str(self._client.info("server").get("redis_version", "0")))

    def in_flight(self, source: str) -> str:
        """The in-flight list of this consumer for the queue key `source`."""
        return self.keys.in_flight(self._member(source))

    def pop_command(self, source: str, timeout: float) -> tuple[str | float, ...]:
        """The command that waits up to `timeout` seconds for an entry of one queue."""
        return ("BLMOVE", source, self.in_flight(source), "RIGHT", "LEFT", timeout)

    def take_command(
        self, sources: Sequence[str], steps: Sequence[int], *, wide: bool, known: bool
    ) -> tuple[str | int, ...]:
        """Take the first entry in the lists of queues, by their first lists; without the text of a `known` script."""
        script = ("EVALSHA", TAKE_SHA) if known else ("EVAL", TAKE)
        names = (self.keys.in_flight_prefix, self._member(""), *endings(steps, wide=wide))
        return (*script, 1 + len(sources), self.keys.consumers, *sources, *names)

    def wait_command(self, timeout: float) -> tuple[str | float, ...]:
        """The command that waits `timeout` seconds for nothing, which needs no memory of the server."""
        return ("BLPOP", self.keys.nothing, timeout)

    def push(self, source: str, raw: bytes, names: Names) -> bool:
        """Push a message that waits at most once; False: it waits already."""
        if names.newest:
            return bool(self._push_newest(keys=[source, self.keys.newest], args=[raw, names.newest, FORGET_AFTER]))
        return bool(self._push_once(keys=[source, self.keys.waiting(source)], args=[raw, STALE_SECONDS, *names.once]))

    def bind(self, tables: Sequence[str], member: str) -> None:
        """Note in kombu's tables which queue belongs to an exchange."""
        self._bind(keys=list(tables), args=[member])

    def claim(self, source: str, raw: bytes, tag: str, queue: str, names: Names = NO_NAMES) -> bool:
        """Move an entry from in flight to `unacked` under `tag`; False: somebody took it back before.

        The destination noted for a later return is the queue itself, not exchange and routing key: kombu
        would look these up in a binding table, and drops the message when the table is gone.
        """
        keys = [self.in_flight(source), self.keys.unacked_key, self.keys.unacked_index_key]
        args: list[bytes | str] = [raw, tag, _destination(queue)]
        if names:
            keys += [self.keys.newest, self.keys.waiting(source)]
            args += names.arguments
        return bool(self._run(self._claim, keys, args))

    def acknowledge(self, tag: str, record: str = "") -> bool:
        """Forget what was claimed under `tag`; False: this server has no `record`, and nothing is forgotten."""
        if record:
            keys = [self.keys.unacked_key, self.keys.unacked_index_key, record]
            return bool(self._run(self._acknowledge, keys, [tag, KEPT + tag]))
        # Not in one transaction: where only the first is done, whoever looks for overdue messages does the second.
        commands = ("HDEL", self.keys.unacked_key, tag), ("ZREM", self.keys.unacked_index_key, tag)
        if self._kept.ask(*commands) is None:
            with self._client.pipeline(transaction=False) as pipe:
                for command in commands:
                    pipe.execute_command(*command)
                pipe.execute()
        return True

    def delete(self, source: str, raw: bytes) -> bool:
        """Forget an entry that its consumer need not acknowledge; False: taken back before."""
        return bool(self._delete(keys=[self.in_flight(source)], args=[raw]))

    def requeue(self, source: str, raw: bytes) -> bool:
        """Move an entry from in flight back to its queue, first in line."""
        return bool(self._requeue(keys=[self.in_flight(source), source], args=[raw]))

    def heartbeat(self, sources: Sequence[str], *, leave: bool = False) -> dict[str, int]:
        """Say that this consumer lives (or leaves), and return what it or a dead one left in flight.

        Only while no pop of this consumer is outstanding. Returns the count of entries put back per list.
        """
        limits: list[str | float] = [self._limits.dead_after, FORGET_AFTER, "1" if leave else ""]
        args: list[str | float] = [self.keys.in_flight_prefix, *limits, *map(self._member, sources)]
        flat = self._beat(keys=[self.keys.consumers], args=args)
        return {bytes(flat[i]).decode(): int(flat[i + 1]) for i in range(0, len(flat), 2)}

    def dead_letter_entry(self, source: str, raw: bytes, reason: str, detail: str) -> str | None:
        """Make an entry in flight a dead letter; returns its id, None if somebody took it back before."""
        keys = [self.in_flight(source), self.keys.dead_letters, self.keys.unreported]
        args: list[bytes | str | int] = [self._limits.dead_letters, raw, source, reason, detail[:MAX_DETAIL]]
        return _id(self._dead_letter_entry(keys=keys, args=args))

    def dead_letter_claimed(self, tag: str, source: str, raw: bytes, reason: str, detail: str) -> str | None:
        """Make a claimed message a dead letter; returns its id, None if it is not claimed any more."""
        keys = [self.keys.unacked_key, self.keys.unacked_index_key, self.keys.dead_letters, self.keys.unreported]
        args: list[bytes | str | int] = [self._limits.dead_letters, raw, source, reason, detail[:MAX_DETAIL], tag]
        return _id(self._dead_letter_claimed(keys=keys, args=args))

    def unacked(self, tag: str) -> bytes | None:
        """What `unacked` holds under `tag`: JSON of message, exchange and routing key."""
        value: bytes | None = self._client.hget(self.keys.unacked_key, tag)
        return value

    def overdue(self, visibility_timeout: float, limit: int | None) -> list[str]:
        """Tags claimed longer ago than `visibility_timeout` seconds on the server's clock, latest first."""
        keys = [self.keys.unacked_index_key, self.keys.unacked_key]
        return [bytes(tag).decode() for tag in self._overdue(keys=keys, args=[visibility_timeout, limit or 0])]

    def restore(self, tag: str, seen: bytes, raw: bytes, sources: Sequence[str], *, last: bool) -> bool:
        """Move a claimed message to its queues as `raw`; False if it changed since `seen` was read."""
        keys = [self.keys.unacked_key, self.keys.unacked_index_key, *sources]
        return bool(self._restore(keys=keys, args=[tag, seen, raw, "LPUSH" if last else "RPUSH"]))

    def _run(self, script: Script, keys: Sequence[str], args: Sequence[bytes | str]) -> Any:
        answers = self._kept.ask(("EVALSHA", script.sha, len(keys), *keys, *args))
        return script(keys=keys, args=args) if answers is None else answers[0]

    def _member(self, source: str) -> str:
        return f"{self._consumer}:{source}"


def _destination(queue: str) -> str:
    return f',"",{json.dumps(queue)}]'


def _id(reply: bytes | None) -> str | None:
    return None if reply is None else bytes(reply).decode()
