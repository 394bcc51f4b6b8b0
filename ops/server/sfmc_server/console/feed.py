"""Reads the stream of events once for all pages: counts the last 24 hours, and says that something is new."""

import threading
import time
from collections.abc import Callable

import structlog
from redis.exceptions import RedisError

from sfmc_import.access import ReadAccess
from sfmc_import.events import just_before
from sfmc_import.operations.activity import HOURS, Activity
from sfmc_import.ports import LedgerUnavailableError
from sfmc_server.console.strays import Strays
from sfmc_server.outages import REDIS

BATCH = 1000
LOOK_SECONDS = 1.0
"""How often new events are looked for."""

GIVE_WAY_SECONDS = 0.002
"""Between two batches of a long reading: pages are answered in between."""

log = structlog.get_logger("sfmc_server.console")


class Feed:
    """Begins with the first look of a person, and goes on until the server ends; an outage is waited for."""

    def __init__(self, access: ReadAccess, is_ending: Callable[[], bool]) -> None:
        self._access, self._is_ending = access, is_ending
        self._begun = threading.Lock()
        self.activity = Activity()
        self.strays = Strays()
        self.position = ""
        """The id of the newest event that is counted."""
        self._emptied_at: float | None = None
        self.is_whole = False
        """Whether all of the last 24 hours is counted."""
        self.is_away = False
        """Whether Redis did not answer the last time."""

    def begin(self) -> None:
        """Start to read, the first time."""
        if self._begun.acquire(blocking=False):
            threading.Thread(target=self._run, name="sfmc-console-feed", daemon=True).start()

    def _run(self) -> None:
        while not self._is_ending():
            try:
                self.read()
            except (RedisError, LedgerUnavailableError) as error:
                if not self.is_away:
                    log.warning("redis_unreachable", error=str(error), action="waiting")
                self.is_away = True
            except Exception:
                # The edge of this thread: the next look tries again.
                log.exception("console_feed_failed")
            time.sleep(LOOK_SECONDS)

    def read(self) -> None:
        """Count what came since the last time, the first time since 24 hours ago."""
        self._forget_what_is_lost()
        if not self.position:
            self.position = just_before(self._access.reader.now() - HOURS * 3600)
        while not self._is_ending() and self._read_some():
            time.sleep(GIVE_WAY_SECONDS)
        self.strays.read(self._access.stream)
        self.is_whole, self.is_away = True, False
        self._access.outages.answered(REDIS)

    def _forget_what_is_lost(self) -> None:
        """Count anew after Redis was emptied: of what was before, nothing that is shown leads anywhere."""
        found = self._access.reader.loss() or {}
        is_emptied = bool(found.get("is_proved")) and not found.get("survived_until")
        emptied_at = found.get("noticed_first", found.get("noticed_at")) if is_emptied else self._emptied_at
        if emptied_at != self._emptied_at:
            self.activity, self.strays, self.position = Activity(), Strays(), ""
        self._emptied_at = emptied_at

    def _read_some(self) -> bool:
        position, entries = self._access.stream.some_after(self.position, BATCH)
        self.activity.add(entries)
        is_new, self.position = position != self.position, position
        return is_new
