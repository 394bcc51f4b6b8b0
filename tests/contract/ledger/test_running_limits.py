"""No more imports run at once than the account and a group of definitions allow; what waits is woken, oldest first."""

from dataclasses import replace

import pytest

from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.ledger.key_kinds import PLACES
from sfmc_import.policy import ACCOUNT, Policy
from sfmc_import.runs import Definition
from sfmc_import.states import Decision, NotYet, StartNow
from tests.contract.ledger.scenario import BUSY, DOUBT, Scenario, file, request
from tests.contract.ledger.test_waiting import waiting

ONE = Policy(group="nightly", group_limit=1)
LIMITED = NotApplied("http_429", "too many calls")


def comes(scenario: Scenario, name: str, **more) -> Decision:
    """A request for a definition of its own."""
    if name not in scenario.requests:
        scenario.arrives(name, key=f"key-{name}", **more)
    return again(scenario, name)


def again(scenario: Scenario, name: str) -> Decision:
    """A worker takes the request up, twice where the first look only puts it in line."""
    decision: Decision = NotYet(state="")
    for _ in range(2):
        scenario.owners += 1
        found = Definition(customer_key=f"key-{name}", object_id=f"object-{name}")
        given = scenario.requests[name]
        decision = scenario.ledger.claim(given, f"owner-{scenario.owners}", scenario.policy, found)
        if not isinstance(decision, NotYet):
            break
    return decision


def starts(scenario: Scenario, name: str, **more) -> StartNow:
    decision = comes(scenario, name, **more)
    assert isinstance(decision, StartNow), decision
    return decision


def runs(scenario: Scenario, name: str, **more) -> None:
    lease = starts(scenario, name, **more).lease
    assert scenario.ledger.record_intent(lease, (), window=0) is not None
    assert scenario.commit(lease, f"task-{name}")


def stand_in_line(scenario: Scenario, *names: str) -> None:
    """These come one after another and find no room."""
    for name in names:
        assert isinstance(comes(scenario, name), NotYet)
        scenario.world.advance(1)


def counted(scenario: Scenario, group: str) -> set[str]:
    keys = scenario.ledger.keys
    return {name.decode() for name in scenario.world.client.zrange(keys.name_of(PLACES, group), 0, -1)}


@pytest.mark.parametrize("policy", [ONE, Policy(max_running=1), Policy(group="nightly", group_limit=1, max_running=1)])
def test_a_start_waits_while_as_many_imports_run_as_may_and_is_woken_by_the_end_of_one(
    scenario: Scenario, policy: Policy
):
    scenario.policy = policy
    runs(scenario, "a")

    assert isinstance(comes(scenario, "b"), NotYet)
    found = waiting(scenario, "b")
    assert (found.reason, found.last_error["code"], found.attempts) == ("rate_limited", "running_limit", 0)
    assert scenario.last("b")["text"] == found.last_error["text"]
    assert scenario.due_in("b") == 60
    scenario.ends("a")
    assert scenario.due_in("b") == 0
    runs(scenario, "b")


@pytest.mark.parametrize("group", ["nightly", ACCOUNT])
def test_definitions_of_other_groups_do_not_wait_but_all_count_for_the_account(scenario: Scenario, group: str):
    scenario.policy = ONE if group != ACCOUNT else Policy(max_running=1)
    runs(scenario, "a")
    scenario.policy = replace(scenario.policy, group="other", group_limit=1)

    assert isinstance(comes(scenario, "b"), StartNow) is (group != ACCOUNT)


def test_who_waits_longest_goes_first_and_a_forced_start_before_all(scenario: Scenario):
    scenario.policy = ONE
    runs(scenario, "a")
    stand_in_line(scenario, "b", "c")
    comes(scenario, "d", force=True, reason="now")
    order = []
    for ended in ("a", "d", "b"):
        scenario.ends(ended)
        (woken,) = [name for name in "bcd" if name not in order and scenario.due_in(name) == 0]
        order.append(woken)
        runs(scenario, woken)

    assert order == ["d", "b", "c"]


def ends_rejected(scenario: Scenario, decision: StartNow) -> None:
    scenario.ledger.reject(decision.lease, Rejected("2", "no"))


def ends_retrying(scenario: Scenario, decision: StartNow) -> None:
    scenario.ledger.retry(decision.lease, BUSY, 60)


def ends_unknown(scenario: Scenario, decision: StartNow) -> None:
    scenario.ledger.record_intent(decision.lease, (), window=0)
    scenario.ledger.mark_ambiguous(decision.lease, DOUBT, 1, scenario.policy)
    scenario.world.advance(2)
    look = again(scenario, "a")
    scenario.ledger.record_start_unknown(look.lease, (), 0)  # type: ignore[union-attr]


