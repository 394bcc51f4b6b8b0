"""Losses of writes that a request outlives, and servers that take over from each other."""

from typing import Literal

import pytest

from sfmc_import.faults import NotApplied
from sfmc_import.ledger.calling import ServerWatch
from sfmc_import.ledger.loss_keys import LOSS, PAST_LOSS, SERVER
from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.processes import Process
from sfmc_import.states import StartNow
from tests.contract.ledger.scenario import BUSY, DOUBT, Scenario
from tests.contract.ledger.test_losses import named, restarted, take_go, write

# --- Servers, one after another.


def noting(scenario: Scenario) -> ServerWatch:
    """Make what one process knows of the servers."""
    return ServerWatch(scenario.ledger.server._script, scenario.world.keys)


def is_noted(scenario: Scenario) -> bool:
    return bool(scenario.world.client.exists(scenario.world.keys.name_of(LOSS)))


def test_who_has_noted_a_later_server_knows_that_the_one_before_it_lacks_writes(scenario: Scenario):
    key, execute = scenario.world.keys.name_of(SERVER), scenario.world.client.execute_command
    first, second = noting(scenario), noting(scenario)
    for watch in (first, second):
        watch.note("a", None, execute)
    before = scenario.world.client.get(key)
    first.note("b", None, execute)
    after = scenario.world.client.get(key)
    scenario.world.client.delete(scenario.world.keys.name_of(LOSS))
    # The old primary answers again, with its own data.
    scenario.world.client.set(key, before)

    second.note("a", None, execute)
    assert not is_noted(scenario)
    first.note("a", None, execute)
    assert is_noted(scenario)
    # And then the other one, with what it had.
    scenario.world.client.delete(scenario.world.keys.name_of(LOSS))
    scenario.world.client.set(key, after)
    first.note("b", None, execute)
    assert is_noted(scenario)


def test_processes_that_come_one_after_another_to_a_new_server_note_one_loss(scenario: Scenario):
    execute = scenario.world.client.execute_command
    first, second = noting(scenario), noting(scenario)
    for watch in (first, second):
        watch.note("a", None, execute)
    first.note("b", None, execute)
    scenario.world.client.delete(scenario.world.keys.name_of(LOSS))
    for watch in (second, first, noting(scenario)):
        watch.note("b", None, execute)

    assert not is_noted(scenario)


# --- Requests that outlive the time of a loss.


def wait_until_loss_is_over(scenario: Scenario, seconds: float) -> None:
    """So much later Redis has removed what says that starts are careful: keys expire by its own clock."""
    scenario.world.advance(seconds)
    scenario.world.client.delete(scenario.world.keys.name_of(LOSS))


def held_over_a_loss(scenario: Scenario, seconds: float) -> StartNow:
    scenario.arrives("first")
    scenario.start("first", task="50")
    scenario.arrives("a", key="Other")
    scenario.world.advance(20)
    scenario.ledger.write_probe("w1", 5)
    wait_until_loss_is_over(scenario, seconds)
    scenario.arrives("later", key="Third")
    return take_go(scenario, "a")


def test_a_request_from_before_a_loss_looks_for_its_start_however_long_it_was_held(scenario: Scenario):
    go = held_over_a_loss(scenario, 3 * 86400)

    assert (go.newest, go.loss_age, go.loss_is_past) == ("50", 3 * 86400.0, True)
    assert go.loss_since is not None
    later = take_go(scenario, "later")
    assert (later.loss_age, later.loss_is_past) == (None, False)


@pytest.mark.parametrize(("after", "is_past"), [(900, False), (899, True)])
def test_who_was_recorded_when_the_time_of_a_loss_was_over_is_from_after_it(
    scenario: Scenario, after: int, is_past: bool
):
    scenario.ledger.write_probe("w1", 5)
    wait_until_loss_is_over(scenario, after)
    scenario.arrives("a")
    scenario.world.advance(1000)

    assert take_go(scenario, "a").loss_is_past is is_past


