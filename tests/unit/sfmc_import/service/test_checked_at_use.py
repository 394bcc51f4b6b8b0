"""What was true at arrival is checked at use: the file's name, the day, the definition."""

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from sfmc_import.faults import NotApplied
from sfmc_import.policy import Policy
from sfmc_import.request import FileInfo, StartRequest
from sfmc_import.runs import Definition
from tests.integration.crash_points.crash_points import Fate, Mortal
from tests.support.checks import by_request, check_finished, name_of
from tests.support.system import MID, ZONE, System
from tests.unit.sfmc_import.service.conftest import KEY

DAY = 86_400.0
DATED = "in_%%YEAR%%%%MONTH%%%%DAY%%.csv"
DEFINITION = Definition(
    customer_key=KEY, object_id="o", file_spec=DATED, update_type="AddAndUpdate", destination="d", location="l"
)


def local(system: System) -> datetime:
    return datetime.fromtimestamp(system.boottime(), ZoneInfo(ZONE))


def named(system: System, days: int = 0) -> str:
    return f"in_{local(system) + timedelta(days=days):%Y%m%d}.csv"


def until_midnight(system: System) -> float:
    now = local(system)
    return (now.replace(hour=0, minute=0, second=0) + timedelta(days=1) - now).total_seconds()


def dated(system: System, request_id: str, days: int = 0) -> StartRequest:
    file = FileInfo(location="/in", name=named(system, days), size=10, version=request_id)
    return StartRequest(request_id=request_id, customer_key=KEY, mid=MID, file=file)


def names(system: System, request_id: str) -> list[str]:
    return [name_of(event) for event in by_request(system.world.events())[request_id]]


def last(system: System, request_id: str) -> dict:
    return by_request(system.world.events())[request_id][-1]["data"]


@pytest.fixture(autouse=True)
def define(system: System) -> None:
    system.cloud.add(DEFINITION)


def test_a_file_that_waited_beyond_midnight_without_a_worker_starts_nothing(system: System):
    system.submit(dated(system, "a"))
    system.world.advance(DAY)
    system.live()

    assert names(system, "a") == ["accepted", "starting", "rejected"]
    assert last(system, "a")["code"] == "pattern_mismatch"
    assert named(system) in last(system, "a")["text"]
    assert system.cloud.performs == []
    check_finished(system.world, ["a"])


def test_a_file_that_waited_beyond_midnight_for_its_window_starts_nothing(system: System):
    system.policy = Policy(frequency=24)
    system.submit(dated(system, "a"))
    system.work()
    system.submit(dated(system, "b"))
    system.live()

    assert (names(system, "a")[-1], names(system, "b")[-1]) == ("completed", "rejected")
    assert len(system.cloud.performs) == 1


def test_the_file_of_today_starts(system: System):
    system.submit(dated(system, "a"))
    system.live()

    assert names(system, "a")[-1] == "completed"


def test_near_midnight_a_request_waits_and_the_new_file_starts_after_it(system: System):
    system.world.advance(until_midnight(system) - 30)
    system.submit(dated(system, "a", days=1))
    system.work()

    assert (names(system, "a")[-1], last(system, "a")["code"]) == ("retrying", "near_midnight")
    assert 90 <= last(system, "a")["retry_in"] <= 90 + 1
    system.live()
    assert names(system, "a")[-1] == "completed"
    assert local(system).hour == 0


def test_a_start_waits_until_it_is_past_midnight_on_the_clock_of_redis_and_on_that_of_the_worker(system: System):
    system.world.advance(until_midnight(system) - 150)
    system.ahead = 180
    system.submit(dated(system, "a"))
    system.work()

    assert (names(system, "a")[-1], last(system, "a")["code"]) == ("retrying", "near_midnight")
    system.live()
    assert names(system, "a")[-1] == "rejected"
    assert system.cloud.performs == []


