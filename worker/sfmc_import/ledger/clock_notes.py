"""Notes in the ledger which processes have a clock that differs from that of Redis."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from redis import Redis

from sfmc_import.ledger.arguments import milliseconds
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.ledger_settings import WATCH_SECONDS
from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.ledger.watching_keys import CLOCKS, is_old_clock
from sfmc_import.redis_clock import RedisClock, compared, named


@contextmanager
def compared_with(client: Redis, keys: Keys, kind: str) -> Iterator[None]:
    """Compare the clock of this process of a kind with that of Redis meanwhile."""
    notes = ClockNotes(client, keys)
    with compared(RedisClock(LedgerReader(client, keys).now), partial(notes.note, named(kind))):
        yield


class ClockNotes:
    """What processes say of their clocks; raises LedgerUnavailableError."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client: Any = client
        self._name = keys.name_of(CLOCKS)

    def note(self, process: str, ahead: float | None) -> None:
        """Note by how many seconds the clock of a process is ahead; None: it agrees, or the process ends."""
        with redis_errors():
            if ahead is None:
                self._client.hdel(self._name, process)
                return
            seconds, micros = self._client.time()
            self._forget(seconds + micros / 1e6)
            pipe = self._client.pipeline(transaction=False)
            pipe.hset(self._name, process, f"{seconds * 1000 + micros // 1000} {round(ahead * 1000)}")
            pipe.pexpire(self._name, milliseconds(WATCH_SECONDS))
            pipe.execute()

    def _forget(self, now: float) -> None:
        """Remove what a process said last long ago: it has ended."""
        said = self._client.hgetall(self._name)
        old = [process for process, text in said.items() if is_old_clock(text, now)]
        if old:
            self._client.hdel(self._name, *old)
