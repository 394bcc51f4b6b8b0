"""What a worker read before a request came ends no request: neither a change before it, nor that nothing was there."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from sfmc_import.definitions import CachedDefinitions
from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.policy import Policy
from sfmc_import.ports import Deps
from sfmc_import.request import FileInfo, StartRequest
from sfmc_import.retrying import REFUSAL_SECONDS
from sfmc_import.runs import Definition
from tests.support.checks import by_request, check_finished, name_of
from tests.support.system import MID, System

KEY, OBJECT_ID = "daily", "5e1ad037-29c3-de11-9a36-001e0bfba5bd"
DEFINITION = Definition(customer_key=KEY, object_id=OBJECT_ID, file_spec="in.csv", update_type="Overwrite")
CHANGED = replace(DEFINITION, update_type="AddAndUpdate")
CHANGED_AGAIN = replace(DEFINITION, update_type="AddAndDoNotUpdate")
MOVED = replace(DEFINITION, file_spec="other.csv")


def asking(request_id: str, name: str = "in.csv", key: str = KEY, **more) -> StartRequest:
    file = FileInfo(location="/in", name=name, size=10, version=request_id)
    return StartRequest(request_id=request_id, customer_key=key, mid=MID, file=file, **more)


def names(system: System, request_id: str) -> list[str]:
    return [name_of(event) for event in by_request(system.world.events())[request_id]]


def last(system: System, request_id: str) -> dict:
    return by_request(system.world.events())[request_id][-1]["data"]


def readings(system: System) -> int:
    return sum(operation == "definition" for operation, _ in system.cloud.calls)


@pytest.fixture
def deps(system: System) -> Deps:
    """A worker that has read the definition a while ago, for a request that has ended."""
    system.cloud.add(DEFINITION)
    deps = replace(system.deps, definitions=CachedDefinitions(system.cloud, ttl=300.0, clock=system.boottime))
    system.start(asking("before"), deps)
    system.live(deps)
    assert names(system, "before")[-1] == "completed"
    system.world.advance(200)
    return deps


@pytest.mark.parametrize("changed", [CHANGED, replace(DEFINITION, destination="other"), replace(DEFINITION, name="x")])
def test_a_change_before_the_request_ends_no_request(system: System, deps: Deps, changed: Definition):
    system.cloud.add(changed)
    system.world.advance(1)
    system.start(asking("a"), deps)
    system.live(deps)

    assert names(system, "a")[-1] == "completed"


def test_a_start_that_comes_at_once_costs_one_reading_though_an_older_one_is_at_hand(system: System, deps: Deps):
    before = readings(system)
    system.start(asking("a"), deps)

    assert names(system, "a")[-1] == "started"
    assert readings(system) - before == 1


def test_a_duplicate_costs_no_reading(system: System, deps: Deps):
    system.policy = Policy(frequency=6)
    system.start(asking("a"), deps)
    before = readings(system)
    system.start(replace(asking("b"), file=None), deps)

    assert names(system, "b")[-1] == "duplicate"
    assert readings(system) == before


def deferred(system: System, deps: Deps) -> None:
    system.policy = Policy(frequency=6)
    system.start(asking("a"), deps)
    system.cloud.add(CHANGED)
    system.world.advance(100)
    system.start(asking("b"), deps)
    assert names(system, "b")[-1] == "deferred"


def test_a_change_before_a_request_that_waits_ends_it_not(system: System, deps: Deps):
    deferred(system, deps)
    system.live(deps)

    assert names(system, "b")[-1] == "completed"


def test_a_change_while_a_request_waits_is_seen_though_the_worker_had_an_older_reading(system: System, deps: Deps):
    deferred(system, deps)
    system.world.advance(1)
    system.cloud.add(CHANGED_AGAIN)
    system.live(deps)

    assert (names(system, "b")[-1], last(system, "b")["code"]) == ("rejected", "pattern_mismatch")
    assert "AddAndUpdate" in last(system, "b")["text"]


def test_a_request_that_waits_while_nothing_can_be_read_is_compared_with_nothing(system: System, deps: Deps):
    system.policy = Policy(frequency=6)
    system.start(asking("a"), deps)
    system.world.advance(100)
    system.cloud.fail("definition", NotApplied("9", "in maintenance", account_wide=True), times=2)
    system.start(asking("b"), deps)
    system.cloud.add(CHANGED)
    system.live(deps)

    assert names(system, "b")[-1] == "completed"


@pytest.mark.parametrize(("when", "end"), [("before", "completed"), ("while it waits", "rejected")])
def test_of_a_request_that_is_tried_again_only_changes_after_it_are_seen(
    system: System, deps: Deps, when: str, end: str
):
    if when == "before":
        system.cloud.add(CHANGED)
        system.world.advance(1)
    system.cloud.fail("start", NotApplied("9", "in maintenance", account_wide=True))
    system.start(asking("a"), deps)
    assert names(system, "a")[-1] == "retrying"
    if when != "before":
        system.cloud.add(CHANGED)
    system.live(deps)

    assert names(system, "a")[-1] == end


def test_a_file_spec_that_was_changed_for_the_file_just_before_it_came_is_read_anew(system: System, deps: Deps):
    system.start(asking("b", "other.csv"), deps)
    assert last(system, "b")["code"] == "pattern_mismatch"
    system.cloud.add(MOVED)
    system.world.advance(1)
    system.start(asking("c", "other.csv"), deps)
    system.live(deps)

    assert names(system, "c")[-1] == "completed"


def test_a_definition_that_was_made_just_before_the_request_is_found(system: System, deps: Deps):
    system.start(asking("a", key="new"), deps)
    assert names(system, "a") == ["accepted", "rejected"]
    system.world.advance(1)
    system.cloud.add(replace(DEFINITION, customer_key="new"))
    system.world.advance(0.5)
    outcome = system.start(asking("b", key="new"), deps)
    assert (outcome.state, outcome.facts["code"]) == ("retrying", "43010")
    system.live(deps)

    assert names(system, "b") == ["accepted", "retrying", "starting", "started", "completed"]
    check_finished(system.world, ["a", "b"])


def test_a_flood_of_requests_for_an_unknown_key_is_no_flood_of_calls_and_each_is_rejected(system: System, deps: Deps):
    before, seconds = readings(system), 3
    ids = [f"r{number}" for number in range(10 * seconds)]
    for request_id in ids:
        system.start(asking(request_id, key="absent"), deps)
        system.world.advance(0.1)
        system.sweep(deps)
        system.work(deps)
    system.live(deps)

    assert {(names(system, each)[-1], last(system, each)["code"]) for each in ids} == {("rejected", "43010")}
    assert {names(system, each).count("retrying") for each in ids} <= {0, 1}
    assert readings(system) - before <= seconds / REFUSAL_SECONDS + 3


@pytest.mark.parametrize("key", [OBJECT_ID, "renamed"])
def test_an_object_id_whose_key_was_changed_before_the_request_names_the_new_key(system: System, deps: Deps, key: str):
    system.start(asking("a", key=OBJECT_ID, object_id=OBJECT_ID), deps)
    system.live(deps)
    system.cloud.remove(KEY)
    system.cloud.add(replace(DEFINITION, customer_key="renamed"))
    system.world.advance(20)
    system.start(asking("b", key=key, object_id=OBJECT_ID), deps)
    system.live(deps)

    assert names(system, "b")[-1] == "completed"


def test_a_business_unit_that_was_refused_before_the_request_is_asked_for_again(system: System, deps: Deps):
    said = Rejected("other_business_unit", "no", asked_at=system.boottime() - 1)
    system.cloud.fail("definition", said)
    outcome = system.start(asking("a", key="unread"), deps)

    assert outcome.state == "retrying"
    system.cloud.add(replace(DEFINITION, customer_key="unread"))
    system.live(deps)
    assert names(system, "a")[-1] == "completed"


OTHER = Definition(customer_key="other", object_id="a2f9b6d0-10c5-11ec-9621-0242ac130002", file_spec="in.csv")


@pytest.fixture
def taken(system: System, deps: Deps) -> Callable[[], None]:
    """Give the CustomerKey to another definition than the one that the worker has read."""
    system.cloud.add(OTHER)
    system.start(asking("before-too", key="other"), deps)
    system.live(deps)
    system.world.advance(6 * 3600)

    def take() -> None:
        system.cloud.remove("other")
        system.cloud.add(replace(DEFINITION, customer_key="old"))
        system.cloud.add(replace(OTHER, customer_key=KEY))

    return take


@pytest.mark.parametrize(
    "more", [{"file": None}, {"file": FileInfo(location="/in", name="in.csv", size=10, version="before")}]
)
def test_no_request_is_a_duplicate_of_one_for_the_definition_that_had_its_key_before(
    system: System, deps: Deps, taken: Callable[[], None], more: dict
):
    system.policy = Policy(frequency=6)
    system.start(asking("first"), deps)
    system.live(deps)
    taken()
    system.world.advance(11)
    system.start(replace(asking("a"), **more), deps)
    system.live(deps)

    assert names(system, "a")[-1] == "completed"
    assert "duplicate" not in names(system, "a")


def test_a_request_for_the_other_definition_supersedes_no_follow_up_of_the_first_one(
    system: System, deps: Deps, taken: Callable[[], None]
):
    system.policy = Policy(frequency=6)
    system.start(asking("first"), deps)
    system.start(asking("follow-up"), deps)
    taken()
    system.world.advance(11)
    system.start(asking("other"), deps)

    assert names(system, "follow-up")[-1] == "deferred"
    assert names(system, "other")[-1] == "started"


def test_a_duplicate_by_an_old_reading_is_one_also_while_nothing_can_be_read(system: System, deps: Deps):
    system.policy = Policy(frequency=6)
    system.start(asking("first"), deps)
    system.world.advance(11)
    system.cloud.fail("definition", NotApplied("9", "in maintenance", account_wide=True))
    system.start(replace(asking("a"), file=None), deps)

    assert names(system, "a")[-1] == "duplicate"


def test_a_duplicate_for_a_key_that_no_definition_has_any_more_is_refused(system: System, deps: Deps):
    system.policy = Policy(frequency=6)
    system.start(asking("first"), deps)
    system.cloud.remove(KEY)
    system.world.advance(11)
    system.start(replace(asking("a"), file=None), deps)
    system.live(deps)

    assert names(system, "a")[-1] == "rejected"


def test_many_duplicates_within_the_check_age_cost_one_reading(system: System, deps: Deps):
    system.policy = Policy(frequency=6)
    system.start(asking("first"), deps)
    system.world.advance(11)
    before = readings(system)
    for number in range(5):
        system.start(replace(asking(f"a{number}"), file=None), deps)
        system.world.advance(1)

    assert {names(system, f"a{number}")[-1] for number in range(5)} == {"duplicate"}
    assert readings(system) - before == 1