def test_a_start_waits_until_it_is_past_midnight_at_marketing_cloud_too(system: System):
    system.world.advance(until_midnight(system) - 150)
    system.redis_is_ahead(-180.0)
    system.submit(dated(system, "a"))
    system.work()

    assert (names(system, "a")[-1], last(system, "a")["code"]) == ("retrying", "near_midnight")
    system.live()
    assert names(system, "a")[-1] == "rejected"
    assert system.cloud.performs == []


def test_near_midnight_the_old_file_is_rejected_when_the_day_is_over(system: System):
    system.world.advance(until_midnight(system) - 30)
    system.submit(dated(system, "a"))
    system.live()

    assert names(system, "a")[-1] == "rejected"
    assert system.cloud.performs == []


def one_waits_for_midnight_and_one_not(system: System) -> None:
    """Of the requests `a` and `b` for one definition the second has a name that holds on both days."""
    system.cloud.add(replace(DEFINITION, file_spec="in_*%%DAY%%*.csv"))
    system.world.advance(until_midnight(system) - 30)
    of_b = f"in_{local(system):%d}_{local(system) + timedelta(days=1):%d}.csv"
    for request_id, name in (("a", f"in_{local(system) + timedelta(days=1):%d}.csv"), ("b", of_b)):
        file = FileInfo(location="/in", name=name, size=10, version=request_id)
        system.submit(StartRequest(request_id=request_id, customer_key=KEY, mid=MID, file=file))
        system.work()


def test_who_waits_for_midnight_keeps_no_other_request_from_the_definition(system: System):
    one_waits_for_midnight_and_one_not(system)

    assert names(system, "b")[-1] == "started"


def test_who_waited_for_midnight_asks_the_window_again(system: System):
    system.policy = Policy(frequency=6)
    one_waits_for_midnight_and_one_not(system)
    system.live()

    assert names(system, "a") == [
        "accepted", "starting", "retrying", "deferred", "starting", "started", "completed",
    ]  # fmt: skip
    assert local(system).hour >= 5


@pytest.mark.parametrize(("seconds", "performs"), [(1800, 1), (3541, 0)])
def test_a_worker_that_was_frozen_between_check_and_send_sends_nothing_on_the_other_day(
    system: System, seconds: float, performs: int
):
    """The lease is long here: midnight alone ends the time to send."""
    system.world.advance(until_midnight(system) - 3600)
    thaw = iter([seconds])

    class Frozen(Mortal):
        def start(self, *args, **more):
            system.world.advance(next(thaw, 0))
            return self._port.start(*args, **more)

        def record_intent(self, *args, **more):
            return self._port.record_intent(*args, **more) and 10_000.0

    cloud = Frozen(system.cloud, Fate("x", 0), ledger=False)
    ledger = Frozen(system.world.ledger, Fate("x", 0), ledger=True)
    system.start(dated(system, "a"), system.deps_over(ledger, cloud))

    assert len(system.cloud.performs) == performs


def test_with_wait_the_request_waits_until_the_day_of_its_file(system: System):
    system.policy = Policy(when_mismatch="wait", retry_deadline=2 * DAY)
    system.world.advance(until_midnight(system) - 1800)
    system.submit(dated(system, "a", days=1))
    system.work()
    assert (names(system, "a")[-1], last(system, "a")["code"]) == ("retrying", "pattern_mismatch")
    system.live()

    assert names(system, "a")[-1] == "completed"
    assert named(system) == last(system, "a")["file"]["name"]


def test_with_wait_a_file_of_the_past_ends_at_the_retry_deadline(system: System):
    system.policy = Policy(when_mismatch="wait", retry_deadline=3600)
    system.submit(dated(system, "a", days=-1))
    system.live()

    assert (names(system, "a")[-1], last(system, "a")["code"]) == ("gave_up", "pattern_mismatch")
    check_finished(system.world, ["a"])


