"""Opens clients of Redis whose every command has one deadline over all its parts, for redis-py and for kombu."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Self, TypeVar

from redis import Redis
from redis.backoff import AbstractBackoff, ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from redis.sentinel import Sentinel

from sfmc_import.redis_address import RedisAddress
from sfmc_import.retrying import REDIS_COMMAND, REDIS_COMMAND_RETRIES, REDIS_COMMAND_SECONDS

T = TypeVar("T")

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 4.0
SENTINEL_TIMES = {"socket_timeout": 3.0, "socket_connect_timeout": 1.0}
"""Seconds that one Sentinel may be silent: with two that are gone the third is still asked in time."""


class RunningCommand(threading.local):
    """The command that a thread carries out: when it began, and whether a policy of repetition runs already.

    A client and the policies of its connections share one.
    """

    begun: float | None = None
    is_repeated = False

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Stay one: redis-py copies the policy of repetition for each connection."""
        return self

    @contextmanager
    def part(self) -> Iterator[float]:
        """Give when the command began of which this call is a part, or that it begins now."""
        if self.begun is not None:
            yield self.begun
            return
        self.begun = time.monotonic()
        try:
            yield self.begun
        finally:
            self.begun = None

    @contextmanager
    def first_try(self) -> Iterator[None]:
        """Let nothing be repeated within this block: who calls repeats all of it."""
        is_part, self.is_repeated = self.is_repeated, True
        try:
            yield
        finally:
            self.is_repeated = is_part


