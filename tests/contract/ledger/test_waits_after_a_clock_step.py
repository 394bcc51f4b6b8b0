"""A clock of Redis that goes back holds nothing up: what waits is looked at, and no start comes before its window."""

import pytest

from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.ledger.watching_keys import LOOKS
from sfmc_import.processes import Process
from sfmc_import.states import Decision, NotYet, Reconcile, StartNow
from tests.contract.ledger.scenario import BUSY, HOUR, Scenario, request
from tests.contract.ledger.test_frequency_now import after_a_run, asks, waits
from tests.contract.ledger.test_replies import TO, replies
from tests.contract.ledger.test_running_limits import ONE, comes, ends_rejected, starts

STEP = 3 * HOUR


def sweep(scenario: Scenario, limit: int = 100) -> set[str]:
    return {each.request_id for each in scenario.ledger.due(limit, 10)}


def goes_back(scenario: Scenario, seconds: float = STEP) -> None:
    """The clock goes back between two sweeps."""
    sweep(scenario)
    scenario.world.advance(-seconds)


def retries(scenario: Scenario, name: str = "a", delay: float = 3600) -> None:
    scenario.arrives(name, key=f"key of {name}")
    scenario.ledger.retry(scenario.sends(name), BUSY, delay)


def comes_after(scenario: Scenario, name: str, within: float) -> Decision:
    """Sweeps each second until the request is due and a worker may act."""
    for _ in range(round(within)):
        if name in sweep(scenario) and not isinstance(decision := scenario.claim(name), NotYet):
            return decision
        scenario.world.advance(1)
    raise AssertionError(f"{name} was held for more than {within} s")


def test_a_retry_comes_when_a_row_of_its_attempt_would_show(scenario: Scenario):
    retries(scenario)
    goes_back(scenario)

    assert sweep(scenario) == {"a"}
    decision = scenario.claim("a")
    assert isinstance(decision, NotYet)
    assert decision.opens_in == scenario.due_in("a") == 60
    scenario.world.advance(59.999)
    assert sweep(scenario) == set()
    scenario.world.advance(0.001)
    assert sweep(scenario) == {"a"}
    assert isinstance(scenario.claim("a"), StartNow)


def test_a_retry_that_comes_sooner_stays_as_it_is(scenario: Scenario):
    retries(scenario, delay=10)
    goes_back(scenario, 30)
    sweep(scenario)

    assert scenario.claim("a").opens_in == 40  # type: ignore[union-attr]


def test_a_start_in_doubt_is_looked_for_as_long_as_ever(scenario: Scenario):
    scenario.decide_by(reconcile_deadline=900)
    scenario.arrives("a")
    scenario.in_doubt("a")
    goes_back(scenario)

    look = comes_after(scenario, "a", within=61)
    assert isinstance(look, Reconcile)
    assert not look.is_last
    scenario.ledger.reconcile_later(look.lease, BUSY, 839)
    scenario.world.advance(839)
    assert not scenario.look("a").is_last
    scenario.world.advance(180 + 1)
    assert scenario.look("a").is_last


def test_of_a_short_time_to_look_as_much_is_left_as_a_row_may_take_after_the_first_look(scenario: Scenario):
    scenario.decide_by(reconcile_deadline=30)
    scenario.arrives("a")
    scenario.in_doubt("a", results_delay=20)
    goes_back(scenario)

    look = comes_after(scenario, "a", within=61)
    assert isinstance(look, Reconcile)
    assert not look.is_last
    scenario.ledger.reconcile_later(look.lease, BUSY, 60)
    scenario.world.advance(60)
    assert scenario.look("a").is_last


def test_a_start_whose_worker_died_is_taken_up_after_a_lease(scenario: Scenario):
    scenario.arrives("a")
    scenario.go("a")
    goes_back(scenario)

    assert isinstance(comes_after(scenario, "a", within=181), StartNow)


