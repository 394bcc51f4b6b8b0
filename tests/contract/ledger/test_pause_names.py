"""A pause holds and ends by whichever name an operator gives its definition, also while CustomerKeys change hands."""

from dataclasses import replace

import pytest

from sfmc_import.faults import NotApplied
from sfmc_import.ledger.operator_keys import PAUSES
from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.runs import Definition
from sfmc_import.states import Decision, NotYet, StartNow
from tests.contract.ledger.scenario import HOUR, MID, Scenario, file, request

FIRST, BETWEEN, NOW = "Daily", "Daily 2026", "Daily 2027"
OBJECT, OTHER = "0d4f8c9a-1111-2222-3333-444455556666", "0d4f8c9a-7777-8888-9999-000011112222"
NAMES = (NOW, "DAILY 2027", f"{NOW}  ", FIRST, "daily ", BETWEEN, OBJECT, OBJECT.upper())


def scope(name: str) -> str:
    return f"key:{MID}:{name}"


def pause(scenario: Scenario, name: str) -> None:
    assert scenario.ledger.pause(scope(name), "ann", f"by {name}", None)


def resume(scenario: Scenario, name: str) -> bool | None:
    return scenario.ledger.lift_pause(scope(name), "ann", None)


def comes(scenario: Scenario, request_id: str, key: str, found_id: str | None = OBJECT, **more) -> Decision:
    """A request for a definition that has this key now, decided twice: a pause lets it wait in line first."""
    asked = scenario.accept(request(request_id, file(f"{request_id}.csv"), key=more.pop("asked", key), **more))
    found = Definition(customer_key=key, object_id=found_id)
    scenario.ledger.claim(asked, f"owner-{request_id}", scenario.policy, found)
    return scenario.claim(request_id, f"owner-{request_id}")


def runs(scenario: Scenario, request_id: str, key: str, object_id: str | None = OBJECT) -> None:
    decision = comes(scenario, request_id, key, object_id)
    assert isinstance(decision, StartNow), decision
    assert isinstance(scenario.ledger.record_intent(decision.lease, ()), float)
    scenario.commit(decision.lease, f"task-{request_id}")
    scenario.ends(request_id)


def has_had_three_keys(scenario: Scenario) -> None:
    for number, key in enumerate((FIRST, BETWEEN, NOW)):
        runs(scenario, f"before-{number}", key)


def paused(scenario: Scenario) -> list[str]:
    reader = LedgerReader(scenario.world.client, scenario.world.keys)
    return [*reader.pauses().said]


PAIRS = [*zip(NAMES, NAMES[3:] + NAMES[:3], strict=True), *zip(NAMES, NAMES[::-1], strict=True)]


@pytest.mark.parametrize("pair", PAIRS)
def test_a_pause_holds_and_ends_by_any_two_names(scenario: Scenario, pair: tuple[str, str]):
    named, resumed = pair
    has_had_three_keys(scenario)
    pause(scenario, named)
    assert isinstance(comes(scenario, "a", NOW), NotYet)
    assert scenario.world.record("a")["wait"] == "paused"
    assert resume(scenario, resumed)

    assert scenario.due_in("a") == 0
    assert isinstance(scenario.claim("a"), StartNow)
    assert not resume(scenario, named)


@pytest.mark.parametrize("named", NAMES)
def test_a_pause_by_another_name_takes_the_place_of_the_one_that_is_there(scenario: Scenario, named: str):
    has_had_three_keys(scenario)
    pause(scenario, FIRST)
    comes(scenario, "a", NOW)
    scenario.world.advance(HOUR)
    pause(scenario, named)

    assert paused(scenario) == [scope(named)]
    assert scenario.due_in("a") == 0
    assert isinstance(scenario.claim("a"), NotYet)
    assert resume(scenario, NOW)
    assert isinstance(scenario.claim("a"), StartNow)


