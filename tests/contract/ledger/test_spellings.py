"""A person who spells a key otherwise finds the definition that the ledger knows."""

import pytest

from sfmc_import.ledger.reading import LedgerReader, glob_escaped
from sfmc_import.runs import Definition
from tests.contract.ledger.scenario import KEY, MID, Scenario


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


def test_signs_with_a_meaning_in_a_pattern_stand_for_themselves():
    assert glob_escaped(r"a*[b]?^-\c") == r"a\*\[b\]\?\^\-\\c"
