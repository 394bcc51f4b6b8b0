"""Repeats one call within seconds while `retrying.after` says so; the only file that imports tenacity."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from tenacity import RetryCallState, Retrying

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
        decisions = _Decisions(policy, event, chance)
        # The policy holds attempts and deadline, so tenacity needs no condition to stop.
        retrying = Retrying(
            retry=decisions.is_retry, wait=decisions.pause, before_sleep=decisions.log, sleep=sleep, reraise=True
        )
        return retrying(attempt)

    return call


class _Decisions:
    """The decisions of one call, one after each attempt."""

    def __init__(self, policy: RetryPolicy, event: str | None, chance: Callable[[], float]) -> None:
        self._policy = policy
        self._event = event
        self._chance = chance
        self._next: Next | None = None

    def is_retry(self, state: RetryCallState) -> bool:
        fault = _fault(state)
        if fault is None:
            return False
        # A test sleeps without waiting: there the sum of the pauses is the time.
        spent = max(state.seconds_since_start or 0.0, state.idle_for)
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
