"""Keeps what was posted until its files are delivered: a Redis stream of the ledger for each source with content."""

from collections.abc import Sequence
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from sfmc_import.ledger.keys import Keys
from sfmc_producers.submitter import InvalidRequest

GROUP = "sfmc-import"
FIELD = "event"

MOST_EVENTS = 100_000
"""Events that may wait: with more of them senders are asked to come later, so that nothing that was taken is lost."""

MOST_BYTES = 16_384
"""The longest event that is kept: an event that names a file has a tenth of it."""

TOO_LONG = f"an event that names a file has more than {MOST_BYTES} bytes"


class Inbox:
    """The events of one source; `redis` is that of the ledger. What it takes stays until its file is handled."""

    def __init__(self, redis: Redis, keys: Keys, source: str, most: int = MOST_EVENTS) -> None:
        self._redis: Any = redis
        self.key, self._most = keys.inbox(source), most

    def add(self, bodies: Sequence[bytes]) -> list[bool | InvalidRequest]:
        """Keep events, all of them in one transaction; False: not now. InvalidRequest: never."""
        fitting = [each for each in bodies if len(each) <= MOST_BYTES]
        is_kept = not fitting or self._keep(fitting)
        return [is_kept if len(each) <= MOST_BYTES else InvalidRequest(problems=(TOO_LONG,)) for each in bodies]

    def unread_seconds(self) -> float | None:
        """Say for how long the oldest event has waited that no producer took up; None without one, or without Redis."""
        try:
            groups = {each["name"]: each for each in self._redis.xinfo_groups(self.key)} if self._exists() else {}
            last = groups.get(GROUP.encode(), {}).get("last-delivered-id", b"0-0")
            entries = self._redis.xrange(self.key, f"({last.decode()}", "+", count=1)
            seconds, microseconds = self._redis.time()
        except RedisError:
            return None
        if not entries:
            return None
        return float(seconds) + float(microseconds) / 1e6 - int(entries[0][0].partition(b"-")[0]) / 1000

    def _exists(self) -> bool:
        return bool(self._redis.xlen(self.key))

    def _keep(self, bodies: Sequence[bytes]) -> bool:
        try:
            if self._redis.xlen(self.key) + len(bodies) > self._most:
                return False
            with self._redis.pipeline(transaction=True) as pipeline:
                for each in bodies:
                    pipeline.xadd(self.key, {FIELD: each})
                pipeline.execute()
        except RedisError:
            return False
        return True
