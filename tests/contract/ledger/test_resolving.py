"""What an operator says of a start that could not be proved: the run it became, or that there was none."""

import pytest

from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.request import GoneOnError
from sfmc_import.runs import Accepted
from sfmc_import.states import AlreadyEnded, Seen, StartNow
from tests.contract.ledger.scenario import HOUR, KEY, MID, Scenario, file, request


def record_start_unknown(scenario: Scenario, window: float = 2.0, intended: float = 0.0, **more: object) -> None:
    """The request `a` for the file x.csv, started perhaps."""
    scenario.accept(request("a", file("x.csv"), **more))
    scenario.in_doubt("a", results_delay=60, window=intended)
    scenario.world.advance(60)
    assert scenario.ledger.record_start_unknown(scenario.look("a").lease, (), window)


def resolve(
    scenario: Scenario, task: str | None, request_id: str = "a", reason: str | None = "seen in the log"
) -> bool | None:
    return scenario.ledger.resolve(request_id, task, "ada", reason, scenario.policy)


def test_with_its_task_the_request_is_started_and_followed_to_its_end(scenario: Scenario):
    record_start_unknown(scenario)

    assert resolve(scenario, "77")

    assert scenario.names("a")[-2:] == ["start_unknown", "started"]
    data = scenario.last("a")
    assert (data["task_id"], data["matched"], data["operator"]) == ("77", "operator", "ada")
    assert data["reason"] == "seen in the log"
    assert scenario.due_in("a") == 0
    assert scenario.run("a").task_id == "77"
    scenario.ends("a")
    assert scenario.names("a")[-1] == "completed"


def test_a_resolved_run_holds_its_definition(scenario: Scenario):
    record_start_unknown(scenario, window=0)
    resolve(scenario, "77")
    scenario.arrives("b")
    scenario.claim("b")

    assert scenario.names("b")[-1] == "deferred"


def test_a_run_resolved_while_another_one_runs_leaves_that_its_definition(scenario: Scenario):
    record_start_unknown(scenario, window=0)
    scenario.arrives_and_starts("b")
    assert resolve(scenario, "77")
    scenario.ends("a")
    scenario.arrives("c")
    scenario.claim("c")

    assert scenario.names("c")[-1] == "deferred"


def test_a_task_of_another_request_is_not_taken(scenario: Scenario):
    scenario.arrives_and_starts("b")
    scenario.ends("b")
    record_start_unknown(scenario)

    assert not resolve(scenario, "task-b")
    assert scenario.names("a")[-1] == "start_unknown"


def test_without_a_task_the_window_and_the_file_are_free_again(scenario: Scenario):
    record_start_unknown(scenario, event_id="e1")
    assert resolve(scenario, None)
    data = scenario.last("a")
    again = scenario.accept(request("b", file("x.csv"), event_id="e1"))

    assert scenario.names("a")[-2:] == ["start_unknown", "not_started"]
    assert (data["operator"], data["reason"]) == ("ada", "seen in the log")
    assert scenario.due_in("a") is None
    assert isinstance(scenario.claim(again.request_id), StartNow)


def test_the_window_of_an_earlier_start_stays_closed(scenario: Scenario):
    scenario.arrives_and_starts("b", window=5)
    scenario.ends("b")
    scenario.accept(request("a", file("x.csv"), force=True, reason="wrong file"))
    scenario.in_doubt("a", results_delay=60)
    scenario.world.advance(60)
    scenario.ledger.record_start_unknown(scenario.look("a").lease, (), 9)
    resolve(scenario, None)
    scenario.arrives("c")
    scenario.claim("c")

    assert scenario.names("c")[-1] == "deferred"
    assert scenario.due_in("c") == pytest.approx(5 * HOUR - 60)


def test_a_follow_up_that_waited_for_the_window_starts_at_once(scenario: Scenario):
    record_start_unknown(scenario, window=9)
    scenario.arrives("b")
    scenario.claim("b")
    resolve(scenario, None)

    assert scenario.due_in("b") == 0
    assert isinstance(scenario.claim("b"), StartNow)


def test_a_mistaken_word_can_be_corrected_and_a_late_task_is_the_truth(scenario: Scenario):
    record_start_unknown(scenario)
    resolve(scenario, None)
    assert scenario.claim("a") == AlreadyEnded(state="not_started")

    assert resolve(scenario, "77")
    assert scenario.names("a")[-2:] == ["not_started", "started"]


