"""A reply can get lost and its command be sent again: the same step twice is the same step once."""

from collections.abc import Callable
from typing import Any

import pytest

from sfmc_import.faults import Rejected
from sfmc_import.request import IdTakenError
from sfmc_import.runs import Definition
from tests.contract.ledger.scenario import BUSY, DOUBT, HOUR, KEY, Scenario, file, request

Repeatable = Callable[[], Any]


def sent(scenario: Scenario) -> Any:
    scenario.arrives("a")
    return scenario.sends("a")


def doubtful(scenario: Scenario) -> Any:
    scenario.arrives("a")
    scenario.in_doubt("a")
    scenario.world.advance(60)
    return scenario.look("a").lease


def first_take(scenario: Scenario) -> Repeatable:
    scenario.arrives("a")
    return lambda: scenario.claim("a", "w")


def take_of_the_unrecorded(scenario: Scenario) -> Repeatable:
    scenario.requests["a"] = request("a", file())
    return lambda: scenario.claim("a", "w")


def deferral(scenario: Scenario) -> Repeatable:
    scenario.arrives_and_starts("b", window=1)
    scenario.arrives("a")
    return lambda: scenario.claim("a", "w")


def duplicate(scenario: Scenario) -> Repeatable:
    scenario.arrives_and_starts("b", window=1)
    scenario.accept(request("a"))
    return lambda: scenario.claim("a", "w")


def superseded(scenario: Scenario) -> Repeatable:
    scenario.arrives_and_starts("b")
    scenario.arrives("a", name="x.csv")
    scenario.world.advance(1)
    scenario.arrives("c", name="x.csv")
    scenario.claim("c")
    return lambda: scenario.claim("a", "w")


def takeover(scenario: Scenario) -> Repeatable:
    scenario.arrives("a")
    scenario.go("a")
    scenario.world.advance(180)
    return lambda: scenario.claim("a", "w")


def death_while_sending(scenario: Scenario) -> Repeatable:
    sent(scenario)
    scenario.world.advance(180)
    return lambda: scenario.claim("a", "w")


def look(scenario: Scenario) -> Repeatable:
    scenario.arrives("a")
    scenario.in_doubt("a")
    scenario.world.advance(60)
    return lambda: scenario.claim("a", "w")


def suspect_behind(scenario: Scenario) -> None:
    """The request `a` lost its worker together with another one, which acts now."""
    for name in ("other", "a"):
        scenario.arrives(name, key="Other" if name == "other" else KEY)
        scenario.go(name)
    scenario.world.advance(180)
    scenario.go("other")


def wait_of_a_suspect(scenario: Scenario) -> Repeatable:
    suspect_behind(scenario)
    return lambda: scenario.claim("a", "w")


def turn_of_a_suspect(scenario: Scenario) -> Repeatable:
    suspect_behind(scenario)
    scenario.claim("a")
    scenario.world.advance(180)
    return lambda: scenario.claim("a", "w")


def poison(scenario: Scenario) -> Repeatable:
    scenario.arrives("a")
    for _ in range(4):
        scenario.claim("a")
        scenario.world.advance(180)
    return lambda: scenario.claim("a", "w")


def record_intent(scenario: Scenario) -> Repeatable:
    scenario.arrives("a")
    lease = scenario.go("a")
    return lambda: scenario.ledger.record_intent(lease, ["t"])


def renew_intent(scenario: Scenario) -> Repeatable:
    lease = sent(scenario)
    return lambda: scenario.ledger.renew_intent(lease)


def withdraw_intent(scenario: Scenario) -> Repeatable:
    lease = sent(scenario)
    return lambda: scenario.ledger.withdraw_intent(lease)


def started(scenario: Scenario) -> Repeatable:
    lease = sent(scenario)
    return lambda: scenario.commit(lease, "t", 2)


def matched(scenario: Scenario) -> Repeatable:
    lease = doubtful(scenario)
    return lambda: scenario.commit(lease, "t", 2, reconciled=True)


def retry(scenario: Scenario) -> Repeatable:
    lease = sent(scenario)
    return lambda: scenario.ledger.retry(lease, BUSY, 30)


def give_up(scenario: Scenario) -> Repeatable:
    lease = sent(scenario)
    return lambda: scenario.ledger.retry(lease, BUSY, 7 * HOUR)


def repeat_after_doubt(scenario: Scenario) -> Repeatable:
    lease = doubtful(scenario)
    return lambda: scenario.ledger.retry(lease, BUSY, 30)


def let_go(scenario: Scenario) -> Repeatable:
    lease = sent(scenario)
    return lambda: scenario.ledger.retry(lease, BUSY, 15, let_go=True)


def read_definition(scenario: Scenario) -> Repeatable:
    scenario.arrives("a")
    return lambda: scenario.ledger.hold(request("a", file()), "w")


def lost_readers(scenario: Scenario, count: int) -> None:
    """So many workers were lost while they read the definition of `a`, the first one together with `other`."""
    for name in ("other", "a"):
        scenario.arrives(name, key="Other" if name == "other" else KEY)
    scenario.ledger.hold(scenario.requests["other"], "lost")
    for number in range(count):
        scenario.ledger.hold(scenario.requests["a"], f"lost-{number}")
        scenario.world.advance(180)


def read_again(scenario: Scenario) -> Repeatable:
    lost_readers(scenario, 1)
    return lambda: scenario.ledger.hold(scenario.requests["a"], "w")


def wait_before_reading(scenario: Scenario) -> Repeatable:
    lost_readers(scenario, 1)
    scenario.ledger.hold(scenario.requests["other"], "w")
    return lambda: scenario.ledger.hold(scenario.requests["a"], "w")


