"""A start that Redis has forgotten is found, and only what surely is a start of the request is taken for one."""

from dataclasses import replace
from datetime import datetime

import pytest

from sfmc_import.faults import NotApplied
from sfmc_import.ledger.loss_keys import LOSS, SERVER
from sfmc_import.policy import Policy
from sfmc_import.run_dates import SERVER_ZONE
from tests.integration.crash_points.crash_points import Fate, Mortal
from tests.support.checks import by_request, name_of
from tests.support.system import MID, System
from tests.unit.sfmc_import.service.conftest import KEY, request


def us_date(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, SERVER_ZONE)
    return f"{moment.month}/{moment.day}/{moment.year} {moment.hour % 12 or 12}:{moment:%M:%S %p}"


def ran_elsewhere(system: System, ago: float) -> str:
    """A run that no request of the ledger claims, and that has ended."""
    task_id = system.cloud.started_elsewhere(KEY)
    kept = system.cloud._runs[task_id]
    kept.row = replace(kept.row, start_date=us_date(system.world.now_ms() / 1000 - ago))
    return task_id


def restart_redis(system: System) -> None:
    """Redis was started anew just now, and may have lost its last writes; all that it has was recorded before."""
    note, execute = system.world.ledger.server.note, system.world.client.execute_command
    system.world.client.set(system.world.keys.name_of(SERVER), "before")
    system.world.advance(5)
    note("after", 1, execute)


def lose_writes(system: System) -> None:
    """A run and its events survive the loss."""
    system.submit(request("first", force=True))
    system.live()
    system.world.advance(20)
    restart_redis(system)


def last_of(system: System, request_id: str) -> tuple[str, list[str]]:
    """How a request ended, and the runs that it names."""
    event = by_request(system.world.events())[request_id][-1]
    return name_of(event), event["data"].get("candidates", [])


def test_the_forgotten_run_is_found_and_an_older_one_is_not_taken_for_it(system: System):
    ran_elsewhere(system, 3 * 3600)
    ran_elsewhere(system, 2)
    system.submit(request())
    restart_redis(system)
    system.live()

    assert last_of(system, "a") == ("completed", [])
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


def test_a_perform_of_a_worker_with_a_longer_time_out_is_waited_for(system: System):
    """It was replaced by one with a shorter time-out, and its last call is on its way."""
    system.submit(request())
    system.world.ledger.write_probe("old", 1, 300.0)
    system.world.ledger.write_probe("new", 2, 30.0)
    system.work()
    system.world.advance(350)
    system.sweep()
    system.work()
    assert system.cloud.performs == []
    ran_elsewhere(system, 0)
    system.live()

    assert len(system.cloud.performs) == 1


def meets_an_empty_ledger(system: System) -> None:
    system.world.ledger.server.note("one", 10, system.world.client.execute_command)


def test_in_an_empty_ledger_a_run_in_progress_may_be_one_that_it_forgot(system: System):
    task_id = ran_elsewhere(system, 2)
    system.cloud.end(task_id, "Processing")
    meets_an_empty_ledger(system)
    assert system.start(request()).state == "reconciling"
    system.cloud.end(task_id, "Completed")
    system.live()

    assert last_of(system, "a") == ("start_unknown", [task_id])
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
    restart_redis(system)
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


@pytest.mark.parametrize(("ago", "end", "performs"), [(3 * 3600, "completed", 3), (2, "start_unknown", 2)])
def test_a_run_of_another_program_of_before_the_last_event_that_survived_is_not_taken(
    system: System, ago: float, end: str, performs: int
):
    """A newest TaskResultID is known; another program started the definition since, and Redis was restarted."""
    system.submit(request("first", force=True))
    system.live()
    ran_elsewhere(system, ago)
    system.world.advance(1)
    system.submit(request("a", force=True))
    system.world.ledger.write_probe("worker", 2)
    system.live()

    assert system.world.record("a")["state"] == end
    assert len(system.cloud.performs) == performs


def test_another_file_that_comes_after_the_loss_does_not_take_the_forgotten_run_for_its_own(system: System):
    lose_writes(system)
    run = ran_elsewhere(system, 13)
    system.submit(request("b", force=True))
    system.live()

    assert last_of(system, "b") == ("start_unknown", [run])
    assert len(system.cloud.performs) == 2


def test_a_run_of_another_program_is_not_taken_after_a_restart_that_lost_nothing(system: System):
    system.submit(request("ours", force=True))
    system.live()
    system.world.advance(20)
    run = ran_elsewhere(system, 0)
    system.world.advance(30)
    restart_redis(system)
    system.submit(request("b", force=True))
    system.live()

    assert last_of(system, "b") == ("start_unknown", [run])


def test_a_run_that_began_before_the_request_was_recorded_is_named_and_not_taken(system: System):
    """The last event that survived is of another program, so that it says nothing of the time of the loss."""
    system.submit(request("ours", force=True))
    system.live()
    run = ran_elsewhere(system, 3600)
    system.submit(request("b", force=True))
    system.world.client.xadd(system.world.keys.stream, {"event": "{}"})
    restart_redis(system)
    system.world.client.hdel(system.world.keys.name_of(LOSS), "since")
    system.work()
    system.world.client.xtrim(system.world.keys.stream, maxlen=0)
    system.live()

    assert last_of(system, "b") == ("start_unknown", [run])


