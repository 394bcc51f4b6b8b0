"""The time of Redis in a process whose own clock is wrong, and what it says of that."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.redis_clock import ClockComparison, RedisClock

NOON = datetime(2026, 3, 7, 12, tzinfo=UTC)
DAY = 86_400.0


class Machine:
    """A machine whose clock is `ahead` of that of Redis, by seconds; `takes` is what a call takes."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.ahead, self.passed, self.calls, self.takes = ahead, 0.0, 0, 0.0
        self.is_away = False
        self.clock = RedisClock(self._ask, steady=lambda: self.passed, wall=lambda: self._redis() + self.ahead)

    def _redis(self) -> float:
        return NOON.timestamp() + self.passed

    def _ask(self) -> float:
        self.calls += 1
        if self.is_away:
            raise ServiceUnavailableError("Redis does not answer")
        self.passed += self.takes
        return self._redis()


def test_the_time_is_that_of_redis_on_a_machine_whose_clock_is_a_day_behind() -> None:
    machine = Machine(ahead=-DAY)
    assert machine.clock.now() == NOON

    machine.passed, machine.ahead = 30.0, 5 * DAY
    assert machine.clock.now() == NOON + timedelta(seconds=30)
    assert machine.calls == 1


def test_it_is_asked_for_anew_after_a_minute_and_reckoned_on_while_redis_is_away() -> None:
    machine = Machine()
    machine.clock.now()
    machine.passed, machine.is_away = 60.0, True
    for _ in range(3):
        assert machine.clock.now() == NOON + timedelta(seconds=60)
    assert machine.calls == 2

    machine.passed, machine.is_away = 75.0, False
    assert machine.clock.now() == NOON + timedelta(seconds=75)
    assert machine.calls == 3


def test_without_an_answer_no_time_is_known() -> None:
    machine = Machine()
    machine.is_away = True
    with pytest.raises(ServiceUnavailableError):
        machine.clock.now()


def compared(machine: Machine) -> tuple[ClockComparison, Callable[[], list[tuple[str, float | None]]]]:
    noted: list[float | None] = []
    comparison = ClockComparison(machine.clock, noted.append)

    def look() -> list[tuple[str, float | None]]:
        noted.clear()
        with capture_logs() as logs:
            comparison.look()
        return [*((each["event"], each.get("ahead")) for each in logs), *(("noted", each) for each in noted)]

    return comparison, look


def test_a_clock_that_is_off_is_logged_once_and_noted_each_time_until_it_agrees() -> None:
    machine = Machine(ahead=-900.0)
    _, look = compared(machine)

    assert look() == [("clock_differs", -900.0), ("noted", -900.0)]
    assert look() == [("noted", -900.0)]
    machine.ahead = -100.0
    assert look() == [("clock_differs", -100.0), ("noted", -100.0)]
    machine.ahead = 0.0
    assert look() == [("clock_agrees", None), ("noted", None)]
    assert look() == []


def test_a_clock_that_agrees_says_nothing_and_a_redis_that_is_away_or_slow_proves_nothing() -> None:
    machine = Machine(ahead=4.9)
    _, look = compared(machine)
    assert look() == []

    machine.ahead, machine.is_away = 900.0, True
    assert look() == []

    machine.is_away, machine.ahead, machine.takes = False, 7.0, 20.0
    assert look() == []


def test_a_process_that_ends_takes_back_what_it_noted() -> None:
    noted: list[float | None] = []
    comparison = ClockComparison(Machine(ahead=60.0).clock, noted.append)
    comparison.end()
    comparison.look()
    comparison.end()

    assert noted == [60.0, None]
