"""The line of those that wait for a place: who leaves it, and whom a place goes to."""

from dataclasses import replace

import pytest

from sfmc_import.ledger.key_kinds import PLACE_WAITERS
from sfmc_import.policy import Policy
from sfmc_import.states import NotYet
from tests.contract.ledger.scenario import Scenario
from tests.contract.ledger.test_running_limits import ONE, again, comes, counted, runs, stand_in_line, starts
from tests.contract.ledger.test_waiting import waiting


@pytest.mark.parametrize("end", ["cancelled", "expired"])
def test_who_ends_while_it_waits_leaves_the_line(scenario: Scenario, end: str):
    scenario.policy = ONE
    runs(scenario, "a")
    waited = scenario.world.now_ms() / 1000 + 30
    for number in range(3):
        comes(scenario, f"b{number}", expires=waited)
    stand_in_line(scenario, "z")
    for number in range(3):
        if end == "cancelled":
            scenario.ledger.cancel(f"b{number}", "ann", None)
        else:
            scenario.world.advance(30 if number == 0 else 0)
            again(scenario, f"b{number}")
        assert scenario.world.state(f"b{number}") == end

    keys = scenario.ledger.keys
    assert scenario.world.client.zrange(keys.name_of(PLACE_WAITERS, "nightly"), 0, -1) == [b"z"]
    scenario.ends("a")
    assert scenario.due_in("z") == 0


def test_a_limit_that_was_raised_lets_in_those_that_wait_when_the_next_one_comes(scenario: Scenario):
    scenario.policy = ONE
    runs(scenario, "a")
    stand_in_line(scenario, "b", "c", "d")
    scenario.policy = replace(ONE, group_limit=4)
    runs(scenario, "e")

    assert [name for name in "bcd" if scenario.due_in(name) == 0] == ["b", "c"]


def test_who_looks_itself_after_a_limit_was_raised_keeps_its_place(scenario: Scenario):
    scenario.policy = ONE
    runs(scenario, "a")
    stand_in_line(scenario, "b", "c", "d")
    scenario.policy = replace(ONE, group_limit=3)
    runs(scenario, "b")

    assert counted(scenario, "nightly") == {"a", "b", "c"}
    assert [name for name in "cd" if scenario.due_in(name) == 0] == ["c"]
    scenario.ends("b")
    assert counted(scenario, "nightly") == {"a", "c", "d"}


def test_a_start_whose_worker_was_lost_before_a_limit_was_set_loses_it_once_while_it_waits_for_a_place(
    scenario: Scenario,
):
    starts(scenario, "a")
    scenario.policy = ONE
    runs(scenario, "b")
    for _ in range(5):
        scenario.world.advance(600)
        again(scenario, "a")

    assert scenario.names("a") == ["accepted", "starting", "retrying"]
    assert scenario.last("a")["code"] == "running_limit"
    assert waiting(scenario, "a").reason == "rate_limited"
    scenario.ends("b")
    assert scenario.due_in("a") == 0
    runs(scenario, "a")


def test_who_waits_for_another_group_now_has_left_the_line_of_the_first(scenario: Scenario):
    scenario.policy = ONE
    runs(scenario, "a")
    comes(scenario, "b")
    scenario.policy = replace(ONE, group="weekly")
    runs(scenario, "c")
    again(scenario, "b")

    lines = [
        scenario.world.client.zcard(scenario.ledger.keys.name_of(PLACE_WAITERS, name)) for name in ("nightly", "weekly")
    ]
    assert lines == [0, 1]


def test_a_request_whose_record_says_nothing_of_a_line_gets_no_place(scenario: Scenario):
    scenario.policy = ONE
    runs(scenario, "a")
    stand_in_line(scenario, "b", "c")
    scenario.world.client.hdel(scenario.ledger.keys.request("b"), "waits_place")
    scenario.ends("a")

    assert (counted(scenario, "nightly"), scenario.due_in("c")) == ({"c"}, 0)


@pytest.mark.parametrize("policy", [replace(ONE, group_limit=2), replace(ONE, group_limit=0), Policy()])
def test_the_first_in_line_looks_each_minute_for_a_limit_may_have_been_raised_or_taken_away(
    scenario: Scenario, policy: Policy
):
    scenario.policy = ONE
    runs(scenario, "a")
    stand_in_line(scenario, "b", "c", "d")

    assert [scenario.due_in(name) for name in "bcd"] == [57, 598, 599]
    for _ in range(3):
        scenario.world.advance(60)
        assert scenario.due_in("b") <= 0
        assert isinstance(comes(scenario, "b"), NotYet)
    scenario.policy = policy
    scenario.world.advance(60)
    runs(scenario, "b")

    if policy.group_limit:
        assert (scenario.due_in("c") > 0, scenario.due_in("d") > 0) == (True, True)
    else:
        assert [scenario.due_in(name) for name in "cd"] == [0, 0]


def test_whoever_becomes_the_first_in_line_looks_within_a_minute(scenario: Scenario):
    scenario.policy = ONE
    runs(scenario, "a")
    stand_in_line(scenario, "b", "c", "d")
    scenario.ledger.cancel("b", "ann", None)
    assert scenario.due_in("c") == 60

    scenario.ends("a")
    assert (scenario.due_in("c"), scenario.due_in("d")) == (0, 60)


def test_a_line_without_a_limit_is_woken_to_its_end(scenario: Scenario):
    scenario.policy = ONE
    runs(scenario, "a")
    names = [f"b{number:03}" for number in range(102)]
    stand_in_line(scenario, *names)
    scenario.policy = Policy()
    runs(scenario, names[0])
    assert sum(scenario.due_in(name) == 0 for name in names[1:]) == 99

    runs(scenario, names[1])
    assert sum(scenario.due_in(name) == 0 for name in names[2:]) == 100


def test_a_line_of_a_group_that_has_a_limit_stays(scenario: Scenario):
    scenario.policy = replace(ONE, max_running=1)
    runs(scenario, "a")
    stand_in_line(scenario, "b", "c")
    again(scenario, "b")

    assert [scenario.due_in(name) > 0 for name in "bc"] == [True, True]