def test_a_run_without_a_date_is_named_and_not_taken(system: System):
    system.submit(request("ours", force=True))
    system.live()
    run = system.cloud.started_elsewhere(KEY)
    system.submit(request("b", force=True))
    restart_redis(system)
    system.live()

    assert last_of(system, "b") == ("start_unknown", [run])


def test_what_waited_for_its_window_before_the_loss_takes_the_start_that_redis_forgot(system: System):
    system.submit(request("first"))
    system.live()
    system.submit(request("b"))
    system.work()
    assert system.world.record("b")["state"] == "deferred"
    system.world.advance(2 * 3600 + 1)
    system.world.ledger.write_probe("worker", 2)
    ran_elsewhere(system, 0)
    system.live()

    assert last_of(system, "b") == ("completed", [])
    assert len(system.cloud.performs) == 2


def test_what_no_worker_had_decided_before_the_loss_is_proved_by_the_begin_of_the_server_alone(system: System):
    """Its source may have reached the new server before any worker did."""
    system.submit(request("b"))
    system.world.ledger.write_probe("worker", 2)
    run = ran_elsewhere(system, 0)
    system.live()

    assert last_of(system, "b") == ("start_unknown", [run])


def test_a_second_loss_makes_no_request_of_the_careful_time_one_of_before(system: System):
    lose_writes(system)
    run = ran_elsewhere(system, 0)
    system.submit(request("b", force=True))
    system.work()
    system.world.advance(60)
    system.world.ledger.write_probe("worker", 2)
    system.live()

    assert last_of(system, "b") == ("start_unknown", [run])


def test_what_came_after_an_earlier_loss_was_there_before_a_later_one(system: System):
    restart_redis(system)
    system.submit(request("b", not_before=system.world.now_ms() / 1000 + 3600))
    system.world.client.delete(system.world.keys.name_of(LOSS))
    system.world.advance(3600)
    system.world.client.set(system.world.keys.name_of(SERVER), "another")
    restart_redis(system)
    ran_elsewhere(system, 0)
    system.live()

    assert last_of(system, "b") == ("completed", [])
    assert len(system.cloud.performs) == 1


def test_a_run_that_another_program_begins_during_the_wait_is_not_taken_either(system: System):
    lose_writes(system)
    forgotten = ran_elsewhere(system, 13)
    system.submit(request("b", force=True))
    system.work()
    system.world.advance(100)
    system.sweep()
    system.work()
    assert system.world.record("b")["state"] == "reconciling"
    begun = ran_elsewhere(system, 0)
    system.live()

    assert last_of(system, "b") == ("start_unknown", [forgotten, begun])


def test_where_a_start_may_be_repeated_none_is_sent_while_a_run_is_unknown(system: System):
    system.policy = Policy(when_ambiguous="repeat")
    lose_writes(system)
    run = ran_elsewhere(system, 13)
    system.submit(request("b", force=True))
    system.live()

    assert last_of(system, "b") == ("start_unknown", [run])
    assert len(system.cloud.performs) == 2


def test_a_run_that_a_request_has_named_does_not_stop_the_next_one(system: System):
    lose_writes(system)
    named = ran_elsewhere(system, 13)
    system.submit(request("b", force=True))
    system.live()
    system.submit(request("c", force=True))
    system.live()
    assert last_of(system, "c") == ("completed", [])
    other = ran_elsewhere(system, 0)
    system.submit(request("d", force=True))
    system.live()
    system.submit(request("e", force=True))
    system.live()

    assert last_of(system, "d") == ("start_unknown", [other])
    assert last_of(system, "e") == ("completed", [])
    assert {other, named} <= {perform.task_id for perform in system.cloud.performs}
    assert len(system.cloud.performs) == 5


def test_a_request_of_before_the_loss_takes_a_run_that_a_later_request_has_named(system: System):
    system.submit(request("first"))
    system.live()
    system.submit(request("b"))
    system.work()
    system.world.advance(3600)
    restart_redis(system)
    run = ran_elsewhere(system, 0)
    system.submit(request("c", force=True))
    system.live()

    assert last_of(system, "c") == ("start_unknown", [run])
    assert last_of(system, "b") == ("completed", [])
    assert len(system.cloud.performs) == 2


def outlive_the_loss(system: System) -> None:
    """Redis lost its last writes; a pause holds what it kept for longer than starts are careful."""
    system.world.ledger.write_probe("worker", 2)
    system.world.advance(2000)
    # Keys expire by the clock of the server.
    system.world.client.delete(system.world.keys.name_of(LOSS))


@pytest.mark.parametrize("newest", ["known", "unknown"])
def test_a_start_that_redis_forgot_is_found_however_long_its_request_was_held(system: System, newest: str):
    if newest == "known":
        system.submit(request("first", force=True))
        system.live()
        system.world.advance(20)
    system.submit(request())
    task_id = ran_elsewhere(system, 0)
    outlive_the_loss(system)
    system.live()

    event = by_request(system.world.events())["a"][-1]
    assert (name_of(event), event["data"].get("task_id")) == ("completed", task_id)


def test_what_others_started_long_after_a_loss_is_no_start_that_redis_forgot(system: System):
    system.submit(request("first", force=True))
    system.live()
    system.world.advance(20)
    system.submit(request())
    outlive_the_loss(system)
    ran_elsewhere(system, 10)
    system.live()

    assert last_of(system, "a")[0] == "completed"
    assert len(system.cloud.performs) == 3
