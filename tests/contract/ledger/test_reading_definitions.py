"""A request whose definition is read is held meanwhile: a worker that is lost then is counted, and a killer ends."""

from dataclasses import replace
from typing import Any

import pytest

from sfmc_import.faults import Rejected
from sfmc_import.request import IdTakenError
from sfmc_import.runs import Definition
from sfmc_import.states import AlreadyEnded, NotYet, StartNow
from tests.contract.ledger.scenario import BUSY, KEY, Scenario, file, request

FOUND = Definition(customer_key=KEY)


def read(scenario: Scenario, request_id: str, owner: str = "") -> Any:
    """A worker is about to read the definition; every call is another worker unless it is named."""
    scenario.owners += 1
    return scenario.ledger.hold(scenario.requests[request_id], owner or f"owner-{scenario.owners}")[1]


def unresolved(scenario: Scenario, request_id: str, fault=BUSY, attempt: int = 0) -> str:
    return scenario.ledger.unresolved(
        request(request_id, scenario.requests[request_id].file, attempt=attempt), fault, 30, scenario.policy
    )


def claim(scenario: Scenario, request_id: str) -> Any:
    scenario.owners += 1
    asked = scenario.requests[request_id]
    found = Definition(customer_key=asked.customer_key)
    return scenario.ledger.claim(asked, f"owner-{scenario.owners}", scenario.policy, found)


def lose(scenario: Scenario, *names: str) -> None:
    """These requests are in one process, which dies while their definitions are read."""
    for name in names:
        scenario.arrives(name, key=f"key of {name}")
    for name in names:
        assert read(scenario, name) is None
    scenario.world.advance(180)


def test_one_worker_reads_and_another_waits_for_the_end_of_the_hold(scenario: Scenario):
    scenario.arrives("a")
    assert read(scenario, "a", "one") is None
    assert scenario.due_in("a") == 180
    scenario.world.advance(100)
    before = scenario.world.record("a"), scenario.world.due()

    assert read(scenario, "a", "two") == NotYet(state="accepted", held_by="a", opens_in=80.0)
    assert read(scenario, "a", "one") is None
    assert (scenario.world.record("a"), scenario.world.due()) == before
    scenario.world.advance(79.999)
    assert isinstance(read(scenario, "a", "two"), NotYet)
    scenario.world.advance(0.001)
    assert read(scenario, "a", "two") is None
    assert isinstance(read(scenario, "a", "one"), NotYet)


def test_a_request_that_the_ledger_does_not_know_is_recorded_and_held(scenario: Scenario):
    asked = scenario.requests["a"] = request("a", file())

    assert scenario.ledger.hold(asked, "one") == (True, None)
    assert scenario.ledger.hold(asked, "one") == (False, None)
    assert scenario.ledger.hold(asked, "two") == (False, NotYet(state="accepted", held_by="a", opens_in=180.0))
    assert (scenario.names("a"), scenario.due_in("a")) == (["accepted"], 180)
    assert scenario.ledger.load("a") == asked


def test_a_request_with_the_id_of_another_is_not_held(scenario: Scenario):
    scenario.accept(replace(request("a", file()), content="one"))

    with pytest.raises(IdTakenError):
        scenario.ledger.hold(replace(request("a", file("other.csv")), content="two"), "w")
    assert "owner" not in scenario.world.record("a")


@pytest.mark.parametrize("waited", [False, True])
def test_a_request_whose_definition_kills_workers_gives_up(scenario: Scenario, waited: bool):
    scenario.arrives("a")
    if waited:
        unresolved(scenario, "a")
        scenario.world.advance(30)
    for _ in range(4):
        assert read(scenario, "a") is None
        scenario.world.advance(180)

    for _ in range(2):
        assert read(scenario, "a") == AlreadyEnded(state="gave_up")
    assert scenario.last("a")["code"] == "worker_lost"
    assert scenario.due_in("a") is None
    assert not {"resolving", "worker_losses", "owner"} & set(scenario.world.record("a"))


