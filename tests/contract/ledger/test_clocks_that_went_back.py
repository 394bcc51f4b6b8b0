"""A clock of Redis that was ahead and was set right: what was noted on it lasts no longer than it was meant to."""

from sfmc_import.ledger.loss_keys import LOSS, PAST_LOSS
from tests.contract.ledger.scenario import Scenario
from tests.contract.ledger.test_losses import take_go
from tests.contract.ledger.test_quota import LIMITS, Asker

HOUR = 3600


def test_a_loss_that_was_noted_on_a_clock_ahead_is_as_old_as_the_first_look_since(scenario: Scenario):
    for name in "abc":
        scenario.arrives(name, key=name)
    scenario.ledger.write_probe("w1", 5)
    scenario.world.advance(-HOUR)

    assert take_go(scenario, "a").loss_age == 0
    scenario.world.advance(100)
    assert take_go(scenario, "b").loss_age == 100
    scenario.world.advance(-200)
    assert take_go(scenario, "c").loss_age == 0


def test_such_a_loss_is_in_force_for_no_longer(scenario: Scenario):
    scenario.arrives("a")
    scenario.ledger.write_probe("w1", 5)
    key = scenario.world.keys.name_of(LOSS)
    scenario.world.client.pexpire(key, (HOUR + 900) * 1000)
    scenario.world.advance(-HOUR)
    take_go(scenario, "a")

    assert 0 < scenario.world.client.pttl(key) <= 900_000


def test_a_past_loss_that_was_noted_on_a_clock_ahead_is_as_old_as_the_first_look_since(scenario: Scenario):
    for name in "ab":
        scenario.arrives(name, key=name)
    scenario.ledger.write_probe("w1", 5)
    scenario.world.client.delete(scenario.world.keys.name_of(LOSS))
    scenario.world.advance(-HOUR)

    assert take_go(scenario, "a").loss_age == 0
    scenario.world.advance(100)
    go = take_go(scenario, "b")
    assert (go.loss_age, go.loss_is_past) == (100, True)
    assert scenario.world.client.exists(scenario.world.keys.name_of(LOSS)) == 0
    assert scenario.world.client.pttl(scenario.world.keys.name_of(PAST_LOSS)) > 900_000


def test_a_loss_after_the_clock_was_set_right_begins_anew(scenario: Scenario):
    for name in "ab":
        scenario.arrives(name, key=name)
    scenario.ledger.write_probe("w1", 5)
    scenario.world.advance(-HOUR)
    take_go(scenario, "a")
    scenario.world.advance(50)
    scenario.ledger.write_probe("w2", 5)
    scenario.world.advance(10)

    assert take_go(scenario, "b").loss_age == 10
    assert scenario.world.client.hget(scenario.world.keys.name_of(PAST_LOSS), "from") is None


def test_an_open_circuit_is_tried_again_after_its_pause(scenario: Scenario):
    asker = Asker(scenario)
    asker.fail()
    asker.world.advance(-HOUR)

    assert asker.quota.probe("", "p").left == 5
    asker.world.advance(4)
    assert asker.quota.probe("", "p").left == 1
    asker.world.advance(1)
    assert asker.quota.probe("", "p").is_probe


def test_the_pause_that_is_shown_to_processes_ends_too(scenario: Scenario):
    asker = Asker(scenario)
    asker.fail(scope="5")
    asker.world.advance(-HOUR)

    assert asker.take("start").circuits["5"].left == 5
    asker.world.advance(4)
    assert asker.take("start").circuits["5"].left == 1
    assert asker.quota.probe("5", "p").left == 1


def test_a_probe_that_was_lost_before_is_given_away_after_its_time(scenario: Scenario):
    asker = Asker(scenario)
    asker.fail()
    asker.world.advance(5)
    assert asker.quota.probe("", "p").is_probe
    asker.world.advance(-HOUR)

    assert not asker.quota.probe("", "other").is_probe
    asker.world.advance(LIMITS.probe_seconds - 1)
    assert asker.quota.probe("", "other").left == 1
    asker.world.advance(1)
    assert asker.quota.probe("", "other").is_probe
