"""A definition whose CustomerKey is changed in Marketing Cloud stays one definition, with all that belongs to it."""

from dataclasses import replace

import pytest

from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.policy import Policy
from sfmc_import.runs import Definition, Run
from sfmc_import.states import AlreadyEnded, Decision, NotYet, StartNow
from tests.contract.ledger.scenario import HOUR, MID, Scenario, file, request

OLD, NEW = "Daily", "Daily 2027"


def read(key: str, object_id: str | None = "object-1") -> Definition:
    return Definition(customer_key=key, object_id=object_id, max_import_frequency=6)


def comes(scenario: Scenario, request_id: str, key: str, object_id: str | None = "object-1", **more) -> Decision:
    """A request for a definition that has this key now."""
    asked = scenario.accept(request(request_id, more.pop("arrival", file(f"{request_id}.csv")), key=key, **more))
    return scenario.ledger.claim(asked, f"owner-{request_id}", scenario.policy, read(key, object_id))


def starts(scenario: Scenario, request_id: str, key: str, **more) -> StartNow:
    decision = comes(scenario, request_id, key, **more)
    assert isinstance(decision, StartNow)
    window = scenario.policy.window(read(key))
    assert isinstance(scenario.ledger.record_intent(decision.lease, (), window=window), float)
    scenario.commit(decision.lease, f"task-{request_id}", window)
    return decision


def test_the_window_of_a_renamed_definition_holds(scenario: Scenario):
    starts(scenario, "a", OLD)
    scenario.ends("a")

    assert comes(scenario, "b", NEW) == NotYet(state="deferred", held_by="a", opens_in=6 * HOUR)


def test_a_run_under_the_old_key_holds_the_definition_under_the_new_one(scenario: Scenario):
    starts(scenario, "a", OLD)
    scenario.decide_by(frequency=0.0)
    decision = comes(scenario, "b", NEW)

    assert isinstance(decision, NotYet)
    assert decision.held_by == "a"
    scenario.ends("a")
    assert scenario.due_in("b") == 0


def test_events_and_lease_name_the_key_that_the_definition_has_now(scenario: Scenario):
    starts(scenario, "a", OLD)
    scenario.ends("a")
    scenario.world.advance(6 * HOUR)

    assert starts(scenario, "b", NEW).lease.customer_key == NEW
    assert scenario.last("b")["customer_key"] == NEW
    assert scenario.run("b").customer_key == NEW
    scenario.ends("b")
    assert comes(scenario, "c", OLD) == NotYet(state="deferred", held_by="b", opens_in=6 * HOUR)


def test_a_file_that_was_imported_under_the_old_key_is_a_duplicate(scenario: Scenario):
    same = file("same.csv")
    starts(scenario, "a", OLD, arrival=same)
    scenario.ends("a")
    scenario.world.advance(7 * HOUR)

    decision = comes(scenario, "b", NEW, arrival=same)
    assert isinstance(decision, AlreadyEnded)
    assert (decision.state, decision.held_by) == ("duplicate", "a")


def test_a_definition_without_an_object_id_is_known_by_its_key_alone(scenario: Scenario):
    starts(scenario, "a", OLD, object_id=None)

    assert isinstance(comes(scenario, "b", NEW, object_id=None), StartNow)


def test_another_definition_that_takes_over_a_key_has_a_window_of_its_own(scenario: Scenario):
    starts(scenario, "a", OLD)
    starts(scenario, "b", "Other", object_id="object-2")
    scenario.ends("a")
    scenario.ends("b")
    scenario.decide_by(frequency=1.0)
    scenario.world.advance(2 * HOUR)
    starts(scenario, "c", NEW)
    scenario.ends("c")
    scenario.world.advance(HOUR / 2)

    assert isinstance(comes(scenario, "d", OLD, object_id="object-2"), StartNow)
    assert comes(scenario, "e", NEW) == NotYet(state="deferred", held_by="c", opens_in=HOUR / 2)


