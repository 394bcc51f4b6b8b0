"""Readers of events for programs with asyncio: from a position, or as a consumer of a group."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, Self, TypeVar

from redis.asyncio import Redis
from redis.asyncio.sentinel import Sentinel
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from sfmc_import.events.asking import BATCH, BLOCK_MS, NOW, PARSED, Asking, Command, Membership, Position, stream_of
from sfmc_import.events.readers import is_never, pause_after, position_of, positions, unavailable
from sfmc_import.events.typed import ImportEvent, Read
from sfmc_import.redis_address import RedisAddress, checked_address
from sfmc_import.redis_client import ANSWER_SECONDS, CONNECT_SECONDS, SENTINEL_TIMES
from sfmc_import.request import DEFAULT_PREFIX

T = TypeVar("T")
COMMAND_SECONDS = CONNECT_SECONDS + ANSWER_SECONDS
"""One command with all its parts."""


def _connect(address: RedisAddress) -> Any:
    options: dict[str, Any] = {
        "socket_timeout": ANSWER_SECONDS,
        "socket_connect_timeout": CONNECT_SECONDS,
        "username": address.username,
        "password": address.password,
        "db": address.db,
        **({"ssl": True, **address.tls.arguments} if address.tls else {}),
    }
    if address.scheme == "sentinel":
        inner = {**SENTINEL_TIMES, **address.sentinel_arguments}
        sentinel = Sentinel(list(address.hosts), sentinel_kwargs=inner)  # type: ignore[no-untyped-call]
        return sentinel.master_for(address.master_name or "", **options)
    if address.scheme == "unix":
        return Redis(unix_socket_path=address.path, **options)
    host, port = address.hosts[0]
    return Redis(host=host, port=port, **options)


async def _execute(client: Any, command: Command) -> Any:
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            return await client.execute_command(*command, **PARSED.get(command[0], {}))
    except TimeoutError:
        raise RedisTimeoutError("Timeout reading from socket") from None


async def run(client: Any, asking: Asking[T]) -> T:
    """Carry out the commands of a question, each within one deadline."""
    answer: Any = None
    error: RedisError | None = None
    try:
        while True:
            command = asking.send(answer) if error is None else asking.throw(error)
            try:
                answer, error = await _execute(client, command), None
            except RedisError as raised:
                answer, error = None, raised
    except StopIteration as end:
        found: T = end.value
        return found


class _Connected:
    """A connection to the stream; it opens on first use."""

    def __init__(self, redis_url: str | RedisAddress, client: Any = None) -> None:
        self._address = checked_address(redis_url) if isinstance(redis_url, str) else redis_url
        self._client: Any = client or _connect(self._address)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def _ask(self, asking: Asking[T]) -> T:
        try:
            return await run(self._client, asking)
        except RedisError as error:
            raise unavailable(error, self._address) from error

    async def _insist(self, asking: Callable[[], Asking[T]], over: Callable[[], bool]) -> T | None:
        failures = 0
        while not over():
            try:
                return await run(self._client, asking())
            except RedisError as error:
                failures += 1
                wait = pause_after(error, failures, self._address)
            await asyncio.sleep(wait)
        return None

    async def _patiently(
        self, asking: Callable[[], Asking[list[Read]]], over: Callable[[], bool]
    ) -> AsyncIterator[Read]:
        while not over():
            for each in await self._insist(asking, over) or ():
                yield each


class AsyncEventReader(_Connected):
    """Reads events from a position; see EventReader."""

    def __init__(self, redis_url: str | RedisAddress, *, prefix: str = DEFAULT_PREFIX, client: Any = None) -> None:
        super().__init__(redis_url, client)
        self._stream = stream_of(prefix)
        self._given: str | None = None

    @property
    def position(self) -> str | None:
        """The id up to which events were given: the next `read` from there misses none."""
        return self._given

    async def read(
        self, start: str | datetime = NOW, *, follow: bool = True, until: Callable[[], bool] = is_never
    ) -> AsyncIterator[Read]:
        """Yield events, and a Gap where some are gone; see EventReader.read."""
        at = Position(self._stream, start)
        if follow:
            async for found in self._patiently(lambda: at.next(BLOCK_MS), until):
                self._given = position_of(found)
                yield found
            return
        while batch := await self._ask(at.next(None)):
            for found in batch:
                self._given = position_of(found)
                yield found


class AsyncEventGroup(_Connected):
    """A consumer of a group; see EventGroup."""

    def __init__(
        self,
        redis_url: str | RedisAddress,
        group: str,
        *,
        prefix: str = DEFAULT_PREFIX,
        start: str = NOW,
        claim_after: float = 60.0,
        max_deliveries: int = 10,
        client: Any = None,
    ) -> None:
        super().__init__(redis_url, client)
        self._member = Membership(stream_of(prefix), group, start, claim_after, max_deliveries)

    async def __aexit__(self, *_: object) -> None:
        with suppress(RedisError):
            await run(self._client, self._member.leave())
        await self.close()

    async def join(self) -> None:
        """Create the group now; see EventGroup.join."""
        await self._ask(self._member.join())

    async def receive(self, count: int = BATCH, *, block_ms: int | None = BLOCK_MS) -> list[Read]:
        """Give what there is, or wait for it up to `block_ms`; what another consumer left comes first."""
        return await self._ask(self._member.receive(count, block_ms))

    async def acknowledge(self, *events: Read) -> None:
        """Say that these are handled."""
        await self._ask(self._member.acknowledge(positions(events)))

    async def keep(self, *events: Read) -> None:
        """Say that these are being handled still, so that no other consumer is given them."""
        await self._ask(self._member.keep(positions(events)))

    async def set_aside(self, event: ImportEvent, reason: str) -> None:
        """Keep an event that cannot be handled for a person to see, and acknowledge it."""
        await self._ask(self._member.set_aside(event.position, event.cloud_event, reason))

    async def read(self, *, until: Callable[[], bool] = is_never) -> AsyncIterator[Read]:
        """Yield events; each is acknowledged when the next one is asked for; see EventGroup.read."""
        async for found in self._patiently(lambda: self._member.receive(1, BLOCK_MS), until):
            yield found
            if isinstance(found, ImportEvent):
                await self._acknowledge(found.position)

    async def _acknowledge(self, position: str) -> None:
        await self._insist(lambda: self._member.acknowledge([position]), is_never)
