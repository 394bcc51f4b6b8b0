"""Two files of one definition, the second during the run of the first, while workers die at every call."""

from collections.abc import Iterator

import pytest

from sfmc_import.ledger import LedgerSettings
from sfmc_import.policy import Policy
from sfmc_import.request import FileInfo, StartRequest
from sfmc_import.runs import Definition
from sfmc_import.states import RUN_ENDS, TERMINAL
from tests.integration.crash_points.crash_points import DiedError, Fate, Mortal, fates
from tests.integration.crash_points.scenarios import KEY, SCENARIOS
from tests.support.checks import by_request, check_finished, name_of
from tests.support.ledger_world import RedisWorld
from tests.support.system import MID, System

NAMES = ("all_is_well", "drop_after_applying", "drop_before_applying", "fault_9", "rejected_43010", "run_ends_in_error")
CHOSEN = [scenario for scenario in SCENARIOS if scenario.name in NAMES]
POLICIES = {"no_window": Policy(), "window": Policy(frequency=3), "keep": Policy(frequency=3, on_error="keep")}
IN_PARTS = [
    pytest.param(policy, id=name, marks=[pytest.mark.nightly] * (name != "keep")) for name, policy in POLICIES.items()
]
POINTS = 16


def request_for(name: str) -> StartRequest:
    file = FileInfo(location="/in", name=f"{name}.csv", version=name)
    return StartRequest(request_id=name, customer_key=KEY, mid=MID, file=file)


@pytest.fixture(scope="module")
def world(redis_server) -> Iterator[RedisWorld]:
    made = RedisWorld(redis_server.url, LedgerSettings())
    yield made
    made.close()


def live(world: RedisWorld, scenario, policy: Policy, fate: Fate) -> System:
    world.restart()
    system = System(world, Definition(customer_key=KEY, update_type="AddAndUpdate"), policy=policy)
    scenario.prepare(system.cloud)
    ledger, cloud = Mortal(world.ledger, fate, ledger=True), Mortal(system.cloud, fate, ledger=False)
    for name in ("a", "b"):
        system.submit(request_for(name))
    try:
        system.live(system.deps_over(ledger, cloud))
    except DiedError:
        system.messages.clear()
    system.live()
    return system


def check(system: System) -> None:
    check_finished(system.world, ["a", "b"])
    events_of = by_request(system.world.events())
    tasks = [
        event["data"]["task_id"] for events in events_of.values() for event in events if name_of(event) == "started"
    ]
    assert len(tasks) == len(set(tasks))
    assert len(system.cloud.performs) <= 2
    assert {perform.task_id for perform in system.cloud.performs} <= set(tasks) | possibly_started(events_of)
    assert_single_flight(system.world.events())


def possibly_started(events_of) -> set[str]:
    """What a request that ended as unknown may have started: anything."""
    ends = {name_of(events[-1]) for events in events_of.values()}
    return {str(number) for number in range(129159023, 129159033)} if "start_unknown" in ends else set()


def assert_single_flight(events) -> None:
    flying = None
    for event in events:
        name, request_id = name_of(event), event["data"]["request_id"]
        if name == "starting":
            assert flying in {None, request_id}
            flying = request_id
        elif name in (*RUN_ENDS, *TERMINAL) and flying == request_id:
            flying = None


@pytest.mark.parametrize("policy", IN_PARTS)
@pytest.mark.parametrize("scenario", CHOSEN, ids=lambda scenario: scenario.name)
def test_the_second_file_gets_its_turn_whoever_dies(world: RedisWorld, scenario, policy, record_property):
    healthy = Fate("die_before", 0)
    check(live(world, scenario, policy, healthy))
    cases = fates(healthy.calls[:POINTS])
    for kind, point in cases:
        try:
            check(live(world, scenario, policy, Fate(kind, point)))
        except AssertionError as error:
            raise AssertionError(f"{kind} at call {point}: {error}") from error
    record_property("cases", len(cases))