def test_a_definition_that_gets_its_first_key_back_is_found_by_it(scenario: Scenario):
    starts(scenario, "a", OLD)
    scenario.ends("a")
    comes(scenario, "b", NEW)
    comes(scenario, "c", OLD)
    reader = LedgerReader(scenario.world.client, scenario.ledger.keys)

    assert reader.definition(MID, OLD)["waiting"] == reader.definition(MID, NEW)["waiting"] == ["b", "c"]
    comes(scenario, "d", OLD, object_id="object-2")
    comes(scenario, "e", "Other", object_id="object-3")
    comes(scenario, "f", OLD, object_id="object-3")
    assert reader.home(MID, OLD) == "Other"
    comes(scenario, "g", OLD)
    assert reader.home(MID, OLD) == OLD


def test_a_request_that_waited_while_its_definition_was_renamed_is_sent_under_the_new_key(scenario: Scenario):
    decision = comes(scenario, "a", OLD)
    assert isinstance(decision, StartNow)
    renamed = replace(decision.lease, customer_key=NEW)

    assert isinstance(scenario.ledger.record_intent(renamed, (), window=6), float)
    scenario.commit(renamed, "1", 6)

    assert (scenario.last("a")["customer_key"], scenario.last("a")["asked_key"]) == (NEW, OLD)
    assert LedgerReader(scenario.world.client, scenario.ledger.keys).definition(MID, NEW)["window_by"] == "a"
    scenario.ends("a")
    assert comes(scenario, "b", NEW) == NotYet(state="deferred", held_by="a", opens_in=6 * HOUR)


def test_a_definition_that_is_renamed_twice_stays_where_it_was_first(scenario: Scenario):
    starts(scenario, "a", OLD)
    scenario.ends("a")
    scenario.world.advance(6 * HOUR)
    asked = scenario.accept(request("b", file("b.csv"), key="DAILY 2027"))
    decision = scenario.ledger.claim(asked, "owner-b", scenario.policy, read(NEW))
    assert isinstance(decision, StartNow)
    newest = replace(decision.lease, customer_key="Daily 2028")
    scenario.ledger.record_intent(newest, (), window=6)
    scenario.commit(newest, "2", 6)

    assert (scenario.last("b")["customer_key"], scenario.last("b")["asked_key"]) == ("Daily 2028", "DAILY 2027")
    scenario.ends("b")
    assert comes(scenario, "c", OLD) == NotYet(state="deferred", held_by="b", opens_in=6 * HOUR)


def test_the_rows_of_the_last_run_are_those_under_the_old_key(scenario: Scenario):
    starts(scenario, "a", OLD)
    scenario.ends("a", result=Run(task_id="task-a", customer_key=OLD, status="Completed", total=7))
    scenario.world.advance(6 * HOUR)
    starts(scenario, "b", NEW)

    assert scenario.run("b").last_rows == 7


@pytest.mark.parametrize("key", [OLD, NEW])
def test_a_pause_of_either_key_holds(scenario: Scenario, key: str):
    starts(scenario, "a", OLD)
    scenario.ends("a")
    scenario.world.advance(6 * HOUR)
    scenario.ledger.pause(f"key:{MID}:{key}", "me", "why", None)

    assert isinstance(comes(scenario, "b", NEW), NotYet)


def test_a_pause_of_a_key_that_a_definition_had_in_between_holds(scenario: Scenario):
    scenario.decide_by(frequency=0.0)
    starts(scenario, "a", OLD)
    scenario.ends("a")
    starts(scenario, "b", NEW)
    scenario.ends("b")
    scenario.ledger.pause(f"key:{MID}:{NEW}", "me", "why", None)

    assert isinstance(comes(scenario, "c", "Daily 2028"), NotYet)
    assert isinstance(scenario.claim("c"), NotYet)
    assert scenario.world.record("c")["wait"] == "paused"
    for key in scenario.world.client.scan_iter("*:renamed:*"):
        scenario.world.client.delete(key)
    assert isinstance(scenario.claim("c"), NotYet)
    assert isinstance(comes(scenario, "e", "Other", object_id="object-2"), StartNow)
    assert scenario.ledger.lift_pause(f"key:{MID}:{NEW}", "me", None)
    assert isinstance(scenario.claim("c"), StartNow)


