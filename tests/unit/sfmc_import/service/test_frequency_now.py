"""A request is held back, or let go, by MaxImportFrequency as it is when its start is decided."""

from dataclasses import replace
from datetime import datetime

from sfmc_import.policy import Policy
from sfmc_import.runs import Definition
from tests.support.checks import by_request, check_finished, name_of
from tests.support.system import System
from tests.unit.sfmc_import.service.conftest import KEY, request

HOUR = 3600.0
DEFINITION = Definition(customer_key=KEY, max_import_frequency=2)


def names(system: System, request_id: str) -> list[str]:
    return [name_of(event) for event in by_request(system.world.events())[request_id]]


def hours_between(system: System) -> float:
    """The hours between the starts of the requests a and b."""
    events = by_request(system.world.events())
    began = [
        next(datetime.fromisoformat(event["time"]) for event in events[request_id] if name_of(event) == "started")
        for request_id in ("a", "b")
    ]
    return (began[1] - began[0]).total_seconds() / 3600


def after_a_run(system: System, hours: float) -> None:
    system.submit(request("a"))
    system.live()
    system.world.advance(hours * HOUR)


def test_a_frequency_that_was_raised_since_the_last_start_holds_back_the_next(system: System):
    after_a_run(system, hours=3)
    system.cloud.add(replace(DEFINITION, max_import_frequency=6))
    system.submit(request("b"))
    system.live()

    assert 6 <= hours_between(system) < 6.1
    assert names(system, "b")[:3] == ["accepted", "deferred", "starting"]
    check_finished(system.world, ["a", "b"])


def test_a_frequency_that_was_raised_while_a_request_waited_holds_it_back(system: System):
    after_a_run(system, hours=1)
    system.submit(request("b"))
    system.work()
    system.cloud.add(replace(DEFINITION, max_import_frequency=6))
    system.live()

    assert 6 <= hours_between(system) < 6.1
    assert names(system, "b")[:5] == ["accepted", "deferred", "starting", "retrying", "deferred"]
    check_finished(system.world, ["a", "b"])


def test_a_request_without_a_file_that_the_raised_frequency_meets_is_a_duplicate(system: System):
    after_a_run(system, hours=3)
    system.cloud.add(replace(DEFINITION, max_import_frequency=6))
    system.submit(request("b", file=None))
    system.live()

    assert names(system, "b") == ["accepted", "duplicate"]


def test_a_frequency_that_was_lowered_lets_the_next_start_go_earlier(system: System):
    after_a_run(system, hours=1)
    system.cloud.add(replace(DEFINITION, max_import_frequency=1))
    system.submit(request("b"))
    system.live()

    assert 1 <= hours_between(system) < 1.1


def test_a_policy_that_was_raised_holds_back_what_waits(system: System):
    after_a_run(system, hours=1)
    system.submit(request("b"))
    system.work()
    system.policy = Policy(frequency=5)
    system.live()

    assert 5 <= hours_between(system) < 5.1
    check_finished(system.world, ["a", "b"])