def test_who_was_recorded_after_a_loss_looks_for_nothing_when_its_time_is_over(scenario: Scenario):
    scenario.ledger.write_probe("w1", 5)
    scenario.arrives("a")
    wait_until_loss_is_over(scenario, 1000)

    assert take_go(scenario, "a").loss_age is None


def test_a_claim_for_a_past_loss_may_record_its_intent_until_the_next_loss(scenario: Scenario):
    lease = held_over_a_loss(scenario, 1000).lease
    assert isinstance(scenario.ledger.record_intent(lease, ()), float)
    scenario.ledger.write_probe("w2", 5)
    refused = scenario.ledger.record_intent(lease, ())
    assert isinstance(refused, NotApplied)
    assert refused.code == "writes_lost"


# --- Losses, one after another.


def begins_to_lose(scenario: Scenario, name: str, task: str) -> None:
    """A start is known, and then writes are lost."""
    scenario.arrives(name, key=name)
    scenario.commit(take_go(scenario, name).lease, task)
    scenario.ledger.write_probe(name, 5)


def loses(scenario: Scenario, name: str, task: str, seconds: float = 1000) -> float:
    """A start is known, then writes are lost, and so much later that is over; gives when it was noticed."""
    begins_to_lose(scenario, name, task)
    noticed = scenario.world.now_ms() / 1000
    wait_until_loss_is_over(scenario, seconds)
    return noticed


def earlier(go: StartNow) -> list[str | None]:
    return [loss.newest for loss in go.earlier_losses]


@pytest.mark.parametrize("is_over", [False, True])
def test_a_request_from_before_several_losses_looks_for_what_each_may_have_forgotten(scenario: Scenario, is_over: bool):
    scenario.arrives("a", key="Third")
    noticed = [loses(scenario, "w1", "50"), loses(scenario, "w2", "60")]
    if is_over:
        loses(scenario, "w3", "70")
    else:
        begins_to_lose(scenario, "w3", "70")

    go = take_go(scenario, "a")
    now = scenario.world.now_ms() / 1000
    assert (go.newest, go.loss_age, go.loss_is_past) == ("70", 1000.0 if is_over else 0.0, is_over)
    assert earlier(go) == ["60", "50"]
    assert [loss.age for loss in go.earlier_losses] == [now - at for at in reversed(noticed)]
    assert [loss.since for loss in go.earlier_losses] == list(reversed(noticed))


def test_a_request_looks_for_what_the_losses_since_its_record_may_have_forgotten_and_no_earlier_one(
    scenario: Scenario,
):
    loses(scenario, "w1", "50", 900)
    scenario.arrives("a", key="Third")
    scenario.world.advance(1000)
    loses(scenario, "w2", "60")
    loses(scenario, "w3", "70")

    assert earlier(take_go(scenario, "a")) == ["60"]


def test_a_request_of_the_time_of_an_earlier_loss_does_not_look_for_that(scenario: Scenario):
    begins_to_lose(scenario, "w1", "50")
    scenario.arrives("a", key="Third")
    wait_until_loss_is_over(scenario, 1000)
    loses(scenario, "w2", "60")

    assert earlier(take_go(scenario, "a")) == []


def test_a_request_between_two_losses_of_one_careful_time_looks_for_both_when_that_is_over(scenario: Scenario):
    scenario.arrives("first")
    scenario.start("first", task="50")
    scenario.ledger.write_probe("w1", 5)
    scenario.arrives("a", key="Third")
    scenario.world.advance(10)
    scenario.ledger.write_probe("w2", 5)
    wait_until_loss_is_over(scenario, 1000)

    go = take_go(scenario, "a")
    assert (go.newest, go.loss_age, go.loss_is_past) == ("50", 1000.0, True)


def test_a_request_after_two_losses_of_one_careful_time_looks_for_nothing_when_that_is_over(scenario: Scenario):
    scenario.ledger.write_probe("w1", 5)
    scenario.world.advance(10)
    scenario.ledger.write_probe("w2", 5)
    scenario.arrives("a", key="Third")
    wait_until_loss_is_over(scenario, 800)

    assert take_go(scenario, "a").loss_age is None


