"""Definitions as last read, by key and by business unit, in the memory of one process."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf

import structlog

from sfmc_import.faults import ABSENT, NotApplied, Rejected
from sfmc_import.file_format import FileDescription
from sfmc_import.ports import Describing, MarketingCloud, Refusal
from sfmc_import.retrying import REFUSAL_SECONDS
from sfmc_import.runs import Definition, FileLocation

MAX_KEPT = 10_000
OUTAGE_TTL = 30.0
"""How long the list of all definitions is given on, whatever its age, after it could not be read."""

Answer = Definition | Sequence[Definition] | FileDescription | FileLocation | Refusal
Name = tuple[str, str, str]
"""Business unit, and either "key", "file" or "location" and the CustomerKey, "object" and the ObjectID, or "all"."""

log = structlog.get_logger("sfmc_import.definitions")


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """An answer, the time when it was asked for and the time until which it may be given again."""

    answer: Answer
    asked_at: float
    until: float

    def is_fresh(self, now: float, max_age: float) -> bool:
        """Tell whether the answer may be given again to somebody who wants none older than `max_age` seconds."""
        return now < self.until and now - self.asked_at <= max_age


class CachedDefinitions:
    """Implements sfmc_import.ports.Definitions; safe for threads, and one thread asks while others wait for its answer.

    `ttl` is how long an answer is kept, in seconds; that there is no such definition for REFUSAL_SECONDS, to break a
    flood of requests for it. Another refusal is shared by those who wait for it, not kept. `clock` is CLOCK_BOOTTIME.
    A thread waits at most `longest_wait` seconds for the answer of another.
    """

    def __init__(
        self,
        service: MarketingCloud,
        *,
        describing: Describing | None = None,
        ttl: float,
        clock: Callable[[], float],
        longest_wait: float = 60.0,
    ) -> None:
        self._service = service
        self._describing = describing
        self._ttl = ttl
        self._clock = clock
        self._kept: dict[Name, CacheEntry] = {}
        self._longest_wait = longest_wait
        # Only while they are asked for: one definition that hangs must not hold another, nor leave a lock behind.
        self._asking: dict[Name, threading.Lock] = {}

    def get(
        self, mid: str, customer_key: str, *, object_id: str | None = None, max_age: float = inf
    ) -> Definition | Refusal:
        """See sfmc_import.ports.Definitions.get."""

        def ask(_: Answer | None) -> Definition | Refusal:
            if object_id is not None:
                found = self._service.definition_of_object(mid, object_id)
            else:
                found = self._service.definition(mid, customer_key)
            return Rejected(*_absent(mid, customer_key, object_id)) if found is None else found

        answer: Definition | Refusal = self._answer(  # type: ignore[assignment]
            _name(mid, customer_key, object_id), ask, max_age
        )
        return answer

    def known(self, mid: str, customer_key: str) -> Definition | None:
        """See sfmc_import.ports.Definitions.known."""
        kept = self._kept.get(_name(mid, customer_key, None))
        fresh = kept is not None and kept.is_fresh(self._clock(), inf)
        return kept.answer if fresh and kept is not None and isinstance(kept.answer, Definition) else None

    def description(self, mid: str, customer_key: str) -> FileDescription | Refusal:
        """Say what the file of a definition should look like, from memory or from Marketing Cloud."""

        def ask(_: Answer | None) -> FileDescription | Refusal:
            found = self._describing and self._describing.description(mid, customer_key)
            return found or Rejected(*_absent(mid, customer_key, None))

        answer: FileDescription | Refusal = self._answer(  # type: ignore[assignment]
            (mid, "file", customer_key), ask, inf
        )
        return answer

    def location(self, mid: str, customer_key: str) -> FileLocation | Refusal:
        """Say from where a definition reads its file, from memory or from Marketing Cloud."""

        def ask(_: Answer | None) -> FileLocation | Refusal:
            found = self._describing and self._describing.location(mid, customer_key)
            return found or Rejected(*_absent(mid, customer_key, None))

        answer: FileLocation | Refusal = self._answer(  # type: ignore[assignment]
            (mid, "location", customer_key), ask, inf
        )
        return answer

    def all_of(self, mid: str, *, max_age: float = inf) -> Sequence[Definition] | Refusal:
        """Give all definitions of a business unit from memory, if not older than `max_age` seconds, or ask.

        When Marketing Cloud cannot be asked, what was known before is given on for a while, with a warning in the log.
        """
        answer: Sequence[Definition] | Refusal = self._answer(  # type: ignore[assignment]
            (mid, "all", ""), lambda outdated: self._read_all(mid, outdated), max_age
        )
        return answer

    def _read_all(self, mid: str, outdated: Answer | None) -> Answer:
        found = self._service.definitions(mid)
        if not isinstance(found, (NotApplied, Rejected)) or outdated is None:
            return found
        log.warning("definitions_not_refreshed", mid=mid, code=found.code, text=found.text)
        return outdated

    def _answer(self, name: Name, ask: Callable[[Answer | None], Answer], max_age: float) -> Answer:
        called_at, outdated = self._clock(), self._kept.get(name)
        if outdated is not None and outdated.is_fresh(called_at, max_age):
            return outdated.answer
        asking = self._asking.setdefault(name, threading.Lock())
        if not asking.acquire(timeout=self._longest_wait):
            return NotApplied("read_timeout", "another call is still reading this definition")
        try:
            kept = self._kept.get(name)
            # The answer that it waited for may have been asked for before what the caller wants to see.
            is_shared = kept is not None and kept is not outdated and called_at - kept.asked_at <= max_age
            return kept.answer if kept is not None and is_shared else self._ask(name, outdated, ask)
        finally:
            self._asking.pop(name, None)
            asking.release()

    def _ask(self, name: Name, outdated: CacheEntry | None, ask: Callable[[Answer | None], Answer]) -> Answer:
        known = None if outdated is None or _is_refusal(outdated.answer) else outdated.answer
        asked_at = self._clock()
        answer = _dated(ask(known), asked_at)
        if answer is known:
            # It could not be read: for a while no thread tries again, whatever age is wanted.
            asked_at = inf
        entry = CacheEntry(answer, asked_at, self._clock() + self._life(answer, is_outdated=answer is known))
        self._keep(name, entry)
        if isinstance(answer, Definition):
            # Found by its ObjectID or by another spelling: the next question is for the key as it is spelled there.
            self._keep((name[0], "key", answer.customer_key), entry)
        return answer

    def _life(self, answer: Answer, *, is_outdated: bool) -> float:
        if isinstance(answer, Rejected) and answer.code == ABSENT:
            return min(REFUSAL_SECONDS, self._ttl)
        if is_outdated:
            return min(OUTAGE_TTL, self._ttl)
        return 0.0 if _is_refusal(answer) else self._ttl

    def _keep(self, name: Name, kept: CacheEntry) -> None:
        if len(self._kept) >= MAX_KEPT:
            # Rare enough that reading everything anew costs less than keeping an order of use.
            self._kept.clear()
        self._kept[name] = kept


def _name(mid: str, customer_key: str, object_id: str | None) -> Name:
    return (mid, "key", customer_key) if object_id is None else (mid, "object", object_id)


def _absent(mid: str, customer_key: str, object_id: str | None) -> tuple[str, str]:
    named = customer_key if object_id is None else f"with ObjectID {object_id}"
    return ABSENT, f"business unit {mid} has no ImportDefinition {named}"


def _dated(answer: Answer, asked_at: float) -> Answer:
    """Note when an answer was asked for, unless it says that it was asked for before."""
    if isinstance(answer, (Definition, Rejected)) and answer.asked_at is None:
        return replace(answer, asked_at=asked_at)
    return answer


def _is_refusal(answer: Answer) -> bool:
    return isinstance(answer, (NotApplied, Rejected))
