"""Asks the ledger before calls to Marketing Cloud: permits in small lots, and the circuit breaker of the account."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from uuid import uuid4

import structlog

from sfmc_import.faults import NOT_ASKED, Fault, NotApplied
from sfmc_import.permits import (
    ACCOUNT,
    CALLS_OF_A_START,
    SHARE_OF,
    SHARES,
    Circuit,
    Entry,
    Kind,
    Permits,
    QuotaLedger,
    Share,
)
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.retrying import is_account_wide, pause_asked

log = structlog.get_logger(__name__)

LOT_SECONDS = 2.0
"""How long permits of a lot may be used at least, and how old what a process knows of the circuits may be."""

MOST_LOT_SECONDS = 10.0
"""With a small limit they may be used for longer: as long as the permits of a start take to flow in."""

MOST_IN_A_LOT = 20
UNASKED_SECONDS = 1.0
"""While Redis does not answer, so long a call that may go on without it does not ask again."""

LONGEST_ASKING_SECONDS = 5.0
SPREAD_SECONDS = 5.0
"""At least so wide is the time over which calls come back after a circuit was open."""

MOST_COUNTS = 10_000
COUNTS_SECONDS = 30.0
"""After so long without a question a process brings its counts all the same."""

LOGIN_CODES = frozenset({"login_failed", "12", "token_refused", "http_refused"})
"""Failures of the login to one business unit; others may work."""


@dataclass
class _Reserve:
    """Permits that a start has taken together and not used yet; `lot` is where they came from."""

    left: int = 0
    lot: "_Lot | None" = None


_RESERVE: ContextVar[_Reserve | None] = ContextVar("reserve", default=None)


@contextmanager
def together() -> Iterator[None]:
    """Take the permits of all calls of a start with its first one: what has begun is not held halfway.

    What it has not used at its end, because another start asked for it as well, goes back to the lot.
    """
    reserve = _Reserve()
    token = _RESERVE.set(reserve)
    try:
        yield
    finally:
        _RESERVE.reset(token)
        if reserve.lot is not None and reserve.left:
            reserve.lot.give_back(reserve.left)


@dataclass
class _Lot:
    """Permits of one share that this process has; `size` is how many it asks for."""

    left: int = 0
    ends: float = 0.0
    size: int = 1
    life: float = LOT_SECONDS
    asking: threading.Lock = field(default_factory=threading.Lock)
    changing: threading.Lock = field(default_factory=threading.Lock)

    def take(self, need: int, now: float) -> bool:
        """Take so many permits, if they are there and not too old."""
        with self.changing:
            if self.left < need or now >= self.ends:
                return False
            self.left -= need
            return True

    def fill(self, count: int, need: int, now: float) -> bool:
        """Add new permits and take so many; the old ones count on if their time is not over.

        False where another thread has taken old ones that were counted on: the new ones stay.
        """
        with self.changing:
            self.left = (self.left if now < self.ends else 0) + count
            self.ends = now + self.life
            is_enough = self.left >= need
            self.left -= need if is_enough else 0
            return is_enough

    def missing(self, need: int, now: float) -> int:
        """Say how many permits are not there of so many."""
        with self.changing:
            return need - (self.left if now < self.ends else 0)

    def give_back(self, count: int) -> None:
        """Take permits back that were not used; their time goes on."""
        with self.changing:
            self.left += count


class SharedQuota:
    """Implements sfmc_import.permits.Gate over the ledger; one for each process, safe for its threads.

    With `share` all calls of this process count for it. Starts are not sent without an answer of the ledger; whatever
    only reads may go on while Redis is away.
    """

    def __init__(
        self,
        ledger: QuotaLedger,
        clock: Callable[[], float],
        *,
        limit: int = 0,
        share: Share | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._ledger, self._clock, self._chance, self._share = ledger, clock, chance, share
        self._most = 100_000 if limit == 0 else max(1, min(MOST_IN_A_LOT, limit // 100))
        self._is_unlimited = limit == 0
        self._lock = threading.Lock()
        life = LOT_SECONDS if limit == 0 else min(MOST_LOT_SECONDS, max(LOT_SECONDS, 60 * CALLS_OF_A_START / limit))
        self._lots = {name: _Lot(life=life) for name in SHARES}
        self._circuits: dict[str, tuple[Circuit, float]] = {}
        self._used: Counter[str] = Counter()
        self._unasked_until = 0.0
        self._asked_at: float | None = None

    def enter(self, kind: Kind, mid: str, customer_key: str) -> Entry | NotApplied:
        """See sfmc_import.permits.Gate.enter."""
        share = self._share or SHARE_OF[kind]
        try:
            held = self._known_open(share, mid) or self._permit(share, mid)
            entry = held or self._pass_circuits(share, mid)
        except LedgerUnavailableError as error:
            self._unasked_until = self._clock() + UNASKED_SECONDS
            if share == "start":
                return NotApplied("ledger_down", str(error), account_wide=True)
            entry = Entry(mid=mid)
        if isinstance(entry, Entry):
            entry = replace(entry, kind=kind)
            self._count(kind, mid, customer_key)
        return entry

    def leave(self, entry: Entry, answer: object) -> None:
        """See sfmc_import.permits.Gate.leave."""
        failure = answer if isinstance(answer, Fault) and is_account_wide(answer) else None
        if failure is not None and (failure.code in NOT_ASKED or _is_of_one_start(entry, failure)):
            answer, failure = None, None
        if failure is not None:
            self._report_failure(entry, failure)
            return
        outcome = "unknown" if answer is None else "answered"
        for scope in (ACCOUNT, entry.mid):
            known = self._known(scope)
            if scope in entry.probes or (known.failures and known.left is None and answer is not None):
                self._report(entry, scope, outcome)

    def flush(self, *, older_than: float = 0.0) -> None:
        """Bring the counts to the ledger, if nothing was asked for so long; what it does not take is brought later.

        The first time it asks in any case: a budget that was raised for this process lets in what another one held.
        """
        asked = self._asked_at
        if asked is not None and (not self._used or self._clock() - asked < older_than):
            return
        try:
            self._ask("rest", 0, 0, "")
        except LedgerUnavailableError as error:
            log.debug("usage_not_counted", error=str(error))

    # --- Permits.

    def _permit(self, share: Share, mid: str) -> NotApplied | None:
        reserve = _RESERVE.get() if share == "start" else None
        if reserve is None:
            return self._take(share, 1, mid)
        if reserve.left:
            reserve.left -= 1
            return None
        need = CALLS_OF_A_START if reserve.lot is None else 1
        held = self._take(share, need, mid)
        if held is None:
            reserve.left, reserve.lot = need - 1, self._lots[share]
        return held

    def _take(self, share: Share, need: int, mid: str) -> NotApplied | None:
        lot = self._lots[share]
        if lot.take(need, self._clock()) or (share != "start" and self._clock() < self._unasked_until):
            return None
        if not lot.asking.acquire(timeout=LONGEST_ASKING_SECONDS):
            raise LedgerUnavailableError("another call waits for the answer of Redis about the quota")
        try:
            if lot.take(need, self._clock()):
                return None
            return self._take_new(lot, share, need, mid)
        finally:
            lot.asking.release()

    def _take_new(self, lot: _Lot, share: Share, need: int, mid: str) -> NotApplied | None:
        lot.size = self._next_size(lot, need)
        missing = lot.missing(need, self._clock())
        permits = self._ask(share, missing, max(missing, lot.size), mid)
        if permits.count < missing:
            return _held(permits)
        return None if lot.fill(permits.count, need, self._clock()) else self._take_new(lot, share, need, mid)

    def _next_size(self, lot: _Lot, need: int) -> int:
        """Ask for more where the last lot was used up before its end, for less where permits ran out unused."""
        if self._is_unlimited:
            return self._most
        size = lot.size * 2 if self._clock() < lot.ends else lot.size // 2
        return max(need, min(size, self._most), 1)

    def _ask(self, share: Share, need: int, want: int, mid: str) -> Permits:
        self._asked_at = self._clock()
        with self._lock:
            used, self._used = self._used, Counter()
        try:
            permits = self._ledger.take(share, need, want, mid, used)
        except BaseException:
            with self._lock:
                self._used += used
            raise
        now = self._clock()
        with self._lock:
            self._circuits = {scope: (circuit, now) for scope, circuit in permits.circuits.items()}
        return permits

    def _count(self, kind: Kind, mid: str, customer_key: str) -> None:
        names = ["all", f"k:{kind}", f"u:{mid}", *([f"d:{mid}:{customer_key}"] if customer_key else [])]
        with self._lock:
            for name in names:
                # While Redis is away for long, new names are not counted any more.
                if name in self._used or len(self._used) < MOST_COUNTS:
                    self._used[name] += 1

    # --- The circuit breaker.

    def _known(self, scope: str) -> Circuit:
        return self._circuits.get(scope, (Circuit(), 0.0))[0]

    def _known_open(self, share: Share, mid: str) -> NotApplied | None:
        """Hold a call without asking the ledger while a pause lasts."""
        for scope in (ACCOUNT, mid):
            known, left = self._left(scope)
            if left is not None and left > 0:
                return self._circuit_open(known, left, share)
        return None

    def _left(self, scope: str) -> tuple[Circuit, float | None]:
        known, at = self._circuits.get(scope, (Circuit(), 0.0))
        return known, None if known.left is None else known.left - (self._clock() - at)

    def _pass_circuits(self, share: Share, mid: str) -> Entry | NotApplied:
        """Let a call pass where no circuit is open; where one is, one call at a time tries."""
        probe, probes = uuid4().hex, []
        for scope in dict.fromkeys((ACCOUNT, mid)):
            known, left = self._left(scope)
            if left is None:
                continue
            if left <= 0:
                known = self._ledger.probe(scope, probe)
                self._note(scope, known)
                if known.is_probe:
                    probes.append(scope)
                    continue
                if known.left is None:
                    continue
                left = known.left
            self._give_back(Entry(mid=mid, probe=probe, probes=tuple(probes)))
            return self._circuit_open(known, left, share)
        epochs = {scope: self._known(scope).epoch for scope in (ACCOUNT, mid)}
        return Entry(mid=mid, probe=probe, probes=tuple(probes), epochs=epochs)

    def _give_back(self, entry: Entry) -> None:
        for scope in entry.probes:
            self._report(entry, scope, "unknown")

    def _circuit_open(self, circuit: Circuit, left: float, share: Share) -> NotApplied:
        # Polls come back first, for they change nothing; starts are spread, so that they do not come all at once.
        spread = 1.0 if share == "follow" else max(SPREAD_SECONDS, left)
        text = f"no call is made for now: {circuit.code}: {circuit.text}"
        return NotApplied("circuit_open", text, account_wide=True, retry_after=left + spread * self._chance())

    def _report_failure(self, entry: Entry, fault: Fault) -> None:
        scope = entry.mid if fault.code in LOGIN_CODES else ACCOUNT
        before = self._known(scope)
        found = self._report(entry, scope, "failed", fault)
        for other in entry.probes:
            if other != scope:
                self._report(entry, other, "unknown" if scope == ACCOUNT else "answered")
        if found is not None and found.left is not None and found.epoch > before.epoch:
            unit = {"mid": scope} if scope else {}
            log.warning("circuit_opened", code=fault.code, text=fault.text, retry_in=round(found.left, 1), **unit)

    def _report(self, entry: Entry, scope: str, outcome: str, fault: Fault | None = None) -> Circuit | None:
        code, text, asked = ("", "", 0.0) if fault is None else (fault.code, fault.text[:500], pause_asked(fault))
        epoch = entry.epochs.get(scope, 0)
        try:
            found = self._ledger.report(scope, entry.probe, epoch, outcome, code=code, text=text, asked=asked)
        except LedgerUnavailableError as error:
            log.debug("circuit_not_reported", error=str(error))
            return None
        self._note(scope, found)
        if scope in entry.probes and outcome == "answered" and found.left is None:
            log.info("circuit_closed", **({"mid": scope} if scope else {}))
        return found

    def _note(self, scope: str, circuit: Circuit) -> None:
        with self._lock:
            self._circuits[scope] = (circuit, self._clock())


def _is_of_one_start(entry: Entry, failure: Fault) -> bool:
    """Tell whether a start alone was refused: a query with the same login was answered right before it."""
    return entry.kind == "perform" and failure.code == "http_refused"


def _held(permits: Permits) -> NotApplied:
    text = "the calls of the account per minute are used"
    if permits.why == "budget":
        text = "the budget of calls of the account is used"
    return NotApplied(permits.why, text, account_wide=True, retry_after=max(permits.wait, 0.05))
