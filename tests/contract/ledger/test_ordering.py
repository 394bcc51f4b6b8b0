"""A start that waits for a completed run of other definitions: since its arrival, or since a time of day."""

from datetime import UTC, datetime, time, timedelta

import pytest

from sfmc_import.faults import Rejected
from sfmc_import.states import NotYet, StartNow
from tests.contract.ledger.scenario import BUSY, HOUR, Scenario

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
    assert scenario.last("a")["text"] == "waits for a completed run of Contacts"
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


def test_a_replay_has_arrived_with_the_first_request_for_its_file(scenario: Scenario):
    scenario.arrives("a0")
    scenario.world.advance(60)
    contacts_run(scenario, "c")
    scenario.decide_by(after=(CONTACTS,))
    for number in (0, 1):
        scenario.ledger.reject(scenario.go(f"a{number}"), Rejected("43010", "no"))
        scenario.world.advance(60)
        scenario.arrives(f"a{number + 1}", name="a.csv", replays=f"a{number}")

    assert isinstance(scenario.claim("a2"), StartNow)


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


@pytest.mark.parametrize("named", ["ÄRZTE", "Ärzte ", "ärzte"])
def test_a_definition_with_letters_beyond_ascii_is_found_in_capitals_as_well(scenario: Scenario, named: str):
    scenario.decide_by(after=(named,))
    scenario.arrives("a")
    scenario.claim("a")
    assert isinstance(scenario.claim("a"), NotYet)
    scenario.decide_by(after=())
    scenario.world.advance(60)
    scenario.arrives("c", key="ärzte")
    scenario.start("c")
    scenario.ends("c")
    scenario.decide_by(after=(named,))

    assert scenario.due_in("a") == 0
    assert isinstance(scenario.claim("a"), StartNow)


def tomorrow_without_a_run(scenario: Scenario) -> None:
    """Let a run count that completed before a time of day, and then pass that time."""
    contacts_run(scenario, "c")
    scenario.world.advance(60)
    scenario.decide_by(after=(CONTACTS,), after_since=time_ago(scenario, -1))


def test_what_is_tried_again_waits_for_the_run_that_counts_by_then(scenario: Scenario):
    tomorrow_without_a_run(scenario)
    scenario.arrives("a")
    scenario.ledger.retry(scenario.go("a"), BUSY, 1.0)
    scenario.world.advance(2 * HOUR)

    assert isinstance(scenario.claim("a"), NotYet)
    assert waits(scenario, "a") == ("after", CONTACTS)
    assert scenario.due_in("a") > 0


def test_a_worker_that_dies_before_sending_leaves_its_request_to_the_order(scenario: Scenario):
    tomorrow_without_a_run(scenario)
    scenario.arrives("a")
    scenario.go("a")
    scenario.world.advance(2 * HOUR)

    assert isinstance(scenario.claim("a"), NotYet)
    assert scenario.names("a")[-1] == "retrying"
    assert waits(scenario, "a") == ("after", CONTACTS)
    scenario.decide_by(after=())
    assert isinstance(scenario.claim("a"), StartNow)


def test_an_attempt_again_after_one_that_proved_nothing_waits_for_no_other_run(scenario: Scenario):
    tomorrow_without_a_run(scenario)
    scenario.arrives("a")
    lease = scenario.go("a")
    scenario.ledger.record_intent(lease, [])
    scenario.ledger.withdraw_intent(lease, unproved=True)
    scenario.ledger.retry(lease, BUSY, 1.0)
    scenario.world.advance(2 * HOUR)

    assert isinstance(scenario.claim("a"), StartNow)


def test_a_second_file_is_kept_while_the_first_waits_for_its_order_and_nothing_runs(scenario: Scenario):
    scenario.decide_by(after=(CONTACTS,), when_too_soon="drop")
    for name in ("a", "b"):
        scenario.arrives(name)
        scenario.claim(name)

    assert scenario.names("b") == ["accepted", "deferred"]


def test_a_second_file_is_kept_while_an_attempt_waits_for_its_order(scenario: Scenario):
    tomorrow_without_a_run(scenario)
    scenario.decide_by(when_too_soon="drop")
    scenario.arrives("a")
    scenario.ledger.retry(scenario.go("a"), BUSY, 1.0)
    scenario.world.advance(2 * HOUR)
    scenario.claim("a")
    scenario.arrives("b")
    scenario.claim("b")

    assert scenario.names("b") == ["accepted", "deferred"]


def test_what_is_tried_again_and_waits_for_its_order_can_be_forced(scenario: Scenario):
    tomorrow_without_a_run(scenario)
    scenario.arrives("a")
    scenario.ledger.retry(scenario.go("a"), BUSY, 1.0)
    scenario.ledger.force("a", "ann", "too soon")
    assert "force" not in scenario.world.record("a")
    scenario.world.advance(2 * HOUR)
    scenario.claim("a")

    assert scenario.ledger.force("a", "ann", "now") == "retrying"
    assert scenario.due_in("a") == 0
    assert isinstance(scenario.claim("a"), StartNow)
