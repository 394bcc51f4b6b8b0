"""Keeps what was posted until its files are delivered: a Redis stream of the ledger for each source with content."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import RedisError

from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.ledger_settings import Durability
from sfmc_producers.submitter import InvalidRequest

GROUP = "sfmc-import"
FIELD = "event"

MOST_EVENTS = 100_000
"""Events that may wait: with more of them senders are asked to come later, so that nothing that was taken is lost."""

MOST_BYTES = 16_384
"""The longest event that is kept: an event that names a file has a tenth of it."""

ALIVE_SECONDS = 60.0
"""A producer asks for events every few seconds, also while it delivers: one that is silent for longer has ended."""

FULL = "as many events as may wait for their producer"
NOT_CONFIRMED = "disk or replicas of Redis have not confirmed the events in time"
TOO_LONG = f"an event that names a file has more than {MOST_BYTES} bytes"


class Inbox:
    """The events of one source; `redis` is that of the ledger. What it takes stays until its file is handled.

    With `durability` it takes events only when disk or replicas have them.
    """

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        source: str,
        most: int = MOST_EVENTS,
        alive: float = ALIVE_SECONDS,
        durability: Durability | None = None,
    ) -> None:
        self._redis: Any = redis
        self._durability, self._is_confirmed = durability or Durability(), True
        self._log = structlog.get_logger("sfmc_producers.push").bind(source=source)
        self.key, self._most, self._alive = keys.inbox(source), most, alive
        self.outage = ""
        """Why events were not kept when that was tried last, in words."""

    def add(self, bodies: Sequence[bytes]) -> list[bool | InvalidRequest]:
        """Keep events, all of them in one transaction; False: not now. InvalidRequest: never."""
        fitting = [each for each in bodies if len(each) <= MOST_BYTES]
        is_kept = not fitting or self._keep(fitting)
        return [is_kept if len(each) <= MOST_BYTES else InvalidRequest(problems=(TOO_LONG,)) for each in bodies]

    def unread_seconds(self) -> float | None:
        """Say for how long the oldest event has waited that no living producer has; None without one or without Redis.

        A producer lives that has asked for events within `alive` seconds; it takes over what others left.
        """
        try:
            entries = self._redis.xrange(self.key, f"({self._taken_up_to()}", "+", count=1)
            seconds, microseconds = self._redis.time()
        except RedisError:
            return None
        if not entries:
            return None
        return float(seconds) + float(microseconds) / 1e6 - int(entries[0][0].partition(b"-")[0]) / 1000

    def _taken_up_to(self) -> str:
        groups = self._redis.xinfo_groups(self.key) if self._redis.xlen(self.key) else []
        for group in groups:
            if group["name"] == GROUP.encode():
                idle = [each["idle"] for each in self._redis.xinfo_consumers(self.key, GROUP)]
                if idle and min(idle) < self._alive * 1000:
                    return str(group["last-delivered-id"].decode())
        return "0-0"

    def _keep(self, bodies: Sequence[bytes]) -> bool:
        try:
            is_full = self._redis.xlen(self.key) + len(bodies) > self._most
            is_kept = not is_full and self._add_all(bodies)
        except RedisError as error:
            self.outage = f"Redis does not keep the events: {error}"
            return False
        self.outage = "" if is_kept else FULL if is_full else NOT_CONFIRMED
        return is_kept

    def ask_anew(self) -> None:
        """Look whether events would be kept again, once the Redis of the ledger confirms what is written."""
        with suppress(RedisError):
            if self.outage == NOT_CONFIRMED or (self.outage == FULL and self._redis.xlen(self.key) < self._most):
                self.outage = ""

    def _add_all(self, bodies: Sequence[bytes]) -> bool:
        """Add events; what is not confirmed is posted again, and known by what it says when both are read."""
        wait = self._durability.barrier
        with self._redis.pipeline(transaction=wait is None) as pipeline:
            if wait is None:
                self._queue(pipeline, bodies)
                pipeline.execute()
                return True
            # Behind the transaction: within it nothing waits.
            pipeline.execute_command("MULTI")
            self._queue(pipeline, bodies)
            pipeline.execute_command("EXEC")
            pipeline.execute_command(*wait)
            *_, added, answer = pipeline.execute()
        if any(isinstance(each, Exception) for each in added):
            return False
        return self._say_confirmed(is_confirmed=self._durability.is_met(answer))

    def _queue(self, pipeline: Any, bodies: Sequence[bytes]) -> None:
        for each in bodies:
            pipeline.xadd(self.key, {FIELD: each})

    def _say_confirmed(self, *, is_confirmed: bool) -> bool:
        if self._is_confirmed and not is_confirmed:
            self._log.error("inbox_not_confirmed", action="waiting")
        self._is_confirmed = is_confirmed
        return is_confirmed
