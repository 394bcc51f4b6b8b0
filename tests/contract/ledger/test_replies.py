"""The end of a request for a task of its sender: kept with the end, given until it was sent, and not before a pause."""

from dataclasses import replace

from sfmc_import.faults import Rejected
from sfmc_import.policy import Policy
from sfmc_import.states import Reply
from tests.contract.ledger.scenario import HOUR, KEY, Scenario, file, request

TO = {"reply_to": "theirs.done", "reply_queue": "theirs"}


def replies(scenario: Scenario, limit: int = 100, pause: float = 10) -> list[Reply]:
    return list(scenario.ledger.replies(limit, pause))


def names(found: list[Reply]) -> list[tuple[str, str]]:
    return [(each.request_id, str(each.event["type"]).rpartition(".")[2]) for each in found]


def test_the_end_of_a_request_is_given_with_its_event_and_nothing_before(scenario: Scenario) -> None:
    scenario.arrives("a", **TO)
    assert replies(scenario) == []
    scenario.start("a")
    assert replies(scenario) == []
    scenario.ends("a")
    scenario.world.advance(3)

    [reply] = replies(scenario)

    assert (reply.request_id, reply.task, reply.queue, reply.age) == ("a", "theirs.done", "theirs", 3)
    assert reply.event == scenario.world.events()[-1]
    assert reply.event["subject"] == KEY


def test_a_reply_is_given_again_after_the_pause_until_it_was_sent(scenario: Scenario) -> None:
    scenario.arrives("a", **TO)
    scenario.arrives_and_starts("b", key="other", **TO)
    scenario.ledger.cancel("a", "ann", None)
    assert names(replies(scenario)) == [("a", "cancelled")]
    assert replies(scenario) == []
    scenario.world.advance(9.999)
    assert replies(scenario) == []
    scenario.world.advance(0.001)

    [again] = replies(scenario)
    scenario.ledger.reply_sent(again)
    scenario.ledger.reply_sent(again)
    scenario.world.advance(HOUR)

    assert replies(scenario) == []


def test_a_reply_that_was_sent_by_another_server_is_given_again(scenario: Scenario) -> None:
    scenario.arrives("a", **TO)
    scenario.ledger.cancel("a", "ann", None)
    [reply] = replies(scenario)

    scenario.ledger.reply_sent(reply, "sent:a")
    scenario.world.advance(10)
    assert replies(scenario) == [replace(reply, age=10.0)]

    scenario.world.client.set("sent:a", 1, ex=60)
    scenario.ledger.reply_sent(reply, "sent:a")
    scenario.world.advance(HOUR)
    assert replies(scenario) == []


def test_no_more_are_given_than_asked_for_and_the_oldest_first(scenario: Scenario) -> None:
    for name in ("a", "b", "c"):
        scenario.arrives(name, key=name, **TO)
        scenario.world.advance(1)
    for name in ("b", "a", "c"):
        scenario.ledger.cancel(name, "ann", None)
        scenario.world.advance(1)

    assert names(replies(scenario, limit=2)) == [("b", "cancelled"), ("a", "cancelled")]
    assert names(replies(scenario, limit=2)) == [("c", "cancelled")]


def test_a_request_without_a_task_of_its_sender_has_no_reply(scenario: Scenario) -> None:
    scenario.arrives("a")
    scenario.ledger.cancel("a", "ann", None)

    assert replies(scenario) == []
    assert not scenario.world.client.exists(scenario.world.keys.tag + "replies")


def test_what_is_refused_before_it_was_recorded_is_answered_too(scenario: Scenario) -> None:
    refused = request("a", file(), **TO)

    scenario.ledger.unresolved(refused, Rejected("43010", "no such definition"), 0, Policy())

    assert names(replies(scenario)) == [("a", "rejected")]


def test_every_end_is_answered_also_one_after_an_end(scenario: Scenario) -> None:
    scenario.arrives("a", **TO)
    scenario.start("a")
    scenario.world.advance(scenario.policy.follow_deadline)
    scenario.ends("a", "follow_timed_out")
    scenario.ledger.resume("a", scenario.policy)
    scenario.world.advance(1)
    scenario.ends("a")

    assert names(replies(scenario)) == [("a", "follow_timed_out"), ("a", "completed")]


def test_a_replay_finds_who_is_answered(scenario: Scenario) -> None:
    scenario.arrives("a", **TO)
    scenario.ledger.cancel("a", "ann", None)

    loaded = scenario.ledger.load("a")

    assert loaded is not None
    assert (loaded.reply_to, loaded.reply_queue) == ("theirs.done", "theirs")


def test_replies_that_no_worker_sends_do_not_stay_for_ever(scenario: Scenario) -> None:
    scenario.arrives("a", **TO)
    scenario.ledger.cancel("a", "ann", None)

    assert scenario.world.client.pttl(scenario.world.keys.tag + "replies") > 0
