"""Sends commands on one connection that stays taken: to take one from a pool for each costs more than the command."""

import threading
from collections.abc import Sequence
from typing import Any

import redis
from redis.exceptions import NoScriptError
from redis.sentinel import SentinelConnectionPool

Command = Sequence[bytes | str | int | float]


class KeptConnection:
    """A connection of a pool, made on first use and kept; its pool closes it."""

    def __init__(self, pool: redis.ConnectionPool) -> None:
        self._pool: Any = pool
        self._connection: Any = None
        self._using = threading.Lock()
        # Where logins change, a pool logs in anew when it gives a connection out; one of Sentinel leaves an old primary
        # as soon as one connection has found the new one.
        is_plain = pool.connection_kwargs.get("credential_provider") is None
        self._is_usable = is_plain and not isinstance(pool, SentinelConnectionPool)

    def ask(self, *commands: Command) -> list[Any] | None:
        """Send commands in one round trip and give their answers; raises the first error that is among them.

        None where another thread uses it, where the connection had ended, or where the server does not know a script:
        then ask by other means. Only for commands that may be carried out twice.
        """
        if not self._is_usable or not self._using.acquire(blocking=False):
            return None
        try:
            return self._asked(commands)
        except (redis.ConnectionError, NoScriptError):
            return None
        finally:
            self._using.release()

    def _asked(self, commands: Sequence[Command]) -> list[Any]:
        connection = self._connection = self._connection or self._pool.get_connection()
        try:
            connection.send_packed_command(connection.pack_commands(commands))
            answers = [_answer(connection) for _ in commands]
        except BaseException:
            # An answer that was not read would be taken for that of the next command.
            connection.disconnect()
            raise
        for answer in answers:
            if isinstance(answer, redis.ResponseError):
                raise answer
        return answers


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error
