"""A request and its definition: resolved once, decided on the resolved key; unresolved it waits without a lease."""

from dataclasses import replace

import orjson
import pytest

from sfmc_import.faults import Rejected
from sfmc_import.runs import Definition
from sfmc_import.states import AlreadyEnded, FirstRead, NotYet, StartNow
from tests.contract.ledger.scenario import BUSY, DOUBT, HOUR, KEY, MID, Scenario, file, request

OBJECT_ID = "5e1ad037-29c3-de11-9a36-001e0bfba5bd"
READ = Definition(
    customer_key=KEY,
    object_id=OBJECT_ID,
    file_spec="x.csv",
    update_type="Overwrite",
    destination="d",
    max_import_frequency=1,
)
OTHER_SPELLING = KEY.upper()


def claim(scenario: Scenario, request_id: str, definition: Definition | None = READ):
    scenario.owners += 1
    given = scenario.requests[request_id]
    return scenario.ledger.claim(given, f"owner-{scenario.owners}", scenario.policy, definition)


def unresolved(scenario: Scenario, request_id: str, fault=BUSY, delay: float = 30.0, attempt: int = 0) -> str:
    given = request(request_id, scenario.requests[request_id].file, attempt=attempt)
    return scenario.ledger.unresolved(given, fault, delay, scenario.policy)


def test_a_claim_notes_the_definition_and_gives_it_with_the_file_and_the_time(scenario: Scenario):
    scenario.arrives("a", name="x.csv")
    decision = claim(scenario, "a")

    assert isinstance(decision, StartNow)
    first = FirstRead(object_id=OBJECT_ID, file_spec="x.csv", update_type="Overwrite", destination="d")
    assert (decision.first, decision.file_name) == (first, "x.csv")
    assert decision.now == scenario.world.now_ms() / 1000


@pytest.mark.parametrize("modified_ns", [1_785_000_000_123_456_789, -1, None])
def test_a_claim_gives_the_time_of_the_file(scenario: Scenario, modified_ns: int | None):
    scenario.accept(request("a", replace(file("x.csv"), modified_ns=modified_ns)))

    decision = claim(scenario, "a")
    assert isinstance(decision, StartNow)
    assert decision.modified_at == (None if modified_ns is None else pytest.approx(modified_ns / 1e9))


def test_what_was_read_first_stays_what_is_compared(scenario: Scenario):
    scenario.arrives_and_starts("a", window=1)
    scenario.arrives("b")
    claim(scenario, "b")
    scenario.ends("a")
    scenario.world.advance(HOUR)
    decision = claim(scenario, "b", Definition(customer_key="changed", update_type="Merge"))

    assert isinstance(decision, StartNow)
    assert decision.first is not None
    assert decision.first.update_type == "Overwrite"
    assert decision.lease.customer_key == KEY


def test_two_spellings_are_decided_on_one_record(scenario: Scenario):
    scenario.arrives("a")
    assert isinstance(claim(scenario, "a"), StartNow)
    scenario.accept(request("b", file("b.csv"), key=OTHER_SPELLING))

    assert claim(scenario, "b") == NotYet(state="deferred", held_by="a")
    assert scenario.last("b")["customer_key"] == KEY
    assert scenario.last("b")["asked_key"] == OTHER_SPELLING


def test_a_resolved_request_is_loaded_with_the_resolved_key(scenario: Scenario):
    scenario.accept(request("a", key=OTHER_SPELLING))
    before = scenario.ledger.load("a")
    claim(scenario, "a")
    after = scenario.ledger.load("a")

    assert before is not None
    assert after is not None
    assert (before.customer_key, before.is_resolved) == (OTHER_SPELLING, False)
    assert (after.customer_key, after.is_resolved, after.attempt) == (KEY, True, 1)