def test_a_loss_without_a_time_has_not_that_of_the_one_before_it(scenario: Scenario):
    scenario.arrives("a", key="Third")
    loses(scenario, "w1", "50")
    scenario.world.client.delete(scenario.world.keys.stream)
    scenario.ledger.write_probe("w2", 5)
    wait_until_loss_is_over(scenario, 1000)

    go = take_go(scenario, "a")
    assert (go.newest, go.loss_age, go.loss_since) == ("50", 1000.0, None)


def test_a_loss_in_the_careful_time_of_another_keeps_those_before_both(scenario: Scenario):
    scenario.arrives("a", key="Third")
    loses(scenario, "w1", "50")
    begins_to_lose(scenario, "w2", "60")
    scenario.world.advance(10)
    scenario.ledger.write_probe("w4", 5)

    assert earlier(take_go(scenario, "a")) == ["50"]


def test_a_business_unit_of_which_nothing_had_survived_has_no_newest_run_of_an_earlier_loss(scenario: Scenario):
    scenario.arrives("a", key="Third")
    scenario.ledger.write_probe("w0", 5)
    wait_until_loss_is_over(scenario, 1000)
    loses(scenario, "w1", "50")

    assert earlier(take_go(scenario, "a")) == [None]


def test_of_many_losses_the_oldest_are_one_that_is_as_careful(scenario: Scenario):
    scenario.arrives("a", key="Third")
    loses(scenario, "w0", "100")
    scenario.arrives("b", key="Fourth")
    wait_until_loss_is_over(scenario, 1000)
    times = [loses(scenario, f"w{number}", str(100 + number)) for number in range(1, 22)]

    go = take_go(scenario, "a")
    assert earlier(go) == [str(number) for number in (*range(120, 101, -1), 100)]
    assert go.earlier_losses[-1].age == scenario.world.now_ms() / 1000 - times[0]
    assert earlier(take_go(scenario, "b")) == earlier(go)


# --- Whether a request is proved to be from before all of them.


def is_proved(scenario: Scenario) -> bool:
    lease = take_go(scenario, "a").lease
    assert isinstance(scenario.ledger.record_intent(lease, ["40"], is_sent=False), float)
    scenario.ledger.mark_ambiguous(lease, DOUBT, 60, scenario.policy)
    scenario.world.advance(60)
    return bool(scenario.look("a").forgotten_from)


def is_decided(scenario: Scenario) -> None:
    scenario.ledger.retry(take_go(scenario, "a").lease, BUSY, 1, let_go=True)


def test_what_was_decided_before_two_losses_is_proved_to_be_from_before_both(scenario: Scenario):
    scenario.arrives("a", key="Third")
    is_decided(scenario)
    loses(scenario, "w1", "50")
    loses(scenario, "w2", "60")

    assert is_proved(scenario)


@pytest.mark.parametrize("is_over", [False, True])
def test_what_was_recorded_in_an_empty_ledger_is_proved_to_be_from_before_a_loss(scenario: Scenario, is_over: bool):
    scenario.ledger.server.note("one", 10, scenario.world.client.execute_command)
    assert scenario.world.client.pttl(scenario.world.keys.name_of(PAST_LOSS)) > 0
    scenario.arrives("a", key="Third")
    is_decided(scenario)
    if is_over:
        wait_until_loss_is_over(scenario, 1000)
    scenario.world.advance(10)
    begins_to_lose(scenario, "w1", "50")
    scenario.world.advance(10)

    assert is_proved(scenario)


def test_an_empty_ledger_forgets_no_earlier_loss(scenario: Scenario):
    scenario.arrives("a", key="Third")
    loses(scenario, "w1", "50")
    scenario.ledger.server.note("one", 10, scenario.world.client.execute_command)
    wait_until_loss_is_over(scenario, 1000)

    assert earlier(take_go(scenario, "a")) == ["50"]


