"""Beat as this product runs it: checks Redis first, keeps no file, and logs an outage of the broker once."""

import os
import signal
import socket
from types import FrameType
from typing import Any

import structlog
from celery.apps.beat import Beat
from celery.beat import Scheduler, SchedulingError

from sfmc_import import worker_process
from sfmc_import.ledger.opening import open_ledger
from sfmc_import.worker_process import Presence

log = structlog.get_logger("sfmc_import.scheduler")


class LoggingScheduler(Scheduler):
    """Celery's scheduler in memory; the schedule is fixed, so there is nothing to keep between two runs."""

    _missed = 0

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send what is due; the next sweep makes up for one that could not be sent."""
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as error:
            if not self._missed:
                log.warning("broker_unreachable", error=str(error), action="waiting")
            self._missed += 1
        else:
            if self._missed:
                log.info("broker_reachable_again", sweeps_missed=self._missed)
            self._missed = 0


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
        try:
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
