"""Requests whose worker was lost while it acted for them: one at a time, so that a killer dies alone."""

import pytest

from sfmc_import.faults import Rejected
from sfmc_import.states import TERMINAL, AlreadyEnded, Lease, NotYet, Reconcile, StartNow
from tests.contract.ledger.scenario import BUSY, DOUBT, MID, Scenario


def arrive(scenario: Scenario, *names: str, **more: bool) -> None:
    for name in names:
        scenario.arrives(name, key=f"key of {name}", **more)


def lose(scenario: Scenario, *names: str) -> None:
    """These requests act in one process, which dies."""
    arrive(scenario, *names)
    for name in names:
        scenario.go(name)
    scenario.world.advance(180)


def sweep(scenario: Scenario, names: list[str], killers: set[str]) -> None:
    """One process takes all that is due; a killer among it ends the process before anything is sent."""
    taken = [(name, scenario.claim(name)) for name in names if (scenario.due_in(name) or 0) <= 0]
    leases = [(name, decision.lease) for name, decision in taken if isinstance(decision, StartNow)]
    if killers & {name for name, _ in leases}:
        return
    for name, lease in leases:
        scenario.ledger.record_intent(lease, [])
        scenario.commit(lease, f"task-{name}")


def play(scenario: Scenario, names: list[str], killers: set[str]) -> None:
    """Sweeps until each request has started or ended."""
    for _ in range(100):
        left = [name for name in names if scenario.world.state(name) not in {"started", *TERMINAL}]
        if not left:
            return
        sweep(scenario, left, killers)
        due = [scenario.due_in(name) for name in left]
        scenario.world.advance(max(0.001, min(seconds for seconds in due if seconds is not None)) if any(due) else 0)


@pytest.mark.parametrize(
    "names", [["healthy", "killer"], ["a-killer", "healthy"], ["h1", "k1", "h2", "k2", "h3", "k3"]]
)
def test_a_request_that_shares_its_process_with_a_killer_starts_and_the_killer_ends_alone(
    scenario: Scenario, names: list[str]
):
    killers = {name for name in names if "k" in name}
    arrive(scenario, *names)
    play(scenario, names, killers)

    for name in names:
        assert scenario.world.state(name) == ("gave_up" if name in killers else "started"), scenario.names(name)
        assert scenario.names(name).count("starting") == (4 if name in killers else 2)


def test_a_healthy_request_beside_a_suspect_is_lost_with_it_once(scenario: Scenario):
    lose(scenario, "killer")
    scenario.go("killer")
    lose(scenario, "healthy")
    play(scenario, ["killer", "healthy"], {"killer"})

    assert scenario.names("healthy") == ["accepted", "starting", "starting", "started"]
    assert scenario.last("killer")["code"] == "worker_lost"


def test_a_suspect_that_a_pause_held_waits_while_another_acts(scenario: Scenario):
    lose(scenario, "paused", "other")
    scenario.ledger.pause(f"key:{MID}:key of paused", "ann", "look first", None)
    assert scenario.claim("paused") == NotYet(state="retrying")
    lease = scenario.go("other")
    assert scenario.ledger.lift_pause(f"key:{MID}:key of paused", "ann", None)

    assert scenario.claim("paused") == NotYet(state="retrying", held_by="other", opens_in=180.0)
    assert scenario.due_in("paused") == 180
    scenario.ledger.record_intent(lease, [])
    scenario.commit(lease, "1")
    scenario.world.advance(180)
    assert isinstance(scenario.claim("paused"), StartNow)


def test_one_suspect_at_a_time_acts_and_the_others_wait_for_its_lease_uncounted(scenario: Scenario):
    lose(scenario, "a", "b", "c")
    lease = scenario.go("a")
    for name in "bc":
        assert scenario.claim(name) == NotYet(state="starting", held_by="a", opens_in=180.0)
        scenario.claim(name)
        assert (scenario.due_in(name), scenario.world.record(name)["worker_losses"]) == (180, "1")
        assert scenario.names(name) == ["accepted", "starting"]
    scenario.world.advance(100)
    scenario.ledger.record_intent(lease, [])
    scenario.world.advance(100)

    assert scenario.claim("b") == NotYet(state="starting", held_by="a", opens_in=80.0)


def test_a_lost_suspect_makes_way_when_its_lease_is_over(scenario: Scenario):
    lose(scenario, "a", "b")
    scenario.go("a")
    scenario.world.advance(179.999)
    assert isinstance(scenario.claim("b"), NotYet)
    scenario.world.advance(0.001)

    assert isinstance(scenario.claim("b"), StartNow)
    assert scenario.claim("a") == NotYet(state="starting", held_by="b", opens_in=180.0)
    assert 0 < scenario.world.client.pttl(scenario.world.keys.suspect) <= 180_000


def test_what_is_no_suspect_starts_beside_a_suspect_and_leaves_it_alone(scenario: Scenario):
    lose(scenario, "a", "b")
    scenario.go("a")
    arrive(scenario, "new")
    arrive(scenario, "forced", force=True)
    for name in ("new", "forced"):
        scenario.start(name)

    assert isinstance(scenario.claim("b"), NotYet)


