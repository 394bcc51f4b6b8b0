"""Runs whose answer kills the worker that reads it: each loss counts, the run is asked for alone, and it ends."""

from sfmc_import.states import Turn
from tests.contract.ledger.scenario import Scenario

LEASE = 180.0


def started(scenario: Scenario, *names: str) -> None:
    for name in names:
        scenario.arrives(name, key=f"key of {name}")
        scenario.start(name)


def turn(scenario: Scenario, *names: str, owner: str | None = None) -> Turn:
    scenario.owners += 1
    return scenario.ledger.polling(names, owner or f"poll-{scenario.owners}")


def lose(scenario: Scenario, *names: str) -> None:
    """A worker asks for these runs, and dies."""
    assert turn(scenario, *names).granted
    scenario.world.advance(LEASE)


def answer(scenario: Scenario, name: str) -> None:
    scenario.ledger.progressed(scenario.run(name), "Processing", 30)


def test_runs_that_lost_no_worker_are_asked_for_together(scenario: Scenario):
    started(scenario, "a", "b")
    scenario.arrives("waits")

    assert turn(scenario, "a", "b", "waits", "unknown") == Turn(granted=("a", "b"))
    assert scenario.world.record("a")["resolving"] == str(scenario.world.now_ms() + 180_000)


def test_while_a_worker_asks_for_a_run_no_other_does(scenario: Scenario):
    started(scenario, "a")
    turn(scenario, "a", owner="one")
    scenario.world.advance(LEASE - 0.001)

    assert turn(scenario, "a") == Turn(granted=())
    assert turn(scenario, "a", owner="one") == Turn(granted=("a",))


def test_an_answer_lets_the_next_worker_ask_at_once(scenario: Scenario):
    started(scenario, "a")
    turn(scenario, "a")
    answer(scenario, "a")

    assert not {"resolving", "worker_losses"} & set(scenario.world.record("a"))
    assert turn(scenario, "a") == Turn(granted=("a",))


def test_after_a_loss_each_run_is_asked_for_alone_and_the_healthy_are_free_again(scenario: Scenario):
    started(scenario, "a", "b", "c")
    lose(scenario, "a", "b", "c")
    for name, left in (("a", "abc"), ("b", "bc"), ("c", "c")):
        assert turn(scenario, *left) == Turn(granted=(name,))
        answer(scenario, name)

    assert turn(scenario, "a", "b", "c") == Turn(granted=("a", "b", "c"))


def test_runs_that_lost_no_worker_go_before_suspects(scenario: Scenario):
    started(scenario, "suspect", "a")
    lose(scenario, "suspect")

    assert turn(scenario, "suspect", "a") == Turn(granted=("a",))
    assert turn(scenario, "suspect") == Turn(granted=("suspect",))


def test_one_suspect_of_the_whole_ledger_acts(scenario: Scenario):
    scenario.arrives("start", key="another")
    started(scenario, "a", "b")
    scenario.go("start")
    lose(scenario, "a", "b")
    scenario.go("start")

    assert turn(scenario, "a") == Turn(granted=())
    scenario.world.advance(LEASE)
    assert turn(scenario, "b") == Turn(granted=("b",))
    assert turn(scenario, "a") == Turn(granted=())
    assert scenario.world.record("a")["worker_losses"] == "1"


def test_the_next_suspect_is_due_when_one_is_answered(scenario: Scenario):
    started(scenario, "a", "b")
    lose(scenario, "a", "b")
    turn(scenario, "a", "b")
    scenario.ledger.due(10, 30)
    assert scenario.due_in("b") == 30
    answer(scenario, "a")

    assert (scenario.due_in("a"), scenario.due_in("b")) == (30, 0)
    follows = dict(scenario.world.client.zrange(scenario.world.keys.follows, 0, -1, withscores=True))
    assert follows == {name.encode(): at for name, at in scenario.world.due().items()}


def test_a_run_that_kills_again_and_again_ends_and_frees_its_definition(scenario: Scenario):
    started(scenario, "killer", "healthy")
    lose(scenario, "killer", "healthy")
    turn(scenario, "healthy")
    answer(scenario, "healthy")
    for _ in range(3):
        assert scenario.world.state("killer") == "started"
        lose(scenario, "killer")
    scenario.arrives("next", key="key of killer")

    assert turn(scenario, "killer", "healthy") == Turn(granted=("healthy",), lost=("killer",))
    assert turn(scenario, "killer") == Turn(granted=(), lost=("killer",))
    assert scenario.names("killer")[-2:] == ["started", "follow_timed_out"]
    assert scenario.last("killer")["code"] == "worker_lost"
    assert scenario.due_in("killer") is None
    scenario.start("next")


def test_a_run_that_killed_is_asked_for_alone_when_it_is_followed_again(scenario: Scenario):
    started(scenario, "killer", "a")
    for _ in range(4):
        lose(scenario, "killer")
    turn(scenario, "killer")
    assert scenario.ledger.resume("killer", scenario.policy) is True

    assert turn(scenario, "killer", "a") == Turn(granted=("a",))
    lose(scenario, "killer")
    assert turn(scenario, "killer") == Turn(granted=("killer",))
    answer(scenario, "killer")
    assert turn(scenario, "killer") == Turn(granted=("killer",))


def test_a_run_whose_following_timed_out_is_no_killer(scenario: Scenario):
    started(scenario, "a")
    lose(scenario, "a")
    turn(scenario, "a")
    scenario.world.advance(30 * 24 * 3600)
    scenario.ends("a", "follow_timed_out")

    assert turn(scenario, "a") == Turn(granted=())


def test_a_suspect_that_started_is_none_while_it_is_followed(scenario: Scenario):
    scenario.arrives("a")
    scenario.go("a")
    scenario.world.advance(LEASE)
    scenario.start("a")
    started(scenario, "b")

    assert "worker_losses" not in scenario.world.record("a")
    assert turn(scenario, "a", "b") == Turn(granted=("a", "b"))


def test_a_worker_that_comes_back_with_the_answer_clears_its_run(scenario: Scenario):
    started(scenario, "a")
    run = scenario.run("a")
    lose(scenario, "a")
    turn(scenario, "a")
    scenario.ledger.progressed(run, "Processing", 30)

    assert "worker_losses" not in scenario.world.record("a")
