"""Definitions as last read, kept in the memory of one process; how they are read is not known here."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sfmc_import.ports import MarketingCloud, Refusal
from sfmc_import.runs import Definition

# An unknown key may be created any moment: remembered just long enough to break a flood of requests for it.
ABSENT_TTL = 3.0
LOCK_COUNT = 256
MAX_KEPT = 10_000

Answer = Definition | Refusal | None


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """An answer and the time until which it may be given again."""

    answer: Answer
    until: float


class CachedDefinitions:
    """Implements sfmc_import.ports.Definitions; safe for threads, and one thread asks while others wait for its answer.

    `ttl` is how long a definition is kept, in seconds; a refusal is shared by those who wait for it, not kept.
    """

    def __init__(self, service: MarketingCloud, *, ttl: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._ttl = ttl
        self._clock = clock
        self._kept: dict[tuple[str, str], CacheEntry] = {}
        # A fixed number of locks, so that keys that were asked for once leave nothing behind.
        self._asking = [threading.Lock() for _ in range(LOCK_COUNT)]

    def get(self, mid: str, customer_key: str) -> Answer:
        """Give a definition from memory, or ask Marketing Cloud; None when no such key exists."""
        kept = self._kept.get((mid, customer_key))
        if kept is not None and self._clock() < kept.until:
            return kept.answer
        return self._ask((mid, customer_key), kept)

    def _ask(self, name: tuple[str, str], outdated: CacheEntry | None) -> Answer:
        with self._asking[hash(name) % LOCK_COUNT]:
            kept = self._kept.get(name)
            if kept is not None and kept is not outdated:
                return kept.answer
            answer = self._service.definition(*name)
            self._keep(name, CacheEntry(answer, self._clock() + self._life(answer)))
            return answer

    def _life(self, answer: Answer) -> float:
        if answer is None:
            return min(ABSENT_TTL, self._ttl)
        return self._ttl if isinstance(answer, Definition) else 0.0

    def _keep(self, name: tuple[str, str], kept: CacheEntry) -> None:
        if len(self._kept) >= MAX_KEPT:
            # Rare enough that reading everything anew costs less than keeping an order of use.
            self._kept.clear()
        self._kept[name] = kept