class CommandRetry(Retry):
    """Repeats a command, and begins no try later than `seconds` after its first.

    redis-py asks the same policy for the command and, within it, for the connection, its greeting and its health
    check: with four tries of each a frozen server would be waited for a minute and longer. Here the outermost repeats.
    """

    __hash__ = Retry.__hash__

    def __init__(self, backoff: AbstractBackoff, retries: int, seconds: float) -> None:
        super().__init__(backoff, retries)
        self._seconds = seconds
        self.command = RunningCommand()

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other) and isinstance(other, CommandRetry) and self._seconds == other._seconds

    def call_with_retry(
        self,
        do: Callable[[], T],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> T:
        """As redis-py's, within the deadline of the command."""
        command = self.command
        with command.part() as begun:
            is_part, command.is_repeated = command.is_repeated, True
            try:
                answer: T = self._repeat(do, fail, is_retryable, with_failure_count, None if is_part else begun)
                return answer
            finally:
                command.is_repeated = is_part

    def _repeat(self, do: Any, fail: Any, is_retryable: Any, counted: bool, begun: float | None) -> Any:
        self._backoff.reset()  # type: ignore[no-untyped-call]
        failures = 0
        while True:
            try:
                return do()
            except self._supported_errors as error:
                if is_retryable and not is_retryable(error):
                    raise
                failures += 1
                fail(*((error, failures) if counted else (error,)))
                pause = self._backoff.compute(failures)
                if begun is None or failures > self._retries or time.monotonic() + pause > begun + self._seconds:
                    raise
                time.sleep(pause)


class CommandClient(Redis):
    """A client that counts the time for taking a connection as part of the command; its `retry` is a CommandRetry.

    With `keeps_connections` it does not take one from the pool for each command, which costs three times the command.
    """

    keeps_connections = False
    _kept: "KeptConnections | None" = None

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """As redis-py's, within one deadline."""
        retry: Any = self.get_retry()
        with retry.command.part():
            if self.keeps_connections:
                with suppress(RedisConnectionError), retry.command.first_try():
                    return self._on_kept([args], options)[0]
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    def together(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Give the answers to commands that are sent in one round trip; raises the first error among them."""
        retry: Any = self.get_retry()
        with retry.command.part():
            if self.keeps_connections:
                with suppress(RedisConnectionError), retry.command.first_try():
                    return self._on_kept(commands, {})
            return piped(self, commands)

    def _on_kept(self, commands: Sequence[tuple[Any, ...]], options: dict[str, Any]) -> list[Any]:
        """Ask on a connection that another command has used; raises ConnectionError where that had ended."""
        kept = self._kept = self._kept or KeptConnections(self.connection_pool)
        with kept.taken() as connection:
            connection.send_packed_command(connection.pack_commands(commands))
            answers = [self._answer(connection, each[0], options) for each in commands]
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise answer
        return answers

    def _answer(self, connection: Any, name: str, options: dict[str, Any]) -> Any:
        try:
            return self.parse_response(connection, name, **options)  # type: ignore[no-untyped-call]
        except ResponseError as error:
            return error


def piped(client: Redis, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Give the answers to commands that are sent in one round trip, with any client of redis-py."""
    with client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)  # type: ignore[no-untyped-call]
        return list(pipe.execute())


class KeptConnections:
    """Connections of a pool that wait for their next command; safe for threads and after a fork."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._process = os.getpid()
        self._idle: deque[Any] = deque()

    @contextmanager
    def taken(self) -> Iterator[Any]:
        """Lend the one that answered last, else one of the pool; one that fails is closed, its pool makes it anew."""
        if self._process != os.getpid():
            # A child must not write into its parent's connections.
            self._process, self._idle = os.getpid(), deque()
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._pool.get_connection()
        try:
            yield connection
        except BaseException:
            # An answer that was not read would be taken for that of the next command.
            connection.disconnect()
            self._pool.release(connection)
            raise
        self._idle.append(connection)


def connect(
    address: RedisAddress,
    *,
    connect_seconds: float = CONNECT_SECONDS,
    answer_seconds: float = ANSWER_SECONDS,
    retries: int = REDIS_COMMAND_RETRIES,
) -> Redis:
    """Open a client that gives bytes; it connects on first use.

    A command whose answer was lost is sent again, so only commands that may run twice can be used:
    every script of the ledger can. A blocking command must block for less than `answer_seconds`.
    A Redis that is silent is an error after `answer_seconds`: it is not asked again within this command.
    """
    options: dict[str, Any] = {
        "socket_timeout": answer_seconds,
        "socket_connect_timeout": connect_seconds,
        "retry": _retry(retries),
        "retry_on_error": [RedisConnectionError, RedisTimeoutError],
        "health_check_interval": 15,
        "username": address.username,
        "password": address.password,
        "db": address.db,
        **({"ssl": True, **address.tls.arguments} if address.tls else {}),
    }
    if address.scheme == "sentinel":
        return _of_sentinel(address, options)
    if address.scheme == "unix":
        return CommandClient(unix_socket_path=address.path, **options)
    host, port = address.hosts[0]
    return CommandClient(host=host, port=port, **options)


def _retry(retries: int) -> CommandRetry:
    backoff = ExponentialWithJitterBackoff(base=REDIS_COMMAND.floor, cap=REDIS_COMMAND.cap)
    return CommandRetry(backoff, retries, REDIS_COMMAND_SECONDS)


def _of_sentinel(address: RedisAddress, options: dict[str, Any]) -> Redis:
    sentinel: Any = Sentinel(list(address.hosts), sentinel_kwargs=_sentinel_options(address))  # type: ignore[no-untyped-call]
    client: Redis = sentinel.master_for(address.master_name or "", redis_class=CommandClient, **options)
    return client


def _sentinel_options(address: RedisAddress) -> dict[str, Any]:
    return {**SENTINEL_TIMES, **address.sentinel_arguments, "retry": CommandRetry(NoBackoff(), 0, 0.0)}


def known_masters(address: RedisAddress) -> frozenset[str] | None:
    """Ask the Sentinels which primaries they know; None if no Sentinel answers."""
    found: frozenset[str] | None = None
    for host, port in address.hosts:
        client: Any = CommandClient(host=host, port=port, **_sentinel_options(address))
        with suppress(RedisError, OSError), client:
            found = (found or frozenset()) | frozenset(client.sentinel_masters())
    return found


def transport_options(address: RedisAddress) -> dict[str, Any]:
    """What kombu wants beside the address: the name of the master, and how to reach the Sentinels."""
    if address.scheme != "sentinel":
        return {}
    return {"master_name": address.master_name, "sentinel_kwargs": _sentinel_options(address)}
