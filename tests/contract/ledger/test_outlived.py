"""A worker that lives while Redis is away is no lost one, whatever it held: no hold of it counts against a request."""

from sfmc_import.states import NotYet, Reconcile, StartNow, Turn
from tests.contract.ledger.scenario import DOUBT, Scenario, request
from tests.contract.ledger.test_polling import LEASE, answer, lose, started, turn


def losses(scenario: Scenario, name: str = "a") -> str:
    return scenario.world.record(name).get("worker_losses", "0")


def test_a_poll_that_could_not_be_recorded_is_no_loss(scenario: Scenario):
    started(scenario, "a", "b")
    for number in range(6):
        assert turn(scenario, "a", "b", owner=f"lives-{number}") == Turn(granted=("a", "b"))
        scenario.ledger.outlived(f"lives-{number}", ["a", "b"])
        scenario.world.advance(LEASE)

    assert (losses(scenario), scenario.world.state("a")) == ("0", "started")


def test_it_counts_for_the_hold_of_this_worker_alone(scenario: Scenario):
    started(scenario, "a")
    turn(scenario, "a", owner="lives")
    scenario.ledger.outlived("another", ["a", "unknown"])
    scenario.world.advance(LEASE)
    turn(scenario, "a", owner="next")

    assert losses(scenario) == "1"
    assert scenario.world.record("unknown") == {}


def test_a_loss_that_was_counted_too_early_is_taken_back_once(scenario: Scenario):
    started(scenario, "a")
    lose(scenario, "a")
    turn(scenario, "a", owner="lives")
    scenario.world.advance(LEASE)
    turn(scenario, "a", owner="next")
    assert losses(scenario) == "2"
    for _ in range(2):
        scenario.ledger.outlived("lives", ["a"])

    assert losses(scenario) == "1"


def test_a_loss_that_an_answer_has_cleared_is_not_taken_back_again(scenario: Scenario):
    started(scenario, "a")
    turn(scenario, "a", owner="lives")
    scenario.world.advance(LEASE)
    turn(scenario, "a")
    answer(scenario, "a")
    scenario.ledger.outlived("lives", ["a"])
    lose(scenario, "a")
    turn(scenario, "a")

    assert losses(scenario) == "1"


def test_a_suspect_stays_one_until_it_is_answered(scenario: Scenario):
    started(scenario, "a", "healthy")
    lose(scenario, "a")
    turn(scenario, "a", owner="lives")
    scenario.ledger.outlived("lives", ["a"])
    scenario.world.advance(LEASE)

    assert turn(scenario, "a", "healthy") == Turn(granted=("healthy",))
    assert turn(scenario, "a") == Turn(granted=("a",))
    assert losses(scenario) == "1"


def test_a_worker_that_read_the_definition_and_could_not_say_so_is_no_loss(scenario: Scenario):
    asked = scenario.accept(request("a"))
    for number in range(6):
        assert scenario.ledger.hold(asked, f"lives-{number}")[1] is None
        scenario.ledger.outlived(f"lives-{number}", ["a"])
        scenario.world.advance(LEASE)

    assert (losses(scenario), scenario.world.state("a")) == ("0", "accepted")


def test_a_lease_that_ran_out_while_redis_was_away_is_no_loss(scenario: Scenario):
    scenario.arrives("a")
    for number in range(6):
        assert isinstance(scenario.claim("a", f"lives-{number}"), StartNow)
        scenario.ledger.outlived(f"lives-{number}", ["a"])
        scenario.world.advance(LEASE)

    assert (losses(scenario), scenario.world.state("a")) == ("0", "starting")


def test_nor_is_one_during_reconciling(scenario: Scenario):
    scenario.arrives("a")
    lease = scenario.go("a")
    scenario.ledger.record_intent(lease, [])
    scenario.ledger.mark_ambiguous(lease, DOUBT, 60, scenario.policy)
    scenario.world.advance(60)
    for number in range(6):
        decision = scenario.claim("a", f"lives-{number}")
        assert isinstance(decision, Reconcile | NotYet)
        scenario.ledger.outlived(f"lives-{number}", ["a"])
        scenario.world.advance(LEASE)

    assert (losses(scenario), scenario.world.state("a")) == ("0", "reconciling")


def test_nothing_is_noted_for_a_request_that_has_ended(scenario: Scenario):
    started(scenario, "a")
    turn(scenario, "a", owner="lives")
    scenario.ledger.ended(scenario.run("a"), "completed", None, scenario.policy)
    before = scenario.world.record("a")
    scenario.ledger.outlived("lives", ["a"])

    assert scenario.world.record("a") == before


def test_a_worker_that_dies_after_one_that_lived_is_counted(scenario: Scenario):
    started(scenario, "a")
    turn(scenario, "a", owner="lives")
    scenario.ledger.outlived("lives", ["a"])
    scenario.world.advance(LEASE)
    lose(scenario, "a")
    turn(scenario, "a")

    assert losses(scenario) == "1"
