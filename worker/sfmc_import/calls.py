"""How calls to Marketing Cloud are made: repeated as decided in retrying, and only so many slow ones at once."""

import contextvars
import random
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, Retrying

from sfmc_import.faults import Fault, NotApplied
from sfmc_import.ports import LedgerUnavailableError, RetryCall
from sfmc_import.retrying import Next, Retry, RetryPolicy, Times, after

T = TypeVar("T")
log = structlog.get_logger(__name__)


def retry_call(
    policy: RetryPolicy,
    event: str | None = None,
    *,
    sleep: Callable[[float], None] = time.sleep,
    chance: Callable[[], float] = random.random,
) -> RetryCall:
    """Make a function that repeats calls by `policy`; threads may share it.

    It returns the first answer after which `after` does not say Retry. A LedgerUnavailableError counts as a fault of
    which nothing was applied; the last one is raised. Each pause is logged as `event`.
    """

    def call(attempt: Callable[[], T]) -> T:
        begun = time.monotonic()
        first = _first(attempt)
        if not isinstance(first, (Fault, LedgerUnavailableError)):
            # Nearly always: tenacity takes 0.03 ms to find that nothing is to be repeated.
            return first
        decisions = _Decisions(policy, event, chance, time.monotonic() - begun)
        # The policy holds attempts and deadline, so tenacity needs no condition to stop.
        retrying = Retrying(
            retry=decisions.is_retry, wait=decisions.pause, before_sleep=decisions.log, sleep=sleep, reraise=True
        )
        outcomes = [first]
        return retrying(lambda: _given(outcomes.pop()) if outcomes else attempt())

    return call


def _first(attempt: Callable[[], T]) -> T | LedgerUnavailableError:
    try:
        return attempt()
    except LedgerUnavailableError as error:
        return error


def _given(outcome: T | LedgerUnavailableError) -> T:
    if isinstance(outcome, LedgerUnavailableError):
        raise outcome
    return outcome


async def retry_async(
    policy: RetryPolicy, attempt: Callable[[], Awaitable[T]], *, chance: Callable[[], float] = random.random
) -> T:
    """Do the same with a call that is awaited."""
    decisions = _Decisions(policy, None, chance)
    retrying = AsyncRetrying(retry=decisions.is_retry, wait=decisions.pause, reraise=True)
    return await retrying(attempt)


class _Decisions:
    """The decisions of one call, one after each attempt; the first one took `begun` seconds before tenacity began."""

    def __init__(self, policy: RetryPolicy, event: str | None, chance: Callable[[], float], begun: float = 0.0) -> None:
        self._policy = policy
        self._event = event
        self._chance = chance
        self._begun = begun
        self._next: Next | None = None

    def is_retry(self, state: RetryCallState) -> bool:
        fault = _fault(state)
        if fault is None:
            return False
        # A test sleeps without waiting: there the sum of the pauses is the time.
        spent = self._begun + max(state.seconds_since_start or 0.0, state.idle_for)
        self._next = after(fault, state.attempt_number, Times(chance=self._chance(), spent=spent), self._policy)
        return isinstance(self._next, Retry)

    def pause(self, _: RetryCallState) -> float:
        return self._next.after if isinstance(self._next, Retry) else 0.0

    def log(self, state: RetryCallState) -> None:
        fault = _fault(state)
        if self._event is not None and fault is not None:
            pause = round(state.upcoming_sleep, 3)
            error = type(fault).__name__
            log.warning(self._event, attempt=state.attempt_number, wait=pause, error=error, code=fault.code)


def _fault(state: RetryCallState) -> Fault | None:
    """The fault that an attempt ended with; None for an answer or an unexpected error."""
    assert state.outcome is not None
    error = state.outcome.exception()
    if error is not None:
        return NotApplied("ledger_down", str(error)) if isinstance(error, LedgerUnavailableError) else None
    answer = state.outcome.result()
    return answer if isinstance(answer, Fault) else None


class TooManySlowCallsError(Exception):
    """So much work is slow that no more is begun; the ledger gives it again later."""


class SlowCalls(Generic[T]):
    """Runs work for the threads of a worker; safe for all of them.

    After `seconds` the work goes on in a thread of its own, for at most `limit` pieces of work at once. Beyond them
    half of the `threads` of the worker may wait for slow work; then no more is begun until some of it has ended.
    """

    def __init__(self, seconds: float, limit: int, threads: int) -> None:
        self._seconds = seconds
        self._limit = limit
        self._most_waiting = max(1, threads // 2)
        self._lock = threading.Lock()
        self._detached = 0
        self._waiting = 0
        self._threads = ThreadPoolExecutor(threads + limit, thread_name_prefix="call")

    def run(
        self, work: Callable[[], T], may_detach: Callable[[], bool], later: Callable[["Future[T]"], object]
    ) -> T | None:
        """Give what `work` gives or raise what it raises; None when it goes on, and `later` then gets its end.

        It goes on if `may_detach` says that the work is remembered elsewhere. Call `check_room` before.
        """
        future = self._threads.submit(contextvars.copy_context().run, work)
        try:
            return future.result(self._seconds)
        except TimeoutError:
            if future.done():
                return future.result()
        if may_detach() and self._detach():
            future.add_done_callback(lambda ended: self._end(ended, later))
            return None
        return self._wait(future)

    def check_room(self) -> None:
        """Raise TooManySlowCallsError while no work is to be begun."""
        with self._lock:
            if self._detached >= self._limit and self._waiting >= self._most_waiting:
                raise TooManySlowCallsError

    def close(self) -> None:
        """Wait for what still goes on; each call has its deadline."""
        self._threads.shutdown(wait=True)

    def _detach(self) -> bool:
        with self._lock:
            if self._detached >= self._limit:
                return False
            self._detached += 1
            return True

    def _end(self, ended: "Future[T]", later: Callable[["Future[T]"], object]) -> None:
        with self._lock:
            self._detached -= 1
        later(ended)

    def _wait(self, future: "Future[T]") -> T:
        with self._lock:
            self._waiting += 1
        try:
            return future.result()
        finally:
            with self._lock:
                self._waiting -= 1