@pytest.mark.parametrize("way", ["started", "retry", "gave_up", "rejected", "ambiguous"])
def test_an_answer_lets_the_suspect_in_that_waits_longest(scenario: Scenario, way: str):
    lose(scenario, "a", "gone", "b", "c")
    for name in ("c", "b"):
        scenario.world.client.hset(scenario.world.keys.request(name), "since", {"c": 1, "b": 2}[name])
    lease = scenario.go("a")
    for name in ("b", "c"):
        scenario.claim(name)
    answer(scenario, lease, way)

    assert (scenario.due_in("c"), scenario.due_in("b")) == (0, 180)
    assert isinstance(scenario.claim("c"), StartNow)
    assert isinstance(scenario.claim("b"), NotYet)


def answer(scenario: Scenario, lease: Lease, way: str) -> None:
    """Record one of the answers that an attempt can get."""
    match way:
        case "started":
            assert scenario.commit(lease, "t")
        case "retry":
            assert scenario.ledger.retry(lease, BUSY, 1) == "retrying"
        case "gave_up":
            assert scenario.ledger.retry(lease, BUSY, 10**6) == "gave_up"
        case "rejected":
            assert scenario.ledger.reject(lease, Rejected("43010", "no"))
        case _:
            assert scenario.ledger.mark_ambiguous(lease, DOUBT, 60, scenario.policy)


def test_a_suspect_that_was_answered_late_or_is_gone_is_passed_over(scenario: Scenario):
    lose(scenario, "a", "started-late", "gone", "b")
    late = scenario.forgotten_lease(scenario.requests["started-late"], fence=1)
    lease = scenario.go("a")
    for name in ("started-late", "gone", "b"):
        scenario.claim(name)
        scenario.world.client.hset(scenario.world.keys.request("b"), "since", scenario.world.now_ms())
    scenario.commit(late, "t-late")
    scenario.world.lose("gone")
    scenario.commit(lease, "t")

    assert scenario.due_in("b") == 0


def test_an_answer_to_another_request_lets_no_suspect_in(scenario: Scenario):
    lose(scenario, "a", "b")
    scenario.go("a")
    scenario.claim("b")
    scenario.arrives_and_starts("new")

    assert scenario.due_in("b") == 180
    assert isinstance(scenario.claim("b"), NotYet)


def test_what_the_lost_worker_of_a_waiting_suspect_still_does_is_refused_and_its_task_id_is_the_truth(
    scenario: Scenario,
):
    arrive(scenario, "a", "b")
    scenario.go("a")
    old = scenario.go("b")
    scenario.world.advance(180)
    scenario.go("a")
    scenario.claim("b")

    assert scenario.ledger.record_intent(old, []) is None
    assert scenario.ledger.retry(old, BUSY, 1) is None
    assert scenario.commit(old, "t") is True


def test_a_suspect_whose_lease_ended_unnoticed_does_not_go_on_beside_another(scenario: Scenario):
    lose(scenario, "a", "b")
    old = scenario.go("a")
    scenario.world.advance(180)
    scenario.go("b")

    assert scenario.ledger.renew_intent(old) is None
    assert isinstance(scenario.claim("a"), NotYet)


def test_a_waiting_suspect_holds_its_definition(scenario: Scenario):
    lose(scenario, "a", "b")
    scenario.go("a")
    scenario.claim("b")
    scenario.arrives("next", key="key of b")
    assert scenario.claim("next") == NotYet(state="deferred", held_by="b")
    scenario.world.lose_definition(MID, "key of b")
    assert isinstance(scenario.claim("b"), NotYet)
    scenario.arrives("later", key="key of b")

    assert scenario.claim("later") == NotYet(state="deferred", held_by="b")


def test_suspects_look_for_their_runs_one_at_a_time_too(scenario: Scenario):
    arrive(scenario, "a", "b")
    for name in "ab":
        scenario.in_doubt(name)
    scenario.world.advance(60)
    old = [scenario.look(name).lease for name in "ab"]
    scenario.world.advance(180)
    lease = scenario.look("a").lease
    for _ in range(2):
        assert scenario.claim("b") == NotYet(state="reconciling", held_by="a", opens_in=180.0)
    assert scenario.world.record("b")["worker_losses"] == "1"
    assert scenario.ledger.reconcile_later(old[1], BUSY, 1) is False
    assert scenario.ledger.reconcile_later(lease, BUSY, 10) is True

    assert scenario.due_in("b") == 0
    assert isinstance(scenario.claim("b"), Reconcile)


def test_a_suspect_whose_start_is_unknown_lets_the_next_in(scenario: Scenario):
    lose(scenario, "b")
    arrive(scenario, "a")
    scenario.in_doubt("a")
    scenario.world.advance(60)
    scenario.look("a")
    scenario.world.advance(180)
    lease = scenario.look("a").lease
    scenario.claim("b")
    assert scenario.ledger.record_start_unknown(lease, [], 0) is True

    assert isinstance(scenario.claim("b"), StartNow)


def test_a_suspect_that_ends_as_its_own_fault_lets_the_next_in(scenario: Scenario):
    lose(scenario, "a", "b")
    for _ in range(3):
        scenario.go("a")
        scenario.claim("b")
        scenario.world.advance(180)

    assert scenario.claim("a") == AlreadyEnded(state="gave_up")
    assert scenario.due_in("b") == 0
    assert isinstance(scenario.claim("b"), StartNow)


def test_a_suspect_that_acted_after_its_wait_waits_no_more(scenario: Scenario):
    lose(scenario, "a", "b", "c")
    scenario.go("a")
    scenario.claim("b")
    scenario.world.advance(180)
    lease = scenario.sends("b")
    scenario.claim("c")
    answer(scenario, lease, "ambiguous")

    assert (scenario.due_in("b"), scenario.due_in("c")) == (60, 0)