def poisonous_definition(scenario: Scenario) -> Repeatable:
    lost_readers(scenario, 4)
    return lambda: scenario.ledger.hold(scenario.requests["a"], "w")


def unresolved(scenario: Scenario) -> Repeatable:
    return lambda: scenario.ledger.unresolved(request("a", file()), BUSY, 15, scenario.policy)


def refused_definition(scenario: Scenario) -> Repeatable:
    return lambda: scenario.ledger.unresolved(request("a", file()), Rejected("4", "no"), 0, scenario.policy)


def resolved(scenario: Scenario) -> Repeatable:
    definition = Definition(customer_key=KEY, object_id="o")
    return lambda: scenario.ledger.claim(request("a", file(), key="x"), "w", scenario.policy, definition)


def mark_ambiguous(scenario: Scenario) -> Repeatable:
    lease = sent(scenario)
    return lambda: scenario.ledger.mark_ambiguous(lease, DOUBT, 60, scenario.policy)


def reconcile_later(scenario: Scenario) -> Repeatable:
    lease = doubtful(scenario)
    return lambda: scenario.ledger.reconcile_later(lease, BUSY, 30)


def record_start_unknown(scenario: Scenario) -> Repeatable:
    lease = doubtful(scenario)
    return lambda: scenario.ledger.record_start_unknown(lease, ["t"], 3)


def reject(scenario: Scenario) -> Repeatable:
    lease = sent(scenario)
    return lambda: scenario.ledger.reject(lease, Rejected("43010", "no"))


def arrival_before_its_eta(scenario: Scenario) -> Repeatable:
    scenario.requests["a"] = request("a", not_before=(scenario.world.now_ms() + 60_000) / 1000)
    return lambda: scenario.claim("a", "w")


def expiry(scenario: Scenario) -> Repeatable:
    scenario.arrives("a", expires=(scenario.world.now_ms() - 1000) / 1000)
    return lambda: scenario.claim("a", "w")


def refusal_of_other_content(scenario: Scenario) -> Repeatable:
    scenario.accept(request("a", content="one"))

    def accept_other() -> str:
        with pytest.raises(IdTakenError) as raised:
            scenario.ledger.accept(request("a", content="two"), report=True)
        return str(raised.value)

    return accept_other


def message_with_other_content(scenario: Scenario) -> Repeatable:
    scenario.accept(request("a", content="one"))
    scenario.requests["a"] = request("a", content="two")

    def claim_other() -> str:
        with pytest.raises(IdTakenError) as raised:
            scenario.claim("a")
        return str(raised.value)

    return claim_other


def ended(scenario: Scenario) -> Repeatable:
    scenario.arrives_and_starts("a", window=3)
    run = scenario.run("a")
    return lambda: scenario.ledger.ended(run, "import_failed", None, scenario.policy)


def progressed(scenario: Scenario) -> Repeatable:
    scenario.arrives_and_starts("a")
    run = scenario.run("a")
    return lambda: scenario.ledger.progressed(run, "Processing", 30)


def losing_polls(scenario: Scenario, *names: str, times: int = 1) -> None:
    """So many workers were lost while they asked for these runs."""
    for _ in range(times):
        scenario.ledger.polling(names, "lost")
        scenario.world.advance(180)


def poll(scenario: Scenario) -> Repeatable:
    for name in "ab":
        scenario.arrives_and_starts(name, key=f"key of {name}")
    losing_polls(scenario, "b")
    return lambda: scenario.ledger.polling("ab", "w")


def poll_of_a_suspect(scenario: Scenario) -> Repeatable:
    for name in "ab":
        scenario.arrives_and_starts(name, key=f"key of {name}")
    losing_polls(scenario, "a", "b")
    return lambda: scenario.ledger.polling("ab", "w")


def poisonous_run(scenario: Scenario) -> Repeatable:
    scenario.arrives_and_starts("a")
    losing_polls(scenario, "a", times=4)
    return lambda: scenario.ledger.polling("a", "w")


STEPS = [
    first_take,
    arrival_before_its_eta,
    take_of_the_unrecorded,
    deferral,
    duplicate,
    superseded,
    takeover,
    death_while_sending,
    wait_of_a_suspect,
    turn_of_a_suspect,
    look,
    poison,
    record_intent,
    renew_intent,
    withdraw_intent,
    started,
    matched,
    retry,
    let_go,
    read_definition,
    read_again,
    wait_before_reading,
    poisonous_definition,
    unresolved,
    refused_definition,
    resolved,
    give_up,
    repeat_after_doubt,
    mark_ambiguous,
    reconcile_later,
    record_start_unknown,
    reject,
    expiry,
    refusal_of_other_content,
    message_with_other_content,
    ended,
    poll,
    poll_of_a_suspect,
    poisonous_run,
    progressed,
]


@pytest.mark.parametrize("prepare", STEPS, ids=lambda step: step.__name__)
def test_a_step_whose_reply_was_lost_gives_the_same_answer_and_no_second_event(scenario: Scenario, prepare):
    step = prepare(scenario)
    first = step()
    events, due = scenario.world.events(), scenario.world.due()
    scenario.world.advance(0)

    assert step() == first
    assert scenario.world.events() == events
    assert scenario.world.due() == due


@pytest.mark.parametrize("prepare", STEPS, ids=lambda step: step.__name__)
def test_a_repeated_step_leaves_the_next_request_as_a_single_one_would(scenario: Scenario, prepare):
    step = prepare(scenario)
    step()
    step()
    scenario.arrives("next")
    decision = scenario.claim("next")

    assert decision.state == "deferred" if hasattr(decision, "state") else decision.lease.request_id == "next"
    assert len(scenario.names("next")) == 2
