"""Asks a store about the login when there is a doubt, so that a wrong one stops its source with one line."""

import threading
import time
from collections.abc import Callable

import structlog

from sfmc_producers.sources.deadlines import Caller, DeadlineError
from sfmc_producers.sources.receiving import SourceUnavailableError

ASK_SECONDS, AGAIN_SECONDS = 15.0, 30.0


class Doubts:
    """Whether the login is in doubt: at first, and after a file could not be opened; `ask` raises what is wrong."""

    def __init__(self, ask: Callable[[], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._clock = ask, clock
        self._is_doubted, self._not_before = True, 0.0
        self._lock = threading.Lock()

    def raise_doubt(self) -> None:
        """Let the store be asked with the next `require`."""
        with self._lock:
            self._is_doubted = True

    def require(self) -> None:
        """Ask if there is a doubt; raises SourceRefusedError. A store that does not answer is asked again later."""
        with self._lock:
            if not self._is_doubted or self._clock() < self._not_before:
                return
            self._is_doubted, self._not_before = False, self._clock() + AGAIN_SECONDS
        caller = Caller("sfmc-content-login")
        try:
            caller.within(ASK_SECONDS, self._ask)
        except (SourceUnavailableError, DeadlineError) as error:
            self.raise_doubt()
            structlog.get_logger("sfmc_producers.sources").warning("content_unavailable", reason=str(error))
        finally:
            caller.stop()