@pytest.mark.parametrize("more", [False, True])
def test_what_was_first_decided_after_an_earlier_loss_is_not_proved_to_be_from_before_it(
    scenario: Scenario, more: bool
):
    scenario.arrives("a", key="Third")
    scenario.ledger.write_probe("w1", 5)
    is_decided(scenario)
    wait_until_loss_is_over(scenario, 1000)
    if more:
        loses(scenario, "w2", "60")

    assert not is_proved(scenario)


def test_what_was_recorded_between_two_losses_is_proved_to_be_from_before_the_second(scenario: Scenario):
    loses(scenario, "w0", "40")
    scenario.ledger.write_probe("w1", 5)
    scenario.arrives("a", key="Third")
    is_decided(scenario)
    wait_until_loss_is_over(scenario, 1000)
    loses(scenario, "w2", "60")

    assert is_proved(scenario)


def test_a_proof_that_was_missing_for_one_claim_is_asked_for_anew_by_the_next(scenario: Scenario):
    scenario.ledger.write_probe("w1", 5)
    scenario.arrives("a", key="Third")
    is_decided(scenario)
    wait_until_loss_is_over(scenario, 1000)
    is_decided(scenario)
    loses(scenario, "w2", "60")

    assert is_proved(scenario)


def test_who_was_recorded_before_the_newest_loss_asks_for_runs_that_others_have_named(scenario: Scenario):
    scenario.ledger.write_probe("w1", 5)
    scenario.arrives("a", force=True)
    scenario.world.advance(1)
    scenario.ledger.write_probe("w2", 5)
    named(scenario, "c", "50")
    assert take_go(scenario, "a").candidates == frozenset()


def said_of_loss(scenario: Scenario) -> tuple[bool, float, float]:
    found = LedgerReader(scenario.world.client, scenario.world.keys).loss()
    return bool(found.get("is_proved")), found["noticed_first"], found["noticed_at"]


def test_a_server_that_was_started_anew_proves_no_loss_and_a_number_that_went_back_does(scenario: Scenario):
    note, execute = scenario.ledger.server.note, scenario.world.client.execute_command
    note("one", 10, execute)
    note("two", 10, execute)
    first = scenario.world.now_ms() / 1000
    assert said_of_loss(scenario) == (False, first, first)
    scenario.world.advance(10)
    scenario.ledger.write_probe("w1", 5)
    assert said_of_loss(scenario) == (True, first, first + 10)
    scenario.world.advance(10)
    note("three", 10, execute)

    assert said_of_loss(scenario) == (True, first, first + 20)


def test_a_server_that_does_not_know_the_one_after_it_has_lost_that(scenario: Scenario):
    note, execute = scenario.ledger.server.note, scenario.world.client.execute_command
    for name in ("one", "two"):
        note(name, 10, execute)
    scenario.world.client.delete(scenario.world.keys.name_of(LOSS))
    scenario.world.client.set(scenario.world.keys.name_of(SERVER), "one 1")
    note("one", 20, execute)

    assert said_of_loss(scenario)[0]


@pytest.mark.parametrize("uptime", [3601, None])
def test_of_a_server_that_was_a_replica_the_last_event_survived(scenario: Scenario, uptime: int | None):
    write(scenario, 7000, 5)
    assert restarted(scenario, uptime) == 5


@pytest.mark.parametrize("uptime", [3601, None])
@pytest.mark.parametrize("case", [("worker", 4000, 4000), ("worker", 3, 5), ("beat", 4000, 5)])
def test_of_what_others_wrote_while_no_worker_came_nothing_counts_as_what_survived(
    scenario: Scenario, uptime: int | None, case: tuple[Literal["worker", "beat"], int, int]
):
    kind, seen, counts = case
    scenario.world.advance(-seen)
    scenario.ledger.present(Process(kind=kind, name=kind, id="1"))
    scenario.world.advance(seen)
    write(scenario, 7000, 5)

    assert restarted(scenario, uptime) == counts


def test_where_no_event_survived_no_heartbeat_stands_for_one(scenario: Scenario):
    scenario.ledger.present(Process(kind="worker", name="worker", id="1"))
    write(scenario)

    assert restarted(scenario, None) is None
