"""Lets a login that fails rest: for growing pauses no caller tries it, then one alone."""

import threading
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TypeVar

import structlog

from sfmc_import.faults import NOT_ASKED, NotApplied
from sfmc_import.retrying import LOGIN, NO_JITTER, Retry, Times, after

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Outage:
    """What one login, or the token endpoint, fails with at the moment; safe for threads.

    `codes` are the faults that begin an outage. While there is none, any number of callers try at once. In an outage
    each caller gets the last fault again, with the time that is left as `retry_after`, until the pause of LOGIN is
    over. Then one caller tries: its answer ends the outage, or begins a longer pause. `about` stands in the log.
    """

    def __init__(self, clock: Callable[[], float], codes: Collection[str], **about: str) -> None:
        self._clock = clock
        self._codes = codes
        self._about = about
        self._lock = threading.Lock()
        self._fault: NotApplied | None = None
        self._failures = 0
        self._until = 0.0
        self._is_probed = False

    def attempt(self, call: Callable[[], T]) -> T | NotApplied:
        """Make a call, or give the fault of the outage without it."""
        is_probe = self._enter()
        if isinstance(is_probe, NotApplied):
            return is_probe
        answer: T | None = None
        try:
            answer = call()
        finally:
            failed = self._leave(answer, is_probe=is_probe)
        return failed or answer

    def _enter(self) -> NotApplied | bool:
        """Give the fault that makes the caller wait, or else whether it is the one that tries alone."""
        with self._lock:
            if self._fault is None:
                return False
            left = self._until - self._clock()
            if left > 0 or self._is_probed:
                return replace(self._fault, retry_after=max(left, LOGIN.backoff.floor))
            self._is_probed = True
            return True

    def _leave(self, answer: object, *, is_probe: bool) -> NotApplied | None:
        """Note an answer, None for a call that raised; give the fault with its pause, if the answer is one."""
        with self._lock:
            self._is_probed = self._is_probed and not is_probe
            if isinstance(answer, NotApplied) and answer.code in self._codes:
                return self._failed(answer, is_probe=is_probe)
            if is_probe and answer is not None and getattr(answer, "code", "") not in NOT_ASKED:
                log.info("login_restored", failures=self._failures, **self._about)
                self._fault, self._failures = None, 0
        return None

    def _failed(self, fault: NotApplied, *, is_probe: bool) -> NotApplied:
        # Of calls that were under way when the outage began, each may ask for more time, and none counts as a failure.
        is_new = is_probe or self._fault is None
        self._failures += is_new
        pause = _pause(fault, self._failures)
        self._until = max(self._until, self._clock() + pause)
        self._fault = replace(fault, retry_after=pause)
        if is_new:
            retry_in, failures = round(pause, 1), self._failures
            log.warning(
                "login_unavailable",
                code=fault.code,
                text=fault.text,
                retry_in=retry_in,
                failures=failures,
                **self._about,
            )
        return self._fault


def _pause(fault: NotApplied, failures: int) -> float:
    step = after(fault, failures, Times(chance=NO_JITTER), LOGIN)
    return step.after if isinstance(step, Retry) else LOGIN.backoff.cap