def test_with_wait_files_of_today_pass_the_one_that_waits(system: System):
    system.policy = Policy(when_mismatch="wait", retry_deadline=3600)
    system.submit(dated(system, "a", days=-1))
    system.work()
    system.submit(dated(system, "b"))
    system.live()

    assert (names(system, "a")[-1], names(system, "b")[-1]) == ("gave_up", "completed")


def test_with_start_an_operator_takes_what_the_definition_imports(system: System):
    system.policy = Policy(when_mismatch="start")
    outcome = system.start(dated(system, "a", days=-1))
    system.live()

    assert names(system, "a")[-1] == "completed"
    assert named(system) in outcome.facts["despite"]


@pytest.mark.parametrize("changes", [{"update_type": "Overwrite"}, {"destination": "other"}, {"object_id": "other"}])
def test_a_definition_that_changed_while_the_request_waited_is_not_started(system: System, changes: dict):
    system.policy = Policy(frequency=1)
    system.submit(dated(system, "a"))
    system.work()
    system.submit(dated(system, "b"))
    system.work()
    system.cloud.add(replace(DEFINITION, **changes))
    system.live()

    assert (names(system, "b")[-1], last(system, "b")["code"]) == ("rejected", "pattern_mismatch")
    assert len(system.cloud.performs) == 1


def test_a_definition_that_was_deleted_while_the_request_waited_rejects_it(system: System):
    system.policy = Policy(frequency=1)
    system.submit(dated(system, "a"))
    system.work()
    system.submit(dated(system, "b"))
    system.work()
    system.cloud.remove(KEY)
    system.live()

    assert (names(system, "b")[-1], last(system, "b")["code"]) == ("rejected", "43010")


def test_a_file_spec_that_changed_rejects_the_file_that_it_no_longer_selects(system: System):
    system.policy = Policy(frequency=1)
    system.submit(dated(system, "a"))
    system.work()
    system.submit(dated(system, "b"))
    system.work()
    system.cloud.add(replace(DEFINITION, file_spec="other.csv"))
    system.live()

    assert (names(system, "b")[-1], last(system, "b")["code"]) == ("rejected", "pattern_mismatch")


def test_a_definition_is_read_again_only_when_it_is_not_fresh(system: System):
    system.submit(dated(system, "a"))
    system.work()
    assert [operation for operation, _ in system.cloud.calls].count("definition") == 1

    system.cloud.calls.clear()
    system.cloud.fail("start", NotApplied("13", "not processed"), times=10)
    system.cloud.add(replace(DEFINITION, customer_key="other", object_id="p"))
    system.submit(replace(dated(system, "b"), customer_key="other"))
    system.work()
    system.cloud.heal()
    system.live()
    assert [call for call in system.cloud.calls if call[0] == "definition"] == [("definition", "other")] * 2


def without_file(request_id: str) -> StartRequest:
    return StartRequest(request_id=request_id, customer_key=KEY, mid=MID)


@pytest.mark.parametrize("seconds", [-50.0, 0.0, 30.0])
def test_a_request_without_a_file_waits_near_midnight_and_imports_what_the_new_day_selects(
    system: System, seconds: float
):
    system.world.advance(until_midnight(system) + seconds)
    system.submit(without_file("a"))
    system.work()

    assert (names(system, "a")[-1], last(system, "a")["code"]) == ("retrying", "near_midnight")
    assert 60 - seconds <= last(system, "a")["retry_in"] <= 61 - seconds
    system.live()
    assert names(system, "a")[-1] == "completed"
    assert len(system.cloud.performs) == 1


def test_a_tick_of_midnight_waits_while_it_is_not_yet_midnight_at_marketing_cloud(system: System):
    system.world.advance(until_midnight(system) + 60.0)
    system.redis_is_ahead(120.0)
    system.submit(without_file("a"))
    system.work()

    assert (names(system, "a")[-1], last(system, "a")["code"]) == ("retrying", "near_midnight")


