"""Where the clock of Redis is wrong no run passes for that of another start, and none of its own is dropped."""

from dataclasses import replace
from typing import Any

import pytest

from sfmc_import.clocks import Clocks
from sfmc_import.faults import Ambiguous
from sfmc_import.policy import Policy
from sfmc_import.request import FileInfo, StartRequest
from sfmc_import.runs import Definition
from tests.support.checks import by_request, name_of
from tests.support.system import System
from tests.unit.sfmc_import.service.conftest import KEY, request
from tests.unit.sfmc_import.service.test_forgotten_starts import last_of, outlive_the_loss, restart_redis, us_date

HOUR = 3600.0
LOST = Ambiguous("reset", "connection reset")
ONCE, AGAIN = Policy(frequency=0, when_ambiguous="stop"), Policy(frequency=0, when_ambiguous="repeat")


def set_redis_ahead(system: System, seconds: float, *, machine_too: bool) -> None:
    """The clock of Redis is ahead of Marketing Cloud's, and that of the worker's machine with it or not."""
    system.redis_off = seconds
    if machine_too:
        system.redis_is_ahead(seconds)
    else:
        system.ahead = -seconds


def date(system: System, task_id: str, ago: float = 0.0) -> str:
    """Give a run its StartDate, by the clock of Marketing Cloud."""
    kept = system.cloud._runs[task_id]
    kept.row = replace(kept.row, start_date=us_date(system.world.now_ms() / 1000 - system.redis_off - ago))
    return task_id


both = pytest.mark.parametrize("machine_too", [True, False])
"""Of the two clocks that can be compared with that of Redis, one says how far it is off."""


def start_unknown(system: System) -> str:
    """A start is applied and cut, and its run appears after it ended as unknown."""
    system.cloud.hidden_looks = 10_000
    system.cloud.fail("start", LOST, applied=True)
    system.start(request("a"))
    run = date(system, system.cloud.performs[-1].task_id)
    system.world.ledger.cancel("a", "ann", "wrong file")
    system.live()
    assert last_of(system, "a")[0] == "start_unknown"
    system.cloud.hidden_looks = 0
    return run


@both
def test_with_redis_behind_the_run_of_an_unknown_start_is_not_taken_for_the_next_one(system: System, machine_too: bool):
    set_redis_ahead(system, -1200.0, machine_too=machine_too)
    system.policy = replace(ONCE, reconcile_deadline=300.0)
    run = start_unknown(system)
    system.cloud.fail("start", LOST)
    system.start(request("b"))
    system.cloud.show(run)
    system.live()

    assert last_of(system, "b") == ("start_unknown", [run])
    assert len(system.cloud.performs) == 1


def test_that_redis_was_behind_a_moment_ago_counts_too(system: System):
    set_redis_ahead(system, -1200.0, machine_too=True)
    system.policy = replace(ONCE, reconcile_deadline=300.0)
    run = start_unknown(system)
    # Its clock is set right: it leaps forward, and all that it noted before seems older than it is.
    system.world.advance(1200.0)
    system.redis_is_ahead(1200.0)
    system.clocks.note_redis(system.boottime() - 1200.0, system.boottime())
    system.cloud.fail("start", LOST)
    system.start(request("b"))
    system.cloud.show(run)
    system.live()

    assert last_of(system, "b") == ("start_unknown", [run])


@pytest.mark.parametrize("ahead", [8 * HOUR, 6.25 * HOUR])
@both
def test_with_redis_ahead_a_start_whose_run_is_there_is_not_made_twice(system: System, ahead: float, machine_too: bool):
    system.deps = system.deps_over(system.world.ledger, system.cloud, baseline=False)
    system.start(request("first"))
    system.live()
    set_redis_ahead(system, ahead, machine_too=machine_too)
    system.policy = AGAIN
    system.cloud.fail("start", LOST, applied=True)
    system.start(request("a"))
    run = date(system, system.cloud.performs[-1].task_id)
    system.live()

    # Where no answer has named a time, the runs were listed before the start.
    assert last_of(system, "a") == (("start_unknown", [run]) if machine_too else ("completed", []))
    assert len(system.cloud.performs) == 2


@both
def test_with_redis_ahead_a_newer_run_below_the_bound_is_still_named(system: System, machine_too: bool):
    system.deps = system.deps_over(system.world.ledger, system.cloud)
    system.start(request("first"))
    system.live()
    set_redis_ahead(system, 8 * HOUR, machine_too=machine_too)
    system.policy = AGAIN
    below = system.cloud.started_elsewhere(KEY)
    system.cloud._runs["7"] = system.cloud._runs.pop(below)
    system.cloud._runs["7"].row = replace(system.cloud._runs["7"].row, task_id="7")
    date(system, "7")
    system.cloud.performs.pop()
    system.cloud.fail("start", LOST)
    system.start(request("a"))
    system.live()

    assert last_of(system, "a") == ("start_unknown", ["7"])
    assert len(system.cloud.performs) == 1


