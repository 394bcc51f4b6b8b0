"""What the ledger knows of the newest runs, and how it notices that Redis lost its last writes."""

import json
from datetime import UTC, datetime

import pytest

from sfmc_import.faults import NotApplied
from sfmc_import.ledger.loss_keys import LONGEST_CALL, LOSS, SERVER
from sfmc_import.states import Decision, Reconcile, StartNow
from tests.contract.ledger.scenario import BUSY, DOUBT, MID, Scenario, request


def take_go(scenario: Scenario, name: str) -> StartNow:
    decision: Decision = scenario.claim(name)
    assert isinstance(decision, StartNow)
    return decision


def test_the_newest_run_of_the_business_unit_is_reported_with_the_lease(scenario: Scenario):
    scenario.arrives("a")
    assert take_go(scenario, "a").newest is None
    scenario.arrives("b", key="Other")
    lease = take_go(scenario, "b").lease
    scenario.ledger.record_intent(lease, ["9", "101", "odd"])
    scenario.arrives("c", key="Third")
    assert take_go(scenario, "c").newest == "101"
    scenario.commit(lease, "102")
    scenario.arrives("d", key="Fourth")
    assert take_go(scenario, "d").newest == "102"
    scenario.arrives("e", key="Fifth")
    scenario.ledger.record_intent(take_go(scenario, "e").lease, ["7"])
    scenario.arrives("f", key="Sixth")

    assert take_go(scenario, "f").newest == "102"


def test_an_intent_may_stand_for_all_runs_up_to_the_newest(scenario: Scenario):
    scenario.arrives("first", key="Other")
    scenario.start("first", task="50")
    scenario.arrives("a")
    lease = scenario.go("a")
    scenario.ledger.record_intent(lease, [], above=True)
    scenario.world.advance(180)
    scenario.claim("a")
    scenario.world.advance(60)

    look = scenario.claim("a")
    assert isinstance(look, Reconcile)
    assert (look.above, look.known) == ("50", frozenset())
    assert look.now == scenario.world.now_ms() / 1000
    assert look.intended_at == look.now - 240