@pytest.mark.parametrize("case", [ends_rejected, ends_retrying, ends_unknown])
def test_a_start_that_has_no_run_leaves_its_place(scenario: Scenario, case):
    scenario.policy = replace(ONE, max_running=5)
    decision = starts(scenario, "a")
    assert (counted(scenario, "nightly"), counted(scenario, ACCOUNT)) == ({"a"}, {"a"})
    assert isinstance(comes(scenario, "b"), NotYet)
    case(scenario, decision)

    assert (counted(scenario, "nightly"), counted(scenario, ACCOUNT)) == ({"b"}, set())
    assert scenario.due_in("b") == 0


def test_a_start_in_doubt_keeps_its_place_until_it_is_resolved(scenario: Scenario):
    scenario.policy = ONE
    lease = starts(scenario, "a").lease
    scenario.ledger.record_intent(lease, (), window=0)
    scenario.ledger.mark_ambiguous(lease, DOUBT, 60, scenario.policy)

    assert isinstance(comes(scenario, "b"), NotYet)
    assert counted(scenario, "nightly") == {"a"}


def test_an_attempt_that_may_have_been_applied_keeps_its_place_while_it_waits(scenario: Scenario):
    scenario.policy = ONE
    lease = starts(scenario, "a").lease
    scenario.ledger.record_intent(lease, (), window=0)
    scenario.ledger.withdraw_intent(lease, unproved=True)
    scenario.ledger.retry(lease, NotApplied("http_503", "no"), 60)

    assert counted(scenario, "nightly") == {"a"}
    scenario.world.advance(61)
    assert isinstance(again(scenario, "a"), StartNow)


def test_the_place_of_a_lost_worker_is_that_of_its_request(scenario: Scenario):
    scenario.policy = ONE
    starts(scenario, "a")
    assert isinstance(comes(scenario, "b"), NotYet)
    scenario.world.advance(181)

    assert isinstance(again(scenario, "b"), NotYet)
    assert isinstance(again(scenario, "a"), StartNow)


def test_places_of_records_that_redis_has_lost_are_free(scenario: Scenario):
    scenario.policy = ONE
    runs(scenario, "a")
    client, keys = scenario.world.client, scenario.ledger.keys
    client.delete(keys.request("a"))
    client.zrem(keys.due, "a")
    client.zrem(keys.follows, "a")

    assert isinstance(comes(scenario, "b"), StartNow)


def test_whoever_finds_several_stale_places_lets_others_in_that_wait(scenario: Scenario):
    scenario.policy = replace(ONE, group_limit=3)
    for name in ("a", "b", "c"):
        runs(scenario, name)
    stand_in_line(scenario, "d", "e", "f")
    client, keys = scenario.world.client, scenario.ledger.keys
    for lost in ("a", "b"):
        client.delete(keys.request(lost))
        client.zrem(keys.due, lost)
        client.zrem(keys.follows, lost)

    assert isinstance(comes(scenario, "g"), StartNow)
    assert [name for name in "def" if scenario.due_in(name) == 0] == ["d"]


def test_a_limit_that_was_lowered_holds_what_comes_and_a_higher_one_lets_it_go(scenario: Scenario):
    scenario.policy = replace(ONE, group_limit=3)
    for name in ("a", "b"):
        runs(scenario, name)
    scenario.policy = ONE
    assert isinstance(comes(scenario, "c"), NotYet)
    scenario.ends("a")
    assert isinstance(again(scenario, "c"), NotYet)
    scenario.policy = replace(ONE, group_limit=2)

    assert isinstance(again(scenario, "c"), StartNow)


def test_a_run_leaves_the_group_in_which_it_began(scenario: Scenario):
    scenario.policy = ONE
    runs(scenario, "a")
    scenario.policy = replace(ONE, group="weekly")
    scenario.ends("a")

    assert counted(scenario, "nightly") == set()


def test_who_is_woken_for_one_group_and_finds_the_other_full_lets_the_next_one_in(scenario: Scenario):
    scenario.policy = Policy(max_running=2, group="x", group_limit=1)
    runs(scenario, "a")
    scenario.policy = Policy(max_running=2, group="y", group_limit=1)
    runs(scenario, "b")
    scenario.policy = Policy(max_running=2, group="y", group_limit=1)
    comes(scenario, "c")
    scenario.world.advance(1)
    scenario.policy = Policy(max_running=2)
    comes(scenario, "d")
    scenario.ends("a")
    scenario.policy = Policy(max_running=2, group="y", group_limit=1)
    assert scenario.due_in("c") == 0
    assert isinstance(again(scenario, "c"), NotYet)

    assert scenario.due_in("d") == 0


