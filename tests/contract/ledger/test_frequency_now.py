"""The window lasts from the last start for as long as MaxImportFrequency asks when the next start is decided."""

from sfmc_import.faults import NotApplied
from sfmc_import.runs import Definition
from sfmc_import.states import NotYet, StartNow
from tests.contract.ledger.scenario import HOUR, KEY, MID, Scenario, file, request


def after_a_run(scenario: Scenario, window: float, hours: float) -> None:
    """A run that started so many hours ago, with this window."""
    scenario.arrives_and_starts("a", window=window)
    scenario.ends("a")
    scenario.world.advance(hours * HOUR)


def asks(scenario: Scenario, request_id: str, frequency: float, read_ago: float = 0.0):
    """A new file, decided with the frequency that Marketing Cloud gave so many seconds ago."""
    read = Definition(customer_key=KEY, max_import_frequency=frequency)
    recorded = scenario.arrives(request_id)
    return scenario.ledger.claim(recorded, f"owner-{request_id}", scenario.policy, read, read_ago)


def waits(decision) -> float:
    assert isinstance(decision, NotYet)
    assert decision.opens_in is not None
    return decision.opens_in


def test_a_frequency_that_was_raised_holds_back_the_next_start(scenario: Scenario):
    after_a_run(scenario, window=1, hours=2)

    assert waits(asks(scenario, "b", frequency=6)) == 4 * HOUR


def test_a_frequency_that_was_lowered_lets_the_next_start_go_earlier(scenario: Scenario):
    after_a_run(scenario, window=6, hours=2)

    assert isinstance(asks(scenario, "b", frequency=2), StartNow)


def test_what_waits_for_a_window_that_is_shorter_now_is_woken(scenario: Scenario):
    after_a_run(scenario, window=6, hours=1)
    asks(scenario, "b", frequency=6)
    without_file = scenario.accept(request("c"))
    read = Definition(customer_key=KEY, max_import_frequency=2)

    assert scenario.ledger.claim(without_file, "owner-c", scenario.policy, read).state == "duplicate"
    assert scenario.due_in("b") == HOUR


def test_a_policy_that_overrides_the_frequency_counts_without_a_reading(scenario: Scenario):
    after_a_run(scenario, window=1, hours=2)
    scenario.decide_by(frequency=3.0)
    scenario.arrives("b")

    assert waits(scenario.claim("b")) == HOUR


def test_without_policy_and_reading_the_window_stays(scenario: Scenario):
    after_a_run(scenario, window=6, hours=2)
    scenario.arrives("b")

    assert waits(scenario.claim("b")) == 4 * HOUR


def test_a_reading_from_before_the_start_changes_no_window(scenario: Scenario):
    after_a_run(scenario, window=6, hours=2)

    assert waits(asks(scenario, "b", frequency=1, read_ago=2 * HOUR + 1)) == 4 * HOUR
    assert waits(asks(scenario, "c", frequency=5, read_ago=2 * HOUR)) == 3 * HOUR
    assert waits(asks(scenario, "d", frequency=1, read_ago=2 * HOUR + 1)) == 3 * HOUR


def test_a_reading_that_is_older_than_the_newest_changes_no_window(scenario: Scenario):
    after_a_run(scenario, window=6, hours=2)
    asks(scenario, "b", frequency=5, read_ago=60)

    assert waits(asks(scenario, "c", frequency=4, read_ago=61)) == 3 * HOUR
    assert waits(asks(scenario, "d", frequency=4, read_ago=60)) == 2 * HOUR


def test_a_frequency_that_was_raised_since_the_claim_holds_back_the_start(scenario: Scenario):
    after_a_run(scenario, window=1, hours=2)
    scenario.arrives("b")
    lease = scenario.go("b")

    refused = scenario.ledger.record_intent(lease, (), window=6)
    assert isinstance(refused, NotApplied)
    assert (refused.code, refused.account_wide) == ("window", True)
    assert "no start before 20" in refused.text
    assert scenario.ledger.retry(lease, refused, 15, let_go=True) == "retrying"
    scenario.world.advance(15)

    assert waits(scenario.claim("b")) == 4 * HOUR - 15
    scenario.world.advance(4 * HOUR - 15)
    assert isinstance(scenario.ledger.record_intent(scenario.go("b"), (), window=6), float)
    assert scenario.names("b") == ["accepted", "starting", "retrying", "deferred", "starting"]


def test_the_time_of_such_a_window_does_not_count_against_the_retry_deadline(scenario: Scenario):
    after_a_run(scenario, window=1, hours=2)
    scenario.decide_by(retry_deadline=60.0)
    scenario.arrives("b")
    lease = scenario.go("b")
    refused = scenario.ledger.record_intent(lease, (), window=6)
    scenario.ledger.retry(lease, refused, 15, let_go=True)
    scenario.world.advance(15)
    scenario.claim("b")
    scenario.world.advance(4 * HOUR)

    assert scenario.ledger.retry(scenario.go("b"), NotApplied("9", "busy"), 15) == "retrying"


def test_the_intent_of_a_forced_start_asks_for_no_window(scenario: Scenario):
    after_a_run(scenario, window=6, hours=2)
    scenario.accept(request("b", file("b.csv"), force=True, reason="why"))

    assert isinstance(scenario.ledger.record_intent(scenario.go("b"), (), window=6), float)


def test_an_attempt_that_is_repeated_without_proof_asks_for_no_window(scenario: Scenario):
    after_a_run(scenario, window=1, hours=2)
    scenario.arrives("b")
    lease = scenario.sends("b", window=1)
    scenario.ledger.withdraw_intent(lease, unproved=True)

    assert isinstance(scenario.ledger.record_intent(lease, (), window=6), float)


def test_the_pause_after_an_error_is_not_lengthened_to_the_window(scenario: Scenario):
    scenario.arrives_and_starts("a", window=6)
    scenario.ends("a", "import_failed")

    assert waits(asks(scenario, "b", frequency=6)) == 60
    scenario.world.advance(60)
    assert isinstance(scenario.ledger.record_intent(scenario.go("b"), (), window=6), float)


def test_a_window_that_a_forced_start_gave_back_counts_from_its_own_start(scenario: Scenario):
    after_a_run(scenario, window=6, hours=2)
    scenario.accept(request("b", file("b.csv"), force=True, reason="why"))
    scenario.start("b", window=6)
    scenario.ends("b", "import_failed")

    assert waits(asks(scenario, "c", frequency=3)) == HOUR


def test_the_window_of_a_forced_start_counts_from_it(scenario: Scenario):
    after_a_run(scenario, window=6, hours=2)
    scenario.accept(request("b", file("b.csv"), force=True, reason="why"))
    scenario.start("b", window=6)
    scenario.ends("b")

    assert waits(asks(scenario, "c", frequency=3)) == 3 * HOUR


def test_the_record_of_a_definition_is_kept_for_the_longer_window(scenario: Scenario):
    after_a_run(scenario, window=1, hours=2)
    asks(scenario, "b", frequency=10_000)
    key = scenario.ledger.keys.definition(MID, KEY)

    assert scenario.world.client.pttl(key) / 1000 > 9_000 * HOUR