def test_a_worker_that_lives_keeps_its_lease(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.go("a")
    goes_back(scenario)
    sweep(scenario)
    assert isinstance(scenario.claim("a"), NotYet)
    scenario.world.advance(179)

    assert isinstance(scenario.claim("a"), NotYet)
    assert scenario.ledger.record_intent(lease, ()) is not None


def test_a_request_whose_definition_was_being_read_is_read_after_a_lease(scenario: Scenario):
    recorded = scenario.arrives("a")
    assert scenario.ledger.hold(recorded, "dead") == (False, None)
    goes_back(scenario)
    sweep(scenario)
    assert scenario.ledger.hold(recorded, "other")[1] is not None
    scenario.world.advance(180)

    assert sweep(scenario) == {"a"}
    assert scenario.ledger.hold(recorded, "other") == (False, None)


def test_a_suspect_that_died_keeps_the_others_for_one_lease(scenario: Scenario):
    for name in "ab":
        scenario.arrives(name, key=name)
        scenario.go(name)
    scenario.world.advance(180)
    scenario.go("a")
    assert isinstance(scenario.claim("b"), NotYet)
    goes_back(scenario)
    sweep(scenario)

    assert scenario.claim("b").opens_in == 180  # type: ignore[union-attr]
    assert isinstance(comes_after(scenario, "b", within=182), StartNow)


def test_a_run_is_polled_and_followed_as_long_as_ever(scenario: Scenario):
    scenario.decide_by(follow_deadline=1000)
    scenario.arrives_and_starts("a")
    goes_back(scenario)

    assert sweep(scenario) == {"a"}
    assert (scenario.run("a").age, scenario.run("a").overdue) == (0, False)
    scenario.world.advance(999)
    assert scenario.run("a").overdue is False
    scenario.world.advance(1)
    assert scenario.run("a").overdue is True


def test_a_run_that_was_recorded_before_the_clock_was_ahead_stays_as_it_is(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.arrives("b", key="other")
    scenario.world.advance(2 * HOUR)
    goes_back(scenario, HOUR)
    sweep(scenario)

    assert scenario.run("a").age == HOUR
    assert "started" not in scenario.world.record("b")


def test_a_request_whose_record_is_lost_harms_no_other(scenario: Scenario):
    retries(scenario, "a")
    retries(scenario, "b")
    goes_back(scenario)
    scenario.world.lose("a")

    assert "b" in sweep(scenario)


def test_the_last_look_does_not_come_before_a_row_may_show(scenario: Scenario):
    scenario.decide_by(reconcile_deadline=30)
    scenario.arrives("a")
    scenario.in_doubt("a", results_delay=20)
    scenario.world.advance(20)
    scenario.ledger.reconcile_later(scenario.look("a").lease, BUSY, 9)
    goes_back(scenario, 22)
    sweep(scenario)
    scenario.world.advance(31)

    assert not scenario.look("a").is_last


def test_a_run_that_a_dead_worker_asked_for_is_polled_after_a_lease(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.ledger.polling(["a"], "dead")
    goes_back(scenario)
    sweep(scenario)
    assert scenario.ledger.polling(["a"], "other").granted == ()
    scenario.world.advance(180)

    assert scenario.ledger.polling(["a"], "other").granted == ("a",)


def test_a_request_waits_for_the_time_that_its_sender_asked_for(scenario: Scenario):
    at = scenario.world.now_ms() / 1000 + 600
    scenario.arrives("a", not_before=at)
    goes_back(scenario, 1200)
    sweep(scenario)

    assert scenario.claim("a").opens_in == 1800  # type: ignore[union-attr]
    assert scenario.due_in("a") == 1800


def test_a_request_whose_definition_was_not_read_waits_for_that_time_without_being_woken(scenario: Scenario):
    at = scenario.world.now_ms() / 1000 + 600
    recorded = scenario.arrives("a", not_before=at)
    goes_back(scenario, 1200)
    assert sweep(scenario) == {"a"}

    _, waits = scenario.ledger.hold(recorded, "worker")

    assert isinstance(waits, NotYet)
    assert waits.opens_in == scenario.due_in("a") == 1800


def test_a_new_start_comes_after_a_whole_window_and_not_when_the_old_time_comes(scenario: Scenario):
    after_a_run(scenario, window=1, hours=0)
    goes_back(scenario)
    scenario.arrives("b")

    assert waits(scenario.claim("b")) == HOUR
    scenario.world.advance(HOUR - 1)
    assert waits(scenario.claim("b")) == 1
    scenario.world.advance(1)
    assert isinstance(scenario.claim("b"), StartNow)


def test_a_follow_up_is_woken_for_its_window(scenario: Scenario):
    after_a_run(scenario, window=1, hours=0)
    scenario.arrives("b")
    scenario.claim("b")
    goes_back(scenario)

    assert sweep(scenario) == {"b"}
    assert waits(scenario.claim("b")) == scenario.due_in("b") == HOUR


def test_a_follow_up_is_due_when_its_window_is_over_once_another_request_was_looked_at(scenario: Scenario):
    after_a_run(scenario, window=1, hours=0)
    scenario.arrives("b")
    scenario.claim("b")
    scenario.world.advance(-STEP)
    scenario.accept(request("c"))
    assert scenario.claim("c").state == "duplicate"

    assert scenario.due_in("b") == HOUR


def test_a_window_of_a_start_from_before_the_clock_was_ahead_stays(scenario: Scenario):
    after_a_run(scenario, window=6, hours=4)
    scenario.world.advance(-HOUR)
    scenario.arrives("b")

    assert waits(scenario.claim("b")) == 3 * HOUR


def test_a_frequency_that_is_raised_counts_though_the_window_was_read_on_a_clock_ahead(scenario: Scenario):
    after_a_run(scenario, window=1, hours=1)
    scenario.world.advance(2 * HOUR)
    assert isinstance(asks(scenario, "b", frequency=2), StartNow)
    scenario.world.advance(-HOUR)

    assert waits(asks(scenario, "c", frequency=6)) == 4 * HOUR


def test_a_pause_after_an_error_lasts_no_longer(scenario: Scenario):
    scenario.arrives_and_starts("a", window=6)
    scenario.world.advance(2 * HOUR)
    scenario.ends("a", "import_failed")
    goes_back(scenario, HOUR)
    scenario.arrives("b")

    assert waits(scenario.claim("b")) == 60
    assert waits(asks(scenario, "c", frequency=6)) == 60
    scenario.world.advance(60)
    assert isinstance(scenario.claim("b"), StartNow)


def test_an_earlier_window_that_an_error_gives_back_lasts_no_longer(scenario: Scenario):
    scenario.arrives_and_starts("a", window=6)
    scenario.ends("a")
    scenario.arrives("b", force=True)
    scenario.start("b", window=1)
    goes_back(scenario)
    scenario.arrives("c")
    assert waits(scenario.claim("c")) == 6 * HOUR
    scenario.ends("b", "import_failed")

    assert waits(scenario.claim("c")) == 6 * HOUR


def test_a_window_that_counts_from_the_look_is_as_long_as_the_frequency_asks(scenario: Scenario):
    after_a_run(scenario, window=1, hours=0)
    goes_back(scenario)
    scenario.arrives("b")
    scenario.claim("b")
    scenario.world.advance(10)

    assert waits(asks(scenario, "c", frequency=2)) == 2 * HOUR - 10


def test_a_window_of_a_later_start_alone_lasts_no_longer(scenario: Scenario):
    scenario.arrives("a")
    scenario.in_doubt("a")
    scenario.world.advance(HOUR)
    assert scenario.ledger.record_start_unknown(scenario.look("a").lease, (), 6.0)
    scenario.arrives("b", force=True)
    scenario.start("b", window=1)
    scenario.ends("b")
    goes_back(scenario)
    scenario.arrives("c")
    scenario.claim("c")
    assert scenario.ledger.resolve("a", None, "ann", None, scenario.policy) == 1

    assert waits(scenario.claim("c")) == HOUR


def test_a_longer_window_from_before_the_clock_was_ahead_is_not_cut_short(scenario: Scenario):
    scenario.arrives_and_starts("a", window=12)
    scenario.ends("a")
    scenario.world.advance(STEP)
    scenario.arrives("b", force=True)
    scenario.start("b", window=1)
    scenario.ends("b")
    scenario.world.advance(-STEP)
    scenario.arrives("c")

    assert waits(scenario.claim("c")) == 12 * HOUR


def test_a_place_that_is_kept_for_one_that_does_not_come_is_kept_for_a_minute(scenario: Scenario):
    scenario.policy = ONE
    decision = starts(scenario, "a")
    assert isinstance(comes(scenario, "b"), NotYet)
    ends_rejected(scenario, decision)
    goes_back(scenario)
    assert isinstance(comes(scenario, "c"), NotYet)
    scenario.world.advance(59)
    assert isinstance(comes(scenario, "c"), NotYet)
    scenario.world.advance(1)

    assert isinstance(comes(scenario, "c"), StartNow)


def test_a_reply_that_was_not_sent_is_given_again(scenario: Scenario):
    scenario.arrives("a", **TO)
    scenario.ledger.cancel("a", "ann", None)
    assert len(replies(scenario)) == 1
    scenario.world.advance(-HOUR)

    assert [reply.request_id for reply in replies(scenario)] == ["a"]
    assert replies(scenario) == []


def test_each_sweep_looks_at_as_many_as_it_may_and_once(scenario: Scenario):
    names = {f"r{number}" for number in range(5)}
    for name in names:
        retries(scenario, name)
    goes_back(scenario)
    found = [sweep(scenario, limit=2) for _ in range(4)]

    assert [len(each) for each in found] == [2, 2, 1, 0]
    assert set().union(*found) == names


def test_a_request_that_ended_meanwhile_is_not_woken(scenario: Scenario):
    retries(scenario, "a")
    retries(scenario, "b")
    goes_back(scenario)
    assert len(sweep(scenario, limit=1)) == 1
    for name in "ab":
        scenario.ledger.cancel(name, "ann", None)

    assert sweep(scenario) == set()
    assert scenario.world.due() == {}


@pytest.mark.parametrize("seconds", [-5, 0, 3600])
def test_a_clock_that_goes_on_or_back_by_little_wakes_nothing(scenario: Scenario, seconds: float):
    retries(scenario, delay=2 * HOUR)
    goes_back(scenario, -seconds)

    assert sweep(scenario) == set()
    assert not scenario.world.client.exists(scenario.world.keys.name_of(LOOKS))


def test_what_a_look_leaves_lasts(scenario: Scenario):
    retries(scenario, "a")
    retries(scenario, "b")
    goes_back(scenario)
    sweep(scenario, limit=1)

    assert scenario.world.client.pttl(scenario.world.keys.name_of(LOOKS)) > 89 * 86400 * 1000


def test_a_process_whose_heartbeat_is_ahead_lives_if_it_writes_another(scenario: Scenario):
    for name in ("dead", "alive"):
        scenario.ledger.present(Process(kind="worker", name=name, id=name))
    scenario.world.advance(-HOUR)
    scenario.ledger.present(Process(kind="worker", name="alive", id="alive"))
    reader = LedgerReader(scenario.world.client, scenario.world.keys)
    reader.now = lambda: scenario.world.now_ms() / 1000  # type: ignore[method-assign]

    found = reader.running()
    assert (found.workers, found.worker_seen) == (1, 0)


def test_a_request_without_a_file_in_the_window_of_a_clock_ahead_is_a_duplicate(scenario: Scenario):
    after_a_run(scenario, window=1, hours=0)
    scenario.world.advance(-STEP)

    assert scenario.claim(scenario.accept(request("b")).request_id).state == "duplicate"
