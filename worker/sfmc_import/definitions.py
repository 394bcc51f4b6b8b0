"""Definitions as last read, by key and by business unit, in the memory of one process."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Protocol

import structlog

from sfmc_import.faults import ABSENT, NotApplied, Rejected
from sfmc_import.file_format import FileDescription
from sfmc_import.ports import Describing, MarketingCloud, Refusal
from sfmc_import.retrying import REFUSAL_SECONDS
from sfmc_import.runs import Definition, FileLocation

MAX_KEPT = 10_000
LOOKED_SECONDS = 1.0
"""How long a process does not look again for a definition that no other process has read."""
MAX_LOOKED = 1000
OUTAGE_TTL = 30.0
"""How long the list of all definitions is given on, whatever its age, after it could not be read."""

Answer = Definition | Sequence[Definition] | FileDescription | FileLocation | Refusal
Name = tuple[str, str, str]
"""Business unit, and either "key", "file" or "location" and the CustomerKey, "object" and the ObjectID, or "all"."""

log = structlog.get_logger("sfmc_import.definitions")


class Found(Protocol):
    """What was looked for among the definitions of other processes; see `Shared.look`."""

    @property
    def definition(self) -> Definition | None:
        """It, with the time when it was asked for."""
        ...

    @property
    def now(self) -> int | None:
        """The time of that look on the clock that all processes share, in ms; None where it is not known."""
        ...


class Shared(Protocol):
    """What other processes of the account have read, with its true age; it never raises."""

    def look(self, mid: str, customer_key: str, max_age: float) -> Found:
        """Give a definition that another process asked for at most `max_age` seconds ago."""
        ...

    def now(self) -> int | None:
        """Give the time on the clock that all processes share, in ms."""
        ...

    def share(self, mid: str, asked_for: Mapping[str, Definition], asked_at: int) -> None:
        """Keep definitions by the CustomerKeys that they were asked for, after `asked_at`."""
        ...

    def share_all(self, mid: str, found: Sequence[Definition], asked_at: int) -> None:
        """Keep the list of all definitions."""
        ...

    def forget(self, mid: str, customer_key: str) -> None:
        """Let no process take what was read before."""
        ...

    def is_outdated(self, mid: str, customer_key: str, asked_at: float) -> bool:
        """Tell whether somebody asked after this time to read it again."""
        ...


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """An answer, the time when it was asked for and the time until which it may be given again.

    `asked_at` says for whom it is new enough: infinite where it could not be read anew. `read_at` is the true time.
    """

    answer: Answer
    asked_at: float
    until: float
    read_at: float

    def is_fresh(self, now: float, max_age: float) -> bool:
        """Tell whether the answer may be given again to somebody who wants none older than `max_age` seconds."""
        return now < self.until and now - self.asked_at <= max_age


@dataclass(frozen=True, slots=True)
class ReadList:
    """All definitions of a business unit and the time when this very list was asked for, by `clock`."""

    definitions: Sequence[Definition]
    asked_at: float
    clock: Callable[[], float]

    def age(self) -> float:
        """Give the seconds since it was asked for."""
        return self.clock() - self.asked_at


@dataclass(frozen=True, slots=True)
class OldList:
    """A list of all definitions that is given on although it could not be read anew.

    In seconds: for how long that has failed, and how old the list is.
    """

    mid: str
    failing_for: float
    age: float
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class _Unread:
    since: float
    read_at: float
    code: str
    text: str


class CachedDefinitions:
    """Implements sfmc_import.ports.Definitions; safe for threads, and one thread asks while others wait for its answer.

    `ttl` is how long an answer is kept, in seconds; that there is no such definition for REFUSAL_SECONDS, to break a
    flood of requests for it. Another refusal is shared by those who wait for it, not kept. `clock` is CLOCK_BOOTTIME.
    A thread waits at most `longest_wait` seconds for the answer of another. What other processes have read is taken
    from `shared`, with its age. `login` is the id of the one that `service` asks with, empty where it is not known.
    """

    def __init__(
        self,
        service: MarketingCloud,
        *,
        describing: Describing | None = None,
        ttl: float,
        clock: Callable[[], float],
        longest_wait: float = 60.0,
        shared: Shared | None = None,
        login: str = "",
    ) -> None:
        self._service, self.login = service, login
        self._describing = describing
        self._ttl = ttl
        self._clock = clock
        self._kept: dict[Name, CacheEntry] = {}
        # What no other process had read, with the time of that look on both clocks.
        self._looked: dict[Name, tuple[int, float]] = {}
        self._read_at: dict[str, float] = {}
        self._unread: dict[str, _Unread] = {}
        self._longest_wait = longest_wait
        self._shared = shared
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
                found = self._read(mid, customer_key, max_age)
            return Rejected(*_absent(mid, customer_key, object_id)) if found is None else found

        answer: Definition | Refusal = self._answer(  # type: ignore[assignment]
            _name(mid, customer_key, object_id), ask, max_age
        )
        return answer

    def _read(self, mid: str, customer_key: str, max_age: float) -> Definition | Refusal | None:
        """Take what another process has read, or ask and let others take it."""
        if self._shared is None:
            return self._service.definition(mid, customer_key)
        shared, now = self._look(self._shared, mid, customer_key, max_age)
        if shared is not None:
            return shared
        found = self._service.definition(mid, customer_key)
        self._looked.pop(_name(mid, customer_key, None), None)
        if isinstance(found, Definition) and now is not None:
            self._shared.share(mid, {customer_key: found}, now)
        elif found is None or isinstance(found, Rejected):
            self._shared.forget(mid, customer_key)
        return found

    def _look(
        self, shared: Shared, mid: str, customer_key: str, max_age: float
    ) -> tuple[Definition | None, int | None]:
        """Look for what another process has read, unless it was not there a moment ago; with the time of that look."""
        name, called_at = _name(mid, customer_key, None), self._clock()
        before = self._looked.get(name)
        if before is not None and called_at - before[1] < LOOKED_SECONDS:
            return None, before[0]
        look = shared.look(mid, customer_key, max_age)
        if look.definition is None and look.now is not None and max_age == inf:
            if len(self._looked) >= MAX_LOOKED:
                self._looked.clear()
            self._looked[name] = look.now, called_at
        return look.definition, look.now

    def known(self, mid: str, customer_key: str) -> Definition | None:
        """See sfmc_import.ports.Definitions.known."""
        name = _name(mid, customer_key, None)
        kept = self._fresh(name, self._clock(), inf)
        if kept is not None:
            return kept.answer if isinstance(kept.answer, Definition) else None
        found = self._look(self._shared, mid, customer_key, inf)[0] if self._shared else None
        if found is not None:
            self._keep(name, self._entry(found))
        return found

    def forget(self, mid: str, customer_key: str) -> None:
        """See sfmc_import.ports.Definitions.forget."""
        self._kept.pop(_name(mid, customer_key, None), None)
        if self._shared is not None:
            self._shared.forget(mid, customer_key)

    def _fresh(self, name: Name, now: float, max_age: float) -> CacheEntry | None:
        """Give what is kept, if it may be given again."""
        kept = self._kept.get(name)
        if kept is None or not kept.is_fresh(now, max_age):
            return None
        mid, _, key = name
        is_outdated = self._shared is not None and self._shared.is_outdated(mid, key, kept.asked_at)
        return None if is_outdated else kept

    def description(self, mid: str, customer_key: str, *, max_age: float = inf) -> FileDescription | Refusal:
        """Say what the file of a definition should look like, from memory or from Marketing Cloud."""

        def ask(_: Answer | None) -> FileDescription | Refusal:
            found = self._describing and self._describing.description(mid, customer_key)
            return found or Rejected(*_absent(mid, customer_key, None))

        answer: FileDescription | Refusal = self._answer(  # type: ignore[assignment]
            (mid, "file", customer_key), ask, max_age
        )
        return answer

    def location(self, mid: str, customer_key: str, *, max_age: float = inf) -> FileLocation | Refusal:
        """Say from where a definition reads its file, from memory or from Marketing Cloud."""

        def ask(_: Answer | None) -> FileLocation | Refusal:
            found = self._describing and self._describing.location(mid, customer_key)
            return found or Rejected(*_absent(mid, customer_key, None))

        answer: FileLocation | Refusal = self._answer(  # type: ignore[assignment]
            (mid, "location", customer_key), ask, max_age
        )
        return answer

    def all_of(self, mid: str, *, max_age: float = inf) -> Sequence[Definition] | Refusal:
        """Give all definitions of a business unit from memory, if not older than `max_age` seconds, or ask.

        When Marketing Cloud cannot be asked, what was known before is given on for a while, with a warning in the log.
        """
        found = self.list_of(mid, max_age=max_age)
        return found.definitions if isinstance(found, ReadList) else found

    def list_of(self, mid: str, *, max_age: float = inf) -> ReadList | Refusal:
        """Give the same as `all_of` with the time when it was asked for: another thread may read the list at once."""
        entry = self._kept_or_asked((mid, "all", ""), lambda outdated: self._read_all(mid, outdated), max_age)
        answer: Sequence[Definition] | Refusal = entry.answer  # type: ignore[assignment]
        if isinstance(answer, (NotApplied, Rejected)):
            return answer
        return ReadList(answer, entry.read_at, self._clock)

    def _read_all(self, mid: str, outdated: Answer | None) -> Answer:
        now, asked_at = None if self._shared is None else self._shared.now(), self._clock()
        found = self._service.definitions(mid)
        if self._shared is not None and now is not None and not isinstance(found, (NotApplied, Rejected)):
            self._shared.share_all(mid, found, now)
        if not isinstance(found, (NotApplied, Rejected)):
            self._read_at[mid] = asked_at
            self._unread.pop(mid, None)
            return found
        if outdated is None:
            self._unread.pop(mid, None)
            return found
        log.warning("definitions_not_refreshed", mid=mid, code=found.code, text=found.text)
        self._note_unread(mid, asked_at, found)
        return outdated

    def _note_unread(self, mid: str, asked_at: float, found: Refusal) -> None:
        before = self._unread.get(mid)
        since = asked_at if before is None else before.since
        read_at = self._read_at.get(mid, since)
        self._unread[mid] = _Unread(since, read_at, found.code, found.text)

    def old_lists(self) -> list[OldList]:
        """Give the lists of all definitions that are given on although they are old."""
        now = self._clock()
        return [
            OldList(mid, now - each.since, now - each.read_at, each.code, each.text)
            for mid, each in sorted(self._unread.items())
        ]

    def read_old_lists(self) -> None:
        """Ask for the lists that are old, each OUTAGE_TTL after its last try: who only looks at files may have none."""
        for mid in tuple(self._unread):
            self.all_of(mid, max_age=0.0)

    def _answer(self, name: Name, ask: Callable[[Answer | None], Answer], max_age: float) -> Answer:
        return self._kept_or_asked(name, ask, max_age).answer

    def _kept_or_asked(self, name: Name, ask: Callable[[Answer | None], Answer], max_age: float) -> CacheEntry:
        called_at, outdated = self._clock(), self._kept.get(name)
        if (fresh := self._fresh(name, called_at, max_age)) is not None:
            return fresh
        asking = self._asking.setdefault(name, threading.Lock())
        if not asking.acquire(timeout=self._longest_wait):
            return self._entry(NotApplied("read_timeout", "another call is still reading this definition"))
        try:
            kept = self._kept.get(name)
            # The answer that it waited for may have been asked for before what the caller wants to see.
            is_shared = kept is not None and kept is not outdated and called_at - kept.asked_at <= max_age
            return kept if kept is not None and is_shared else self._ask(name, outdated, ask)
        finally:
            self._asking.pop(name, None)
            asking.release()

    def _ask(self, name: Name, outdated: CacheEntry | None, ask: Callable[[Answer | None], Answer]) -> CacheEntry:
        known = None if outdated is None or _is_refusal(outdated.answer) else outdated.answer
        asked_at = self._clock()
        answer = _dated(ask(known), asked_at)
        if outdated is not None and answer is known:
            # It could not be read: for a while no thread tries again, whatever age is wanted.
            until = self._clock() + self._life(answer, is_outdated=True)
            entry = CacheEntry(answer, inf, until, outdated.read_at)
        else:
            entry = self._entry(answer, asked_at)
        self._keep(name, entry)
        if isinstance(answer, Definition):
            # Found by its ObjectID or by another spelling: the next question is for the key as it is spelled there.
            self._keep((name[0], "key", answer.customer_key), entry)
        return entry

    def _entry(self, answer: Answer, asked_at: float = inf) -> CacheEntry:
        """Keep what was asked for now, or by another process before, so long from then on."""
        if isinstance(answer, Definition) and answer.asked_at is not None and answer.asked_at < asked_at:
            return CacheEntry(answer, answer.asked_at, answer.asked_at + self._ttl, answer.asked_at)
        return CacheEntry(answer, asked_at, self._clock() + self._life(answer, is_outdated=False), asked_at)

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
