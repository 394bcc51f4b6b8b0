"""What the sender of a message may ask for: not before a time, not after a time, and an id of its own."""

from dataclasses import replace

import pytest

from sfmc_import.faults import Rejected
from sfmc_import.request import IdTakenError, StartRequest
from sfmc_import.states import AlreadyEnded, NotYet, Reconcile, StartNow
from tests.contract.ledger.scenario import BUSY, HOUR, KEY, MID, Scenario, file, request

NO = Rejected("43010", "no such definition")


def at(scenario: Scenario, seconds: float) -> float:
    """The time so many seconds from now, in seconds since 1970."""
    return scenario.world.now_ms() / 1000 + seconds


def message(scenario: Scenario, request_id: str, **more) -> StartRequest:
    """A message that no ledger has seen."""
    scenario.requests[request_id] = request(request_id, **more)
    return scenario.requests[request_id]


# --- Not before.


@pytest.mark.parametrize("seconds", [30.0, 300 * 24 * HOUR])
def test_a_message_with_an_eta_is_recorded_when_first_seen_and_due_at_its_eta(scenario: Scenario, seconds: float):
    message(scenario, "a", not_before=at(scenario, seconds))

    decision = scenario.claim("a")

    assert decision == NotYet(state="accepted", opens_in=seconds)
    assert scenario.names("a") == ["accepted"]
    assert scenario.due_in("a") == seconds


def test_a_request_with_an_eta_starts_at_its_eta_and_not_before(scenario: Scenario):
    message(scenario, "a", not_before=at(scenario, 30))
    scenario.claim("a")
    scenario.world.advance(29.999)
    assert isinstance(scenario.claim("a"), NotYet)
    scenario.world.advance(0.001)

    assert isinstance(scenario.claim("a"), StartNow)


def test_a_request_that_is_claimed_before_its_eta_is_due_at_its_eta_again(scenario: Scenario):
    scenario.arrives("a", not_before=at(scenario, 30))
    scenario.ledger.due(10, 5)
    scenario.world.advance(10)
    scenario.world.client.zadd(scenario.world.keys.due, {"a": scenario.world.now_ms()})
    scenario.claim("a")

    assert scenario.due_in("a") == 20


def test_a_request_that_waits_for_its_eta_keeps_no_other_from_starting(scenario: Scenario):
    message(scenario, "a", not_before=at(scenario, 30))
    scenario.claim("a")
    scenario.arrives("b")

    assert isinstance(scenario.claim("b"), StartNow)


def test_an_eta_that_is_over_changes_nothing(scenario: Scenario):
    message(scenario, "a", not_before=at(scenario, -30))

    assert isinstance(scenario.claim("a"), StartNow)


def test_a_recorded_request_with_an_eta_is_due_at_its_eta_and_another_after_the_grace_of_its_message(
    scenario: Scenario,
):
    scenario.arrives("late", not_before=at(scenario, 60))
    scenario.arrives("soon", not_before=at(scenario, 1))
    scenario.arrives("over", not_before=at(scenario, -1))
    scenario.arrives("none")

    assert [scenario.due_in(name) for name in ("late", "soon", "over", "none")] == [60, 1, 0, 5]


# --- Not after.


def expired(scenario: Scenario, request_id: str) -> bool:
    decision = scenario.claim(request_id)
    return isinstance(decision, AlreadyEnded) and decision.state == "expired"


def test_a_message_that_expired_before_it_was_seen_ends_in_an_event(scenario: Scenario):
    message(scenario, "a", expires=at(scenario, -1))

    assert expired(scenario, "a")
    assert scenario.names("a") == ["accepted", "expired"]
    assert scenario.last("a")["expires"] == "2027-01-15T07:59:59.000Z"
    assert scenario.due_in("a") is None


def test_a_request_expires_to_the_millisecond(scenario: Scenario):
    message(scenario, "a", expires=at(scenario, 10))
    message(scenario, "b", key="other", expires=at(scenario, 10))
    scenario.world.advance(9.999)
    assert isinstance(scenario.claim("a"), StartNow)
    scenario.world.advance(0.001)

    assert expired(scenario, "b")


def test_a_request_that_expires_while_it_waits_for_its_eta_is_due_then(scenario: Scenario):
    message(scenario, "a", not_before=at(scenario, 60), expires=at(scenario, 10))
    scenario.claim("a")
    assert scenario.due_in("a") == 10
    scenario.world.advance(10)

    assert expired(scenario, "a")


def test_a_follow_up_that_expires_inside_the_window_is_due_then_and_the_next_one_takes_its_place(scenario: Scenario):
    scenario.arrives_and_starts("first", window=1)
    scenario.ends("first")
    scenario.arrives("a", expires=at(scenario, 10))
    scenario.arrives("b")
    scenario.claim("a")
    assert scenario.due_in("a") == 10
    scenario.claim("b")
    assert scenario.due_in("a") == 10
    scenario.world.advance(10)

    assert expired(scenario, "a")
    assert scenario.names("a") == ["accepted", "deferred", "expired"]
    assert scenario.due_in("b") == HOUR - 10