@pytest.mark.parametrize("way", ["claimed", "retrying", "rejected"])
def test_an_answer_ends_the_hold_and_forgets_the_losses(scenario: Scenario, way: str):
    lose(scenario, "a")
    for _ in range(2):
        assert read(scenario, "a") is None
        scenario.world.advance(180)
    assert read(scenario, "a") is None
    answer(scenario, "a", way)

    assert not {"resolving", "worker_losses"} & set(scenario.world.record("a"))
    assert not scenario.world.client.exists(scenario.world.keys.suspect)


def answer(scenario: Scenario, request_id: str, way: str) -> None:
    """Record one of the answers that reading a definition can have."""
    match way:
        case "claimed":
            assert isinstance(claim(scenario, request_id), StartNow)
        case "retrying":
            assert unresolved(scenario, request_id) == "retrying"
        case _:
            assert unresolved(scenario, request_id, Rejected("43010", "no")) == "rejected"


def test_a_request_that_waited_after_an_answer_is_no_loss_and_not_read_before_its_time(scenario: Scenario):
    scenario.arrives("a")
    read(scenario, "a")
    unresolved(scenario, "a")
    assert read(scenario, "a") == NotYet(state="retrying", opens_in=30.0)
    scenario.world.advance(30)

    assert read(scenario, "a") is None
    assert "worker_losses" not in scenario.world.record("a")


@pytest.mark.parametrize("way", ["claimed", "retrying", "rejected", "expired", "gave_up"])
def test_one_suspect_at_a_time_is_read_and_an_answer_lets_the_next_in(scenario: Scenario, way: str):
    lose(scenario, "a", "b", "c")
    assert read(scenario, "a") is None
    scenario.world.client.hset(scenario.world.keys.request("c"), "since", 1)
    for name in "bc":
        for _ in range(2):
            assert read(scenario, name) == NotYet(state="accepted", held_by="a", opens_in=180.0)
        assert (scenario.due_in(name), scenario.world.record(name)["worker_losses"]) == (180, "1")
    if way in {"expired", "gave_up"}:
        end_without_answer(scenario, "a", way)
    else:
        answer(scenario, "a", way)

    assert (scenario.due_in("c"), scenario.due_in("b")) == (0, 180)
    assert read(scenario, "c") is None
    assert read(scenario, "b") == NotYet(state="accepted", held_by="c", opens_in=180.0)


def end_without_answer(scenario: Scenario, request_id: str, way: str) -> None:
    """The deadline of its sender is over, or too many workers were lost, while it is held."""
    now = scenario.world.now_ms()
    values: dict[str, Any] = {"expires": now} if way == "expired" else {"worker_losses": 3, "resolving": now}
    scenario.world.client.hset(scenario.world.keys.request(request_id), mapping=values)
    assert read(scenario, request_id) == AlreadyEnded(state=way)


def test_a_suspect_that_waited_is_read_when_the_hold_of_the_other_is_over(scenario: Scenario):
    lose(scenario, "a", "b")
    read(scenario, "a")
    read(scenario, "b")
    scenario.world.advance(180)

    assert read(scenario, "b") is None
    assert scenario.world.record("b")["worker_losses"] == "1"
    assert read(scenario, "a") == NotYet(state="accepted", held_by="b", opens_in=180.0)
    assert scenario.world.record("a")["worker_losses"] == "2"


def test_a_suspect_that_is_read_and_one_that_has_a_lease_are_not_there_at_once(scenario: Scenario):
    lose(scenario, "read")
    scenario.arrives("started", key="key of started")
    scenario.go("started")
    scenario.world.advance(180)
    lease = scenario.go("started")
    assert read(scenario, "read") == NotYet(state="accepted", held_by="started", opens_in=180.0)
    assert scenario.commit(lease, "1")

    assert scenario.due_in("read") == 0
    assert read(scenario, "read") is None


