"""A worker dies, or loses Redis or a reply, at every single call of every life; a healthy one must finish it."""

from collections.abc import Iterator

import pytest

from tests.integration.crash_points.mortality import DEATHS, DiedError, Fate, Mortal, fates
from tests.integration.crash_points.scenarios import KEY, SCENARIOS, Scenario
from tests.ledgers import RedisWorld
from tests.truth import by_request, check_finished, check_truth, name_of
from tests.works import MID, Works
from worker.adapters.ledger import LedgerSettings
from worker.domain.runs import Definition
from worker.messages import Arrival, StartRequest

SETTINGS = LedgerSettings()
REQUEST = StartRequest(
    request_id="r1",
    customer_key=KEY,
    mid=MID,
    file=Arrival(location="/in", name="daily.csv", size=3, version="v1"),
    event_id="e1",
)


@pytest.fixture(scope="module")
def world(redis_server) -> Iterator[RedisWorld]:
    made = RedisWorld(redis_server.url, SETTINGS)
    yield made
    made.close()


def new_works(world: RedisWorld, scenario: Scenario) -> Works:
    world.restart()
    works = Works(world, Definition(customer_key=KEY, update_type="AddAndUpdate"), policy=scenario.policy)
    scenario.prepare(works.cloud)
    return works


def live_with(works: Works, fate: Fate, *, redelivered: bool) -> None:
    """One mortal worker, then healthy ones; a message that was being worked on may come again or be lost."""
    ledger, cloud = Mortal(works.world.ledger, fate, ledger=True), Mortal(works.cloud, fate, ledger=False)
    works.submit(REQUEST)
    try:
        works.live(works.deps_over(ledger, cloud))
    except DiedError:
        works.messages.clear()
        if redelivered:
            works.send_start(REQUEST)
            works.work()
    works.live()


def check(works: Works, scenario: Scenario) -> None:
    world = works.world
    check_finished(world, ["r1"])
    performs = works.cloud.performs
    assert len(performs) <= scenario.most
    check_truth(world, "r1", performs)
    end = name_of(by_request(world.events())["r1"][-1])
    assert end in scenario.ends
    if performs and scenario.findable:
        assert end != "start_unknown", "the run was there to be found"
    assert_free(works)


def assert_free(works: Works) -> None:
    """Nothing holds the definition any longer."""
    works.cloud.heal()
    works.cloud.statuses, works.cloud.hidden_looks = ("Completed",), 0
    before = len(works.cloud.performs)
    works.submit(StartRequest(request_id="probe", customer_key=KEY, mid=MID, force=True))
    works.live()
    assert len(works.cloud.performs) == before + 1


def calls_of(world: RedisWorld, scenario: Scenario) -> list[bool]:
    fate = Fate("die_before", 0)
    works = new_works(world, scenario)
    live_with(works, fate, redelivered=False)
    check(works, scenario)
    return fate.calls


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_whatever_dies_at_whichever_call_the_request_ends_once_and_truly(world: RedisWorld, scenario, record_property):
    met = fates(calls_of(world, scenario)[: scenario.points])
    cases = [(*fate, again) for fate in met for again in (False, True) if not again or fate[0] in DEATHS]
    for kind, point, redelivered in cases:
        works = new_works(world, scenario)
        live_with(works, Fate(kind, point), redelivered=redelivered)
        try:
            check(works, scenario)
        except AssertionError as error:
            raise AssertionError(f"{kind} at call {point}, redelivered {redelivered}: {error}") from error
    record_property("cases", len(cases))