def test_a_follow_up_that_another_one_wakes_is_still_due_when_it_expires(scenario: Scenario):
    scenario.arrives_and_starts("first", window=1)
    scenario.arrives("a", expires=at(scenario, 10))
    scenario.claim("a")

    scenario.ends("first")

    assert scenario.due_in("a") == 10


def test_an_expired_follow_up_waits_no_longer(scenario: Scenario):
    scenario.arrives_and_starts("first")
    scenario.arrives("a", expires=at(scenario, 10))
    scenario.claim("a")
    scenario.world.advance(10)

    assert expired(scenario, "a")
    assert scenario.world.client.zrange(scenario.world.keys.follow_ups(MID, KEY), 0, -1) == []


def test_the_file_of_an_expired_follow_up_may_be_announced_again(scenario: Scenario):
    scenario.arrives_and_starts("first")
    scenario.accept(request("a", file("x.csv"), expires=at(scenario, 10)))
    scenario.claim("a")
    scenario.world.advance(10)
    assert expired(scenario, "a")
    scenario.ends("first")
    scenario.accept(request("b", file("x.csv")))

    assert isinstance(scenario.claim("b"), StartNow)


def test_a_request_that_expires_between_two_attempts_ends_and_frees_its_definition(scenario: Scenario):
    scenario.arrives("a", expires=at(scenario, 10))
    lease = scenario.sends("a")
    scenario.ledger.retry(lease, BUSY, 60)
    assert scenario.due_in("a") == 10
    scenario.world.advance(10)

    assert expired(scenario, "a")
    scenario.arrives("b")
    assert isinstance(scenario.claim("b"), StartNow)


def test_a_lost_worker_that_sent_nothing_leaves_a_request_that_expires(scenario: Scenario):
    scenario.arrives("a", expires=at(scenario, 10))
    scenario.go("a")
    assert scenario.due_in("a") == 180
    scenario.world.advance(180)

    assert expired(scenario, "a")


def test_a_request_whose_definition_cannot_be_read_expires_too(scenario: Scenario):
    message(scenario, "a", expires=at(scenario, 10))
    assert scenario.ledger.unresolved(scenario.requests["a"], BUSY, 60, scenario.policy) == "retrying"
    assert scenario.due_in("a") == 10
    scenario.world.advance(10)

    assert scenario.ledger.unresolved(scenario.requests["a"], NO, 60, scenario.policy) == "retrying"
    again = replace(scenario.requests["a"], attempt=1)
    assert scenario.ledger.unresolved(again, BUSY, 60, scenario.policy) == "expired"
    assert scenario.names("a")[-1] == "expired"
    assert scenario.due_in("a") is None


def test_what_may_have_been_sent_does_not_expire(scenario: Scenario):
    scenario.arrives("a", expires=at(scenario, 10))
    scenario.sends("a")
    scenario.world.advance(180)
    scenario.claim("a")
    scenario.world.advance(60)

    assert isinstance(scenario.claim("a"), Reconcile)


def test_a_run_is_followed_past_the_deadline_of_its_sender(scenario: Scenario):
    scenario.arrives("a", expires=at(scenario, 10))
    scenario.start("a")
    scenario.world.advance(20)

    assert scenario.claim("a").state == "started"
    scenario.ends("a")
    assert scenario.names("a")[-1] == "completed"


# --- A result.


def callers(scenario: Scenario) -> dict[str, tuple[str, str]]:
    return {each.request_id: (each.caller, each.state) for each in scenario.ledger.results(100)}


def test_the_result_of_a_start_is_noted_when_it_is_known(scenario: Scenario):
    message(scenario, "a", caller="task-1", not_before=at(scenario, 30))
    scenario.claim("a")
    assert callers(scenario) == {}
    scenario.world.advance(30)
    lease = scenario.sends("a")
    assert callers(scenario) == {}
    scenario.commit(lease, "4711")

    (result,) = scenario.ledger.results(100)
    assert (result.request_id, result.caller, result.state) == ("a", "task-1", "started")
    assert result.task_id == "4711"


def test_a_result_that_was_stored_is_not_given_again(scenario: Scenario):
    message(scenario, "a", caller="task-1")
    scenario.start("a")
    (result,) = scenario.ledger.results(100)

    scenario.ledger.result_stored(result)
    scenario.ends("a")

    assert callers(scenario) == {}