@pytest.mark.parametrize("named", [NOW, "DAILY 2027 ", OBJECT])
@pytest.mark.parametrize("asked", [NOW, OBJECT])
def test_a_pause_from_before_the_first_request_holds_and_ends_by_other_names(
    scenario: Scenario, named: str, asked: str
):
    pause(scenario, named)
    more = {"object_id": OBJECT} if asked == OBJECT else {}
    assert isinstance(comes(scenario, "a", NOW, asked=asked, **more), NotYet)
    assert scenario.world.record("a")["wait"] == "paused"
    assert resume(scenario, OBJECT if named != OBJECT else "daily 2027")

    assert isinstance(scenario.claim("a"), StartNow)


def test_a_pause_by_object_id_is_found_without_what_was_kept_of_keys(scenario: Scenario):
    pause(scenario, OBJECT)
    comes(scenario, "a", NOW)
    for kind in ("home", "renamed"):
        for key in scenario.world.client.scan_iter(f"*:{kind}:*"):
            scenario.world.client.delete(key)

    assert isinstance(scenario.claim("a"), NotYet)
    assert scenario.world.record("a")["wait"] == "paused"


# --- A CustomerKey that is given to another definition.


def changes_hands(scenario: Scenario) -> None:
    """`Daily` was paused; by now another definition has this key, and the paused one is `Daily 2027`."""
    runs(scenario, "first", FIRST)
    runs(scenario, "other", "Other", OTHER)
    pause(scenario, FIRST)
    comes(scenario, "early", FIRST, OTHER)


@pytest.mark.parametrize("met", [True, False])
def test_a_pause_stays_with_the_definition_that_had_the_key_when_it_was_paused(scenario: Scenario, met: bool):
    changes_hands(scenario)
    if met:
        comes(scenario, "seen", NOW)

    assert isinstance(comes(scenario, "a", NOW), NotYet)
    assert scenario.world.record("seen" if met else "a")["wait"] == "paused"
    assert scenario.world.record("a")["wait"] == ("single_flight" if met else "paused")


@pytest.mark.parametrize("name", [NOW, OBJECT])
def test_it_ends_for_both_by_a_name_of_the_definition_that_was_paused(scenario: Scenario, name: str):
    changes_hands(scenario)
    comes(scenario, "a", NOW)
    assert resume(scenario, name)

    assert isinstance(scenario.claim("a"), StartNow)
    assert isinstance(scenario.claim("early"), StartNow)


@pytest.mark.parametrize("name", ["Other", OTHER])
def test_the_one_that_got_the_key_is_resumed_alone_by_a_name_of_its_own(scenario: Scenario, name: str):
    changes_hands(scenario)
    assert isinstance(scenario.claim("early"), NotYet)
    comes(scenario, "a", NOW)
    assert resume(scenario, name)

    assert isinstance(scenario.claim("early"), StartNow)
    assert isinstance(scenario.claim("a"), NotYet)
    assert scenario.world.record("a")["wait"] == "paused"
    assert resume(scenario, NOW)
    assert isinstance(scenario.claim("a"), StartNow)


def test_a_key_that_is_paused_for_both_is_resumed_for_one_after_the_other(scenario: Scenario):
    changes_hands(scenario)
    comes(scenario, "a", NOW)
    pause(scenario, "DAILY")
    assert resume(scenario, OBJECT)

    assert isinstance(scenario.claim("a"), StartNow)
    assert isinstance(scenario.claim("early"), NotYet)
    assert resume(scenario, OTHER)
    assert isinstance(scenario.claim("early"), StartNow)


def test_a_pause_by_another_name_leaves_the_other_definition_of_an_earlier_one_paused(scenario: Scenario):
    changes_hands(scenario)
    comes(scenario, "a", NOW)
    pause(scenario, FIRST)
    pause(scenario, OBJECT)
    assert resume(scenario, NOW)

    assert isinstance(scenario.claim("a"), StartNow)
    assert isinstance(scenario.claim("early"), NotYet)


def test_who_repeats_a_command_that_was_cut_off_wakes_what_still_waits(scenario: Scenario):
    pause(scenario, NOW)
    comes(scenario, "a", NOW)
    scenario.world.client.delete(scenario.world.keys.name_of(PAUSES))

    assert not resume(scenario, NOW)
    assert scenario.due_in("a") == 0


