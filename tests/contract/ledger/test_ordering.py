"""A start that waits for a completed run of other definitions: since its arrival, or since a time of day."""

from datetime import UTC, datetime, time, timedelta

import pytest

from sfmc_import.states import NotYet, StartNow
from tests.contract.ledger.scenario import HOUR, Scenario

CONTACTS = "Contacts"


def waits(scenario: Scenario, request_id: str) -> tuple[str, str]:
    record = scenario.world.record(request_id)
    return record.get("wait", ""), record.get("wait_by", "")


def contacts_run(scenario: Scenario, name: str, end: str = "completed") -> None:
    scenario.arrives(name, key=CONTACTS)
    scenario.start(name)
    scenario.ends(name, end)


def time_ago(scenario: Scenario, hours: float) -> time:
    now = datetime.fromtimestamp(scenario.world.now_ms() / 1000, UTC)
    return (now - timedelta(hours=hours)).time().replace(second=0, microsecond=0)


def test_a_start_waits_until_the_other_definition_has_a_completed_run(scenario: Scenario):
    scenario.decide_by(after=(CONTACTS,))
    scenario.arrives("a")
    scenario.claim("a")
    assert isinstance(scenario.claim("a"), NotYet)
    assert waits(scenario, "a") == ("after", CONTACTS)
    scenario.decide_by(after=())
    scenario.world.advance(60)
    contacts_run(scenario, "c")
    scenario.decide_by(after=(CONTACTS,))

    assert scenario.due_in("a") == 0
    assert isinstance(scenario.claim("a"), StartNow)


def test_who_has_ended_while_it_waited_keeps_no_other_from_being_woken(scenario: Scenario):
    scenario.decide_by(after=(CONTACTS,))
    ended = [f"e{number}" for number in range(501)]
    scenario.arrives("z", key="Other")
    scenario.claim("z")
    assert isinstance(scenario.claim("z"), NotYet)
    waiters = next(iter(scenario.world.client.scan_iter("*after:*")))
    scenario.world.client.zadd(waiters, dict.fromkeys(ended, 1))
    scenario.decide_by(after=())
    contacts_run(scenario, "c")

    assert scenario.due_in("z") == 0


@pytest.mark.parametrize("end", ["import_failed", "completed_suspicious"])
def test_a_run_that_did_not_complete_as_expected_does_not_count(scenario: Scenario, end: str):
    scenario.decide_by(after=(CONTACTS,))
    scenario.arrives("a")
    scenario.claim("a")
    scenario.decide_by(after=())
    contacts_run(scenario, "c", end)
    scenario.decide_by(after=(CONTACTS,))

    assert isinstance(scenario.claim("a"), NotYet)


def test_a_run_before_the_arrival_does_not_count(scenario: Scenario):
    contacts_run(scenario, "c")
    scenario.world.advance(60)
    scenario.decide_by(after=(CONTACTS,))
    scenario.arrives("a")

    assert isinstance(scenario.claim("a"), NotYet)


@pytest.mark.parametrize(("hours", "starts"), [(2, True), (0.5, False), (-1 / 30, True)])
def test_since_a_time_of_day_a_run_before_the_arrival_counts(scenario: Scenario, hours: float, starts: bool):
    contacts_run(scenario, "c")
    scenario.world.advance(HOUR)
    scenario.decide_by(after=(CONTACTS,), after_since=time_ago(scenario, hours))
    scenario.arrives("a")

    assert isinstance(scenario.claim("a"), StartNow) is starts


def test_all_of_several_definitions_must_have_run(scenario: Scenario):
    scenario.decide_by(after=(CONTACTS, "Orders"))
    scenario.arrives("a")
    scenario.claim("a")
    scenario.decide_by(after=())
    contacts_run(scenario, "c")
    scenario.decide_by(after=(CONTACTS, "Orders"))
    scenario.claim("a")

    assert waits(scenario, "a") == ("after", "Orders")


def test_a_forced_start_does_not_wait_for_others(scenario: Scenario):
    scenario.decide_by(after=(CONTACTS,))
    scenario.arrives("a", force=True, reason="urgent")

    assert isinstance(scenario.claim("a"), StartNow)


def test_a_request_that_was_not_woken_looks_again_by_itself(scenario: Scenario):
    scenario.decide_by(after=(CONTACTS,))
    scenario.arrives("a")
    scenario.claim("a")
    scenario.claim("a")

    assert scenario.due_in("a") == 600


def test_the_next_file_of_the_definition_waits_behind_the_first(scenario: Scenario):
    scenario.decide_by(after=(CONTACTS,))
    for name in ("a", "b"):
        scenario.arrives(name)
        scenario.claim(name)
    scenario.claim("b")

    assert waits(scenario, "b") == ("single_flight", "a")


@pytest.mark.parametrize("written", ["contacts", "CONTACTS  "])
def test_a_definition_is_found_however_its_key_is_written(scenario: Scenario, written: str):
    contacts_run(scenario, "c")
    scenario.world.advance(HOUR)
    scenario.decide_by(after=(written,), after_since=time_ago(scenario, 2))
    scenario.arrives("a")

    assert isinstance(scenario.claim("a"), StartNow)


def goes_to(scenario: Scenario, moment: str) -> None:
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
    scenario.world.advance(at - scenario.world.now_ms() / 1000)


@pytest.mark.parametrize(
    "case",
    [
        ("01:00", "2027-03-27T23:59", "2027-03-28T06:00", False),
        ("01:00", "2027-03-28T00:00", "2027-03-28T06:00", True),
        ("02:30", "2027-03-28T01:29", "2027-03-28T06:00", False),  # no clock showed that
        ("02:30", "2027-03-28T01:30", "2027-03-28T06:00", True),
        ("09:00", "2027-03-27T08:00", "2027-03-28T06:00", True),
        ("00:15", "2027-03-28T22:14", "2027-03-28T22:30", False),
        ("01:00", "2027-10-30T22:59", "2027-10-31T06:00", False),
        ("01:00", "2027-10-30T23:00", "2027-10-31T06:00", True),
        ("02:30", "2027-10-31T00:30", "2027-10-31T06:00", True),  # the clocks showed it twice
        ("09:00", "2027-10-30T07:00", "2027-10-31T06:00", True),
        ("09:00", "2027-10-30T06:59", "2027-10-31T06:00", False),
    ],
)
def test_on_the_day_of_a_clock_change_a_time_of_day_is_that_of_the_clocks_then(
    scenario: Scenario, case: tuple[str, str, str, bool]
):
    since, completed, now, starts = case
    goes_to(scenario, completed)
    contacts_run(scenario, "c")
    done = scenario.world.now_ms() / 1000
    scenario.decide_by(after=(CONTACTS,), after_since=time.fromisoformat(since), time_zone="Europe/Berlin")
    goes_to(scenario, now)
    scenario.arrives("a")

    assert isinstance(scenario.claim("a"), StartNow) is starts
    assert (done >= scenario.policy.order_begins(scenario.world.now_ms() / 1000)) is starts
