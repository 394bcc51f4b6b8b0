"""Pauses of an operator: starts wait, arrivals are accepted, runs go on; a lifted or expired pause lets them in."""

import pytest

from sfmc_import.faults import NotApplied
from sfmc_import.ledger.arguments import scope_arguments
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.ledger_settings import LedgerSettings
from sfmc_import.ledger.operator_keys import PAUSED, PAUSES
from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.states import NotYet, StartNow
from tests.contract.ledger.scenario import BUSY, HOUR, KEY, MID, Scenario

SPELLED = KEY.replace("D", "d")
SEEN = LedgerSettings().seen_ttl
SCOPES = ("all", f"mid:{MID}", f"key:{MID}:{KEY}")


def waits(scenario: Scenario, request_id: str) -> str:
    return scenario.world.record(request_id).get("wait", "")


@pytest.mark.parametrize("scope", SCOPES)
def test_a_pause_of_each_scope_lets_a_start_wait_with_the_reason_paused(scenario: Scenario, scope: str):
    scenario.ledger.pause(scope, "ann", "new columns", None)
    scenario.arrives("a")
    scenario.claim("a")

    assert isinstance(scenario.claim("a"), NotYet)
    assert waits(scenario, "a") == "paused"
    assert scenario.last("a")["text"] == "paused by ann: new columns"


def test_a_pause_of_another_definition_holds_nothing(scenario: Scenario):
    scenario.ledger.pause(f"key:{MID}:Other", "ann", "new columns", None)
    scenario.arrives("a")

    assert isinstance(scenario.claim("a"), StartNow)


def test_a_lifted_pause_makes_what_waits_due_at_once(scenario: Scenario):
    scenario.ledger.pause("all", "ann", "new columns", None)
    for name in ("a", "b"):
        scenario.arrives(name)
        scenario.claim(name)
        scenario.claim(name)
    scenario.world.advance(HOUR)

    assert scenario.ledger.lift_pause("all", "ann", None)
    assert scenario.due_in("a") == 0
    assert isinstance(scenario.claim("a"), StartNow)


def test_a_pause_ends_by_itself_at_its_time(scenario: Scenario):
    scenario.ledger.pause("all", "ann", "new columns", scenario.world.now_ms() / 1000 + HOUR)
    scenario.arrives("a")
    scenario.claim("a")
    scenario.claim("a")

    assert scenario.due_in("a") == HOUR
    scenario.world.advance(HOUR)
    assert isinstance(scenario.claim("a"), StartNow)


