"""Definitions as one process read them, for all processes of an account; every time is one of the clock of Redis.

These keys lie beside the ledger, not in it: who may only submit can neither read nor write them.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
import structlog
from redis import Redis
from redis.exceptions import NoPermissionError, RedisError

from sfmc_import.ledger.key_kinds import REFRESHED, SHARED
from sfmc_import.ledger.keys import Keys
from sfmc_import.redis_client import CommandClient, piped
from sfmc_import.request import is_spelling_of
from sfmc_import.runs import Definition

MAX_BYTES = 16_384
"""Of one definition; usual ones have 400."""
MAX_LISTED = 500
"""A longer list of all definitions is not shared: who needs one of them asks for it."""
MAX_MARKS = 200
"""So many single definitions are noted as outdated; beyond that their business unit is."""
MARKS_SECONDS = 1.0
"""How long a process may not know that somebody asked to read definitions again."""
MARKS_TTL_SECONDS = 86_400.0
"""No definition is kept longer, whatever the settings say."""
AWAY_SECONDS = 30.0
"""How long nothing is shared after Redis did not answer."""

_TEXTS = ("customer_key", "name", "object_id", "file_spec", "update_type", "destination", "location")
_NUMBERS = ("max_import_frequency", "max_file_age", "max_file_age_offset")
_NAMES = {*_TEXTS, *_NUMBERS}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """What was found, and the time of Redis when it was looked for, in ms; None where Redis did not say."""

    definition: Definition | None = None
    now: int | None = None


class SharedDefinitions:
    """Implements sfmc_import.definitions.Shared; safe for threads. Trouble with Redis is no error: nothing is shared.

    `clock` is CLOCK_BOOTTIME, on which `asked_at` counts; `ttl` in seconds is how long a definition is kept.
    """

    def __init__(self, client: Redis, keys: Keys, *, ttl: float, clock: Callable[[], float]) -> None:
        self._client: Any = client
        self._keys = keys
        self._ttl = min(ttl, MARKS_TTL_SECONDS)
        self._clock = clock
        self._away_until = float("-inf")
        self._marks: Mapping[str, float] = {}
        self._marks_at = float("-inf")
        self._reading = threading.Lock()

    def look(self, mid: str, customer_key: str, max_age: float) -> Look:
        """Give a definition that another process asked for at most `max_age` seconds ago."""
        called = self._clock()
        name, marks = self._keys.name_of(SHARED, mid, customer_key), self._keys.name_of(REFRESHED)
        found = self._do(("TIME",), ("GET", name), ("HMGET", marks, mid, _field(mid, customer_key)))
        if found is None:
            return Look()
        time, text, outdated = found
        now = _milliseconds(time)
        read = None if text is None else _read(text, customer_key)
        if read is None:
            return Look(None, now)
        definition, at = read
        # No process asks in the future: the clock of Redis was set back, and the age is not known.
        is_valid = at <= now and all(mark is None or at > int(mark) for mark in outdated)
        age = (now - at) / 1000
        fits = is_valid and age <= min(max_age, self._ttl)
        # `called` is before the time that Redis said, so no answer seems younger than it is.
        return Look(replace(definition, asked_at=called - age) if fits else None, now)

    def now(self) -> int | None:
        """Give the time of Redis in ms, to say later when something was asked for."""
        found = self._do(("TIME",))
        return None if found is None else _milliseconds(found[0])

    def share(self, mid: str, asked_for: Mapping[str, Definition], asked_at: int) -> None:
        """Keep definitions by the CustomerKeys that they were asked for, before which Redis said `asked_at`."""
        texts = {
            self._keys.name_of(SHARED, mid, key): _written(definition, asked_at)
            for each, definition in asked_for.items()
            for key in {each, definition.customer_key}
        }
        life = round(self._ttl * 1000)
        self._do(*(("SET", name, text, "PX", life) for name, text in texts.items()))

    def share_all(self, mid: str, found: Sequence[Definition], asked_at: int) -> None:
        """Keep the list of all definitions, unless it is long."""
        if 0 < len(found) <= MAX_LISTED:
            self.share(mid, {each.customer_key: each for each in found}, asked_at)

    def forget(self, mid: str, customer_key: str) -> None:
        """Let no process take what was read before: the service refused it."""
        name = self._keys.name_of(SHARED, mid, customer_key)
        self._do(("DEL", name))

    def is_outdated(self, mid: str, customer_key: str, asked_at: float) -> bool:
        """Tell whether somebody asked to read it again after this time, on CLOCK_BOOTTIME."""
        if self._clock() - self._marks_at > MARKS_SECONDS and self._reading.acquire(blocking=False):
            try:
                self._read_marks()
            finally:
                self._reading.release()
        marks = (self._marks.get(name) for name in (mid, _field(mid, customer_key)))
        return any(mark is not None and asked_at <= mark for mark in marks)

    def refresh(self, mid: str, customer_key: str | None) -> None:
        """Let every process read a definition again, or all of a business unit; raises RedisError."""
        marks = self._keys.name_of(REFRESHED)
        now = _milliseconds(self._client.time())
        is_whole = customer_key is None or self._client.hlen(marks) >= MAX_MARKS
        with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(marks, mid if is_whole or customer_key is None else _field(mid, customer_key), now)
            pipe.pexpire(marks, round(MARKS_TTL_SECONDS * 1000))
            if customer_key is not None:
                pipe.delete(self._keys.name_of(SHARED, mid, customer_key))
            pipe.execute()

    def _read_marks(self) -> None:
        name = self._keys.name_of(REFRESHED)
        found = self._do(("TIME",), ("HGETALL", name))
        after = self._clock()
        self._marks_at = after
        if found is not None:
            now = _milliseconds(found[0])
            # `after` is later than the time that Redis said, so a mark is never too early.
            self._marks = {each.decode(): after - (now - int(at)) / 1000 for each, at in found[1].items()}

    def _do(self, *commands: tuple[str | bytes | int, ...]) -> list[Any] | None:
        """Carry out commands in one round trip; None where Redis does not answer, or gives no right."""
        if self._clock() < self._away_until:
            return None
        try:
            is_ours = isinstance(self._client, CommandClient)
            return self._client.together(commands) if is_ours else piped(self._client, commands)
        except NoPermissionError:
            self._away_until = float("inf")
            log.info("definitions_not_shared", detail="the user of Redis has no right to; see redis.md")
        except RedisError as error:
            self._away_until = self._clock() + AWAY_SECONDS
            log.warning("definitions_not_shared", error=type(error).__name__)
        return None


def _field(mid: str, customer_key: str) -> str:
    return f"{mid}:{customer_key}"


def _milliseconds(time: tuple[int, int]) -> int:
    return int(time[0]) * 1000 + int(time[1]) // 1000


def _written(definition: Definition, asked_at: int) -> bytes:
    values = {name: getattr(definition, name) for name in sorted(_NAMES)}
    return orjson.dumps({"at": asked_at, "definition": values})


def _read(text: bytes, customer_key: str) -> tuple[Definition, int] | None:
    """Read what another process wrote; None for what cannot be the answer to this question."""
    try:
        said = orjson.loads(text) if len(text) <= MAX_BYTES else None
    except orjson.JSONDecodeError:
        said = None
    values = said.get("definition") if isinstance(said, dict) else None
    at = said.get("at") if isinstance(said, dict) else None
    if not (isinstance(at, int) and isinstance(values, dict) and values.keys() == _NAMES and _has_types(values)):
        log.warning("shared_definition_unreadable", customer_key=customer_key)
        return None
    definition = Definition(**values)
    return (definition, at) if is_spelling_of(definition.customer_key, customer_key) else None


def _has_types(values: Mapping[str, Any]) -> bool:
    texts = all(values[name] is None or isinstance(values[name], str) for name in _TEXTS)
    numbers = all(values[name] is None or type(values[name]) is int for name in _NUMBERS)
    return texts and numbers and bool(values["customer_key"])
