"""A worker dies, or loses Redis or a reply, at every single call of every life; a healthy one must finish it."""

from collections.abc import Iterator

import pytest

from sfmc_import.ledger import LedgerSettings
from sfmc_import.request import FileInfo, StartRequest
from sfmc_import.runs import Definition
from tests.integration.crash_points.crash_points import DEATHS, DiedError, Fate, Mortal, fates
from tests.integration.crash_points.scenarios import KEY, SCENARIOS, Scenario
from tests.support.checks import by_request, check_finished, check_invariants, name_of
from tests.support.ledger_world import RedisWorld
from tests.support.system import MID, System

SETTINGS = LedgerSettings()
REQUEST = StartRequest(
    request_id="r1",
    customer_key=KEY,
    mid=MID,
    file=FileInfo(location="/in", name="daily.csv", size=3, version="v1"),
    event_id="e1",
)


@pytest.fixture(scope="module")
def world(redis_server) -> Iterator[RedisWorld]:
    made = RedisWorld(redis_server.url, SETTINGS)
    yield made
    made.close()


def new_works(world: RedisWorld, scenario: Scenario) -> System:
    world.restart()
    system = System(world, Definition(customer_key=KEY, update_type="AddAndUpdate"), policy=scenario.policy)
    scenario.prepare(system.cloud)
    return system


def live_with(system: System, fate: Fate, *, redelivered: bool) -> None:
    """One mortal worker, then healthy ones; a message that was being worked on may come again or be lost."""
    ledger, cloud = Mortal(system.world.ledger, fate, ledger=True), Mortal(system.cloud, fate, ledger=False)
    system.submit(REQUEST)
    try:
        system.live(system.deps_over(ledger, cloud))
    except DiedError:
        system.messages.clear()
        if redelivered:
            system.send_start(REQUEST)
            system.work()
    system.live()


def check(system: System, scenario: Scenario) -> None:
    world = system.world
    check_finished(world, ["r1"])
    performs = system.cloud.performs
    assert len(performs) <= scenario.most
    check_invariants(world, "r1", performs)
    end = name_of(by_request(world.events())["r1"][-1])
    assert end in scenario.ends
    if performs and scenario.findable:
        assert end != "start_unknown", "the run was there to be found"
    assert_free(system)


def assert_free(system: System) -> None:
    """Nothing holds the definition any longer."""
    system.cloud.heal()
    system.cloud.statuses, system.cloud.hidden_looks = ("Completed",), 0
    before = len(system.cloud.performs)
    system.submit(StartRequest(request_id="probe", customer_key=KEY, mid=MID, force=True))
    system.live()
    assert len(system.cloud.performs) == before + 1


def calls_of(world: RedisWorld, scenario: Scenario) -> list[bool]:
    fate = Fate("die_before", 0)
    system = new_works(world, scenario)
    live_with(system, fate, redelivered=False)
    check(system, scenario)
    return fate.calls


LONGEST = {
    *("repeat_after_drop_after", "repeat_after_drop_before"),
    *("http_500_before_applying", "fault_2_not_applied", "row_never_seen", "refused_for_hours"),
}
"""As `drop_before_applying` and `drop_after_applying`, with other answers or two to four times their calls."""


def _marks(scenario: Scenario) -> list[pytest.MarkDecorator]:
    return [pytest.mark.nightly] if scenario.name in LONGEST else []


@pytest.mark.parametrize("scenario", [pytest.param(each, marks=_marks(each), id=each.name) for each in SCENARIOS])
def test_whatever_dies_at_whichever_call_the_request_ends_once_and_truly(world: RedisWorld, scenario, record_property):
    met = fates(calls_of(world, scenario)[: scenario.points])
    cases = [(*fate, again) for fate in met for again in (False, True) if not again or fate[0] in DEATHS]
    for kind, point, redelivered in cases:
        system = new_works(world, scenario)
        live_with(system, Fate(kind, point), redelivered=redelivered)
        try:
            check(system, scenario)
        except AssertionError as error:
            raise AssertionError(f"{kind} at call {point}, redelivered {redelivered}: {error}") from error
    record_property("cases", len(cases))
