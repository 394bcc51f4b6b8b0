"""Losses of writes that a request outlives, and servers that take over from each other."""

import pytest

from sfmc_import.faults import NotApplied
from sfmc_import.ledger.calling import ServerWatch
from sfmc_import.ledger.loss_keys import LOSS, SERVER
from sfmc_import.states import StartNow
from tests.contract.ledger.scenario import Scenario
from tests.contract.ledger.test_losses import take_go

# --- Servers, one after another.


def noting(scenario: Scenario) -> ServerWatch:
    """Make what one process knows of the servers."""
    return ServerWatch(scenario.ledger.server._script, scenario.world.keys)


def is_noted(scenario: Scenario) -> bool:
    return bool(scenario.world.client.exists(scenario.world.keys.name_of(LOSS)))


def test_who_has_noted_a_later_server_knows_that_the_one_before_it_lacks_writes(scenario: Scenario):
    key, execute = scenario.world.keys.name_of(SERVER), scenario.world.client.execute_command
    first, second = noting(scenario), noting(scenario)
    for watch in (first, second):
        watch.note("a", None, execute)
    before = scenario.world.client.get(key)
    first.note("b", None, execute)
    after = scenario.world.client.get(key)
    scenario.world.client.delete(scenario.world.keys.name_of(LOSS))
    # The old primary answers again, with its own data.
    scenario.world.client.set(key, before)

    second.note("a", None, execute)
    assert not is_noted(scenario)
    first.note("a", None, execute)
    assert is_noted(scenario)
    # And then the other one, with what it had.
    scenario.world.client.delete(scenario.world.keys.name_of(LOSS))
    scenario.world.client.set(key, after)
    first.note("b", None, execute)
    assert is_noted(scenario)


def test_processes_that_come_one_after_another_to_a_new_server_note_one_loss(scenario: Scenario):
    execute = scenario.world.client.execute_command
    first, second = noting(scenario), noting(scenario)
    for watch in (first, second):
        watch.note("a", None, execute)
    first.note("b", None, execute)
    scenario.world.client.delete(scenario.world.keys.name_of(LOSS))
    for watch in (second, first, noting(scenario)):
        watch.note("b", None, execute)

    assert not is_noted(scenario)


# --- Requests that outlive the time of a loss.


def wait_until_loss_is_over(scenario: Scenario, seconds: float) -> None:
    """So much later Redis has removed what says that starts are careful: keys expire by its own clock."""
    scenario.world.advance(seconds)
    scenario.world.client.delete(scenario.world.keys.name_of(LOSS))


def held_over_a_loss(scenario: Scenario, seconds: float) -> StartNow:
    scenario.arrives("first")
    scenario.start("first", task="50")
    scenario.arrives("a", key="Other")
    scenario.world.advance(20)
    scenario.ledger.write_probe("w1", 5)
    wait_until_loss_is_over(scenario, seconds)
    scenario.arrives("later", key="Third")
    return take_go(scenario, "a")


def test_a_request_from_before_a_loss_looks_for_its_start_however_long_it_was_held(scenario: Scenario):
    go = held_over_a_loss(scenario, 3 * 86400)

    assert (go.newest, go.loss_age, go.loss_is_past) == ("50", 3 * 86400.0, True)
    assert go.loss_since is not None
    later = take_go(scenario, "later")
    assert (later.loss_age, later.loss_is_past) == (None, False)


@pytest.mark.parametrize(("after", "is_past"), [(900, False), (899, True)])
def test_who_was_recorded_when_the_time_of_a_loss_was_over_is_from_after_it(
    scenario: Scenario, after: int, is_past: bool
):
    scenario.ledger.write_probe("w1", 5)
    wait_until_loss_is_over(scenario, after)
    scenario.arrives("a")
    scenario.world.advance(1000)

    assert take_go(scenario, "a").loss_is_past is is_past


def test_who_was_recorded_after_a_loss_looks_for_nothing_when_its_time_is_over(scenario: Scenario):
    scenario.ledger.write_probe("w1", 5)
    scenario.arrives("a")
    wait_until_loss_is_over(scenario, 1000)

    assert take_go(scenario, "a").loss_age is None


def test_a_claim_for_a_past_loss_may_record_its_intent_until_the_next_loss(scenario: Scenario):
    lease = held_over_a_loss(scenario, 1000).lease
    assert isinstance(scenario.ledger.record_intent(lease, ()), float)
    scenario.ledger.write_probe("w2", 5)
    refused = scenario.ledger.record_intent(lease, ())
    assert isinstance(refused, NotApplied)
    assert refused.code == "writes_lost"


def test_a_second_loss_takes_the_place_of_one_that_is_past(scenario: Scenario):
    scenario.arrives("first")
    scenario.start("first", task="50")
    scenario.ledger.write_probe("w1", 5)
    wait_until_loss_is_over(scenario, 1000)
    scenario.arrives("second", key="Other")
    scenario.commit(take_go(scenario, "second").lease, "70")
    scenario.arrives("a", key="Third")
    scenario.ledger.write_probe("w2", 5)
    wait_until_loss_is_over(scenario, 1000)

    go = take_go(scenario, "a")
    assert (go.newest, go.loss_age) == ("70", 1000.0)
