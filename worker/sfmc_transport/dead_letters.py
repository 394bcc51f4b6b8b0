"""Looking at, replaying and dropping messages that were set aside; plain functions for an operator's command."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import redis
from kombu.utils.json import dumps, loads

from sfmc_transport.delivery import Keys, without_count
from sfmc_transport.unpacking import MAX_MESSAGE_BYTES

PAGE = 500
NOTHING: Mapping[str, str] = MappingProxyType({})

REPLAY = """
-- KEYS: dead letters, queue, what became of it.  ARGV: id, entry, that, seconds.
-- Behind what waits in the queue already.
-- A script that fails takes nothing back: the letter goes last, when its message lies in the queue.
-- The same call again, whose reply was lost, finds its own words.
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then
    return redis.call('GET', KEYS[3]) == ARGV[3] and 1 or 0
end
redis.call('LPUSH', KEYS[2], ARGV[2])
redis.call('SET', KEYS[3], ARGV[3], 'EX', ARGV[4])
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
"""

DELETE = """
-- KEYS: dead letters, what became of it.  ARGV: id, that, seconds.
-- The first write needs no memory: so a full server does not refuse the other.
-- The same call again, whose reply was lost, finds its own words.
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return redis.call('GET', KEYS[2]) == ARGV[2] and 1 or 0 end
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
return 1
"""

SAID_SECONDS = 7 * 86400
"""How long it is known what became of a letter."""

CALL = "call"
"""The field of what is said that names the call, so that one which is repeated knows itself."""

Client = Any
"""redis.Redis with `decode_responses=False`: entries may be any bytes. (Its stubs type replies for both modes.)"""


class DeadLetterNotFoundError(LookupError):
    """No dead letter has this id (any more)."""


class NoQueueError(ValueError):
    """What a dead letter is to be put into is no queue."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message set aside: `entry` are its bytes as they stood in the queue (key `queue`)."""

    id: str
    at: datetime
    queue: str
    reason: str
    detail: str
    entry: bytes


def count(client: Client, keys: Keys) -> int:
    """How many there are."""
    return int(client.xlen(keys.dead_letters))


def listed(client: Client, keys: Keys) -> Iterator[DeadLetter]:
    """All of them, oldest first, read in pages. The client must not decode responses."""
    after = "-"
    while rows := client.xrange(keys.dead_letters, min=after, count=PAGE):
        for row in rows:
            yield _dead_letter(*row)
        after = f"({rows[-1][0].decode()}"


def page(client: Client, keys: Keys, after: str | None, count: int) -> list[DeadLetter]:
    """Some of them after an id, oldest first."""
    rows = client.xrange(keys.dead_letters, min=f"({after}" if after else "-", count=count)
    return [_dead_letter(*row) for row in rows]


def read(client: Client, keys: Keys, letter_id: str) -> DeadLetter:
    """One of them.

    Raises:
        DeadLetterNotFoundError: dropped, replayed or trimmed meanwhile, or never there.
    """
    rows = _rows(client, keys, letter_id)
    if not rows:
        raise DeadLetterNotFoundError(f"there is no dead letter {letter_id}")
    return _dead_letter(*rows[0])


def unreported(client: Client, keys: Keys, limit: int) -> Iterator[tuple[str, DeadLetter | None]]:
    """Yield the oldest ids that were not reported, up to `limit`, each with its dead letter; None: it is gone.

    After each the caller says `reported`, or it comes again.
    """
    for name in client.lrange(keys.unreported, 0, limit - 1):
        rows = _rows(client, keys, name.decode())
        yield name.decode(), _dead_letter(*rows[0]) if rows else None


REPORTED = """
-- KEYS: unreported, what the report has left.  ARGV: id.  Another server, that took over, may lack the report.
return redis.call('EXISTS', KEYS[2]) == 1 and redis.call('LREM', KEYS[1], 1, ARGV[1]) or 0
"""


def reported(client: Client, keys: Keys, letter_id: str, record: str = "") -> None:
    """Note that a dead letter was reported, if this server has the `record` that was left of it."""
    if record:
        client.eval(REPORTED, 2, keys.unreported, record, letter_id)
    else:
        client.lrem(keys.unreported, 1, letter_id)


def replay(
    client: Client, keys: Keys, letter_id: str, queue: str | None = None, said: Mapping[str, str] = NOTHING
) -> DeadLetter:
    """Put one back as the last of its queue (or of `queue`, a key) and drop it, in one step; returns it.

    `said` is what `became` gives from then on. Its count of deaths starts again at none. What `add` set aside goes back
    to its source with its id: see `sent_back`.

    Raises:
        DeadLetterNotFoundError: as `read`.
        NoQueueError: Redis has something else under this key; the letter stays.
    """
    letter = read(client, keys, letter_id)
    is_record = letter.reason == SOURCE_RECORD and queue is None
    entry = sent_back(letter) if is_record else without_count(letter.entry)
    target = queue or letter.queue
    if not target:
        raise DeadLetterNotFoundError(f"dead letter {letter_id} names no queue: say which")
    move = client.register_script(REPLAY)
    try:
        names = [keys.dead_letters, target, _said_key(keys, letter_id)]
        is_moved = move(keys=names, args=[letter_id, entry, _words(said), SAID_SECONDS])
    except redis.ResponseError as error:
        if "WRONGTYPE" not in str(error):
            raise
        raise NoQueueError(f"the key {target} of Redis is no queue; dead letter {letter_id} stays") from error
    if not is_moved:
        raise DeadLetterNotFoundError(f"there is no dead letter {letter_id}")
    return letter