def test_an_ended_request_is_not_resolved_any_more(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.ends("a")
    claim(scenario, "a", Definition(customer_key="other"))

    assert scenario.world.record("a")["key"] == KEY
    assert "definition" not in scenario.world.record("a")


def test_nothing_of_the_definition_stays_after_the_end(scenario: Scenario):
    scenario.arrives("a")
    decision = claim(scenario, "a")
    assert isinstance(decision, StartNow)
    scenario.ledger.record_intent(decision.lease, [])
    scenario.commit(decision.lease, "1")
    assert orjson.loads(scenario.world.record("a")["definition"])["destination"] == "d"
    scenario.ends("a")

    assert not {"definition", "postponed"} & set(scenario.world.record("a"))


def test_the_look_for_a_run_knows_the_object_id_of_its_definition(scenario: Scenario):
    scenario.arrives("a")
    decision = claim(scenario, "a")
    assert isinstance(decision, StartNow)
    scenario.ledger.record_intent(decision.lease, [])
    scenario.ledger.mark_ambiguous(decision.lease, DOUBT, 60, scenario.policy)
    scenario.world.advance(60)

    assert scenario.look("a").object_id == OBJECT_ID


def test_an_unresolved_request_waits_and_holds_nothing(scenario: Scenario):
    scenario.arrives("a")
    assert unresolved(scenario, "a") == "retrying"
    scenario.arrives("b")

    assert (scenario.names("a"), scenario.due_in("a")) == (["accepted", "retrying"], 30.0)
    assert (scenario.last("a")["code"], scenario.last("a")["attempt"]) == ("9", 1)
    assert isinstance(scenario.claim("b"), StartNow)
    assert scenario.claim("a") == NotYet(state="retrying", opens_in=30.0)


def test_an_unresolved_request_that_is_resolved_goes_on_as_if_it_had_just_come(scenario: Scenario):
    scenario.arrives("a")
    unresolved(scenario, "a")
    scenario.arrives_and_starts("b", window=1)
    scenario.world.advance(30)

    assert claim(scenario, "a") == NotYet(state="deferred", held_by="b", opens_in=HOUR - 30)
    scenario.ends("b")
    scenario.world.advance(HOUR)
    assert isinstance(claim(scenario, "a"), StartNow)


def test_an_unresolved_request_without_a_file_is_a_duplicate_inside_the_window(scenario: Scenario):
    scenario.accept(request("a"))
    unresolved(scenario, "a")
    scenario.arrives_and_starts("b", window=1)
    scenario.world.advance(30)

    assert isinstance(claim(scenario, "a"), AlreadyEnded)
    assert scenario.last("a")["why"] == "window"


def test_an_unresolved_request_is_recorded_if_it_was_not(scenario: Scenario):
    scenario.ledger.unresolved(request("a", file()), BUSY, 30, scenario.policy)

    assert scenario.names("a") == ["accepted", "retrying"]


def test_a_refused_definition_ends_the_request(scenario: Scenario):
    scenario.arrives("a")

    assert unresolved(scenario, "a", Rejected("43010", "none")) == "rejected"
    assert scenario.due_in("a") is None
    assert scenario.last("a")["text"] == "none"


def test_a_refused_definition_ends_a_request_that_waited(scenario: Scenario):
    scenario.arrives("a")
    unresolved(scenario, "a")
    scenario.world.advance(30)

    assert unresolved(scenario, "a", Rejected("43010", "none"), attempt=1) == "rejected"


def test_an_unresolved_request_gives_up_at_the_deadline_that_began_with_the_first_attempt(scenario: Scenario):
    scenario.decide_by(retry_deadline=3600.0)
    scenario.arrives("a")
    unresolved(scenario, "a", delay=1800)
    scenario.world.advance(1800)
    assert unresolved(scenario, "a", delay=1800, attempt=1) == "retrying"
    scenario.world.advance(1800)

    assert unresolved(scenario, "a", delay=0.001, attempt=2) == "gave_up"
    assert scenario.due_in("a") is None


def test_two_workers_with_the_same_answer_record_it_once(scenario: Scenario):
    scenario.arrives("a")
    unresolved(scenario, "a")

    assert unresolved(scenario, "a", delay=99) == "retrying"
    assert scenario.names("a") == ["accepted", "retrying"]
    assert scenario.due_in("a") == 30.0


def test_who_could_not_resolve_changes_nothing_of_a_request_that_another_resolved(scenario: Scenario):
    scenario.arrives("a")
    claim(scenario, "a")
    assert unresolved(scenario, "a", Rejected("4", "no")) == "starting"
    scenario.arrives("b")
    claim(scenario, "b")

    assert unresolved(scenario, "b") == "deferred"
    assert scenario.names("a") == ["accepted", "starting"]


def test_a_request_that_lets_go_waits_without_the_definition_and_asks_the_window_again(scenario: Scenario):
    scenario.arrives("a")
    decision = claim(scenario, "a")
    assert isinstance(decision, StartNow)
    assert scenario.ledger.retry(decision.lease, BUSY, 120, let_go=True) == "retrying"
    scenario.arrives_and_starts("b", window=1)
    scenario.ends("b")

    assert scenario.claim("a") == NotYet(state="retrying", opens_in=120.0)
    scenario.world.advance(120)
    assert scenario.claim("a") == NotYet(state="deferred", held_by="b", opens_in=HOUR - 120)


def test_a_request_that_let_go_and_could_be_resolved_is_not_ended_by_who_could_not(scenario: Scenario):
    scenario.arrives("a")
    decision = claim(scenario, "a")
    assert isinstance(decision, StartNow)
    scenario.ledger.retry(decision.lease, BUSY, 120, let_go=True)

    assert unresolved(scenario, "a", Rejected("4", "no"), attempt=9) == "retrying"


def test_a_request_that_lets_go_wakes_the_next(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.go("a")
    scenario.arrives("b")
    scenario.claim("b")
    scenario.ledger.retry(lease, BUSY, 120, let_go=True)

    assert scenario.due_in("b") == 0
    assert isinstance(scenario.claim("b"), StartNow)


def test_a_request_that_kept_the_definition_while_it_waited_still_does(scenario: Scenario):
    scenario.arrives("a")
    scenario.ledger.retry(scenario.go("a"), BUSY, 120)
    scenario.arrives("b")

    assert scenario.claim("b") == NotYet(state="deferred", held_by="a")


def test_the_object_id_that_was_asked_for_stands_in_record_and_events(scenario: Scenario):
    scenario.accept(request("a", key=OBJECT_ID, object_id=OBJECT_ID))
    claim(scenario, "a")
    loaded = scenario.ledger.load("a")

    assert loaded is not None
    assert (loaded.object_id, loaded.customer_key, loaded.mid) == (OBJECT_ID, KEY, MID)
    assert scenario.last("a")["object_id"] == OBJECT_ID
    assert "asked_key" not in scenario.last("a")


def test_a_request_that_waited_for_a_reason_of_its_own_compares_with_what_was_read_first(scenario: Scenario):
    scenario.arrives("a")
    decision = claim(scenario, "a")
    assert isinstance(decision, StartNow)
    scenario.ledger.retry(decision.lease, BUSY, 120, let_go=True)
    scenario.world.advance(120)
    again = claim(scenario, "a", Definition(customer_key="changed", update_type="Merge"))

    assert isinstance(again, StartNow)
    assert again.first == decision.first
    assert again.lease.customer_key == KEY


def test_a_request_that_could_not_be_resolved_is_decided_on_the_key_that_is_found_later(scenario: Scenario):
    scenario.accept(request("a", file(), key=OTHER_SPELLING))
    unresolved(scenario, "a")
    scenario.world.advance(30)
    decision = claim(scenario, "a")

    assert isinstance(decision, StartNow)
    assert decision.lease.customer_key == KEY


def test_a_request_that_waited_without_the_definition_starts_like_any_other(scenario: Scenario):
    scenario.arrives("a")
    unresolved(scenario, "a")
    scenario.world.advance(30)
    assert isinstance(claim(scenario, "a"), StartNow)

    assert scenario.claim("a") == NotYet(state="starting", held_by="a")


def test_a_worker_that_lost_its_lease_does_not_speak_for_the_one_that_let_go(scenario: Scenario):
    scenario.arrives("a")
    old = scenario.go("a")
    scenario.world.advance(180)
    scenario.ledger.retry(scenario.go("a"), BUSY, 120, let_go=True)

    assert scenario.ledger.retry(old, BUSY, 120, let_go=True) is None
