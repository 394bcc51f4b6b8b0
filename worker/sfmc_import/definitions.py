"""Definitions as last read, by key and by business unit, in the memory of one process."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.ports import MarketingCloud, Refusal
from sfmc_import.runs import Definition

# An unknown key may be created any moment: remembered just long enough to break a flood of requests for it.
ABSENT_TTL = 3.0
MAX_KEPT = 10_000

Answer = Definition | Sequence[Definition] | Refusal | None
Name = tuple[str, str, str]
"""Business unit, and either "key" and the CustomerKey, "object" and the ObjectID, or "all"."""

log = structlog.get_logger("sfmc_import.definitions")


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """An answer, the time when it was asked for and the time until which it may be given again."""

    answer: Answer
    asked_at: float
    until: float

    def is_fresh(self, now: float, max_age: float | None) -> bool:
        """Tell whether the answer may be given again to somebody who wants none older than `max_age` seconds."""
        return now < self.until and (max_age is None or now - self.asked_at <= max_age)


class CachedDefinitions:
    """Implements sfmc_import.ports.Definitions; safe for threads, and one thread asks while others wait for its answer.

    `ttl` is how long an answer is kept, in seconds; a refusal is shared by those who wait for it, not kept.
    A thread waits at most `longest_wait` seconds for the answer of another.
    """

    def __init__(
        self,
        service: MarketingCloud,
        *,
        ttl: float,
        clock: Callable[[], float] = time.monotonic,
        longest_wait: float = 60.0,
    ) -> None:
        self._service = service
        self._ttl = ttl
        self._clock = clock
        self._kept: dict[Name, CacheEntry] = {}
        self._longest_wait = longest_wait
        # Only while they are asked for: one definition that hangs must not hold another, nor leave a lock behind.
        self._asking: dict[Name, threading.Lock] = {}

    def get(
        self, mid: str, customer_key: str, *, object_id: str | None = None, max_age: float | None = None
    ) -> Definition | Refusal | None:
        """See sfmc_import.ports.Definitions.get."""

        def ask(_: Answer) -> Definition | Refusal | None:
            if object_id is not None:
                return self._service.definition_of_object(mid, object_id)
            return self._service.definition(mid, customer_key)

        answer: Definition | Refusal | None = self._answer(  # type: ignore[assignment]
            _name(mid, customer_key, object_id), ask, max_age
        )
        return answer

    def known(self, mid: str, customer_key: str, object_id: str | None = None) -> Definition | None:
        """See sfmc_import.ports.Definitions.known."""
        kept = self._kept.get(_name(mid, customer_key, object_id))
        fresh = kept is not None and kept.is_fresh(self._clock(), None)
        return kept.answer if fresh and kept is not None and isinstance(kept.answer, Definition) else None

    def all_of(self, mid: str) -> Sequence[Definition] | Refusal:
        """Give all definitions of a business unit from memory, or ask Marketing Cloud.

        When it cannot be asked, what was known before is given for another `ttl`, with a warning in the log.
        """
        answer: Sequence[Definition] | Refusal = self._answer(  # type: ignore[assignment]
            (mid, "all", ""), lambda outdated: self._read_all(mid, outdated)
        )
        return answer

    def _read_all(self, mid: str, outdated: Answer) -> Answer:
        found = self._service.definitions(mid)
        if not isinstance(found, (NotApplied, Rejected)) or outdated is None:
            return found
        log.warning("definitions_not_refreshed", mid=mid, code=found.code, text=found.text)
        return outdated

    def _answer(self, name: Name, ask: Callable[[Answer], Answer], max_age: float | None = None) -> Answer:
        outdated = self._kept.get(name)
        if outdated is not None and outdated.is_fresh(self._clock(), max_age):
            return outdated.answer
        asking = self._asking.setdefault(name, threading.Lock())
        if not asking.acquire(timeout=self._longest_wait):
            return NotApplied("read_timeout", "another call is still reading this definition")
        try:
            kept = self._kept.get(name)
            return kept.answer if kept is not None and kept is not outdated else self._ask(name, outdated, ask)
        finally:
            self._asking.pop(name, None)
            asking.release()

    def _ask(self, name: Name, outdated: CacheEntry | None, ask: Callable[[Answer], Answer]) -> Answer:
        known = None if outdated is None or _is_refusal(outdated.answer) else outdated.answer
        asked_at = self._clock()
        answer = ask(known)
        entry = CacheEntry(answer, asked_at, self._clock() + self._life(answer))
        self._keep(name, entry)
        if isinstance(answer, Definition):
            # Found by its ObjectID or by another spelling: the next question is for the key as it is spelled there.
            self._keep((name[0], "key", answer.customer_key), entry)
        return answer

    def _life(self, answer: Answer) -> float:
        if answer is None:
            return min(ABSENT_TTL, self._ttl)
        return 0.0 if _is_refusal(answer) else self._ttl

    def _keep(self, name: Name, kept: CacheEntry) -> None:
        if len(self._kept) >= MAX_KEPT:
            # Rare enough that reading everything anew costs less than keeping an order of use.
            self._kept.clear()
        self._kept[name] = kept


def _name(mid: str, customer_key: str, object_id: str | None) -> Name:
    return (mid, "key", customer_key) if object_id is None else (mid, "object", object_id)


def _is_refusal(answer: Answer) -> bool:
    return isinstance(answer, (NotApplied, Rejected))