@pytest.mark.parametrize("spec", ["orders.csv", "in_*.csv", "year_%%YEAR%%.csv", "", "_CustomObject"])
def test_a_request_without_a_file_starts_also_near_midnight_where_both_days_select_the_same(system: System, spec: str):
    system.cloud.add(replace(DEFINITION, file_spec=spec))
    system.world.advance(until_midnight(system) - 1)
    system.submit(without_file("a"))
    system.work()

    assert names(system, "a")[-1] == "started"


def test_a_request_without_a_file_starts_near_midnight_where_the_policy_starts_any_file(system: System):
    system.policy = Policy(when_mismatch="start")
    system.world.advance(until_midnight(system) - 1)
    system.submit(without_file("a"))
    system.work()

    assert names(system, "a")[-1] == "started"


def test_by_force_a_request_waits_for_midnight_all_the_same(system: System):
    system.world.advance(until_midnight(system) - 1)
    for request in (without_file("a"), dated(system, "b", days=1)):
        system.submit(replace(request, force=True, reason="now"))
        system.work()

    assert [last(system, each)["code"] for each in ("a", "b")] == ["near_midnight"] * 2


def test_a_definition_that_changed_while_the_worker_stood_still_between_two_attempts_is_seen(system: System):
    def after_a_freeze(attempt):
        assert isinstance(attempt(), NotApplied)
        system.world.advance(3600)
        system.cloud.add(replace(DEFINITION, file_spec="other.csv"))
        return attempt()

    system.cloud.fail("start", NotApplied("refused", "connection refused"))
    system.submit(dated(system, "a"))
    system.work(replace(system.deps, retry_call=after_a_freeze))

    assert last(system, "a")["code"] == "pattern_mismatch"
    assert system.cloud.performs == []


def test_a_start_whose_file_spec_has_unknown_parts_names_them_in_the_log(system: System):
    system.cloud.add(replace(DEFINITION, file_spec="%%NAME%%_%%YEAR%%%%MONTH%%%%DAY%%.csv"))

    outcome = system.start(dated(system, "a"))

    assert (outcome.event, outcome.facts["not_compared"]) == ("import_started", "%%NAME%%")


def test_a_change_before_the_first_reading_of_a_request_is_not_seen_as_one(system: System):
    """No document says when a definition was changed, so one before the request looks like one after it."""
    system.submit(dated(system, "a"))
    system.cloud.add(replace(DEFINITION, destination="other"))
    system.live()

    assert names(system, "a")[-1] == "completed"


HOUR = 3600.0


def of_age(system: System, request_id: str, hours: float) -> StartRequest:
    modified = int((system.world.now_ms() / 1000 - hours * HOUR) * 1e9)
    file = FileInfo(location="/in", name="x.csv", size=10, modified_ns=modified)
    return StartRequest(request_id=request_id, customer_key=KEY, mid=MID, file=file)


def test_a_file_older_than_max_file_age_and_its_offset_starts_nothing(system: System):
    system.cloud.add(replace(DEFINITION, file_spec="x.csv", max_file_age=4, max_file_age_offset=2))
    system.submit(of_age(system, "old", 6.5))
    system.live()
    system.submit(of_age(system, "young", 5.5))
    system.live()

    assert (names(system, "old")[-1], last(system, "old")["code"]) == ("rejected", "file_too_old")
    assert "MaxFileAge allows 6 h" in last(system, "old")["text"]
    assert names(system, "young")[-1] == "completed"


@pytest.mark.parametrize(("when", "end"), [("reject", "rejected"), ("wait", "rejected"), ("start", "completed")])
def test_a_file_that_grew_too_old_while_it_waited_ends_as_the_policy_says(system: System, when: str, end: str):
    system.cloud.add(replace(DEFINITION, file_spec="x.csv", max_file_age=4))
    system.submit(of_age(system, "a", 3.5))
    system.policy = Policy(when_mismatch=when)  # type: ignore[arg-type]
    system.world.advance(HOUR)
    system.live()

    assert names(system, "a")[-1] == end