def test_a_result_that_another_server_has_is_given_again(scenario: Scenario):
    message(scenario, "a", caller="task-1")
    scenario.start("a")
    (result,) = scenario.ledger.results(100)

    scenario.ledger.result_stored(result, "result:a")
    assert callers(scenario) == {"a": ("task-1", "started")}
    scenario.world.client.set("result:a", 1, ex=60)
    scenario.ledger.result_stored(result, "result:a")
    assert callers(scenario) == {}


def test_whoever_ends_a_request_the_sender_gets_the_result(scenario: Scenario):
    scenario.arrives_and_starts("first")
    for request_id in ("a", "b"):
        message(scenario, request_id, arrival=file("x.csv", version=request_id), caller=f"task-{request_id}")
        scenario.claim(request_id)
        scenario.world.advance(1)

    assert callers(scenario) == {"a": ("task-a", "duplicate")}


def test_a_sender_who_asks_later_gets_the_result_too(scenario: Scenario):
    scenario.arrives("a")
    message(scenario, "a", caller="task-1")
    scenario.start("a")

    assert callers(scenario) == {"a": ("task-1", "started")}


def test_a_result_whose_record_is_lost_says_so(scenario: Scenario):
    message(scenario, "a", caller="task-1")
    scenario.start("a")
    scenario.world.lose("a")

    assert callers(scenario) == {"a": ("task-1", "gone")}


# --- An id of its own.


def test_a_message_with_the_id_of_another_request_changes_nothing(scenario: Scenario):
    scenario.accept(request("a", file(), content="one"))
    before = (scenario.world.record("a"), scenario.world.due(), scenario.world.events())

    with pytest.raises(IdTakenError):
        scenario.ledger.claim(request("a", key="other", force=True, reason="mine", content="two"), "w", scenario.policy)

    assert (scenario.world.record("a"), scenario.world.due(), scenario.world.events()) == before
    assert scenario.go("a").customer_key == KEY


def test_the_same_content_again_is_the_same_request(scenario: Scenario):
    scenario.accept(request("a", file(), content="one"))

    assert scenario.ledger.accept(request("a", file(), content="one")) is False
    assert scenario.ledger.accept(request("a", file())) is False
    assert isinstance(scenario.ledger.claim(request("a", file(), content="one"), "w", scenario.policy), StartNow)


def test_a_wake_up_brings_no_content_and_is_always_the_same_request(scenario: Scenario):
    scenario.accept(request("a", file(), content="one"))
    woken = scenario.ledger.load("a")

    assert woken is not None
    assert isinstance(scenario.ledger.claim(woken, "w", scenario.policy), StartNow)


def test_a_message_with_the_id_of_another_request_whose_definition_is_refused_does_not_end_that(scenario: Scenario):
    scenario.accept(request("a", file(), content="one"))
    other = request("a", key="none", content="two")

    for fault in (NO, BUSY):
        with pytest.raises(IdTakenError):
            scenario.ledger.unresolved(other, fault, 10, scenario.policy)

    assert scenario.names("a") == ["accepted"]
    assert isinstance(scenario.claim("a"), StartNow)


def test_an_ended_request_still_refuses_other_content(scenario: Scenario):
    scenario.accept(request("a", file(), content="one"))
    scenario.start("a")
    scenario.ends("a")

    with pytest.raises(IdTakenError):
        scenario.ledger.claim(request("a", content="two"), "w", scenario.policy)


def test_a_submission_with_the_id_of_another_request_is_an_event_once(scenario: Scenario):
    scenario.accept(request("a", file(), content="one"))
    other = request("a", file("x.csv"), key="other", content="two", source="somebody", event_id="e1")

    for _ in range(3):
        with pytest.raises(IdTakenError):
            scenario.ledger.accept(other, report=True)

    assert scenario.names("a") == ["accepted", "message_rejected"]
    event = scenario.events("a")[-1]
    assert event["id"] == "a/two/message_rejected"
    assert event["subject"] == "other"
    expected = {"request_id": "a", "customer_key": "other", "mid": MID, "reason": "id_taken", "source": "somebody"}
    assert expected.items() <= event["data"].items()
    assert "accepted with other content" in event["data"]["text"]
    assert event["data"]["file"]["name"] == "x.csv"


def test_a_message_with_the_id_of_another_request_has_its_event_as_a_dead_letter(scenario: Scenario):
    scenario.accept(request("a", content="one"))
    with pytest.raises(IdTakenError):
        scenario.ledger.accept(request("a", content="two"))

    assert scenario.names("a") == ["accepted"]


def test_two_others_under_one_id_are_two_events(scenario: Scenario):
    scenario.accept(request("a", content="one"))
    for content in ("two", "three"):
        with pytest.raises(IdTakenError):
            scenario.ledger.accept(request("a", content=content), report=True)

    assert scenario.names("a") == ["accepted", "message_rejected", "message_rejected"]
