"""What is read of a definition whose CustomerKey was changed is what the scripts know of it."""

import pytest

from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.outlook import Standing
from tests.contract.ledger.scenario import HOUR, MID, Scenario, file
from tests.contract.ledger.test_renamed import NEW, OLD, comes, starts

BETWEEN = "Daily 2026"


def reader(scenario: Scenario) -> LedgerReader:
    return LedgerReader(scenario.world.client, scenario.ledger.keys)


def renamed(scenario: Scenario, old: str = OLD, new: str = NEW) -> None:
    """A run under either key has ended."""
    scenario.decide_by(frequency=0.0)
    for request_id, key in (("a", old), ("b", new)):
        starts(scenario, request_id, key)
        scenario.ends(request_id)
        scenario.world.advance(HOUR)


def standing(scenario: Scenario, after: tuple[str, ...] = ()) -> Standing:
    return reader(scenario).standing(MID, NEW, file("new.csv"), "new", None, after)


@pytest.mark.parametrize("request_id", ["a", "b"])
def test_who_handled_the_file_of_a_request_is_found_under_either_key(scenario: Scenario, request_id: str):
    renamed(scenario)
    found = reader(scenario).request(request_id)
    assert found is not None

    assert reader(scenario).handler_of(found) == request_id


@pytest.mark.parametrize("key", [OLD, NEW])
def test_a_pause_of_either_key_is_seen(scenario: Scenario, key: str):
    renamed(scenario)
    assert not standing(scenario).is_paused
    scenario.ledger.pause(f"key:{MID}:{key}", "me", "why", None)

    assert standing(scenario).is_paused


@pytest.mark.parametrize("key", [OLD, NEW, NEW.upper()])
def test_a_completed_run_is_found_by_either_key(scenario: Scenario, key: str):
    renamed(scenario)

    assert list(standing(scenario, (key,)).completed) == [key]


@pytest.mark.parametrize("new", ["ÄRZTE", "ärzte", "İ Daily"])
def test_a_key_with_other_letters_than_those_of_ascii_leads_to_the_first_one(scenario: Scenario, new: str):
    starts(scenario, "a", OLD)
    scenario.ends("a")
    comes(scenario, "b", new)

    assert reader(scenario).home(MID, new) == OLD
    assert reader(scenario).homes([(MID, new), (MID, OLD)]) == [OLD, OLD]
    assert reader(scenario).definition(MID, new)["window_by"] == "a"


def test_a_pause_of_a_key_that_a_definition_had_in_between_is_seen(scenario: Scenario):
    renamed(scenario, new=BETWEEN)
    scenario.decide_by(frequency=0.0)
    starts(scenario, "c", NEW)
    scenario.ends("c")
    now = reader(scenario).now()
    scenario.ledger.pause(f"key:{MID}:{BETWEEN}", "me", "why", now + 60)
    standing_now = standing(scenario)
    assert standing_now.is_paused
    assert standing_now.pause_left == pytest.approx(60, abs=10)
    scenario.ledger.pause(f"key:{MID}:{BETWEEN}", "me", "why", now)

    assert not standing(scenario).is_paused


def test_the_key_that_a_pause_was_first_found_for_outlives_what_is_known_of_keys(scenario: Scenario):
    renamed(scenario, new=BETWEEN)
    scenario.ledger.pause(f"key:{MID}:{BETWEEN}", "me", "why", None)
    comes(scenario, "c", NEW)
    for key in scenario.world.client.scan_iter("*:renamed:*"):
        scenario.world.client.delete(key)

    assert reader(scenario).pauses().scope_of(MID, OLD, OLD) == f"key:{MID}:{BETWEEN}"
    assert reader(scenario).pauses().scope_of(MID, "Other", "Other") is None
    assert reader(scenario).pauses().scope_of(MID[::-1], OLD, OLD) is None
