"""Trying again within one call, for seconds, where that is certain to be safe; the hours are the ledger's matter."""

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

import structlog
from tenacity import RetryCallState, Retrying, retry_if_result, wait_random_exponential

from sfmc_import.faults import NotApplied
from sfmc_import.ports import RetryCall

T = TypeVar("T")
log = structlog.get_logger(__name__)


class RetryQuery(Protocol):
    """Calls again while the answer is a NotApplied that may pass within seconds."""

    def __call__(self, attempt: Callable[[], T]) -> T:
        """Give the first answer that is final, or the last one."""
        ...


def retry_call(
    *,
    deadline: float,
    attempts: int,
    first_wait: float = 0.25,
    longest_wait: float = 8.0,
    sleep: Callable[[float], None] = time.sleep,
) -> RetryCall:
    """Make the patience with a start; see `persistence`. Each wait is logged as `start_attempt_failed`."""
    event = "start_attempt_failed"
    return retry_query(
        event,
        deadline=deadline,
        attempts=attempts,
        first_wait=first_wait,
        longest_wait=longest_wait,
        sleep=sleep,
    )


def retry_query(
    event: str,
    *,
    deadline: float,
    attempts: int,
    first_wait: float = 0.25,
    longest_wait: float = 8.0,
    sleep: Callable[[float], None] = time.sleep,
) -> RetryQuery:
    """Make a Persist that logs `event` before each wait; times in seconds, threads may share it.

    Waits have full jitter, from 0 up to `first_wait`, doubled each time to `longest_wait` at most,
    and are no shorter than the service asks for. No wait is begun that would end after `deadline`.
    Failures of the whole account go back at once: trying again within seconds helps nobody.
    """
    jitter = wait_random_exponential(multiplier=first_wait, max=longest_wait)
    retrying = Retrying(
        retry=retry_if_result(_may_pass),
        wait=lambda state: max(jitter(state), _asked_for(state)),
        stop=lambda state: state.attempt_number >= attempts or _spent(state) + state.upcoming_sleep > deadline,
        before_sleep=lambda state: _log_attempt(event, state),
        retry_error_callback=_answer,
        sleep=sleep,
    )

    def call(attempt: Callable[[], T]) -> T:
        return retrying(attempt)

    return call


def _may_pass(answer: object) -> bool:
    return isinstance(answer, NotApplied) and not answer.account_wide


def _asked_for(state: RetryCallState) -> float:
    answer = _answer(state)
    return answer.retry_after or 0.0 if isinstance(answer, NotApplied) else 0.0


def _spent(state: RetryCallState) -> float:
    # The sum of the waits is the time of a test whose sleep does not sleep.
    return max(state.seconds_since_start or 0.0, state.idle_for)


def _answer(state: RetryCallState) -> object:
    return state.outcome.result() if state.outcome is not None else None


def _log_attempt(event: str, state: RetryCallState) -> None:
    answer = _answer(state)
    log.warning(
        event,
        attempt=state.attempt_number,
        wait=round(state.upcoming_sleep, 3),
        error=type(answer).__name__,
        code=getattr(answer, "code", None),
    )
