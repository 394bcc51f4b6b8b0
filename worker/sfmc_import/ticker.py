"""Submits what schedules ask for when they tick; any number of beats may do so at once."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog

from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.ports import LedgerUnavailableError, ScheduleState
from sfmc_import.request import BadRequestError
from sfmc_import.schedules import Schedule, Tick, look, seconds_to_next

LOOK_SECONDS = 10.0
"""The longest pause between two looks at the clock: it may be set, and the machine may sleep."""

RETRY_SECONDS = 2.0
"""Seconds until the next look while the ledger does not answer."""

log = structlog.get_logger("sfmc_import.ticker")


class Ticker:
    """Looks at the clock of Redis for all schedules; `submit` is that of the client.

    A tick is noted after its request is in the ledger: who dies in between leaves it to the next look, and the ledger
    knows the request by its id.
    """

    def __init__(self, schedules: Sequence[Schedule], state: ScheduleState, submit: Callable[..., Any]) -> None:
        self._schedules, self._state, self._submit = schedules, state, submit
        self._is_waiting = False

    def look(self) -> float:
        """Submit what is due, and give the seconds until the next look."""
        try:
            now, seen = self._state.read([each.source for each in self._schedules])
            for each in self._schedules:
                self._look_alone(each, seen, now)
        except (LedgerUnavailableError, ServiceUnavailableError) as error:
            if not self._is_waiting:
                log.warning("schedules_waiting", reason=str(error), action="waiting")
            self._is_waiting = True
            return RETRY_SECONDS
        if self._is_waiting:
            log.info("schedules_go_on")
        self._is_waiting = False
        return min(LOOK_SECONDS, *(seconds_to_next(each, now) for each in self._schedules))

    def _look_alone(self, schedule: Schedule, seen: Mapping[str, datetime], now: datetime) -> None:
        try:
            self._look_at(schedule, seen, now)
        except (LedgerUnavailableError, ServiceUnavailableError):
            raise
        except Exception:
            # The edge of a schedule: the others go on.
            log.exception("schedule_failed", source=schedule.source)

    def _look_at(self, schedule: Schedule, seen: Mapping[str, datetime], now: datetime) -> None:
        """Submit the tick of one schedule; a new one begins now, and one seen in the future was on a wrong clock."""
        found = look(schedule, min(seen.get(schedule.source, now), now), now)
        if found.missed:
            _report_missed(schedule, found.missed)
        if found.tick is not None:
            self._submit_tick(schedule, found.tick)
        self._state.note(schedule.source, now)

    def _submit_tick(self, schedule: Schedule, tick: Tick) -> None:
        names = {"source": schedule.source, "customer_key": schedule.customer_key, "event_id": tick.event_id}
        given = {**names, "mid": schedule.mid, "request_id": tick.request_id}
        try:
            answer = self._submit(**given)
        except BadRequestError as error:
            # The id has a request of another definition: beats with two policy files. One of them was taken.
            log.error("schedule_tick_refused", reason=str(error), **names)
            return
        if answer.is_new:
            log.info("schedule_tick_submitted", request_id=answer.request_id, **names)


def _report_missed(schedule: Schedule, missed: Sequence[datetime]) -> None:
    times = {"first": missed[0].isoformat(), "last": missed[-1].isoformat()}
    log.warning("schedule_ticks_missed", source=schedule.source, ticks=len(missed), **times)


def begin(schedules: Sequence[Schedule], state: ScheduleState, submit: Callable[..., Any]) -> Ticker:
    """Make a ticker, and say when each schedule ticks next."""
    for each in schedules:
        wait = seconds_to_next(each, datetime.now(UTC))
        log.info("schedule_started", source=each.source, customer_key=each.customer_key, next_in=round(wait))
    return Ticker(schedules, state, submit)
