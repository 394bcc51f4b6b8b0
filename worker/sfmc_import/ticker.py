"""Submits what schedules ask for when they tick; any number of beats may do so at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.ports import LedgerUnavailableError, ScheduleState
from sfmc_import.request import BadRequestError, IdTakenError
from sfmc_import.schedules import Schedule, Tick, look, seconds_to_next

LOOK_SECONDS = 10.0
"""The longest pause between two looks at the clock: it may be set, and the machine may sleep."""

RETRY_SECONDS = 2.0
"""Seconds until the next look while the ledger does not answer."""

log = structlog.get_logger("sfmc_import.ticker")


@dataclass(frozen=True, slots=True)
class Failure:
    """What is wrong with a schedule since when, on the clock of Redis; `is_of_tick`: until its next tick is taken."""

    since: datetime
    text: str
    is_of_tick: bool = False


class Ticker:
    """Looks at the clock of Redis for all schedules; `submit` is that of the client.

    `looked_at` is the time of the last look, and `failures` has what is wrong, by the name of the source. A tick is
    noted after its request is in the ledger: who dies in between leaves it to the next look, and the ledger knows the
    request by its id.
    """

    def __init__(self, schedules: Sequence[Schedule], state: ScheduleState, submit: Callable[..., Any]) -> None:
        self.schedules, self._state, self._submit = schedules, state, submit
        self.looked_at: datetime | None = None
        self.failures: dict[str, Failure] = {}
        self._is_waiting = False

    def look(self) -> float:
        """Submit what is due, and give the seconds until the next look."""
        try:
            now, seen = self._state.read([each.source for each in self.schedules])
            for each in self.schedules:
                self._look_alone(each, seen, now)
        except (LedgerUnavailableError, ServiceUnavailableError) as error:
            if not self._is_waiting:
                log.warning("schedules_waiting", reason=str(error), action="waiting")
            self._is_waiting = True
            return RETRY_SECONDS
        if self._is_waiting:
            log.info("schedules_go_on")
        self._is_waiting = False
        self.looked_at = now
        return min(LOOK_SECONDS, *(seconds_to_next(each, now) for each in self.schedules))

    def _look_alone(self, schedule: Schedule, seen: Mapping[str, datetime], now: datetime) -> None:
        try:
            self._look_at(schedule, seen, now)
        except (LedgerUnavailableError, ServiceUnavailableError):
            raise
        except Exception as error:
            # The edge of a schedule: the others go on.
            log.exception("schedule_failed", source=schedule.source)
            self._fail(schedule, f"{type(error).__name__}: {error}; the log of beat has more", now)
        else:
            if schedule.source in self.failures and not self.failures[schedule.source].is_of_tick:
                del self.failures[schedule.source]

    def _fail(self, schedule: Schedule, text: str, now: datetime, *, is_of_tick: bool = False) -> None:
        before = self.failures.get(schedule.source)
        since = now if before is None else before.since
        self.failures[schedule.source] = Failure(since, text, is_of_tick)

    def _look_at(self, schedule: Schedule, seen: Mapping[str, datetime], now: datetime) -> None:
        """Submit the tick of one schedule; a new one begins now, and one seen in the future was on a wrong clock."""
        found = look(schedule, min(seen.get(schedule.source, now), now), now)
        if found.missed:
            _report_missed(schedule, found.missed)
        if found.tick is not None:
            self._submit_tick(schedule, found.tick, now)
        self._state.note(schedule.source, now)

    def _submit_tick(self, schedule: Schedule, tick: Tick, now: datetime) -> None:
        names = {"source": schedule.source, "customer_key": schedule.customer_key, "event_id": tick.event_id}
        try:
            answer = self._submit_once({**names, "mid": schedule.mid}, tick)
        except BadRequestError as error:
            log.error("schedule_tick_refused", reason=str(error), **names)
            self._fail(schedule, f"its tick was refused: {error}", now, is_of_tick=True)
            return
        self.failures.pop(schedule.source, None)
        if answer.is_new:
            log.info("schedule_tick_submitted", request_id=answer.request_id, **names)

    def _submit_once(self, given: Mapping[str, Any], tick: Tick) -> Any:
        """Submit under the id that the tick always has; where something else has that, under one of its own.

        The usual id can be foreseen: a request under it that came before the tick is not its own, whatever it asks
        for. One of another definition may be of a beat with another policy file as well.
        """
        try:
            answer = self._submit(**given, request_id=tick.request_id)
            recorded = None if answer.is_new else self._state.recorded_at(tick.request_id)
            if recorded is None or recorded >= tick.at:
                return answer
        except IdTakenError:
            pass
        log.warning("schedule_id_taken", source=tick.source, event_id=tick.event_id, request_id=tick.request_id)
        return self._submit(**given, request_id=self._state.own_id(tick.request_id))


def _report_missed(schedule: Schedule, missed: Sequence[datetime]) -> None:
    times = {"first": missed[0].isoformat(), "last": missed[-1].isoformat()}
    log.warning("schedule_ticks_missed", source=schedule.source, ticks=len(missed), **times)


def begin(schedules: Sequence[Schedule], state: ScheduleState, submit: Callable[..., Any]) -> Ticker:
    """Make a ticker, and say when each schedule ticks next."""
    for each in schedules:
        wait = seconds_to_next(each, datetime.now(UTC))
        log.info("schedule_started", source=each.source, customer_key=each.customer_key, next_in=round(wait))
    return Ticker(schedules, state, submit)