def test_reconciling_learns_up_to_which_id_nothing_was_listed(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.go("a")
    scenario.ledger.record_intent(lease, ["60"], bound="50")
    scenario.world.advance(180)
    scenario.claim("a")
    scenario.world.advance(60)

    look = scenario.claim("a")
    assert isinstance(look, Reconcile)
    assert (look.above, look.bound, look.known) == (None, "50", {"60"})


def test_a_later_intent_that_lists_all_runs_has_no_such_id(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.go("a")
    scenario.ledger.record_intent(lease, [], bound="50")
    scenario.ledger.retry(lease, BUSY, 1)
    scenario.world.advance(1)
    scenario.ledger.record_intent(scenario.go("a"), ["50", "60"])
    scenario.world.advance(180)
    scenario.claim("a")
    scenario.world.advance(60)

    assert scenario.claim("a").bound is None


def test_a_later_intent_that_lists_the_runs_forgets_the_newest_of_the_one_before(scenario: Scenario):
    scenario.arrives("first", key="Other")
    scenario.start("first", task="50")
    scenario.arrives("a")
    lease = scenario.go("a")
    scenario.ledger.record_intent(lease, [], above=True)
    scenario.ledger.retry(lease, BUSY, 1)
    scenario.world.advance(1)
    lease = scenario.go("a")
    scenario.ledger.record_intent(lease, ["50", "60"])
    scenario.world.advance(180)
    scenario.claim("a")
    scenario.world.advance(60)

    look = scenario.claim("a")
    assert isinstance(look, Reconcile)
    assert (look.above, look.known) == (None, {"50", "60"})


def test_a_process_that_counts_on_has_lost_nothing(scenario: Scenario):
    assert [scenario.ledger.write_probe("w1", count) for count in (1, 2, 2, 3)] == [False] * 4
    assert scenario.ledger.write_probe("w2", 1) is False


def test_a_number_that_is_missing_is_a_loss_and_starts_are_careful_for_a_while(scenario: Scenario):
    scenario.arrives("first", key="Other")
    scenario.start("first", task="50")
    scenario.ledger.write_probe("w1", 1)
    assert scenario.ledger.write_probe("w1", 3) is True
    scenario.arrives("later", key="Later")
    scenario.commit(take_go(scenario, "later").lease, "70")
    scenario.world.advance(30)
    scenario.arrives("a")

    go = take_go(scenario, "a")
    assert (go.newest, go.loss_age) == ("50", 30.0)


def test_a_second_loss_does_not_hide_what_the_first_one_forgot(scenario: Scenario):
    scenario.arrives("first", key="Other")
    scenario.start("first", task="50")
    scenario.ledger.write_probe("w1", 5)
    time = datetime.fromisoformat(scenario.world.events()[-1]["time"]).timestamp()
    scenario.world.advance(10)
    scenario.arrives("later", key="Later")
    scenario.commit(take_go(scenario, "later").lease, "70")
    scenario.world.advance(800)
    scenario.ledger.write_probe("w2", 9)
    scenario.world.advance(200)
    scenario.arrives("a")

    go = take_go(scenario, "a")
    assert (go.newest, go.loss_age, go.loss_since) == ("50", 200.0, time)
    scenario.world.client.delete(scenario.world.keys.name_of(LOSS))
    scenario.ledger.write_probe("w3", 9)
    scenario.arrives("b", key="Third")
    assert take_go(scenario, "b").newest == "70"


def test_a_business_unit_of_which_nothing_survived_the_first_loss_has_no_newest_run_after_the_second(
    scenario: Scenario,
):
    scenario.ledger.write_probe("w1", 5)
    scenario.arrives("later", key="Later")
    scenario.commit(take_go(scenario, "later").lease, "70")
    scenario.ledger.write_probe("w2", 9)
    scenario.arrives("a")

    go = take_go(scenario, "a")
    assert (go.newest, go.loss_since) == (None, None)


@pytest.mark.parametrize("calls", [(300.0, 30.0), (30.0, 300.0)])
def test_while_a_loss_is_in_force_starts_know_the_longest_call_of_all_workers(
    scenario: Scenario, calls: tuple[float, float]
):
    for number, call in enumerate(calls, 1):
        scenario.ledger.write_probe("w1", number, call)
    scenario.arrives("a")
    assert take_go(scenario, "a").longest_call == 0.0
    scenario.ledger.write_probe("w2", 5)
    scenario.arrives("b", key="Other")

    assert take_go(scenario, "b").longest_call == 300.0


def test_the_longest_call_is_kept_for_longer_than_it_can_take_and_by_its_own_worker(scenario: Scenario):
    name = scenario.world.keys.name_of(LONGEST_CALL)
    scenario.ledger.write_probe("w1", 1, 7200.0)
    assert 10_000_000 < scenario.world.client.pttl(name) <= 10_800_000
    scenario.world.client.pexpire(name, 5000)
    scenario.ledger.write_probe("w2", 1, 60.0)
    assert scenario.world.client.pttl(name) <= 5000
    scenario.ledger.write_probe("w1", 2, 7200.0)

    assert scenario.world.client.pttl(name) > 7200_000


def test_a_loss_names_the_time_of_the_last_event_that_survived(scenario: Scenario):
    scenario.arrives("first")
    scenario.ledger.write_probe("w1", 5)
    scenario.world.advance(5)
    scenario.arrives("later")
    time = datetime.fromisoformat(scenario.events("first")[-1]["time"])

    assert take_go(scenario, "first").loss_since == time.timestamp()


def write(scenario: Scenario, *seconds: float) -> None:
    """Write events of so many seconds ago; the ids of the stream are of the clock that the scripts have."""
    scenario.world.client.delete(scenario.world.keys.stream)
    for ago in seconds:
        at = scenario.world.now_ms() - round(ago * 1000)
        time = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        scenario.world.client.xadd(scenario.world.keys.stream, {"event": json.dumps({"time": time})}, id=f"{at}-0")


def restarted(scenario: Scenario, uptime: int | None) -> float | None:
    """Note a server that runs for so long; gives how many seconds ago the last event was that survived."""
    client, watch = scenario.world.client, scenario.ledger.server
    watch.note("one", None, client.execute_command)
    watch.note("two", uptime, client.execute_command)
    client.delete(scenario.world.keys.stream)
    scenario.arrives("a")
    since = take_go(scenario, "a").loss_since
    return None if since is None else scenario.world.now_ms() / 1000 - since


@pytest.mark.parametrize("uptime", [0, 30, 3600])
def test_the_last_event_from_before_the_server_began_survived_whatever_was_written_since(
    scenario: Scenario, uptime: int
):
    write(scenario, 7000, uptime + 1.5, uptime + 0.9, uptime + 0.5, 0)
    assert restarted(scenario, uptime) == uptime + 1.5


def test_where_no_event_survived_the_server_may_have_forgotten_all_until_it_began(scenario: Scenario):
    write(scenario, 3)
    assert restarted(scenario, 30) == 31


def test_a_server_without_any_event_names_no_time(scenario: Scenario):
    write(scenario)
    assert restarted(scenario, 30) is None


@pytest.mark.parametrize("entry", [{"event": "no JSON"}, {"event": "7"}, {"event": "{}"}, {"other": "[]"}])
def test_what_another_program_wrote_last_names_no_time(scenario: Scenario, entry: dict[str, str]):
    scenario.arrives("first")
    scenario.world.client.xadd(scenario.world.keys.stream, entry)
    scenario.ledger.write_probe("w1", 5)
    scenario.world.client.xtrim(scenario.world.keys.stream, maxlen=0)

    assert take_go(scenario, "first").loss_since is None


def test_a_loss_of_everything_names_no_time(scenario: Scenario):
    scenario.ledger.write_probe("w1", 5)
    scenario.arrives("a")

    go = take_go(scenario, "a")
    assert (go.loss_age, go.loss_since) == (0.0, None)


def test_a_loss_of_one_business_unit_says_nothing_of_another(scenario: Scenario):
    scenario.arrives("first")
    scenario.start("first", task="50")
    scenario.ledger.write_probe("w1", 5)
    elsewhere = request("b")
    other = type(elsewhere)(request_id="b", customer_key="k", mid=MID + "7")
    scenario.accept(other)

    go = take_go(scenario, "b")
    assert (go.newest, go.loss_age) == (None, 0.0)


def test_a_reply_to_a_start_that_redis_forgot_counts_though_its_request_is_a_duplicate_now(scenario: Scenario):
    forgotten = scenario.forgotten_lease(request("a"))
    scenario.arrives("b")
    lease = scenario.go("b")
    scenario.accept(request("a"))
    assert scenario.claim("a").state == "duplicate"
    assert scenario.commit(forgotten, "77", 6.0)

    assert (scenario.names("a")[-1], scenario.last("a")["task_id"]) == ("started", "77")
    refused = scenario.ledger.record_intent(lease, (), window=6.0)
    assert isinstance(refused, NotApplied)
    assert refused.code == "window"


def test_starts_of_an_empty_ledger_are_careful_and_know_of_nothing_that_survived(scenario: Scenario):
    scenario.ledger.server.note("one", 10, scenario.world.client.execute_command)
    assert scenario.world.client.pttl(scenario.world.keys.name_of(LOSS)) > 0
    scenario.arrives("first", key="Other")
    scenario.start("first", task="50")
    scenario.arrives("a")
    go = take_go(scenario, "a")
    assert (go.newest, go.loss_age, go.loss_since, go.may_be_new) == (None, 0.0, None, True)
    scenario.ledger.write_probe("w1", 5)
    scenario.arrives("b", key="Third")

    go = take_go(scenario, "b")
    assert (go.newest, go.may_be_new) == ("50", False)


def test_a_process_that_noted_the_same_server_before_knows_that_the_ledger_was_emptied(scenario: Scenario):
    note, execute = scenario.ledger.server.note, scenario.world.client.execute_command
    note("one", 10, execute)
    scenario.world.client.delete(*(scenario.world.keys.name_of(key) for key in (LOSS, SERVER)))
    note("one", 20, execute)
    scenario.arrives("a")

    go = take_go(scenario, "a")
    assert (go.loss_age, go.may_be_new) == (0.0, False)


def test_an_empty_ledger_does_not_hide_a_loss_that_is_in_force(scenario: Scenario):
    scenario.ledger.write_probe("w1", 5)
    scenario.ledger.server.note("one", 10, scenario.world.client.execute_command)
    scenario.arrives("a")

    assert not take_go(scenario, "a").may_be_new


# --- Which requests were recorded before the loss, and which runs they may take.


def looks(scenario: Scenario, name: str) -> Reconcile:
    """Its careful look has found an unknown run, and reconciling begins."""
    lease = take_go(scenario, name).lease
    assert isinstance(scenario.ledger.record_intent(lease, ["40"], window=6.0, is_sent=False), float)
    scenario.ledger.mark_ambiguous(lease, DOUBT, 60, scenario.policy)
    scenario.world.advance(60)
    return scenario.look(name)


def restart(scenario: Scenario, uptime: int | None) -> None:
    scenario.world.client.set(scenario.world.keys.name_of(SERVER), "before")
    scenario.ledger.server.note("after", uptime, scenario.world.client.execute_command)


def test_a_request_recorded_before_the_server_began_looks_for_a_run_since_then(scenario: Scenario):
    scenario.arrives("a")
    recorded = scenario.world.now_ms() / 1000
    scenario.world.advance(32.001)
    restart(scenario, 30)

    assert looks(scenario, "a").forgotten_from == recorded


@pytest.mark.parametrize("times", [(31, 30), (30, 30), (10, 30), (4000, 3601), (4000, None)])
def test_a_request_that_may_have_been_recorded_after_the_loss_takes_no_run(
    scenario: Scenario, times: tuple[int, int | None]
):
    """The server says for how many whole seconds it runs; one that runs for long may have been a replica."""
    ago, uptime = times
    scenario.arrives("a")
    scenario.world.advance(ago)
    restart(scenario, uptime)

    assert looks(scenario, "a").forgotten_from == 0


@pytest.mark.parametrize("decided", [False, True])
def test_what_a_worker_decided_before_the_loss_was_there_before(scenario: Scenario, decided: bool):
    scenario.arrives("a")
    if decided:
        scenario.ledger.retry(scenario.go("a"), BUSY, 1)
    scenario.world.advance(5)
    scenario.ledger.write_probe("w1", 5)

    assert bool(looks(scenario, "a").forgotten_from) is decided


def test_what_came_after_a_loss_was_not_there_before_it_though_another_one_follows(scenario: Scenario):
    scenario.ledger.write_probe("w1", 5)
    scenario.arrives("a")
    scenario.ledger.retry(scenario.go("a"), BUSY, 1)
    scenario.world.advance(5)
    scenario.ledger.write_probe("w2", 5)

    assert looks(scenario, "a").forgotten_from == 0


def test_what_came_after_an_earlier_loss_that_is_over_was_there_before_a_later_one(scenario: Scenario):
    scenario.ledger.write_probe("w1", 5)
    scenario.arrives("a")
    scenario.ledger.retry(scenario.go("a"), BUSY, 1)
    scenario.world.client.delete(scenario.world.keys.name_of(LOSS))
    scenario.world.advance(5)
    scenario.ledger.write_probe("w2", 5)

    assert looks(scenario, "a").forgotten_from == scenario.world.now_ms() / 1000 - 65


def test_a_loss_that_is_over_before_the_intent_makes_no_request_one_of_before_it(scenario: Scenario):
    scenario.ledger.write_probe("w1", 5)
    scenario.arrives("a")
    lease = scenario.go("a")
    scenario.world.client.delete(scenario.world.keys.name_of(LOSS))
    scenario.ledger.record_intent(lease, ["40"], is_sent=False)
    scenario.ledger.mark_ambiguous(lease, DOUBT, 60, scenario.policy)
    scenario.world.advance(60)

    assert scenario.look("a").forgotten_from == 0


def test_a_clock_that_goes_back_makes_no_request_one_of_before_the_loss(scenario: Scenario):
    restart(scenario, 30)
    scenario.world.advance(-3600)
    scenario.arrives("a")

    assert looks(scenario, "a").forgotten_from == 0


def test_a_request_of_an_empty_ledger_takes_no_run(scenario: Scenario):
    scenario.ledger.server.note("one", 10, scenario.world.client.execute_command)
    scenario.arrives("a")

    assert looks(scenario, "a").forgotten_from == 0


def test_a_look_for_a_forgotten_start_stays_one_when_the_loss_is_over(scenario: Scenario):
    scenario.ledger.write_probe("w1", 5)
    scenario.arrives("a")
    assert looks(scenario, "a").forgotten_from == 0
    scenario.world.client.delete(scenario.world.keys.name_of(LOSS))
    scenario.world.advance(3600)

    assert scenario.look("a").forgotten_from == 0


def test_a_start_that_is_sent_after_such_a_look_is_looked_for_as_any_other(scenario: Scenario):
    scenario.ledger.write_probe("w1", 5)
    scenario.arrives("a")
    scenario.ledger.retry(looks(scenario, "a").lease, BUSY, 1)
    scenario.world.advance(1)
    go = take_go(scenario, "a")
    assert go.earlier is not None
    assert (go.earlier.known, go.earlier.forgotten_from) == ({"40"}, 0)
    assert isinstance(scenario.ledger.record_intent(go.lease, ["40", "41"]), float)
    scenario.ledger.mark_ambiguous(go.lease, DOUBT, 60, scenario.policy)
    scenario.world.advance(60)
    look = scenario.look("a")

    assert (look.known, look.forgotten_from) == ({"40", "41"}, None)


def test_a_start_in_doubt_of_before_the_loss_keeps_its_own_look(scenario: Scenario):
    scenario.arrives("a")
    scenario.in_doubt("a", ("40",))
    scenario.ledger.write_probe("w1", 5)
    scenario.world.advance(60)

    assert scenario.look("a").forgotten_from is None


def named(scenario: Scenario, name: str, *candidates: str) -> None:
    scenario.arrives(name, force=True)
    scenario.ledger.record_start_unknown(looks(scenario, name).lease, candidates, 0.0)


def test_the_next_requests_know_the_runs_that_one_has_named_while_the_loss_is_in_force(scenario: Scenario):
    scenario.ledger.write_probe("w1", 5)
    named(scenario, "a", "50", "51")
    named(scenario, "b", "60")
    scenario.arrives("c", force=True)
    lease = take_go(scenario, "c")
    assert lease.candidates == {"50", "51", "60"}
    scenario.ledger.retry(lease.lease, BUSY, 1)
    scenario.world.client.delete(scenario.world.keys.name_of(LOSS))
    scenario.world.advance(1)
    again = take_go(scenario, "c")
    assert again.candidates == frozenset()
    scenario.ledger.retry(again.lease, BUSY, 1, let_go=True)
    scenario.ledger.write_probe("w2", 5)
    scenario.arrives("d", force=True)

    assert take_go(scenario, "d").candidates == frozenset()


def test_what_a_request_names_without_a_loss_is_not_noted(scenario: Scenario):
    scenario.arrives("a")
    scenario.in_doubt("a")
    scenario.world.advance(60)
    scenario.ledger.record_start_unknown(scenario.look("a").lease, ["50", "51"], 0.0)
    scenario.ledger.write_probe("w1", 5)
    scenario.arrives("b", force=True)

    assert take_go(scenario, "b").candidates == frozenset()


def test_a_request_of_before_the_loss_asks_for_runs_that_others_have_named(scenario: Scenario):
    scenario.arrives("old", force=True)
    scenario.ledger.retry(scenario.go("old"), BUSY, 3600, let_go=True)
    scenario.ledger.write_probe("w1", 5)
    named(scenario, "a", "50")
    scenario.world.advance(3600)

    assert take_go(scenario, "old").candidates == frozenset()
