"""What beat says of its schedules: the last look, what fails since when, and the next tick."""

from collections.abc import Mapping, Sequence
from typing import Any

from structlog.testing import capture_logs

from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.request import BadRequestError
from sfmc_import.schedule_reports import REPEAT_SECONDS, ScheduleReports
from tests.unit.sfmc_import.test_ticker import FIVE, SIX, Shared, at


class Heard:
    """Takes what is said, on a clock that tests move."""

    def __init__(self) -> None:
        self.said: list[Sequence[Mapping[str, Any]] | None] = []
        self.now = 0.0
        self.error: Exception | None = None

    def note(self, watcher: str, folders: Sequence[Mapping[str, Any]] | None) -> None:
        assert watcher.count(":") == 2
        if self.error is not None:
            raise self.error
        self.said.append(folders)

    def reports(self) -> ScheduleReports:
        return ScheduleReports(self.note, lambda: self.now)


def test_each_schedule_is_said_with_its_next_tick() -> None:
    shared, heard = Shared(), Heard()
    beat = shared.beat(FIVE, SIX)
    beat.look()
    heard.reports().tell(beat)

    assert heard.said == [[
        {
            "folder": f"source {name} (schedule, {key})", "location": f"schedule:{name}", "state": "watched",
            "looked": 0.0, "again": again, "files": [], "more": 0,
        }
        for name, key, again in (("five", "k", 5.0), ("six", "l", 3605.0))
    ]]  # fmt: skip


def test_nothing_is_said_before_the_first_look_and_not_again_at_once() -> None:
    shared, heard = Shared(), Heard()
    beat, reports = shared.beat(), heard.reports()
    reports.tell(beat)
    reports.end()
    assert heard.said == []
    beat.look()
    for heard.now in (10.0, 11.0, 10.0 + REPEAT_SECONDS):
        reports.tell(beat)
    reports.end()

    assert [each is None for each in heard.said] == [False, False, True]


def test_a_refused_tick_is_said_since_its_time_until_the_next_one_is_taken() -> None:
    shared, heard = Shared(), Heard()
    beat, reports = shared.beat(), heard.reports()
    beat.look()

    def refuse(name: str) -> None:
        if name == "submit":
            raise BadRequestError(["another request has this id"])

    shared.now, shared.at_step = at(5), refuse
    beat.look()
    shared.now = at(5, 10)
    beat.look()
    reports.tell(beat)
    shared.now, shared.at_step = at(5).replace(day=2), lambda _: None
    beat.look()
    reports.tell(beat)

    [refused], [taken] = (each for each in heard.said if each is not None)
    assert (refused["state"], refused["age"]) == ("failing", 600.0)
    assert refused["text"].startswith("its tick was refused: ")
    assert (taken["state"], "age" in taken) == ("watched", False)


def test_a_defect_is_said_until_the_next_look_that_is_none() -> None:
    shared, heard = Shared(), Heard()
    beat, reports = shared.beat(), heard.reports()

    def fail(name: str) -> None:
        if name == "note":
            raise ValueError("odd")

    shared.at_step = fail
    beat.look()
    reports.tell(beat)
    shared.at_step = lambda _: None
    beat.look()
    reports.tell(beat)

    states = [each[0]["state"] for each in heard.said if each is not None]
    assert states == ["failing", "watched"]


def test_a_redis_that_does_not_take_it_is_said_once_and_asked_again() -> None:
    shared, heard = Shared(), Heard()
    beat, reports = shared.beat(), heard.reports()
    beat.look()
    heard.error = ServiceUnavailableError("away")
    with capture_logs() as logs:
        reports.tell(beat)
        reports.tell(beat)
    heard.error = None
    reports.tell(beat)

    assert [each["event"] for each in logs] == ["schedule_report_failed"]
    assert len(heard.said) == 1
