"""Beat as this product runs it: checks Redis first, keeps no file, and logs an outage of the broker once."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

import structlog
from celery.apps.beat import Beat
from celery.beat import Scheduler, SchedulingError

from sfmc_import import ticker, worker_process
from sfmc_import.client import Client
from sfmc_import.ledger.broker_state import BrokerState
from sfmc_import.ledger.clock_notes import compared_with
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.opening import ledger_settings, open_ledger, open_redis
from sfmc_import.ledger.schedule_state import ScheduleState
from sfmc_import.schedule_reports import ScheduleReports
from sfmc_import.settings import Settings
from sfmc_import.settings.model import unplaced_schedules
from sfmc_import.sweeping import SweepLook
from sfmc_import.worker_process import Presence
from sfmc_transport import Keys as TransportKeys

log = structlog.get_logger("sfmc_import.scheduler")


class LoggingScheduler(Scheduler):
    """Celery's scheduler in memory; the schedule is fixed, so there is nothing to keep between two runs."""

    _missed = 0
    _was_sent = False

    def __init__(
        self,
        *args: Any,
        is_needed: Callable[[], bool] = lambda: True,
        note: Callable[[bool], None] = lambda _: None,
        **options: Any,
    ) -> None:
        self._is_needed, self._note = is_needed, note
        super().__init__(*args, **options)

    def adjust(self, n: float, drift: float = 0.0) -> float:
        """Give the seconds to sleep: Celery's own scheduler wakes 10 ms early and asks all the time until then."""
        return n + drift if n > 0 else n

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send what is due and needed; the next sweep makes up for one that could not be sent."""
        if not self._is_needed():
            return
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as error:
            if not self._missed:
                log.warning("broker_unreachable", error=str(error), action="waiting")
                self._note(True)
            self._missed += 1
        else:
            if self._missed:
                log.info("broker_reachable_again", sweeps_missed=self._missed)
            # Also the first time: a beat of before may have ended while the broker was away.
            if self._missed or not self._was_sent:
                self._note(False)
            self._missed, self._was_sent = 0, True


class ScheduleThread(threading.Thread):
    """Looks after schedules in a thread of its own: a ledger that does not answer must not keep sweeps waiting."""

    def __init__(self, made: ticker.Ticker, reports: ScheduleReports) -> None:
        super().__init__(name="schedules", daemon=True)
        self._ticker, self._reports = made, reports
        self._over = threading.Event()

    def run(self) -> None:
        """Look, wait and look again, until the end."""
        pause = 0.0
        while not self._over.wait(pause):
            pause = self._look()
        self._reports.end()

    def _look(self) -> float:
        try:
            pause = self._ticker.look()
            self._reports.tell(self._ticker)
        except Exception:
            # The edge of the thread: whatever it is, the next look comes, and beat's log says it.
            log.exception("schedule_failed")
            return ticker.RETRY_SECONDS
        return pause

    def end(self) -> None:
        """End it; a tick that is being submitted is done, or comes again."""
        self._over.set()
        self.join(END_SECONDS)


END_SECONDS = 2.0


@contextmanager
def running_schedules(settings: Settings) -> Iterator[None]:
    """Run the schedules of the policy file meanwhile; ends the process with code 2 if one has no business unit."""
    for problem in (problems := list(unplaced_schedules(settings))):
        log.error("setting_invalid", problem=problem)
    if problems:
        raise SystemExit(2)
    if not settings.schedules:
        yield
        return
    with Client.from_settings(settings) as client, open_redis(settings) as redis:
        state = ScheduleState(redis, ledger_settings(settings))
        made = ticker.begin(settings.schedules, state, client.submit)
        thread = ScheduleThread(made, ScheduleReports(client.note_folders))
        thread.start()
        try:
            yield
        finally:
            thread.end()


class ImportBeat(Beat):
    """Celery's beat with our scheduler; a process has one, in its main thread."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options | {"scheduler_cls": LoggingScheduler})
        self.interrupted = False

    def start_scheduler(self) -> Any:
        """Wait until Redis can be used, then schedule until a signal.

        Celery's handler of SIGTERM, which asks the scheduler, is set after the wait: so a signal ends the wait.
        """
        heartbeat = worker_process.begin(os.environ, marketing_cloud=False)
        app: Any = self.app
        presence = Presence(open_ledger(app.settings), "beat", f"beat@{socket.gethostname()}")
        presence.announce()
        if heartbeat is not None:
            heartbeat.ready()
        presence.start(stop=lambda: None)
        self.scheduler_cls = partial(LoggingScheduler, is_needed=_look(app).is_needed, note=_note_of(app.settings))
        try:
            with running_schedules(app.settings), _clock_compared(app.settings):
                return super().start_scheduler()
        finally:
            presence.end()

    def install_sync_handler(self, service: Any) -> None:
        """End at SIGTERM and SIGINT as Celery does, and note that it was SIGINT."""
        super().install_sync_handler(service)

        def interrupt(_number: int, _frame: FrameType | None) -> None:
            self.interrupted = True
            raise SystemExit

        signal.signal(signal.SIGINT, interrupt)


@contextmanager
def _clock_compared(settings: Settings) -> Iterator[None]:
    with open_redis(settings) as client, compared_with(client, Keys(settings.prefix), "beat"):
        yield


def _note_of(settings: Settings) -> Callable[[bool], None]:
    """Give what notes whether the broker is away, where it is another Redis than that of the ledger."""
    if settings.broker == settings.redis:
        return lambda _: None
    state = BrokerState(open_redis(settings), ledger_settings(settings))
    return lambda is_away: state.note(is_away=is_away)


def _look(app: Any) -> SweepLook:
    settings: Settings = app.settings
    transport_keys = TransportKeys(settings.transport_prefix, settings.broker_prefix)
    return SweepLook(open_redis(settings), Keys(settings.prefix), app.broker_redis, transport_keys, time.monotonic)
