"""A replay waits for what it repeats, and what it stands for is seen again when it comes to nothing."""

from dataclasses import replace
from typing import Any, Literal

import pytest

from sfmc_import.faults import Rejected
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.operator_keys import FAILURES, WARNINGS
from sfmc_import.request import FileInfo
from sfmc_import.states import StartNow
from tests.contract.ledger.scenario import HOUR, Scenario, file, request

WRONG = Rejected("43000", "this cannot be started")


def listed(scenario: Scenario, key: Any = FAILURES) -> list[str]:
    return [name.decode() for name in scenario.world.client.zrange(Keys().name_of(key), 0, -1)]


def fails(scenario: Scenario, request_id: str = "a", arrival: FileInfo | None = None) -> None:
    """A request whose import ends in Error."""
    scenario.accept(request(request_id, arrival))
    imports(scenario, request_id, "import_failed")


def imports(scenario: Scenario, request_id: str, outcome: str = "completed") -> None:
    scenario.start(request_id, window=1.0)
    scenario.world.advance(1)
    scenario.ends(request_id, outcome)
    scenario.world.advance(1)


def replays(scenario: Scenario, old: str, new: str, **more: Any) -> None:
    scenario.accept(replace(scenario.requests[old], request_id=new, replays=old, **more))
    scenario.world.advance(1)


def is_rejected(scenario: Scenario, request_id: str) -> None:
    assert scenario.ledger.reject(scenario.sends(request_id), WRONG) == "rejected"
    scenario.world.advance(1)


@pytest.mark.parametrize("arrival", [None, file()])
@pytest.mark.parametrize("when_too_soon", ["defer", "drop"])
@pytest.mark.parametrize("on_error", ["free", "keep"])
def test_a_replay_waits_until_what_it_repeats_holds_the_window_no_more(
    scenario: Scenario,
    arrival: FileInfo | None,
    when_too_soon: Literal["defer", "drop"],
    on_error: Literal["free", "keep"],
) -> None:
    scenario.decide_by(on_error=on_error, when_too_soon=when_too_soon)
    fails(scenario, "a", arrival)
    replays(scenario, "a", "b")
    scenario.claim("b")
    assert (scenario.world.state("b"), scenario.world.record("b")["wait"]) == ("deferred", "window")

    scenario.world.advance(HOUR)

    assert isinstance(scenario.claim("b"), StartNow)


@pytest.mark.parametrize("arrival", [None, file()])
def test_the_replay_of_a_replay_that_failed_too_waits(scenario: Scenario, arrival: FileInfo | None) -> None:
    scenario.decide_by(on_error="keep")
    fails(scenario, "a", arrival)
    for old, new in (("a", "b"), ("b", "c"), ("a", "d")):
        scenario.world.advance(HOUR)
        replays(scenario, old, new)
        imports(scenario, new, "import_failed")
    replays(scenario, "a", "e")
    scenario.claim("e")

    assert scenario.world.state("e") == "deferred"


@pytest.mark.parametrize("is_known", [True, False])
def test_a_replay_without_a_file_is_no_duplicate_of_what_came_before_it_repeats(
    scenario: Scenario, is_known: bool
) -> None:
    scenario.accept(request("before"))
    imports(scenario, "before")
    scenario.accept(request("a", force=True))
    is_rejected(scenario, "a")
    replays(scenario, "a", "b", force=False)
    if not is_known:
        scenario.world.client.delete(scenario.world.keys.request("a"))
    scenario.claim("b")

    assert scenario.world.state("b") == "deferred"


@pytest.mark.parametrize("state", ["deferred", "starting", "started", "completed"])
def test_a_replay_without_a_file_is_a_duplicate_of_another_one_that_imports(scenario: Scenario, state: str) -> None:
    fails(scenario)
    for name in ("b", "c"):
        replays(scenario, "a", name)
    scenario.claim("b")
    if state != "deferred":
        scenario.world.advance(HOUR)
        lease = scenario.sends("b", window=1.0)
        if state != "starting":
            scenario.commit(lease, "task-b", 1.0)
        if state == "completed":
            scenario.ends("b")
    scenario.claim("c")

    assert (scenario.world.state("b"), scenario.world.state("c")) == (state, "duplicate")
    assert scenario.last("c")["held_by"] == "b"
    assert listed(scenario) == []


@pytest.mark.parametrize("is_first", [True, False])
def test_a_replay_without_a_file_is_a_duplicate_of_a_later_file_in_line(scenario: Scenario, is_first: bool) -> None:
    scenario.arrives_and_starts("running", window=1.0)
    scenario.arrives("before")
    scenario.claim("before")
    scenario.accept(request("a"))
    scenario.ledger.cancel("a", "ann", "")
    scenario.arrives("later", force=is_first)
    scenario.claim("later")
    replays(scenario, "a", "b")
    scenario.claim("b")

    assert (scenario.world.state("b"), scenario.last("b")["held_by"]) == ("duplicate", "later")


def test_a_replay_without_a_file_supersedes_no_file(scenario: Scenario) -> None:
    scenario.decide_by(coalesce="latest")
    scenario.arrives_and_starts("running", window=1.0)
    scenario.arrives("waits")
    scenario.claim("waits")
    scenario.accept(request("a"))
    assert scenario.ledger.cancel("a", "ann", "") == "cancelled"
    scenario.ends("running")
    replays(scenario, "a", "b")
    scenario.claim("b")

    assert (scenario.world.state("waits"), scenario.world.state("b")) == ("deferred", "deferred")