def test_a_waiting_suspect_that_was_answered_meanwhile_is_passed_over(scenario: Scenario):
    lose(scenario, "a", "b", "c")
    read(scenario, "a")
    for name in "bc":
        read(scenario, name)
    scenario.world.client.hset(scenario.world.keys.request("c"), "since", scenario.world.now_ms())
    answer(scenario, "b", "retrying")
    answer(scenario, "a", "claimed")

    assert (scenario.due_in("b"), scenario.due_in("c")) == (30, 0)


def test_what_is_no_suspect_is_read_beside_a_suspect(scenario: Scenario):
    lose(scenario, "a")
    read(scenario, "a")
    scenario.arrives("new")

    assert read(scenario, "new") is None
    assert scenario.world.client.hget(scenario.world.keys.suspect, "holder") == b"a"


def test_the_deadline_of_the_sender_ends_a_request_before_its_definition_is_read_again(scenario: Scenario):
    scenario.accept(request("a", file(), expires=(scenario.world.now_ms() + 60_000) / 1000))
    assert read(scenario, "a") is None
    assert scenario.due_in("a") == 60
    scenario.world.advance(59.999)
    assert isinstance(read(scenario, "a"), NotYet)
    scenario.world.advance(0.001)

    for _ in range(2):
        assert read(scenario, "a") == AlreadyEnded(state="expired")
    assert (scenario.names("a"), scenario.due_in("a")) == (["accepted", "expired"], None)


def test_a_waiting_suspect_ends_at_the_deadline_of_its_sender(scenario: Scenario):
    scenario.accept(request("b", file(), key="key of b", expires=(scenario.world.now_ms() + 200_000) / 1000))
    read(scenario, "b")
    lose(scenario, "a")
    read(scenario, "a")
    read(scenario, "b")

    assert scenario.due_in("b") == 20


def test_what_is_resolved_goes_on_and_what_has_ended_does_not(scenario: Scenario):
    scenario.arrives("a")
    decision = claim(scenario, "a")
    assert isinstance(decision, StartNow)
    before = scenario.world.record("a")
    assert read(scenario, "a") is None
    scenario.ledger.retry(decision.lease, BUSY, 30, let_go=True)
    scenario.world.advance(30)
    assert read(scenario, "a") is None
    scenario.start("a")
    assert read(scenario, "a") is None
    scenario.ends("a")

    assert "resolving" not in before
    assert read(scenario, "a") == AlreadyEnded(state="completed")


def test_a_request_whose_definition_is_known_is_not_held_while_it_waits(scenario: Scenario):
    scenario.arrives_and_starts("first", window=1)
    scenario.arrives("a", name="other.csv")
    claim(scenario, "a")
    before = scenario.world.record("a"), scenario.due_in("a")

    assert scenario.ledger.hold(scenario.requests["a"], "w") == (False, None)
    assert (scenario.world.record("a"), scenario.due_in("a")) == before


def test_a_run_under_way_is_not_held_and_does_not_expire(scenario: Scenario):
    scenario.arrives("a", expires=scenario.world.now_ms() / 1000 + 10)
    scenario.start("a")
    scenario.world.advance(20)

    assert scenario.ledger.hold(scenario.requests["a"], "w") == (False, None)
    assert scenario.names("a")[-1] == "started"


def test_a_duplicate_names_the_request_that_made_it_one(scenario: Scenario):
    scenario.arrives_and_starts("b", window=1)
    scenario.accept(request("a"))
    scenario.claim("a")

    assert read(scenario, "a") == AlreadyEnded(state="duplicate", held_by="b")


def test_the_sender_that_waits_for_the_result_is_noted(scenario: Scenario):
    scenario.arrives("a")
    read(scenario, "a")
    scenario.requests["a"] = request("a", caller="task")
    read(scenario, "a")

    assert scenario.world.record("a")["caller"] == "task"


def test_the_memory_of_another_worker_may_resolve_a_request_that_is_held(scenario: Scenario):
    scenario.arrives("a")
    read(scenario, "a", "one")
    assert isinstance(claim(scenario, "a"), StartNow)

    assert unresolved(scenario, "a", Rejected("4", "no")) == "starting"
    assert read(scenario, "a", "one") is None
