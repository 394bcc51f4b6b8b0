"""A person who spells a key otherwise finds the definition that the ledger knows."""

import pytest

from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.runs import Definition
from tests.contract.ledger.scenario import KEY, MID, Scenario
from tests.support.ledger_world import RedisWorld


def reader(scenario: Scenario) -> LedgerReader:
    return LedgerReader(scenario.world.client, scenario.world.keys)


@pytest.mark.parametrize("key", [KEY, KEY.upper(), f"{KEY.lower()}  "])
def test_every_spelling_finds_the_definition(scenario: Scenario, key: str):
    scenario.arrives("a")
    scenario.ledger.claim(scenario.requests["a"], "w", scenario.policy, Definition(customer_key=KEY))

    assert reader(scenario).spelled(MID, key) == KEY


def test_a_key_that_the_ledger_does_not_know_stays_as_it_is(scenario: Scenario):
    scenario.arrives_and_starts("a")

    assert reader(scenario).spelled(MID, "Other") == "Other"
    assert reader(scenario).spelled("1", KEY.upper()) == KEY.upper()


def test_an_unknown_key_is_answered_without_reading_other_keys(scenario: Scenario):
    if isinstance(scenario.world, RedisWorld):
        scenario.world.client.config_resetstat()
    reader(scenario).spelled(MID, "Other")

    calls = scenario.world.client.info("commandstats") if isinstance(scenario.world, RedisWorld) else {}
    assert "cmdstat_scan" not in calls
