"""A start that Redis has forgotten is found though it was the first of its business unit and its run has ended."""

from dataclasses import replace
from datetime import datetime

import pytest

from sfmc_import.faults import NotApplied
from sfmc_import.run_dates import SERVER_ZONE
from tests.integration.crash_points.crash_points import Fate, Mortal
from tests.support.checks import by_request, name_of
from tests.support.system import MID, System
from tests.unit.sfmc_import.service.conftest import KEY, request


def us_date(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, SERVER_ZONE)
    return f"{moment.month}/{moment.day}/{moment.year} {moment.hour % 12 or 12}:{moment:%M:%S %p}"


def ran_elsewhere(system: System, ago: float) -> None:
    """A run that no request of the ledger claims, and that has ended."""
    task_id = system.cloud.started_elsewhere(KEY)
    kept = system.cloud._runs[task_id]
    kept.row = replace(kept.row, start_date=us_date(system.world.now_ms() / 1000 - ago))


def test_the_forgotten_run_is_found_and_an_older_one_is_not_taken_for_it(system: System):
    ran_elsewhere(system, 3 * 3600)
    ran_elsewhere(system, 2)
    system.submit(request())
    system.world.ledger.write_probe("worker", 2)
    system.live()

    events = by_request(system.world.events())["a"]
    assert name_of(events[-1]) == "completed"
    assert len(system.cloud.performs) == 2


def test_runs_of_long_ago_do_not_keep_a_start_from_being_sent(system: System):
    ran_elsewhere(system, 3 * 3600)
    system.submit(request())
    system.world.ledger.write_probe("worker", 2)
    system.live()

    assert len(system.cloud.performs) == 2


def test_where_the_dates_cannot_be_read_the_request_waits(system: System):
    ran_elsewhere(system, 2)
    system.submit(request())
    system.world.ledger.write_probe("worker", 2)
    system.cloud.fail("runs", NotApplied("9", "in maintenance", account_wide=True), times=1)
    system.live()

    assert len(system.cloud.performs) == 1


def test_a_perform_that_was_on_its_way_when_redis_forgot_it_is_waited_for(system: System):
    system.submit(request())
    system.world.ledger.write_probe("worker", 2)
    system.work()
    system.world.advance(80)
    system.sweep()
    system.work()
    assert system.cloud.performs == []
    ran_elsewhere(system, 0)
    system.live()

    assert len(system.cloud.performs) == 1


def meets_an_empty_ledger(system: System) -> None:
    system.world.ledger.server.note("one", 10, system.world.client.execute_command)


def test_in_an_empty_ledger_a_run_in_progress_may_be_one_that_it_forgot(system: System):
    task_id = system.cloud.started_elsewhere(KEY)
    system.cloud.end(task_id, "Processing")
    meets_an_empty_ledger(system)
    assert system.start(request()).state == "reconciling"
    system.cloud.end(task_id, "Completed")
    system.live()

    events = by_request(system.world.events())["a"]
    assert name_of(events[-1]) == "completed"
    assert len(system.cloud.performs) == 1


def test_a_new_installation_does_not_wait_and_takes_no_run_of_earlier_for_its_own(system: System):
    ran_elsewhere(system, 2)
    meets_an_empty_ledger(system)

    assert system.start(request()).state == "started"
    assert len(system.cloud.performs) == 2


@pytest.mark.parametrize("held_by", ["pause", "window"])
def test_what_holds_the_request_while_a_forgotten_run_is_found_lets_nothing_be_sent(system: System, held_by: str):
    """The run that Redis forgot is there; a pause, or a longer window, stands only while its intent is recorded."""

    class HeldMeanwhile(Mortal):
        def record_intent(self, *args, **more):
            hold(system, held_by)
            found = self._port.record_intent(*args, **more)
            let_go(system, held_by)
            return found

    ran_elsewhere(system, 2)
    system.submit(request())
    system.world.ledger.write_probe("worker", 2)
    deps = system.deps_over(HeldMeanwhile(system.world.ledger, Fate("die_before", 0), ledger=True), system.cloud)
    system.live(deps)
    system.live()

    assert system.world.record("a")["state"] == "completed"
    assert len(system.cloud.performs) == 1


def hold(system: System, held_by: str) -> None:
    if held_by == "pause":
        system.world.ledger.pause("all", "ann", "new columns", None)
    else:
        write_window(system, system.world.now_ms() + 60_000)


def let_go(system: System, held_by: str) -> None:
    if held_by == "pause":
        system.world.ledger.lift_pause("all", "ann", None)
    else:
        write_window(system, 0)


def write_window(system: System, end: float) -> None:
    key = system.world.ledger.keys.definition(MID, KEY)
    system.world.client.hset(key, mapping={"window": str(int(end)), "window_from": "0"})


def test_a_forgotten_run_is_not_passed_over_when_another_suspect_acts_meanwhile(system: System):
    refusals = iter([None])

    class Refused(Mortal):
        def record_intent(self, *args, **more):
            return next(refusals, 1.0) and self._port.record_intent(*args, **more)

    ran_elsewhere(system, 2)
    system.submit(request())
    system.world.ledger.write_probe("worker", 2)
    system.live(system.deps_over(Refused(system.world.ledger, Fate("die_before", 0), ledger=True), system.cloud))

    assert len(system.cloud.performs) == 1


@pytest.mark.parametrize(("ago", "performs"), [(3 * 3600, 3), (2, 2)])
def test_a_run_of_another_program_of_before_the_last_event_that_survived_is_not_taken(
    system: System, ago: float, performs: int
):
    """A newest TaskResultID is known; another program started the definition since, and Redis was restarted."""
    system.submit(request("first", force=True))
    system.live()
    ran_elsewhere(system, ago)
    system.world.advance(1)
    system.submit(request("a", force=True))
    system.world.ledger.write_probe("worker", 2)
    system.live()

    assert system.world.record("a")["state"] == "completed"
    assert len(system.cloud.performs) == performs