def test_a_pause_of_a_business_unit_or_key_of_another_holds_nothing(scenario: Scenario):
    starts(scenario, "a", OLD)
    scenario.ends("a")
    scenario.decide_by(frequency=0.0)
    scenario.ledger.pause(f"key:{MID[::-1]}:{OLD}", "me", "why", None)
    scenario.ledger.pause("mid:7", "me", "why", None)

    assert isinstance(comes(scenario, "b", NEW), StartNow)


def test_a_pause_of_another_key_that_is_over_holds_nothing(scenario: Scenario):
    scenario.decide_by(frequency=0.0)
    starts(scenario, "a", OLD)
    scenario.ends("a")
    starts(scenario, "b", NEW)
    scenario.ends("b")
    scenario.ledger.pause(f"key:{MID}:{NEW}", "me", "why", scenario.world.now_ms() / 1000 + 10)
    scenario.world.advance(10)

    assert isinstance(comes(scenario, "c", OLD), StartNow)


def test_a_pause_of_the_key_that_is_found_right_before_the_start_stops_the_intent(scenario: Scenario):
    decision = comes(scenario, "a", OLD)
    assert isinstance(decision, StartNow)
    scenario.ledger.pause(f"key:{MID}:{NEW}", "me", "why", None)
    paused = scenario.ledger.record_intent(replace(decision.lease, customer_key=NEW), (), window=6)

    assert paused == NotApplied("paused", "why", account_wide=True)
    scenario.ledger.retry(decision.lease, paused, 1)
    scenario.world.advance(1)
    assert isinstance(scenario.claim("a"), NotYet)
    assert scenario.world.record("a")["wait"] == "paused"


def test_a_pause_of_a_key_stays_one_of_that_key_when_another_definition_gets_it(scenario: Scenario):
    scenario.decide_by(frequency=0.0)
    for request_id, key in (("x", "Other"), ("y", NEW)):
        starts(scenario, request_id, key, object_id="object-2")
        scenario.ends(request_id)
        scenario.world.advance(HOUR)
    scenario.ledger.pause(f"key:{MID}:{NEW}", "me", "why", None)
    comes(scenario, "z", "Other", object_id="object-2")
    decision = comes(scenario, "a", OLD)
    assert isinstance(decision, StartNow)

    paused = scenario.ledger.record_intent(replace(decision.lease, customer_key=NEW), (), window=6)
    assert paused == NotApplied("paused", "why", account_wide=True)


@pytest.mark.parametrize("key", [OLD, NEW])
def test_who_waits_for_a_run_of_a_renamed_definition_may_name_either_key(scenario: Scenario, key: str):
    starts(scenario, "a", OLD)
    scenario.ends("a")
    scenario.decide_by(frequency=0.0)
    scenario.world.advance(1)
    starts(scenario, "b", NEW)
    scenario.policy = Policy(after=(key,), frequency=0.0)
    assert not isinstance(comes(scenario, "after", "Later", object_id="object-3"), StartNow)
    assert not isinstance(scenario.claim("after"), StartNow)
    assert scenario.due_in("after") != 0

    scenario.ends("b")
    assert scenario.due_in("after") == 0
    assert isinstance(scenario.claim("after"), StartNow)


def test_what_is_known_of_keys_is_kept_as_long_as_a_window_may_last(scenario: Scenario):
    scenario.decide_by(frequency=10_000.0)
    comes(scenario, "a", OLD)
    comes(scenario, "b", NEW)

    keys = [*scenario.world.client.scan_iter("*:home:*"), *scenario.world.client.scan_iter("*:renamed:*")]
    assert len(keys) == 2
    assert all(scenario.world.client.pttl(key) / 1000 > 10_000 * HOUR for key in keys)


# --- A CustomerKey that is given to another definition.

SWAPPED = NotApplied("other_definition", "another definition")