def test_a_failure_is_seen_again_when_its_replay_is_cancelled_or_replaced(scenario: Scenario) -> None:
    fails(scenario, "a", file("x.csv", version="1"))
    replays(scenario, "a", "b")
    scenario.claim("b")
    assert listed(scenario) == []

    scenario.ledger.cancel("b", "ann", "later")
    assert listed(scenario) == ["a"]

    replays(scenario, "a", "c")
    scenario.claim("c")
    scenario.accept(request("newer", file("x.csv", version="2")))
    scenario.claim("newer")
    assert (scenario.world.state("c"), listed(scenario)) == ("duplicate", ["a"])


def test_a_failure_is_seen_again_at_its_own_time(scenario: Scenario) -> None:
    fails(scenario, "a")
    scenario.world.advance(HOUR)
    fails(scenario, "later")
    replays(scenario, "a", "b")
    scenario.ledger.cancel("b", "ann", "not now")

    assert listed(scenario) == ["a", "later"]


def test_an_end_to_look_at_is_seen_again_when_its_replay_is_cancelled(scenario: Scenario) -> None:
    scenario.accept(request("a"))
    imports(scenario, "a", "completed_with_errors")
    replays(scenario, "a", "b", force=True)
    assert listed(scenario, WARNINGS) == []

    scenario.ledger.cancel("b", "ann", "later")

    assert (listed(scenario, WARNINGS), listed(scenario)) == (["a"], [])


def test_a_replay_that_failed_stands_for_what_it_repeats(scenario: Scenario) -> None:
    fails(scenario)
    scenario.world.advance(HOUR)
    replays(scenario, "a", "b")
    is_rejected(scenario, "b")
    assert listed(scenario) == ["b"]

    replays(scenario, "b", "c")
    scenario.ledger.cancel("c", "ann", "later")
    assert listed(scenario) == ["b"]


def test_a_failure_is_not_seen_again_while_a_newer_replay_stands_for_it(scenario: Scenario) -> None:
    fails(scenario)
    for name in ("b", "c"):
        replays(scenario, "a", name)
    scenario.ledger.cancel("b", "ann", "one is enough")
    assert listed(scenario) == []

    scenario.ledger.cancel("c", "ann", "later")
    assert listed(scenario) == ["a"]


def test_a_failure_is_seen_again_when_the_first_of_its_two_replays_is_cancelled(scenario: Scenario) -> None:
    fails(scenario)
    for name in ("b", "c"):
        replays(scenario, "a", name)
        scenario.claim(name)
    assert (scenario.world.state("c"), listed(scenario)) == ("duplicate", [])

    scenario.ledger.cancel("b", "ann", "later")

    assert listed(scenario) == ["a"]


def test_a_failure_that_a_person_has_settled_is_not_seen_again(scenario: Scenario) -> None:
    fails(scenario)
    replays(scenario, "a", "b")
    scenario.ledger.settle("a", "ann", "sent by hand")
    scenario.ledger.cancel("b", "ann", "not needed")

    assert listed(scenario) == []


def test_a_failure_that_an_import_has_settled_is_not_seen_again(scenario: Scenario) -> None:
    fails(scenario, "a", file("x.csv", version="1"))
    scenario.world.advance(HOUR)
    replays(scenario, "a", "b", file=file("y.csv", version="1"))
    scenario.accept(request("again", file("x.csv", version="1")))
    imports(scenario, "again")
    assert scenario.world.record("a")["settled"] == "again"
    scenario.ledger.cancel("b", "ann", "not needed")

    assert listed(scenario) == []


def test_the_replay_of_what_came_to_nothing_stands_for_the_failure_before_it(scenario: Scenario) -> None:
    fails(scenario)
    replays(scenario, "a", "b")
    scenario.ledger.cancel("b", "ann", "later")
    scenario.world.advance(HOUR)
    replays(scenario, "b", "c")
    assert listed(scenario) == []
    scenario.ledger.cancel("c", "ann", "later")
    assert listed(scenario) == ["a"]

    replays(scenario, "b", "d")
    imports(scenario, "d")
    assert (listed(scenario), scenario.last("a")["settled_by"], scenario.last("a")["why"]) == ([], "d", "replayed")


def test_a_replay_that_is_taken_up_again_stands_for_its_failure_again(scenario: Scenario) -> None:
    fails(scenario)
    scenario.world.advance(HOUR)
    scenario.accept(request("other"))
    lease = scenario.sends("other")
    replays(scenario, "a", "b")
    scenario.claim("b")
    assert (scenario.world.state("b"), listed(scenario)) == ("duplicate", ["a"])

    scenario.ledger.reject(lease, WRONG)

    assert (scenario.world.state("b"), listed(scenario)) == ("accepted", ["other"])


def test_a_failure_is_seen_again_when_nothing_was_started_of_its_replay(scenario: Scenario) -> None:
    fails(scenario)
    scenario.world.advance(HOUR)
    replays(scenario, "a", "b")
    scenario.in_doubt("b")
    scenario.world.advance(HOUR)
    scenario.ledger.record_start_unknown(scenario.look("b").lease, (), 0.0)
    assert listed(scenario) == ["b"]

    scenario.ledger.resolve("b", None, "ann", "looked", scenario.policy)

    assert listed(scenario) == ["a"]


def test_what_was_never_a_failure_is_none_after_its_replay(scenario: Scenario) -> None:
    scenario.accept(request("a"))
    imports(scenario, "a")
    replays(scenario, "a", "b", force=True)
    scenario.ledger.cancel("b", "ann", "later")

    assert (listed(scenario), listed(scenario, WARNINGS)) == ([], [])
