"""Why a request waits is written by the step that decides: reason, since when, behind which request, last error."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sfmc_import.attempts import attempt_of
from sfmc_import.faults import Ambiguous, NotApplied
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.operator_keys import FAILURES
from sfmc_import.ledger.schema import REQUEST
from sfmc_import.states import AlreadyEnded
from sfmc_import.waiting import NOT_FOUND_OUT, REASONS, TAKEN, Waiting, held_until, waiting_of
from tests.contract.ledger.scenario import BUSY, HOUR, Scenario, file, request


def record(scenario: Scenario, request_id: str) -> dict[str, Any]:
    return REQUEST.read(scenario.world.client.hgetall(Keys().request(request_id)))


def waiting(scenario: Scenario, request_id: str) -> Waiting | None:
    due = scenario.world.client.zscore(Keys().due, request_id)
    return waiting_of(record(scenario, request_id), None if due is None else due / 1000)


def reason(scenario: Scenario, request_id: str) -> tuple[str, str | None] | None:
    found = waiting(scenario, request_id)
    return None if found is None else (found.reason, found.held_by)


def failures(scenario: Scenario) -> list[str]:
    found = scenario.world.client.zrange(Keys().name_of(FAILURES), 0, -1)
    return [name.decode() for name in found]


def test_a_request_waits_for_a_worker_then_not_at_all_then_for_its_run(scenario: Scenario):
    scenario.arrives("a")
    assert reason(scenario, "a") == ("queued", None)
    lease = scenario.sends("a")
    assert reason(scenario, "a") is None
    scenario.commit(lease, "t1")
    assert reason(scenario, "a") == ("following", None)
    scenario.ends("a")
    assert reason(scenario, "a") is None


def test_a_wait_because_calls_fail_began_with_the_first_failure_whatever_was_tried_since(scenario: Scenario):
    def fails(seconds: float, fault: NotApplied) -> tuple[str, float]:
        scenario.world.advance(seconds)
        scenario.ledger.retry(scenario.sends("a"), fault, 60)
        found = waiting(scenario, "a")
        return found.reason, found.since

    scenario.arrives("a")
    first, again = fails(0, BUSY), fails(600, BUSY)
    other = fails(600, NotApplied("login_failed", "no", account_wide=True))
    after = fails(600, BUSY)
    limited = fails(600, NotApplied("17", "too many"))
    assert again == first
    assert [each[0] for each in (other, after, limited)] == ["circuit_open", first[0], "rate_limited"]
    assert {each[1] for each in (other, after, limited)} == {first[1]}


@pytest.mark.parametrize("code", ["window", "pattern_mismatch"])
def test_a_wait_goes_on_when_the_next_attempt_is_held_for_the_same_reason(scenario: Scenario, code: str):
    scenario.arrives("a")
    began = []
    for _ in range(3):
        scenario.ledger.retry(scenario.sends("a"), NotApplied(code, "x"), 60)
        began.append(waiting(scenario, "a").since)
        scenario.world.advance(60)

    assert len(set(began)) == 1


def test_a_wait_for_something_else_begins_anew(scenario: Scenario):
    began = []
    for fault in (NotApplied("window", "x"), BUSY, NotApplied("pattern_mismatch", "x"), NotApplied("window", "x")):
        scenario.world.advance(600)
        scenario.arrives("a") if not began else None
        scenario.ledger.retry(scenario.sends("a"), fault, 60)
        began.append(waiting(scenario, "a").since)

    assert began == sorted(set(began))


def test_a_question_that_is_under_way_says_since_when_it_is_asked_and_how_long_its_worker_holds_it(scenario: Scenario):
    asked = scenario.arrives("a")
    scenario.world.advance(5)
    scenario.ledger.hold(asked, "owner")
    reading, begun = waiting(scenario, "a"), scenario.world.now_ms() / 1000
    scenario.world.advance(60)
    lease = scenario.sends("a")
    scenario.ledger.mark_ambiguous(lease, Ambiguous("reset", "cut"), 60, scenario.policy)
    doubted = waiting(scenario, "a")
    scenario.world.advance(60)
    scenario.look("a")
    looked, looks = waiting(scenario, "a"), scenario.world.now_ms() / 1000

    assert reading is not None
    assert doubted is not None
    assert looked is not None
    assert (reading.text.startswith(TAKEN), reading.asked_since) == (True, begun)
    assert (doubted.asked_since, looked.asked_since) == (None, looks)
    assert held_until(record(scenario, "a"), looks + 180) == looks + 180
    assert "without an answer yet" in looked.text


def test_a_look_that_fails_is_not_taken_for_the_start_that_failed_before_it(scenario: Scenario):
    scenario.arrives("a")
    scenario.ledger.mark_ambiguous(scenario.sends("a"), Ambiguous("reset", "cut"), 60, scenario.policy)
    doubted = waiting(scenario, "a")
    scenario.world.advance(60)
    scenario.ledger.reconcile_later(scenario.look("a").lease, NotApplied("http_status", "HTTP 500"), 60)
    failed = waiting(scenario, "a")

    assert doubted is not None
    assert failed is not None
    assert (doubted.text, failed.text) == (REASONS["reconciling"], NOT_FOUND_OUT)
    assert (failed.last_error or {})["code"] == "http_status"


def test_a_request_that_a_worker_takes_up_waits_for_it_since_it_came(scenario: Scenario):
    asked = scenario.arrives("a")
    began = waiting(scenario, "a").since
    scenario.world.advance(5)
    assert scenario.ledger.hold(asked, "owner") == (False, None)

    found = waiting(scenario, "a")
    assert (found.reason, found.since) == ("queued", began)


def test_a_request_without_its_definition_waits_since_its_first_failure(scenario: Scenario):
    asked = scenario.arrives("a")
    began = []
    for number in range(4):
        _, held = scenario.ledger.hold(asked, f"owner-{number}")
        assert held is None
        waits_for_a_worker = waiting(scenario, "a").since
        scenario.ledger.unresolved(replace(asked, attempt=number), NotApplied("connection", "x"), 60.0, scenario.policy)
        began.append(waiting(scenario, "a").since)
        scenario.world.advance(60)

    assert len(set(began)) == 1
    assert waits_for_a_worker > began[0]


def test_follow_ups_wait_for_the_run_then_for_the_window_and_behind_each_other(scenario: Scenario):
    scenario.arrives_and_starts("a", window=2)
    for name in ("b", "c"):
        scenario.arrives(name)
        scenario.claim(name)
    assert [reason(scenario, name) for name in ("b", "c")] == [("single_flight", "a")] * 2
    scenario.ends("a")
    for name in ("b", "c"):
        scenario.claim(name)
    assert [reason(scenario, name) for name in ("b", "c")] == [("window", "a")] * 2
    until = waiting(scenario, "b").until
    assert until == pytest.approx(scenario.world.now_ms() / 1000 + 2 * HOUR, abs=1)
    scenario.world.advance(2 * HOUR)
    scenario.claim("c")
    assert reason(scenario, "c") == ("single_flight", "b")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (BUSY, "backoff"),
        (NotApplied("17", "limited", account_wide=True), "rate_limited"),
        (NotApplied("login_failed", "no", account_wide=True), "circuit_open"),
        (NotApplied("circuit_open", "held", account_wide=True, cause=("17", "rate limited")), "rate_limited"),
        (NotApplied("circuit_open", "held", account_wide=True, cause=("9", "maintenance")), "circuit_open"),
        (NotApplied("pattern_mismatch", "another day"), "file_check"),
        (NotApplied("writes_lost", "waiting", account_wide=True), "redis_unsure"),
    ],
)
def test_what_failed_says_why_it_waits_and_what_failed_last(scenario: Scenario, fault: NotApplied, expected: str):
    scenario.arrives("a")
    scenario.ledger.retry(scenario.go("a"), fault, 60)
    found = waiting(scenario, "a")

    assert (found.reason, found.attempts) == (expected, 1)
    assert (found.last_error["code"], found.last_error["text"]) == (fault.cause or (fault.code, fault.text))
    assert found.until == pytest.approx(scenario.world.now_ms() / 1000 + 60, abs=1)


def test_since_counts_from_the_first_moment_of_this_wait(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.arrives("b")
    scenario.claim("b")
    began = waiting(scenario, "b").since
    scenario.world.advance(HOUR)
    scenario.claim("b")

    assert waiting(scenario, "b").since == began


def test_a_time_of_the_sender_and_a_start_in_doubt_are_reasons(scenario: Scenario):
    later = scenario.world.now_ms() / 1000 + HOUR
    scenario.accept(request("a", file("a.csv"), not_before=later))
    assert reason(scenario, "a") == ("not_before", None)
    scenario.arrives("b")
    scenario.in_doubt("b")
    assert reason(scenario, "b") == ("reconciling", None)
    scenario.world.advance(60)
    scenario.ledger.reconcile_later(scenario.look("b").lease, BUSY, 30)
    assert waiting(scenario, "b").last_error["code"] == BUSY.code


def test_failures_have_what_ended_badly_until_it_goes_on(scenario: Scenario):
    for name in ("a", "b"):
        scenario.arrives(name)
        scenario.in_doubt(name)
        scenario.world.advance(60)
        scenario.ledger.record_start_unknown(scenario.look(name).lease, (), 0.0)
    assert failures(scenario) == ["a", "b"]
    scenario.ledger.resolve("a", None, "ann", "nothing there", scenario.policy)
    scenario.ledger.resolve("b", "t7", "ann", "seen", scenario.policy)
    assert failures(scenario) == []


def test_every_reason_that_is_written_has_its_sentence(scenario: Scenario):
    scenario.arrives("a")

    assert waiting(scenario, "a").text == REASONS["queued"]


def test_a_forced_follow_up_goes_first_and_does_not_wait_for_the_window(scenario: Scenario):
    scenario.arrives_and_starts("a", window=2)
    scenario.ends("a")
    for name in ("b", "c"):
        scenario.arrives(name)
        scenario.claim(name)

    assert [scenario.ledger.force("c", "ann", "urgent") for _ in range(2)] == ["deferred"] * 2
    assert scenario.due_in("c") == 0
    scenario.start("c")
    assert scenario.names("c") == ["accepted", "deferred", "operator.forced", "starting", "started"]
    assert scenario.ledger.force("c", "ann", "urgent") == "started"


def test_a_replayed_request_is_no_duplicate_of_the_one_it_replays(scenario: Scenario):
    scenario.accept(request("a", file("x.csv")))
    scenario.ledger.cancel("a", "ann", None)
    scenario.accept(request("b", file("x.csv"), replays="a"))
    scenario.start("b")

    assert scenario.last("b")["replays"] == "a"


def test_a_replayed_import_is_no_duplicate_of_itself(scenario: Scenario):
    scenario.accept(request("a", file("x.csv")))
    scenario.start("a", task="5")
    scenario.ends("a")
    scenario.accept(request("b", file("x.csv"), replays="a", force=False))

    assert scenario.claim("b") != AlreadyEnded(state="duplicate", held_by="a")


def two_wait_for_a_run_that_ends(scenario: Scenario, hours: float) -> None:
    scenario.arrives_and_starts("a", window=hours)
    for name in ("b", "c"):
        scenario.arrives(name)
        scenario.claim(name)
    scenario.ends("a")


def test_follow_ups_show_at_once_that_they_wait_for_the_window_alone(scenario: Scenario):
    two_wait_for_a_run_that_ends(scenario, 2)

    assert [reason(scenario, name) for name in ("b", "c")] == [("window", "a")] * 2
    assert scenario.due_in("b") == 2 * HOUR


def test_follow_ups_show_at_once_that_the_run_before_them_has_ended(scenario: Scenario):
    two_wait_for_a_run_that_ends(scenario, 0)

    assert [reason(scenario, name) for name in ("b", "c")] == [("queued", None), ("single_flight", "b")]


def test_follow_ups_show_at_once_that_a_window_was_given_back(scenario: Scenario):
    scenario.decide_by(frequency=2.0)
    scenario.arrives_and_starts("a", window=2)
    for name in ("b", "c"):
        scenario.arrives(name)
        scenario.claim(name)
    scenario.ends("a")
    scenario.decide_by(frequency=0.0)
    scenario.arrives("d")
    scenario.claim("d")

    assert [reason(scenario, name) for name in ("b", "c")] == [("queued", None), ("single_flight", "b")]


NO_RUN = NotApplied("no_run_yet", "no new run appeared so far")
REPEATED = NotApplied("nothing_started", "no new run appeared")


def last_error(scenario: Scenario, request_id: str) -> str | None:
    found = waiting(scenario, request_id)
    return None if found is None or found.last_error is None else str(found.last_error["code"])


def test_the_last_error_is_the_cause_of_the_doubt_and_not_what_the_look_for_its_run_came_to(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.sends("a")
    scenario.ledger.mark_ambiguous(lease, Ambiguous("http_503", "HTTP 503", denied=True), 0, scenario.policy)
    assert last_error(scenario, "a") == "http_503"
    scenario.ledger.reconcile_later(scenario.look("a").lease, NO_RUN, 0)
    assert last_error(scenario, "a") == "http_503"
    assert scenario.ledger.retry(scenario.look("a").lease, REPEATED, 30) == "retrying"
    assert last_error(scenario, "a") == "http_503"
    assert scenario.last("a")["code"] == "nothing_started"


def test_a_look_that_fails_itself_is_the_last_error(scenario: Scenario):
    scenario.arrives("a")
    scenario.in_doubt("a", results_delay=0)
    scenario.ledger.reconcile_later(scenario.look("a").lease, NotApplied("dns", "no such name"), 0)
    assert last_error(scenario, "a") == "dns"


def test_each_attempt_says_until_when_the_worker_that_sent_it_waits_by_its_own_settings(scenario: Scenario):
    def until() -> float:
        record = REQUEST.read(scenario.world.client.hgetall(Keys().request("a")))
        found = attempt_of(record)
        return found.until - scenario.world.now_ms() / 1000

    scenario.arrives("a")
    lease = scenario.sends("a")
    first = until()
    scenario.world.advance(20)
    waited = until()
    scenario.ledger.renew_intent(lease)

    assert (first, waited, until()) == (scenario.world.settings.answer, scenario.world.settings.answer - 20, first)


def test_a_run_that_is_asked_for_says_since_when_and_no_more_once_it_is_answered(scenario: Scenario):
    scenario.arrives("a")
    scenario.start("a")
    before = waiting(scenario, "a").text
    scenario.ledger.polling(["a"], "poll")
    at = datetime.fromtimestamp(scenario.world.now_ms() / 1000, UTC)
    scenario.world.advance(7)
    during = waiting(scenario, "a").text
    scenario.ledger.progressed(scenario.run("a"), "Processing", 30)

    assert during == f"{before} It is asked since {at:%H:%M:%S} UTC, without an answer yet."
    assert waiting(scenario, "a").text == before
