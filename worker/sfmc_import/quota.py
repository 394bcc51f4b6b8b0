"""Asks the ledger before calls to Marketing Cloud: permits, the circuit breaker, and what was used."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import structlog

from sfmc_import.circuits import Circuits
from sfmc_import.faults import NotApplied
from sfmc_import.permit_lots import PermitLots
from sfmc_import.permits import SHARE_OF, Entry, Kind, Login, Permits, QuotaLedger, Share
from sfmc_import.ports import LedgerUnavailableError

log = structlog.get_logger(__name__)

MOST_COUNTS = 10_000
COUNTS_SECONDS = 30.0
"""After so long without a question a process brings its counts all the same."""


class SharedQuota:
    """Implements sfmc_import.permits.Gate over the ledger; one for each process, safe for its threads.

    With `share` all calls of this process count for it. Starts are not sent without an answer of the ledger; whatever
    only reads may go on while Redis is away. `login` is the one of this process: what fails for it holds no other one.
    `role` says in a word which process it is.
    """

    def __init__(
        self,
        ledger: QuotaLedger,
        clock: Callable[[], float],
        *,
        limit: int = 0,
        share: Share | None = None,
        chance: Callable[[], float] = random.random,
        login: Login | None = None,
        role: str = "process",
    ) -> None:
        self._ledger, self._clock, self._share = ledger, clock, share
        self._lots = PermitLots(self._ask, clock, limit=limit)
        self._circuits = Circuits(ledger, clock, chance, login or Login(), role)
        self._counts = _Counts()
        self._asked_at: float | None = None

    def enter(self, kind: Kind, mid: str, customer_key: str) -> Entry | NotApplied:
        """See sfmc_import.permits.Gate.enter."""
        share = self._share or SHARE_OF[kind]
        try:
            held = self._circuits.hold(share, mid) or self._lots.take_one(share, mid)
            entry = held or self._circuits.let_pass(share, mid)
        except LedgerUnavailableError as error:
            self._lots.ask_later()
            if share == "start":
                return NotApplied("ledger_down", str(error), account_wide=True)
            entry = Entry(mid=mid)
        if isinstance(entry, Entry):
            entry = replace(entry, kind=kind)
            self._counts.add(kind, mid, customer_key)
        return entry

    def leave(self, entry: Entry, answer: object) -> None:
        """See sfmc_import.permits.Gate.leave."""
        self._circuits.leave(entry, answer)

    def flush(self, *, older_than: float = 0.0) -> None:
        """Bring the counts to the ledger, if nothing was asked for so long; what it does not take is brought later.

        The first time it asks in any case: a budget that was raised for this process lets in what another one held.
        """
        asked = self._asked_at
        if asked is not None and (not self._counts or self._clock() - asked < older_than):
            return
        try:
            self._ask("rest", 0, 0, "")
        except LedgerUnavailableError as error:
            log.debug("usage_not_counted", error=str(error))

    def _ask(self, share: Share, need: int, want: int, mid: str) -> Permits:
        self._asked_at = self._clock()
        used = self._counts.take_all()
        try:
            permits = self._ledger.take(share, need, want, mid, used)
        except BaseException:
            self._counts.put_back(used)
            raise
        self._circuits.learn(permits.circuits)
        return permits


class _Counts:
    """Calls that were made and are not in the ledger yet, by kind, business unit and definition; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self._used)

    def add(self, kind: Kind, mid: str, customer_key: str) -> None:
        names = ["all", f"k:{kind}", f"u:{mid}", *([f"d:{mid}:{customer_key}"] if customer_key else [])]
        with self._lock:
            for name in names:
                # While Redis is away for long, new names are not counted any more.
                if name in self._used or len(self._used) < MOST_COUNTS:
                    self._used[name] += 1

    def take_all(self) -> Counter[str]:
        with self._lock:
            used, self._used = self._used, Counter()
        return used

    def put_back(self, used: Counter[str]) -> None:
        with self._lock:
            self._used += used
