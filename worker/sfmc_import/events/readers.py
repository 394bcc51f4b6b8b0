"""Readers of events for programs with threads: from a position, or as a consumer of a group."""

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any, Self, TypeVar

from redis import Redis
from redis.exceptions import RedisError

from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.events.asking import BATCH, BLOCK_MS, NOW, PARSED, Asking, Membership, Position, stream_of
from sfmc_import.events.typed import ImportEvent, Read
from sfmc_import.redis_address import RedisAddress, checked_address
from sfmc_import.redis_client import connect
from sfmc_import.redis_errors import trouble
from sfmc_import.request import DEFAULT_PREFIX
from sfmc_import.retrying import CONNECT

T = TypeVar("T")
Never = Callable[[], bool]

# Stdlib logging, as of the client: these run in programs of others.
log = logging.getLogger("sfmc_import.events")


def unavailable(error: BaseException, address: RedisAddress) -> ServiceUnavailableError:
    """Say what is wrong with Redis and what to do."""
    return trouble(error, address, "redis_url").as_error()


def is_never() -> bool:
    """Say no: a reader without an end."""
    return False


class _Connected:
    """A connection to the stream; each command has one deadline."""

    def __init__(self, redis_url: str | RedisAddress, client: Redis | None = None) -> None:
        self._address = checked_address(redis_url) if isinstance(redis_url, str) else redis_url
        self._client: Any = client or connect(self._address, retries=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _ask(self, asking: Asking[T]) -> T:
        """Carry out what is asked for; raises ServiceUnavailableError."""
        try:
            return run(self._client, asking)
        except RedisError as error:
            raise unavailable(error, self._address) from error

    def _insist(self, asking: Callable[[], Asking[T]], over: Never) -> T | None:
        """Ask until there is an answer, or until `over`; raises ServiceUnavailableError when waiting cannot help."""
        failures = 0
        while not over():
            try:
                return run(self._client, asking())
            except RedisError as error:
                failures += 1
                wait = pause_after(error, failures, self._address)
            time.sleep(wait)
        return None

    def _patiently(self, asking: Callable[[], Asking[list[Read]]], over: Never) -> Iterator[Read]:
        """Yield what comes until `over`; an outage is waited for."""
        while not over():
            yield from self._insist(asking, over) or ()


def pause_after(
    error: RedisError, failures: int, address: RedisAddress, chance: Callable[[], float] = random.random
) -> float:
    """Give the seconds to wait after so many failures in a row; raises ServiceUnavailableError when it is no use."""
    if trouble(error, address, "redis_url").lasts:
        raise unavailable(error, address) from error
    if failures == 1:
        log.warning("events cannot be read now (%s); tried again", error, extra={"event": "events_unreachable"})
    return CONNECT.pause(failures, chance())


def run(client: Any, asking: Asking[T]) -> T:
    """Carry out the commands of a question."""
    answer: Any = None
    error: RedisError | None = None
    try:
        while True:
            command = asking.send(answer) if error is None else asking.throw(error)
            try:
                answer, error = client.execute_command(*command, **PARSED.get(command[0], {})), None
            except RedisError as raised:
                answer, error = None, raised
    except StopIteration as end:
        found: T = end.value
        return found


class EventReader(_Connected):
    """Reads events from a position; a program that keeps `position` goes on there after a restart.

    `redis_url` is a redis://, rediss://, unix:// or sentinel:// address, `prefix` the SFMC_PREFIX of the workers. A
    reader is used by one thread. Raises ValueError for an address that cannot be read.
    """

    def __init__(
        self, redis_url: str | RedisAddress, *, prefix: str = DEFAULT_PREFIX, client: Redis | None = None
    ) -> None:
        super().__init__(redis_url, client)
        self._stream = stream_of(prefix)

    @property
    def position(self) -> str | None:
        """The id up to which events were given: the next `read` from there misses none."""
        return self._given

    _given: str | None = None

    def read(
        self, start: str | datetime = NOW, *, follow: bool = True, until: Callable[[], bool] = is_never
    ) -> Iterator[Read]:
        """Yield events, and a Gap where some are gone: from `$` (now), `0` (the first), after an id, or since a time.

        With `follow` it waits for more, also through an outage of Redis, until `until` says yes (asked every two
        seconds); without, it ends at the newest event. Raises ServiceUnavailableError when Redis refuses, or without
        `follow` does not answer, and ValueError for another start.
        """
        at = Position(self._stream, start)
        if not follow:
            yield from self._up_to_now(at)
            return
        for found in self._patiently(lambda: at.next(BLOCK_MS), until):
            self._given = position_of(found)
            yield found

    def _up_to_now(self, at: Position) -> Iterator[Read]:
        while found := self._ask(at.next(None)):
            for each in found:
                self._given = position_of(each)
                yield each


def position_of(read: Read) -> str:
    """Give the position after which a reader goes on that has handled this."""
    return read.position if isinstance(read, ImportEvent) else read.after


class EventGroup(_Connected):
    """A consumer of a group: each event goes to one of its consumers, and again to another until it is acknowledged.

    A group that is new begins at `start`: `$`, `0` or an id. What a consumer has held for `claim_after` seconds is
    given to another one; what was delivered more than `max_deliveries` times is set aside and given no more. The same
    event may come twice: `id` says so.
    """

    def __init__(
        self,
        redis_url: str | RedisAddress,
        group: str,
        *,
        prefix: str = DEFAULT_PREFIX,
        start: str = NOW,
        claim_after: float = 60.0,
        max_deliveries: int = 10,
        client: Redis | None = None,
    ) -> None:
        super().__init__(redis_url, client)
        self._member = Membership(stream_of(prefix), group, start, claim_after, max_deliveries)

    def __exit__(self, *_: object) -> None:
        with suppress(RedisError):
            run(self._client, self._member.leave())
        self.close()

    def join(self) -> None:
        """Create the group now: what happens from here on is not missed, though nothing is received yet."""
        self._ask(self._member.join())

    def receive(self, count: int = BATCH, *, block_ms: int | None = BLOCK_MS) -> list[Read]:
        """Give what there is, or wait for it up to `block_ms`; what another consumer left comes first."""
        return self._ask(self._member.receive(count, block_ms))

    def acknowledge(self, *events: Read) -> None:
        """Say that these are handled."""
        self._ask(self._member.acknowledge(positions(events)))

    def keep(self, *events: Read) -> None:
        """Say that these are being handled still, so that no other consumer is given them."""
        self._ask(self._member.keep(positions(events)))

    def set_aside(self, event: ImportEvent, reason: str) -> None:
        """Keep an event that cannot be handled for a person to see, and acknowledge it; the newest 1,000 are kept."""
        self._ask(self._member.set_aside(event.position, event.cloud_event, reason))

    def read(self, *, until: Callable[[], bool] = is_never) -> Iterator[Read]:
        """Yield events; each is acknowledged when the next one is asked for, so when its handling was no error.

        An outage of Redis is waited for. Raises ServiceUnavailableError when Redis refuses.
        """
        for found in self._patiently(lambda: self._member.receive(1, BLOCK_MS), until):
            yield found
            if isinstance(found, ImportEvent):
                self._acknowledge(found.position)

    def _acknowledge(self, position: str) -> None:
        self._insist(lambda: self._member.acknowledge([position]), is_never)


def positions(events: tuple[Read, ...]) -> list[str]:
    """Give the positions of events; a gap has none."""
    return [each.position for each in events if isinstance(each, ImportEvent)]