def test_a_task_that_comes_from_a_frozen_worker_counts_after_a_mistaken_word(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.in_doubt("a", results_delay=60)
    scenario.world.advance(60)
    scenario.ledger.record_start_unknown(scenario.look("a").lease, (), 1)
    resolve(scenario, None)

    assert scenario.ledger.started(lease, Accepted(task_id="77"), 1, scenario.policy)
    assert scenario.last("a")["matched"] == "reply"


@pytest.mark.parametrize("task", ["77", None])
def test_the_same_word_twice_is_one_event(scenario: Scenario, task: str | None):
    record_start_unknown(scenario)

    assert resolve(scenario, task)
    assert resolve(scenario, task)
    assert len(scenario.names("a")) == 5


@pytest.mark.parametrize("task", ["77", None])
def test_of_two_operators_who_say_the_same_the_second_is_refused(scenario: Scenario, task: str | None):
    record_start_unknown(scenario)
    assert resolve(scenario, task)

    assert scenario.ledger.resolve("a", task, "bob", "me too", scenario.policy) is None
    assert scenario.last("a")["operator"] == "ada"
    assert resolve(scenario, task) is True


def test_of_two_operators_at_once_the_one_who_names_a_run_learns_that_the_other_saw_none(scenario: Scenario):
    record_start_unknown(scenario)
    assert resolve(scenario, None)

    assert scenario.ledger.resolve("a", "77", "bob", "I saw it", scenario.policy) is None
    scenario.world.advance(61)
    assert scenario.ledger.resolve("a", "77", "bob", "I looked again", scenario.policy)
    assert scenario.names("a")[-2:] == ["not_started", "started"]


def replayed(scenario: Scenario) -> None:
    """The request `a` was not started, says ada, and was replayed as `b`."""
    record_start_unknown(scenario)
    assert resolve(scenario, None)
    scenario.accept(request("b", file("x.csv"), replays="a"))
    scenario.world.advance(3600)


def test_a_run_of_what_another_operator_replayed_is_recorded_by_force_alone(scenario: Scenario):
    replayed(scenario)

    assert scenario.ledger.resolve("a", "77", "bob", "I saw it", scenario.policy) is None
    reader = LedgerReader(scenario.world.client, scenario.world.keys)
    assert (reader.request("a") or {})["replayed_by"] == "b"
    assert scenario.names("a")[-1] == "not_started"
    assert scenario.ledger.resolve("a", "77", "bob", "I saw it", scenario.policy, force=True)
    assert scenario.names("a")[-1] == "started"


def test_who_said_that_nothing_was_started_reads_first_what_came_of_a_replay(scenario: Scenario):
    replayed(scenario)

    assert resolve(scenario, "77") is None
    assert scenario.ledger.resolve("a", "77", "ada", "I saw it", scenario.policy, force=True)


def test_who_said_that_nothing_was_started_corrects_it(scenario: Scenario):
    record_start_unknown(scenario)
    assert resolve(scenario, None)

    assert resolve(scenario, "77")


def test_what_was_started_since_it_was_looked_at_is_not_replayed(scenario: Scenario):
    record_start_unknown(scenario)
    resolve(scenario, None)
    resolve(scenario, "77")
    again = request("b", file("x.csv"), replays="a")

    with pytest.raises(GoneOnError, match="request a has gone on"):
        scenario.ledger.accept(again, seen=Seen("not_started"))
    assert scenario.ledger.load("b") is None
    assert scenario.ledger.accept(again, seen=Seen("started"))


def test_what_was_replayed_since_it_was_looked_at_is_not_replayed_once_more(scenario: Scenario):
    record_start_unknown(scenario)
    resolve(scenario, None)
    assert scenario.ledger.accept(request("b", file("x.csv"), replays="a"), seen=Seen("not_started"))

    with pytest.raises(GoneOnError, match="request a has gone on"):
        scenario.ledger.accept(request("c", file("x.csv"), replays="a"), seen=Seen("not_started"))
    assert scenario.ledger.load("c") is None
    assert scenario.ledger.accept(request("c", file("x.csv"), replays="a"), seen=Seen("not_started", "b"))


def test_a_replay_of_what_the_ledger_does_not_know_leaves_no_record_of_that(scenario: Scenario):
    scenario.accept(request("b", file("x.csv"), replays="gone"))

    assert LedgerReader(scenario.world.client, scenario.world.keys).request("gone") is None
    assert not scenario.world.client.exists(scenario.world.keys.request("gone"))


def test_who_named_the_run_of_another_request_has_resolved_nothing(scenario: Scenario):
    scenario.arrives_and_starts("b", key="Other")
    scenario.arrives("a")
    lease = scenario.in_doubt("a", results_delay=60)
    scenario.world.advance(60)
    assert scenario.ledger.record_start_unknown(scenario.look("a").lease, (), 1)
    assert resolve(scenario, "task-b") is False
    assert scenario.ledger.started(lease, Accepted(task_id="77"), 1, scenario.policy)

    assert scenario.ledger.resolve("a", "77", "bob", "seen", scenario.policy) is True


def test_a_run_that_a_worker_reported_may_be_named_by_any_operator(scenario: Scenario):
    scenario.arrives_and_starts("a")

    assert resolve(scenario, "task-a")


def test_the_reason_of_the_request_stays_where_the_operator_gives_none(scenario: Scenario):
    record_start_unknown(scenario, reason="monthly")
    resolve(scenario, "77", reason=None)

    assert scenario.last("a")["reason"] == "monthly"


@pytest.mark.parametrize("task", ["77", None])
def test_a_request_that_is_not_in_doubt_cannot_be_resolved(scenario: Scenario, task: str | None):
    scenario.arrives("waits")
    scenario.arrives_and_starts("runs", key="other")
    before = len(scenario.world.events())

    assert not resolve(scenario, task, "waits")
    assert not resolve(scenario, task, "runs")
    assert not resolve(scenario, task, "none")
    assert len(scenario.world.events()) == before


def test_a_run_that_was_given_once_cannot_become_another(scenario: Scenario):
    record_start_unknown(scenario)
    resolve(scenario, "77")

    assert not resolve(scenario, "78")
    assert not resolve(scenario, None)
    assert scenario.ledger.unassigned_task_ids(MID, ["77", "78"]) == {"78"}
    assert scenario.run("a").customer_key == KEY


def test_a_start_that_was_denied_and_then_found_uses_its_window_after_all(scenario: Scenario):
    record_start_unknown(scenario, window=2, intended=2)
    assert resolve(scenario, None)
    assert resolve(scenario, "77")
    scenario.ends("a")
    scenario.accept(request("b"))

    assert scenario.claim("b") == AlreadyEnded(state="duplicate", held_by="a", opens_in=2 * HOUR)


def test_a_start_that_cannot_be_proved_uses_the_window_of_its_intent_when_no_one_can_read_it_now(scenario: Scenario):
    record_start_unknown(scenario, window=0, intended=2)
    scenario.accept(request("b"))

    assert scenario.claim("b") == AlreadyEnded(state="duplicate", held_by="a", opens_in=2 * HOUR)


def forced_start(scenario: Scenario, window: float) -> None:
    scenario.arrives("forced", force=True, reason="urgent")
    scenario.start("forced", window=window)


def window_left(scenario: Scenario) -> float:
    scenario.arrives("next")
    scenario.claim("next")
    return (scenario.due_in("next") or 0.0) / HOUR


@pytest.mark.parametrize("window", [1, 5])
def test_after_a_forced_start_the_window_is_that_of_the_forced_start_alone(scenario: Scenario, window: float):
    record_start_unknown(scenario, window=3)
    forced_start(scenario, window)
    scenario.ends("forced")
    resolve(scenario, None)

    assert window_left(scenario) == window


def test_a_forced_run_that_fails_does_not_bring_back_the_window_of_what_was_not_started(scenario: Scenario):
    record_start_unknown(scenario, window=3)
    forced_start(scenario, 5)
    resolve(scenario, None)
    scenario.ends("forced", "import_failed")

    assert window_left(scenario) == pytest.approx(60 / HOUR)


def test_what_was_not_started_gives_its_window_back_after_a_forced_run_has_failed(scenario: Scenario):
    record_start_unknown(scenario, window=3)
    forced_start(scenario, 5)
    scenario.ends("forced", "import_failed")
    resolve(scenario, None)
    scenario.arrives("next")

    assert isinstance(scenario.claim("next"), StartNow)


def test_the_pause_after_a_forced_run_that_failed_stays_when_an_earlier_start_was_not_one(scenario: Scenario):
    record_start_unknown(scenario, window=1)
    scenario.world.advance(HOUR - 30)
    forced_start(scenario, 5)
    scenario.ends("forced", "import_failed")
    resolve(scenario, None)

    assert window_left(scenario) == pytest.approx(60 / HOUR)


def test_what_was_not_started_leaves_the_longer_window_of_a_start_before_it(scenario: Scenario):
    scenario.arrives_and_starts("first", window=5)
    scenario.ends("first")
    scenario.arrives("a", force=True, reason="urgent")
    scenario.in_doubt("a", results_delay=0)
    scenario.ledger.record_start_unknown(scenario.look("a").lease, (), 1)
    forced_start(scenario, 1)
    scenario.ends("forced")
    resolve(scenario, None)

    assert window_left(scenario) == 5


def test_the_word_about_one_start_leaves_the_window_of_others(scenario: Scenario):
    record_start_unknown(scenario, window=3)
    scenario.arrives("b", force=True, reason="urgent")
    scenario.start("b", window=4)
    scenario.ends("b")
    scenario.arrives("c", force=True, reason="urgent")
    scenario.start("c", window=1)
    scenario.ends("c")
    resolve(scenario, None)

    assert window_left(scenario) == 4