def test_a_start_that_is_tried_again_waits_for_a_place_and_is_woken_as_well(scenario: Scenario):
    scenario.policy = ONE
    ends_retrying(scenario, starts(scenario, "b"))
    runs(scenario, "a")
    scenario.world.advance(61)
    assert isinstance(again(scenario, "b"), NotYet)
    assert scenario.due_in("b") == 60
    scenario.ends("a")

    assert scenario.due_in("b") == 0


def test_who_comes_new_does_not_overtake_the_one_that_was_woken(scenario: Scenario):
    scenario.policy = ONE
    runs(scenario, "a")
    comes(scenario, "b")
    scenario.ends("a")

    assert isinstance(comes(scenario, "c"), NotYet)
    runs(scenario, "b")
    assert counted(scenario, "nightly") == {"b"}
    scenario.ends("b")
    assert scenario.due_in("c") == 0


def test_a_place_that_is_kept_for_one_that_does_not_come_is_free_after_a_minute(scenario: Scenario):
    scenario.policy = ONE
    runs(scenario, "a")
    comes(scenario, "b")
    scenario.ends("a")
    scenario.world.advance(59)
    assert isinstance(comes(scenario, "c"), NotYet)
    scenario.world.advance(2)

    assert isinstance(again(scenario, "c"), StartNow)
    assert isinstance(again(scenario, "b"), NotYet)


def is_cancelled(scenario: Scenario) -> None:
    scenario.ledger.cancel("b", "ann", None)


def is_paused(scenario: Scenario) -> None:
    scenario.ledger.pause(f"key:{scenario.requests['b'].mid}:key-b", "ann", "look first", None)
    again(scenario, "b")


def waits_for_another(scenario: Scenario) -> None:
    usual, scenario.policy = scenario.policy, replace(scenario.policy, after=("other",))
    again(scenario, "b")
    scenario.policy = usual


@pytest.mark.parametrize("leaves", [is_cancelled, is_paused, waits_for_another])
def test_who_was_woken_and_does_not_start_passes_the_place_on(scenario: Scenario, leaves):
    scenario.policy = ONE
    runs(scenario, "a")
    stand_in_line(scenario, "b", "c")
    scenario.ends("a")
    assert scenario.due_in("c") == 60
    leaves(scenario)

    assert scenario.due_in("c") == 0
    assert isinstance(again(scenario, "c"), StartNow)


def test_who_started_before_it_was_woken_takes_no_turn_of_another(scenario: Scenario):
    scenario.policy = ONE
    runs(scenario, "a")
    stand_in_line(scenario, "b", "c")
    scenario.policy = replace(ONE, group_limit=2)
    starts(scenario, "b")
    scenario.ends("a")

    assert scenario.due_in("c") == 0


def takes_its_definition(scenario: Scenario) -> Decision:
    """A forced request for the definition of b is taken up."""
    asked = scenario.requests.get("e") or scenario.arrives("e", key="key-b", force=True, reason="now")
    found = Definition(customer_key="key-b", object_id="object-b")
    scenario.owners += 1
    return scenario.ledger.claim(asked, f"owner-{scenario.owners}", scenario.policy, found)


def test_who_was_woken_while_another_got_its_definition_passes_the_place_on(scenario: Scenario):
    scenario.policy = ONE
    runs(scenario, "a")
    stand_in_line(scenario, "b", "c")
    scenario.ends("a")
    scenario.policy = replace(ONE, group_limit=3)
    assert isinstance(takes_its_definition(scenario), StartNow)
    scenario.policy = ONE
    assert isinstance(again(scenario, "b"), NotYet)

    assert scenario.due_in("c") == 0


def test_who_was_woken_passes_the_place_to_a_forced_request_of_its_definition(scenario: Scenario):
    scenario.policy = ONE
    runs(scenario, "a")
    comes(scenario, "b")
    scenario.ends("a")
    for _ in range(2):
        assert isinstance(takes_its_definition(scenario), NotYet)
    assert isinstance(again(scenario, "b"), NotYet)

    assert isinstance(takes_its_definition(scenario), StartNow)


def test_a_limit_that_was_lowered_counts_also_for_the_one_that_was_woken(scenario: Scenario):
    scenario.policy = replace(ONE, group_limit=2)
    for name in ("a", "b"):
        runs(scenario, name)
    comes(scenario, "c")
    scenario.ends("a")
    scenario.policy = ONE

    assert isinstance(again(scenario, "c"), NotYet)
    scenario.ends("b")
    assert isinstance(again(scenario, "c"), StartNow)