SOURCE_RECORD = "source_record"
"""The reason of what `add` set aside."""

_SENT_BACK = re.compile(rb"(\d+-\d+)\n")


def sent_back(letter: DeadLetter) -> bytes:
    """Give what stands in the queue of a source for a letter that was sent back: its id, a line end, its bytes."""
    return letter.id.encode() + b"\n" + letter.entry


def read_sent_back(entry: bytes) -> tuple[str, bytes]:
    """Give id and bytes of what stands in the queue of a source; of bytes alone the id is a digest."""
    found = _SENT_BACK.match(entry)
    return (found[1].decode(), entry[found.end() :]) if found else (hashlib.sha256(entry).hexdigest(), entry)


ADD = """
-- KEYS: dead letters, unreported, mark.  ARGV: most, seconds, entry, queue, reason, detail, many, bytes, detail if cut.
if not redis.call('SET', KEYS[3], '1', 'NX', 'EX', ARGV[2]) then return false end
local entry, detail = ARGV[3], ARGV[6]
if #entry > tonumber(ARGV[8]) and redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[7]) then
    entry, detail = string.sub(entry, 1, tonumber(ARGV[8])), ARGV[9]
end
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*',
    'entry', entry, 'queue', ARGV[4], 'reason', ARGV[5], 'detail', detail)
redis.call('RPUSH', KEYS[2], id)
redis.call('LTRIM', KEYS[2], -100 * ARGV[1], -1)
return id
"""

MOST = 10_000
"""Dead letters that are kept, as in TRANSPORT_OPTIONS."""

MANY = 200
LARGE_BYTES, SMALL_BYTES = 256 * 1024, 4 * 1024
"""What is kept of bytes that came from elsewhere: the second while there are MANY letters. So all of them together
have at most 200 times the first and 10,000 times the second, 90 MiB; a single event is rarely longer than the second.
"""


def add(client: Client, keys: Keys, entry: bytes, *, queue: str, detail: str, once: tuple[str, int]) -> str | None:
    """Set bytes aside that came from elsewhere; returns the id, None where `once` (a key, seconds) stands already.

    A replay puts them at the end of `queue`, a key that their source reads. Long ones are cut, and the detail says so.
    """
    mark, seconds = once
    cut = f"{detail} (cut: it had {len(entry)} bytes)"
    arguments: list[Any] = [MOST, seconds, entry[:LARGE_BYTES], queue, SOURCE_RECORD]
    arguments += [cut if len(entry) > LARGE_BYTES else detail, MANY, SMALL_BYTES, cut]
    found = client.register_script(ADD)(keys=[keys.dead_letters, keys.unreported, mark], args=arguments)
    return None if found is None else found.decode()


def read_parts(entry: bytes) -> dict[str, Any]:
    """Give headers, properties and body of a message that no worker could handle, as far as they can be read."""
    payload: Any = None
    if len(entry) <= MAX_MESSAGE_BYTES:
        # foreign bytes: json, the type hooks of kombu and recursion all may raise
        with suppress(Exception):
            payload = loads(entry)
    if isinstance(payload, list):
        payload = next(iter(payload), None)  # as kombu holds it: message, exchange and routing key
    found = payload if isinstance(payload, dict) else {}
    parts = {"headers": dict, "properties": dict, "body": str}
    return {name: found[name] if isinstance(found.get(name), kind) else kind() for name, kind in parts.items()}


def became(client: Client, keys: Keys, letter_id: str) -> Mapping[str, str]:
    """Give what was `said` when somebody replayed or deleted it; nothing where that is not known."""
    found = client.get(_said_key(keys, letter_id))
    return NOTHING if found is None else {name: text for name, text in loads(found).items() if name != CALL}


def delete(client: Client, keys: Keys, letter_id: str, said: Mapping[str, str] = NOTHING) -> None:
    """Delete one for good; of two who do it at once one succeeds. `said` is what `became` gives from then on.

    Raises:
        DeadLetterNotFoundError: as `read`.
    """
    read(client, keys, letter_id)
    names = [keys.dead_letters, _said_key(keys, letter_id)]
    if not client.register_script(DELETE)(keys=names, args=[letter_id, _words(said), SAID_SECONDS]):
        raise DeadLetterNotFoundError(f"there is no dead letter {letter_id}")


def _words(said: Mapping[str, str]) -> str:
    """Write what is said by one call: another one with the same words is another."""
    return str(dumps({**said, CALL: uuid4().hex}))


def _said_key(keys: Keys, letter_id: str) -> str:
    return f"{keys.kombu_prefix}{keys.prefix}letter:{letter_id}"


def _rows(client: Client, keys: Keys, letter_id: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
    try:
        return list(client.xrange(keys.dead_letters, min=letter_id, max=letter_id, count=1))
    except redis.ResponseError:
        return []  # not an id of a stream


def _dead_letter(letter_id: bytes, fields: dict[bytes, bytes]) -> DeadLetter:
    name = letter_id.decode()
    text: dict[str, Any] = {
        key: fields.get(key.encode(), b"").decode(errors="replace") for key in ("queue", "reason", "detail")
    }
    at = datetime.fromtimestamp(int(name.split("-")[0]) / 1000, UTC)
    return DeadLetter(id=name, at=at, entry=fields.get(b"entry", b""), **text)