def read_before(scenario: Scenario, request_id: str, key: str = OLD, object_id: str = "object-1", **more) -> Decision:
    """A request that is decided by what was read a minute before it came."""
    asked = scenario.accept(request(request_id, more.pop("arrival", file(f"{request_id}.csv")), key=key, **more))
    return scenario.ledger.claim(asked, f"owner-{request_id}", scenario.policy, read(key, object_id), 60)


def test_a_request_for_another_definition_lets_go_of_all_that_was_noted_and_is_resolved_again(scenario: Scenario):
    starts(scenario, "first", OLD)
    scenario.ends("first")
    scenario.world.advance(7 * HOUR)
    arrival = file("same.csv")
    decision = read_before(scenario, "a", NEW, arrival=arrival, event_id="event")
    assert isinstance(decision, StartNow)
    assert (decision.object_id, decision.lease.home) == ("object-1", OLD)
    waiting = comes(scenario, "b", OLD, arrival=file("b.csv"))
    assert isinstance(waiting, NotYet)
    for _ in range(2):
        assert scenario.ledger.retry(decision.lease, SWAPPED, 5, let_go=True, anew=True) == "retrying"

    assert scenario.due_in("a") == 5
    assert scenario.due_in("b") == 0
    assert isinstance(scenario.claim("b"), StartNow)
    asked = scenario.ledger.load("a")
    assert asked is not None
    assert (asked.customer_key, asked.is_resolved) == (NEW, False)
    scenario.world.advance(5)
    again = scenario.ledger.claim(asked, "owner", scenario.policy, read(NEW, "object-2"))
    assert isinstance(again, StartNow)
    assert (again.object_id, again.lease.home) == ("object-2", None)
    assert again.first is not None
    also = comes(scenario, "c", OLD, arrival=arrival, event_id="event")
    assert (also.state, also.held_by) == ("deferred", "b")


@pytest.mark.parametrize("asked", ["DAILY", "object-1"])
def test_a_request_that_is_resolved_again_has_the_name_that_was_asked_for(scenario: Scenario, asked: str):
    named = {"object_id": asked} if asked == "object-1" else {}
    sent = scenario.accept(request("a", file(), key=asked, **named))
    decision = scenario.ledger.claim(sent, "owner-a", scenario.policy, read(OLD), 60)
    assert isinstance(decision, StartNow)
    scenario.ledger.retry(decision.lease, SWAPPED, 5, let_go=True, anew=True)

    found = scenario.ledger.load("a")
    assert found is not None
    assert found.customer_key == asked


def test_what_only_lets_go_stays_resolved(scenario: Scenario):
    decision = read_before(scenario, "a")
    assert isinstance(decision, StartNow)
    scenario.ledger.retry(decision.lease, SWAPPED, 5, let_go=True)

    found = scenario.ledger.load("a")
    assert found is not None
    assert found.is_resolved


def test_after_an_attempt_without_proof_a_request_stays_with_the_definition_that_was_read(scenario: Scenario):
    decision = read_before(scenario, "a")
    assert isinstance(decision, StartNow)
    scenario.ledger.record_intent(decision.lease, ())
    scenario.ledger.retry(decision.lease, NotApplied("http_429", "slow down"), 60)
    scenario.world.advance(60)
    scenario.ledger.retry(scenario.go("a"), SWAPPED, 5, let_go=True, anew=True)

    found = scenario.ledger.load("a")
    assert found is not None
    assert found.is_resolved
    assert not scenario.ledger.read_again("a", read(OLD, "object-2"), 0)
    assert scenario.names("a")[-1] == "retrying"


def test_a_follow_up_of_the_wrong_definition_is_decided_anew_at_once(scenario: Scenario):
    starts(scenario, "first", OLD)
    read_before(scenario, "a")
    read_before(scenario, "b")
    assert not scenario.ledger.read_again("a", read(OLD, "object-2"), 60)
    assert scenario.ledger.read_again("a", read(OLD, "object-2"), 0)

    assert (scenario.names("a")[-1], scenario.last("a")["code"]) == ("retrying", "other_definition")
    assert scenario.last("a")["retry_in"] == 0
    assert scenario.due_in("a") == 0
    assert scenario.world.client.zrange(scenario.ledger.keys.follow_ups(MID, OLD), 0, -1) == [b"b"]
    asked = scenario.ledger.load("a")
    assert asked is not None
    assert not asked.is_resolved
    assert not scenario.ledger.read_again("a", read(OLD, "object-2"), 0)
    assert scenario.ledger.hold(asked, "lost") == (False, None)
    assert scenario.ledger.unresolved(asked, Rejected("43010", "no such definition"), 1, scenario.policy) == "rejected"