def test_who_fails_for_too_many_calls_takes_no_turn_of_those_that_wait_for_a_place(scenario: Scenario):
    scenario.policy = ONE
    runs(scenario, "a")
    stand_in_line(scenario, "z", "b")
    scenario.policy = replace(ONE, group_limit=2)
    lease = starts(scenario, "b").lease
    scenario.ledger.retry(lease, LIMITED, 600)
    assert scenario.due_in("z") == 0
    scenario.policy = ONE
    comes(scenario, "c")
    scenario.ends("a")

    assert scenario.due_in("c") == 0


def test_a_run_in_doubt_counts_also_in_its_group_of_before(scenario: Scenario):
    scenario.policy = ONE
    lease = starts(scenario, "a").lease
    scenario.ledger.record_intent(lease, (), window=0)
    scenario.ledger.withdraw_intent(lease, unproved=True)
    scenario.ledger.retry(lease, NotApplied("http_503", "no"), 60)
    scenario.world.advance(61)
    scenario.policy = replace(ONE, group="weekly")
    runs(scenario, "a")
    assert (counted(scenario, "nightly"), counted(scenario, "weekly")) == ({"a"}, {"a"})
    scenario.ends("a")

    assert (counted(scenario, "nightly"), counted(scenario, "weekly")) == (set(), set())


def test_business_units_share_the_places_of_a_group_and_of_the_account(scenario: Scenario):
    scenario.policy = replace(ONE, group_limit=2, max_running=2)
    for name, mid in (("a", "1"), ("b", "2"), ("c", "3")):
        scenario.accept(replace(request(name, file(f"{name}.csv"), f"key-{name}"), mid=mid))
    runs(scenario, "a")
    runs(scenario, "b")

    assert isinstance(comes(scenario, "c"), NotYet)


def test_who_is_woken_for_a_place_when_its_window_closes_passes_the_turn_on(scenario: Scenario):
    """The run that ended was a forced one of the same definition."""
    scenario.policy = replace(ONE, frequency=6.0)
    runs(scenario, "a")
    comes(scenario, "b")
    scenario.world.advance(1)
    comes(scenario, "c")
    scenario.accept(replace(scenario.requests["b"], request_id="forced", force=True, reason="now", file=None))
    found = Definition(customer_key="key-b", object_id="object-b")
    for owner in ("one", "two"):
        scenario.ledger.claim(scenario.requests["forced"], owner, scenario.policy, found)
    scenario.ends("a")
    decision = scenario.ledger.claim(scenario.requests["forced"], "three", scenario.policy, found)
    assert isinstance(decision, StartNow), decision
    scenario.ledger.record_intent(decision.lease, (), window=6.0)
    scenario.commit(decision.lease, "task-forced", 6.0)
    scenario.ends("forced")
    assert scenario.due_in("b") == 0
    assert isinstance(again(scenario, "b"), NotYet)

    assert scenario.due_in("c") == 0


def test_a_wait_for_a_place_does_not_count_against_the_retry_deadline(scenario: Scenario):
    scenario.policy = replace(ONE, retry_deadline=600.0)
    ends_retrying(scenario, starts(scenario, "b"))
    runs(scenario, "a")
    scenario.world.advance(61)
    assert isinstance(again(scenario, "b"), NotYet)
    scenario.world.advance(5000)
    scenario.ends("a")
    decision = again(scenario, "b")

    assert isinstance(decision, StartNow)
    scenario.ledger.retry(decision.lease, BUSY, 60)
    assert scenario.names("b")[-1] == "retrying"


def test_a_request_that_was_cancelled_while_it_waited_takes_no_turn_of_another(scenario: Scenario):
    scenario.policy = ONE
    runs(scenario, "a")
    stand_in_line(scenario, "b", "c")
    scenario.ledger.cancel("b", "ann", None)
    scenario.ends("a")

    assert scenario.due_in("c") == 0


def test_without_a_limit_nothing_is_counted(scenario: Scenario):
    runs(scenario, "a")

    assert counted(scenario, ACCOUNT) == set()


def test_a_start_whose_worker_died_before_sending_waits_for_a_place_as_any_other(scenario: Scenario):
    starts(scenario, "a")
    scenario.policy = ONE
    runs(scenario, "b")
    scenario.world.advance(180)

    for _ in range(5):
        assert isinstance(again(scenario, "a"), NotYet)
        scenario.world.advance(600)

    record = scenario.world.record("a")
    assert (record["state"], record["wait"], record["worker_losses"]) == ("retrying", "rate_limited", "1")
    scenario.ends("b")
    assert scenario.due_in("a") == 0
    runs(scenario, "a")