@both
def test_with_redis_ahead_the_run_of_a_start_that_it_forgot_is_not_left_out(system: System, machine_too: bool):
    set_redis_ahead(system, 1200.0, machine_too=machine_too)
    system.submit(request("first", force=True))
    system.live()
    system.world.advance(20)
    date(system, system.cloud.started_elsewhere(KEY), ago=2.0)
    system.submit(request())
    restart_redis(system)
    system.live()

    assert len(system.cloud.performs) == 2
    assert name_of(by_request(system.world.events())["a"][-1]) in {"completed", "start_unknown"}


@both
def test_with_redis_behind_a_run_from_before_the_request_is_not_taken_for_its_own(system: System, machine_too: bool):
    set_redis_ahead(system, -1200.0, machine_too=machine_too)
    other = date(system, system.cloud.started_elsewhere(KEY), ago=600.0)
    system.submit(request())
    restart_redis(system)
    system.live()

    assert last_of(system, "a") == ("start_unknown", [other])


def test_a_worker_that_has_claimed_nothing_before_knows_it_too(system: System):
    set_redis_ahead(system, -1200.0, machine_too=True)
    system.policy = replace(ONCE, reconcile_deadline=300.0)
    run = start_unknown(system)
    system.cloud.fail("start", LOST)
    system.start(request("b"))
    system.cloud.show(run)
    # The worker is replaced: what the old one knew of clocks is gone.
    system.clocks = Clocks(system.boottime, system.wall)
    system.deps = system.deps_over(system.world.ledger, system.cloud)
    system.redis_is_ahead(-1200.0)
    system.live()

    assert last_of(system, "b") == ("start_unknown", [run])


@both
def test_with_redis_behind_a_start_that_it_forgot_long_ago_is_no_run_of_after_the_loss(
    system: System, machine_too: bool
):
    set_redis_ahead(system, -1200.0, machine_too=machine_too)
    system.submit(request("first", force=True))
    system.live()
    system.world.advance(20)
    system.submit(request())
    date(system, system.cloud.started_elsewhere(KEY))
    outlive_the_loss(system)
    system.live()

    assert last_of(system, "a")[0] in {"completed", "start_unknown"}
    assert len(system.cloud.performs) == 2


class Dating:
    """A Marketing Cloud whose answers name its time; as a worker reads it that has just begun."""

    def __init__(self, system: System) -> None:
        self._system, self.asked = system, list[str]()

    def __getattr__(self, name: str) -> Any:
        ask = getattr(self._system.cloud, name)

        def hear(*given: Any, **more: Any) -> Any:
            answer = ask(*given, **more)
            self.asked.append(name)
            self._system.redis_is_ahead(self._system.redis_off)
            return answer

        return hear


class KeptElsewhere:
    """A definition that another process has read a moment ago."""

    def __init__(self, definition: Definition) -> None:
        self._definition = definition

    def get(self, *_given: Any, **_more: Any) -> Definition:
        return self._definition

    known = get

    def forget(self, *_given: Any) -> None:
        """It is read anew each time."""


def begun(system: System, cloud: Any, name: str) -> StartRequest:
    """A worker that begins where the ledger knows the runs of the definition; gives a request for a file."""
    dated = Definition(customer_key=KEY, file_spec="in_%%DAY%%.csv", max_import_frequency=0)
    system.cloud.add(dated)
    system.start(request("first", file=None))
    system.live()
    system.clocks = Clocks(system.boottime, system.wall)
    deps = system.deps_over(system.world.ledger, cloud, baseline=False)
    system.deps = replace(deps, definitions=KeptElsewhere(dated))  # type: ignore[arg-type]
    return request("a", file=FileInfo(location="/in", name=name, size=1, version="1"))


def test_a_worker_that_has_just_begun_hears_the_day_of_marketing_cloud_before_its_first_start(system: System):
    cloud, today = Dating(system), system.deps.timing.days.day(system.world.now_ms() / 1000)
    set_redis_ahead(system, 24 * HOUR, machine_too=False)
    system.ahead = 0.0
    asked = begun(system, cloud, f"in_{today.day:02}.csv")
    system.start(asked)
    system.live()

    assert len(system.cloud.performs) == 1
    assert last_of(system, "a")[0] == "rejected"


def test_once_its_time_was_heard_a_start_asks_for_no_runs_that_the_ledger_knows(system: System):
    cloud, today = Dating(system), system.deps.timing.days.day(system.world.now_ms() / 1000)
    asked = begun(system, cloud, f"in_{today.day:02}.csv")
    system.start(asked)
    system.live()
    heard = cloud.asked.count("runs_of")
    system.start(request("b", file=asked.file and replace(asked.file, version="2")))
    system.live()

    assert (heard, cloud.asked.count("runs_of"), cloud.asked.count("start")) == (1, 1, 2)