def test_what_is_being_started_is_left_as_it_is(scenario: Scenario):
    decision = read_before(scenario, "a")
    assert isinstance(decision, StartNow)
    assert not scenario.ledger.read_again("a", read(OLD, "object-2"), 0)

    assert scenario.names("a")[-1] == "starting"
    assert scenario.ledger.read_again("a", read(OLD, None), 0)


@pytest.mark.parametrize("object_id", [None, "object-1"])
def test_a_definition_of_which_no_other_object_id_is_known_is_the_same(scenario: Scenario, object_id: str | None):
    starts(scenario, "first", OLD)
    read_before(scenario, "a", object_id=object_id)

    assert scenario.ledger.read_again("a", read(OLD), 0)
    assert scenario.names("a")[-1] == "deferred"


def test_a_reply_after_its_request_was_lost_keeps_the_window_of_a_renamed_definition(scenario: Scenario):
    starts(scenario, "first", OLD)
    scenario.ends("first")
    scenario.world.advance(7 * HOUR)
    decision = comes(scenario, "a", NEW)
    assert isinstance(decision, StartNow)
    scenario.ledger.record_intent(decision.lease, (), window=6)
    scenario.world.client.delete(scenario.ledger.keys.request("a"))
    scenario.commit(decision.lease, "2", 6)
    scenario.ends("a")

    assert comes(scenario, "b", OLD) == NotYet(state="deferred", held_by="a", opens_in=6 * HOUR)


def test_a_start_in_doubt_names_all_keys_that_its_definition_had(scenario: Scenario):
    starts(scenario, "first", OLD)
    scenario.ends("first")
    scenario.world.advance(7 * HOUR)
    decision = comes(scenario, "a", NEW)
    assert isinstance(decision, StartNow)
    scenario.ledger.record_intent(replace(decision.lease, customer_key="Daily 2028"), (), window=6)
    scenario.ledger.retry(decision.lease, NotApplied("http_429", "slow down"), 60)
    scenario.world.advance(60)
    again = scenario.claim("a")

    assert isinstance(again, StartNow)
    assert (again.lease.customer_key, again.other_keys) == ("Daily 2028", (OLD, NEW))


def test_a_request_that_is_decided_anew_while_it_holds_a_definition_gives_it_back(scenario: Scenario):
    decision = read_before(scenario, "a")
    assert isinstance(decision, StartNow)
    scenario.ledger.retry(decision.lease, NotApplied("9", "in maintenance"), 60)
    assert isinstance(comes(scenario, "b", OLD), NotYet)
    assert scenario.ledger.read_again("a", read(OLD, "object-2"), 0)

    assert isinstance(scenario.claim("b"), StartNow)


@pytest.mark.parametrize("asked", [NEW, "DAILY 2027"])
def test_a_reply_counts_for_its_definition_though_its_request_was_recorded_again(scenario: Scenario, asked: str):
    starts(scenario, "first", OLD)
    scenario.ends("first")
    scenario.world.advance(7 * HOUR)
    sent = scenario.accept(request("a", file("a.csv"), key=asked))
    decision = scenario.ledger.claim(sent, "owner-a", scenario.policy, read(NEW))
    assert isinstance(decision, StartNow)
    scenario.ledger.record_intent(decision.lease, (), window=6)
    scenario.world.client.delete(scenario.ledger.keys.request("a"))
    scenario.ledger.accept(sent)
    scenario.commit(decision.lease, "2", 6)

    assert scenario.last("a")["customer_key"] == NEW
    scenario.ends("a")
    assert comes(scenario, "b", OLD) == NotYet(state="deferred", held_by="a", opens_in=6 * HOUR)