def test_a_pause_that_comes_after_the_claim_stops_the_intent(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.go("a")
    scenario.ledger.pause("all", "ann", "new columns", None)

    answer = scenario.ledger.record_intent(lease, [])

    assert answer == NotApplied("paused", "new columns", account_wide=True)
    assert scenario.ledger.retry(lease, answer, 1.0) == "retrying"
    assert waits(scenario, "a") == "paused"


def test_a_forced_start_waits_as_well(scenario: Scenario):
    scenario.ledger.pause("all", "ann", "new columns", None)
    scenario.arrives("a", force=True, reason="urgent")
    scenario.claim("a")
    scenario.claim("a")

    assert waits(scenario, "a") == "paused"


def test_the_time_of_a_pause_does_not_count_against_the_retry_deadline(scenario: Scenario):
    scenario.arrives("a")
    scenario.ledger.retry(scenario.go("a"), BUSY, 1.0)
    scenario.ledger.pause("all", "ann", "new columns", None)
    scenario.world.advance(1)
    scenario.claim("a")
    scenario.world.advance(10 * HOUR)
    scenario.ledger.lift_pause("all", "ann", None)

    assert scenario.ledger.retry(scenario.go("a"), BUSY, 1.0) == "retrying"


def test_a_worker_that_dies_before_sending_leaves_its_request_to_the_pause(scenario: Scenario):
    scenario.arrives("a")
    scenario.go("a")
    scenario.ledger.pause("all", "ann", "new columns", None)
    scenario.world.advance(180)

    assert isinstance(scenario.claim("a"), NotYet)
    assert scenario.names("a")[-1] == "retrying"
    assert waits(scenario, "a") == "paused"


def test_a_run_is_followed_to_its_end_while_its_definition_is_paused(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.ledger.pause("all", "ann", "new columns", None)
    scenario.ends("a")

    assert scenario.names("a")[-1] == "completed"


def test_arrivals_during_a_pause_keep_their_order_and_their_files(scenario: Scenario):
    scenario.decide_by(when_too_soon="drop")
    scenario.ledger.pause("all", "ann", "new columns", None)
    for name in ("a", "b"):
        scenario.arrives(name)
        scenario.claim(name)
    scenario.claim("a")
    scenario.ledger.lift_pause("all", "ann", None)

    assert isinstance(scenario.claim("a"), StartNow)
    assert scenario.names("b") == ["accepted", "deferred"]


def test_who_paused_and_resumed_what_and_why_are_events(scenario: Scenario):
    scenario.ledger.pause(f"key:{MID}:{KEY}", "ann", "new columns", None)
    scenario.ledger.lift_pause(f"key:{MID}:{KEY}", "bob", "done")

    said = [(e["type"], e["subject"], e["data"]["operator"], e["data"]["reason"]) for e in scenario.world.events()]
    assert said == [
        ("sfmc.import.operator.paused", KEY, "ann", "new columns"),
        ("sfmc.import.operator.resumed", KEY, "bob", "done"),
    ]


def test_lifting_what_is_not_paused_says_so_and_is_no_event(scenario: Scenario):
    assert not scenario.ledger.lift_pause("all", "ann", None)
    assert scenario.world.events() == []


def test_lifting_a_pause_that_has_ended_says_when_it_did_and_is_no_event(scenario: Scenario):
    end = scenario.world.now_ms() / 1000 + HOUR
    scenario.ledger.pause("all", "ann", "new columns", end)
    scenario.world.advance(2 * HOUR)

    assert [scenario.ledger.lift_pause("all", "bob", None) for _ in range(2)] == [end, end]
    assert [event["type"] for event in scenario.world.events()] == ["sfmc.import.operator.paused"]


def test_lifting_a_pause_that_lasts_ends_also_one_by_another_name_that_has_ended(scenario: Scenario):
    scenario.ledger.pause(f"key:{MID}:{KEY}", "ann", "one", scenario.world.now_ms() / 1000 + HOUR)
    scenario.world.advance(2 * HOUR)
    scenario.ledger.pause(f"key:{MID}:{SPELLED} ", "ann", "two", None)

    assert scenario.ledger.lift_pause(f"key:{MID}:{KEY}", "bob", None) is True


def test_a_pause_with_an_earlier_end_lets_what_waits_in_at_that_end(scenario: Scenario):
    scenario.ledger.pause("all", "ann", "new columns", None)
    scenario.arrives("a")
    scenario.claim("a")
    scenario.claim("a")
    scenario.ledger.pause("all", "ann", "shorter", scenario.world.now_ms() / 1000 + HOUR)

    assert scenario.due_in("a") == 0
    scenario.claim("a")
    assert scenario.due_in("a") == HOUR


def test_a_pause_is_replaced_or_lifted_only_while_it_is_as_expected(scenario: Scenario):
    def written() -> str:
        found = scenario.world.client.hget(Keys().name_of(PAUSES), "all")
        return "none" if found is None else found.decode()

    assert scenario.ledger.pause("all", "ann", "one", None, "none")
    assert not scenario.ledger.pause("all", "bob", "two", None, "none")
    seen = written()
    assert scenario.ledger.pause("all", "ann", "two", None, seen)
    assert not scenario.ledger.pause("all", "bob", "three", None, seen)
    assert scenario.ledger.lift_pause("all", "bob", "done", seen) is None
    assert scenario.ledger.lift_pause("all", "bob", "done", written()) is True
    assert scenario.ledger.lift_pause("all", "bob", "done", "none") is False
    assert [event["data"]["reason"] for event in scenario.world.events()] == ["one", "two", "done"]


def test_a_pause_by_another_spelling_holds_and_is_lifted_by_either(scenario: Scenario):
    paused = f"key:{MID}:{SPELLED} "
    scenario.ledger.pause(f"key:{MID}:Other", "ann", "new columns", None)
    scenario.ledger.pause(paused, "ann", "new columns", None)
    scenario.arrives("a")
    scenario.claim("a")
    assert isinstance(scenario.claim("a"), NotYet)
    assert waits(scenario, "a") == "paused"

    assert not scenario.ledger.lift_pause(f"key:{MID}:More", "ann", None)
    assert scenario.ledger.lift_pause(f"key:{MID}:{KEY}", "ann", None)
    assert scenario.world.events()[-1]["subject"] == f"{SPELLED} "
    assert isinstance(scenario.claim("a"), StartNow)


def test_a_pause_by_another_spelling_replaces_the_one_that_is_there(scenario: Scenario):
    first, second = f"key:{MID}:other", f"key:{MID}:Other"
    for scope in (first, second):
        scenario.ledger.pause(scope, "ann", "new columns", None)
    assert scenario.ledger.lift_pause(first, "ann", None)

    assert scenario.world.events()[-1]["subject"] == "Other"
    assert not scenario.ledger.lift_pause(second, "ann", None)


def paused(scenario: Scenario, name: str, **more) -> None:
    scenario.arrives(name, **more)
    for _ in range(2):
        assert isinstance(scenario.claim(name), NotYet)


def lift_and_die(scenario: Scenario, scope: str, call: str = "c1") -> None:
    """The pause is lifted, and who did it dies before it has woken anything."""
    said = scope_arguments(scope) | {"operator": "ann", "reason": None, "call": call, "expects": None}
    assert scenario.ledger._run("lift_pause", said) == 1


def test_who_dies_right_after_lifting_a_pause_leaves_what_waits_to_the_sweep(scenario: Scenario):
    scenario.ledger.pause(f"mid:{MID}", "ann", "new columns", None)
    scenario.ledger.pause("key:9:Other", "ann", "another one", None)
    paused(scenario, "a")
    paused(scenario, "b", key="Orders")

    lift_and_die(scenario, f"mid:{MID}")

    assert {each.request_id for each in scenario.ledger.due(10, 60)} == {"a", "b"}
    assert isinstance(scenario.claim("a"), StartNow)


def test_what_another_pause_holds_is_looked_at_once_and_hides_nothing(scenario: Scenario):
    scenario.ledger.pause(f"key:{MID}:{KEY}", "ann", "new columns", None)
    paused(scenario, "a")
    scenario.ledger.pause(f"mid:{MID}", "ann", "all of it", None)
    paused(scenario, "b", key="Other")

    lift_and_die(scenario, f"mid:{MID}")
    assert [each.request_id for each in scenario.ledger.due(1, 60)] == ["a"]
    assert isinstance(scenario.claim("a"), NotYet)

    assert [each.request_id for each in scenario.ledger.due(1, 60)] == ["b"]
    assert scenario.ledger.due(10, 60) == []


def test_two_pauses_that_are_lifted_without_a_wake_lose_nothing(scenario: Scenario):
    scenario.ledger.pause(f"key:{MID}:Other", "ann", "new columns", None)
    paused(scenario, "b", key="Other")
    lift_and_die(scenario, f"key:{MID}:Other")
    scenario.ledger.pause(f"mid:{MID}", "ann", "all of it", None)
    paused(scenario, "a")
    lift_and_die(scenario, f"mid:{MID}", "c2")

    assert not scenario.world.client.exists(scenario.ledger.keys.name_of(PAUSED))
    assert {each.request_id for each in scenario.ledger.due(10, 60)} == {"a", "b"}


def test_a_redis_that_lost_its_pauses_lets_what_waited_for_them_look_again(scenario: Scenario):
    scenario.ledger.pause("all", "ann", "new columns", None)
    paused(scenario, "a")
    assert scenario.ledger.due(10, 60) == []

    scenario.world.client.delete(scenario.ledger.keys.name_of(PAUSES))

    assert [each.request_id for each in scenario.ledger.due(10, 60)] == ["a"]
    assert isinstance(scenario.claim("a"), StartNow)


@pytest.mark.parametrize("held_by", ["pause", "window"])
def test_an_intent_of_which_nothing_is_sent_is_held_by_nothing(scenario: Scenario, held_by: str):
    scenario.arrives("a")
    lease = scenario.go("a")
    if held_by == "pause":
        scenario.ledger.pause("all", "ann", "new columns", None)
    else:
        key = scenario.ledger.keys.definition(MID, KEY)
        scenario.world.client.hset(key, mapping={"window": scenario.world.now_ms() + 60_000, "window_from": 0})
    assert isinstance(scenario.ledger.record_intent(lease, ("1",)), NotApplied)

    assert isinstance(scenario.ledger.record_intent(lease, ("1",), is_sent=False), float)
    assert scenario.world.record("a")["known"] == '["1"]'


def test_a_file_that_comes_in_a_pause_is_kept_also_during_a_run(scenario: Scenario):
    scenario.decide_by(when_too_soon="drop")
    scenario.arrives_and_starts("a")
    scenario.ledger.pause("all", "ann", "new columns", None)
    scenario.arrives("b")
    scenario.claim("b")

    assert scenario.names("b") == ["accepted", "deferred"]


@pytest.mark.parametrize("sees", ["sweep", "claim", "resume"])
def test_a_pause_that_was_seen_to_be_over_does_not_hold_again_when_the_clock_goes_back(scenario: Scenario, sees: str):
    scenario.ledger.pause("all", "ann", "new columns", scenario.world.now_ms() / 1000 + HOUR)
    scenario.world.advance(HOUR)
    if sees == "sweep":
        scenario.ledger.due(10, 60)
    elif sees == "claim":
        scenario.arrives("a", key="Other")
        scenario.claim("a")
    else:
        assert scenario.ledger.lift_pause("all", "ann", None)
    scenario.world.advance(-HOUR // 2)

    scenario.arrives("b")
    assert isinstance(scenario.claim("b"), StartNow)
    reader = LedgerReader(scenario.world.client, scenario.world.keys)
    assert not reader.pauses().said


@pytest.mark.parametrize("sees", ["sweep", "claim"])
def test_a_pause_that_has_been_over_for_as_long_as_files_are_remembered_is_forgotten(scenario: Scenario, sees: str):
    scenario.ledger.pause("all", "ann", "new columns", scenario.world.now_ms() / 1000 + HOUR)
    scenario.ledger.pause(f"mid:{MID}", "ann", "without an end", None)
    kept = []
    scenario.arrives("a", key="Other")
    for seconds in (HOUR, SEEN - 1, 1):
        scenario.world.advance(seconds)
        scenario.ledger.due(10, 60) if sees == "sweep" else scenario.claim("a")
        found = scenario.world.client.hkeys(scenario.ledger.keys.name_of(PAUSES))
        kept.append(sorted(name.decode() for name in found))

    assert kept == [["all", f"mid:{MID}"], ["all", f"mid:{MID}"], [f"mid:{MID}"]]


def test_a_pause_whose_end_was_not_seen_is_over_before_it_is_forgotten(scenario: Scenario):
    scenario.ledger.pause("all", "ann", "new columns", scenario.world.now_ms() / 1000 + HOUR)
    scenario.world.advance(HOUR + SEEN)
    scenario.ledger.due(10, 60)
    seen = scenario.world.client.hget(scenario.ledger.keys.name_of(PAUSES), "all")
    scenario.ledger.due(10, 60)

    assert (b'"over":true' in seen, scenario.ledger.lift_pause("all", "ann", None)) == (True, False)


@pytest.mark.parametrize(("lasts", "decision"), [(HOUR, StartNow), (None, NotYet)])
def test_a_clock_that_was_ahead_for_a_moment_has_ended_a_pause_with_an_end_and_no_other(
    scenario: Scenario, lasts: int | None, decision: type
):
    until = None if lasts is None else scenario.world.now_ms() / 1000 + lasts
    scenario.ledger.pause("all", "ann", "new columns", until)
    scenario.world.advance(2 * HOUR)
    scenario.ledger.due(10, 60)
    scenario.world.advance(-2 * HOUR)
    scenario.arrives("a")

    assert isinstance(scenario.claim("a"), decision)


def test_a_pause_that_is_not_over_is_not_written_anew_by_who_sees_it(scenario: Scenario):
    scenario.ledger.pause("all", "ann", "new columns", scenario.world.now_ms() / 1000 + HOUR)
    written = scenario.world.client.hgetall(scenario.ledger.keys.name_of(PAUSES))
    scenario.ledger.due(10, 60)

    assert scenario.world.client.hgetall(scenario.ledger.keys.name_of(PAUSES)) == written


def test_a_definition_is_paused_anew_after_a_pause_that_was_over(scenario: Scenario):
    ends = scenario.world.now_ms() / 1000 + HOUR
    scenario.ledger.pause("all", "ann", "new columns", ends)
    scenario.world.advance(HOUR)
    scenario.ledger.due(10, 60)
    scenario.world.advance(-HOUR // 2)

    scenario.ledger.pause("all", "ann", "once more", ends)

    scenario.arrives("a")
    assert not isinstance(scenario.claim("a"), StartNow)


@pytest.mark.parametrize("looked_at", ["before", "after"])
def test_a_pause_is_the_one_that_was_looked_at_also_when_it_is_over_since(scenario: Scenario, looked_at: str):
    scenario.ledger.pause("all", "ann", "new columns", scenario.world.now_ms() / 1000 + HOUR)
    before = scenario.world.client.hget(scenario.ledger.keys.name_of(PAUSES), "all")
    scenario.world.advance(HOUR)
    scenario.ledger.due(10, 60)
    after = scenario.world.client.hget(scenario.ledger.keys.name_of(PAUSES), "all")
    assert before is not None
    assert after is not None

    expected = (before if looked_at == "before" else after).decode()
    assert scenario.ledger.pause("all", "ann", "once more", None, expected)
