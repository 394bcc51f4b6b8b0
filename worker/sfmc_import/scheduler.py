"""Beat's scheduler: nothing on disk, and an outage of the broker is told once instead of with each sweep."""

from typing import Any

import structlog
from celery.beat import Scheduler, SchedulingError

log = structlog.get_logger("worker.beat")


class LoggingScheduler(Scheduler):
    """Celery's scheduler in memory; the schedule is fixed, so there is nothing to keep between two lives."""

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
