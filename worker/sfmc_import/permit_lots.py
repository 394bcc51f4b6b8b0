"""Permits for calls that a process holds, in small lots of each share."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from sfmc_import.faults import NotApplied
from sfmc_import.permits import CALLS_OF_A_START, SHARES, Permits, Share
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.waiting import BUDGET_OF_DAY, BUDGET_OF_YEAR

LOT_SECONDS = 2.0
"""How long permits of a lot may be used at least, and how old what a process knows of the circuits may be."""

MOST_LOT_SECONDS = 10.0
"""With a small limit they may be used for longer: as long as the permits of a start take to flow in."""

MOST_IN_A_LOT = 20
UNASKED_SECONDS = 1.0
"""While Redis does not answer, so long a call that may go on without it does not ask again."""

LONGEST_ASKING_SECONDS = 5.0


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


class PermitLots:
    """Gives the permits of a process out, and asks for more; safe for threads.

    `ask` gets from the ledger up to so many permits of a share, or raises LedgerUnavailableError: its arguments are the
    share, the least count, the count that is wanted, and the business unit. `limit` is that of a minute, 0 without one.
    """

    def __init__(
        self, ask: Callable[[Share, int, int, str], Permits], clock: Callable[[], float], *, limit: int = 0
    ) -> None:
        self._ask, self._clock = ask, clock
        self._most = 100_000 if limit == 0 else max(1, min(MOST_IN_A_LOT, limit // 100))
        self._is_unlimited = limit == 0
        life = LOT_SECONDS if limit == 0 else min(MOST_LOT_SECONDS, max(LOT_SECONDS, 60 * CALLS_OF_A_START / limit))
        self._lots = {name: _Lot(life=life) for name in SHARES}
        self._unasked_until = 0.0

    def ask_later(self) -> None:
        """Do not ask for a while for calls that may go on without an answer: Redis is away."""
        self._unasked_until = self._clock() + UNASKED_SECONDS

    def take_one(self, share: Share, mid: str) -> NotApplied | None:
        """Take the permit of a call, or say what holds it; raises LedgerUnavailableError."""
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


def _held(permits: Permits) -> NotApplied:
    text = "calls are spread over the minute (SFMC_CALLS_PER_MINUTE): the turn of this one has not come"
    if permits.why == "budget":
        text = BUDGET_OF_YEAR if permits.budget == "year" else BUDGET_OF_DAY
    return NotApplied(permits.why, text, account_wide=True, retry_after=max(permits.wait, 0.05))