def test_a_name_in_capital_letters_may_be_the_object_id_as_it_is_shown(scenario: Scenario):
    runs(scenario, "first", NOW, OBJECT.upper() + "X")
    pause(scenario, OBJECT.upper() + "X")

    assert isinstance(comes(scenario, "a", NOW, OBJECT.upper() + "X"), NotYet)


def test_a_name_that_was_not_known_is_noted_when_a_request_meets_it(scenario: Scenario):
    runs(scenario, "first", FIRST)
    pause(scenario, BETWEEN)
    assert isinstance(comes(scenario, "a", BETWEEN), NotYet)
    scenario.ledger.cancel("a", "ann", None)
    for key in scenario.world.client.scan_iter("*:renamed:*"):
        scenario.world.client.delete(key)

    assert isinstance(comes(scenario, "b", NOW), NotYet)
    assert scenario.world.record("b")["wait"] == "paused"


def read_before(scenario: Scenario, request_id: str, key: str) -> None:
    """It is decided by what was read a minute before it came."""
    asked = scenario.accept(request(request_id, file(f"{request_id}.csv"), key=key))
    scenario.ledger.claim(asked, "owner", scenario.policy, Definition(customer_key=key, object_id=OBJECT), 60)


def test_what_was_read_before_its_key_changed_hands_says_nothing_of_whom_a_pause_is_for(scenario: Scenario):
    runs(scenario, "first", FIRST)
    pause(scenario, NOW)
    read_before(scenario, "early", NOW)
    assert isinstance(comes(scenario, "a", NOW, OTHER), NotYet)
    scenario.ledger.cancel("a", "ann", None)

    assert isinstance(comes(scenario, "b", "Other", OTHER), NotYet)
    assert scenario.world.record("b")["wait"] == "paused"


def test_a_name_that_was_met_by_an_old_reading_alone_is_looked_up(scenario: Scenario):
    runs(scenario, "first", FIRST)
    pause(scenario, NOW)
    read_before(scenario, "early", NOW)
    scenario.ledger.cancel("early", "ann", None)

    assert isinstance(comes(scenario, "b", "Daily 2028"), NotYet)
    assert scenario.world.record("b")["wait"] == "paused"


def test_the_key_that_is_found_right_before_a_start_counts_also_where_it_was_paused_for_another(scenario: Scenario):
    runs(scenario, "first", FIRST)
    runs(scenario, "other", NOW, OTHER)
    decision = comes(scenario, "a", FIRST)
    assert isinstance(decision, StartNow)
    pause(scenario, NOW)

    answer = scenario.ledger.record_intent(replace(decision.lease, customer_key=NOW), ())
    assert answer == NotApplied("paused", f"by {NOW}", account_wide=True)


def test_a_key_that_is_paused_for_both_ends_for_both_by_another_spelling_of_it(scenario: Scenario):
    changes_hands(scenario)
    comes(scenario, "a", NOW)
    pause(scenario, FIRST)
    assert resume(scenario, "DAILY ")

    assert isinstance(scenario.claim("a"), StartNow)
    assert isinstance(scenario.claim("early"), StartNow)


@pytest.mark.parametrize("other", [*"nopqrstu"])
def test_of_two_pauses_that_end_the_event_names_the_one_that_was_given(scenario: Scenario, other: str):
    runs(scenario, "first", FIRST)
    runs(scenario, "other", other, OTHER)
    pause(scenario, FIRST)
    pause(scenario, other)
    comes(scenario, "early", FIRST, OTHER)
    assert resume(scenario, FIRST)

    assert scenario.world.events()[-1]["subject"] == FIRST
    assert paused(scenario) == []


def test_a_pause_by_capitals_beyond_ascii_holds_a_key_that_the_ledger_has_not_met(scenario: Scenario):
    scenario.ledger.pause(f"key:{MID}:ÄRZTE", "ann", "new columns", None)
    scenario.arrives("a", key="ärzte")
    scenario.claim("a")
    scenario.claim("a")

    assert scenario.world.record("a")["wait"] == "paused"
    assert scenario.ledger.lift_pause(f"key:{MID}:Ärzte", "ann", None)
