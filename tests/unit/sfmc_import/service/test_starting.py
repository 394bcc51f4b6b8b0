"""Starting: what each answer of ledger and Marketing Cloud leads to."""

from dataclasses import replace

import pytest

from sfmc_import.faults import Ambiguous, NotApplied, Rejected
from sfmc_import.policy import Policy
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.runs import Definition
from tests.integration.crash_points.crash_points import Fate, Mortal
from tests.support.checks import by_request, check_finished, name_of
from tests.support.system import System
from tests.unit.sfmc_import.service.conftest import KEY, request


def names(system: System, request_id: str = "a") -> list[str]:
    return [name_of(event) for event in by_request(system.world.events())[request_id]]


def starts(system: System) -> int:
    return sum(operation == "start" for operation, _ in system.cloud.calls)


def test_a_request_is_started_with_its_window(system: System):
    outcome = system.start(request())

    assert (outcome.event, outcome.state) == ("import_started", "started")
    assert outcome.facts["window_hours"] == 2
    assert outcome.facts["task_id"] == system.cloud.performs[0].task_id
    assert names(system) == ["accepted", "starting", "started"]


def test_runs_that_exist_are_listed_before_the_start(system: System):
    system.start(request())

    assert [operation for operation, _ in system.cloud.calls] == ["definition", "runs_of", "start"]


def test_what_stands_in_the_way_is_reported(system: System):
    system.start(request("a"))
    outcome = system.start(request("b", file=None))

    assert (outcome.event, outcome.state) == ("request_duplicate", "duplicate")
    assert outcome.facts == {"held_by": "a", "opens_in": 7200.0}
    assert system.start(request("c")).state == "deferred"
    assert starts(system) == 1


def test_a_definition_that_does_not_exist_rejects_the_request(system: System):
    outcome = system.start(replace(request(), customer_key="absent"))

    assert (outcome.state, outcome.facts["code"]) == ("rejected", "43010")
    assert "absent" in outcome.facts["text"]
    assert starts(system) == 0


@pytest.mark.parametrize("operation", ["definition", "runs_of"])
@pytest.mark.parametrize(
    ("fault", "state", "event"),
    [
        (NotApplied("9", "in maintenance"), "retrying", "start_retry_scheduled"),
        (Rejected("4", "no access"), "rejected", "start_rejected"),
    ],
)
def test_a_query_before_the_start_that_fails_starts_nothing(system: System, operation, fault, state, event):
    system.cloud.fail(operation, fault)
    outcome = system.start(request())

    assert (outcome.event, outcome.state, outcome.facts["code"]) == (event, state, fault.code)
    assert names(system)[-1] == state
    assert system.cloud.performs == []


@pytest.mark.parametrize(
    ("fault", "applied", "state", "event"),
    [
        (NotApplied("9", "in maintenance", account_wide=True), False, "retrying", "start_retry_scheduled"),
        (Ambiguous("reset", "reset"), False, "reconciling", "start_ambiguous"),
        (Ambiguous("reset", "reset"), True, "reconciling", "start_ambiguous"),
        (Rejected("43060", "invalid"), False, "rejected", "start_rejected"),
    ],
)
def test_each_fault_of_the_start_leads_to_its_state(system: System, fault, applied, state, event):
    system.cloud.fail("start", fault, applied=applied)
    outcome = system.start(request())

    assert (outcome.event, outcome.state, outcome.facts["code"]) == (event, state, fault.code)
    assert names(system)[-1] == state
    assert starts(system) == 1


def test_a_start_that_was_not_applied_is_tried_again_within_the_call(system: System):
    system.cloud.fail("start", NotApplied("13", "not processed"), times=2)

    assert system.start(request()).state == "started"
    assert starts(system) == 3
    assert len(system.cloud.performs) == 1


def test_a_pause_that_the_service_asks_for_is_kept(system: System):
    system.cloud.fail("start", NotApplied("17", "limited", account_wide=True, retry_after=77.0))
    outcome = system.start(request())

    assert outcome.facts["retry_in"] == 77.0
    assert system.world.due()["a"] - system.world.now_ms() == 77_000


def test_a_worker_that_lost_its_lease_before_sending_sends_nothing(system: System):
    class TakenOver(Mortal):
        def record_intent(self, lease, known, **more):
            system.world.advance(180)
            system.start(request())
            return self._port.record_intent(lease, known, **more)

    deps = system.deps_over(TakenOver(system.world.ledger, Fate("die_before", 0), ledger=True), system.cloud)
    outcome = system.start(request(), deps)

    assert (outcome.event, outcome.state) == ("lease_lost", "fenced")
    assert len(system.cloud.performs) == 1


@pytest.mark.parametrize(("seconds", "performs"), [(148, 1), (149, 0), (180, 0), (3600, 0)])
def test_a_worker_that_was_frozen_sends_only_while_the_answer_fits_into_its_lease(system: System, seconds, performs):
    thaw = iter([seconds])

    class Frozen(Mortal):
        def start(self, *args, **more):
            system.world.advance(next(thaw, 3600))
            return self._port.start(*args, **more)

    system.start(request(), system.deps_over(system.world.ledger, Frozen(system.cloud, Fate("x", 0), ledger=False)))

    assert len(system.cloud.performs) == performs
    assert names(system)[-1] == ("started" if performs else "retrying")


@pytest.mark.parametrize("kind", ["redis_down", "reply_lost"])
def test_without_a_recorded_intent_nothing_is_sent_and_nothing_is_ambiguous(system: System, kind: str):
    class Forgetful(Mortal):
        def record_intent(self, *args, **more):
            fate = Fate(kind, 1)
            return fate.meet(lambda: self._port.record_intent(*args, **more), ledger=True)

    ledger = Forgetful(system.world.ledger, Fate(kind, 0), ledger=True)
    outcome = system.start(request(), system.deps_over(ledger, system.cloud))

    assert (outcome.state, outcome.facts["code"]) == ("retrying", "ledger_down")
    assert system.cloud.performs == []
    system.live()
    check_finished(system.world, ["a"])
    assert names(system)[-1] == "completed"


def test_a_request_outlives_its_retry_deadline_while_no_intent_can_be_confirmed(system: System):
    """As with SFMC_DURABILITY=wait while the replica is away: it hits every request."""

    class Unconfirmed(Mortal):
        def record_intent(self, *_, **__):
            raise LedgerUnavailableError("the intent was not confirmed")

    system.policy = Policy(retry_deadline=60)
    deps = system.deps_over(Unconfirmed(system.world.ledger, Fate("x", 0), ledger=True), system.cloud)
    system.submit(request())
    for _ in range(20):
        system.work(deps)
        system.world.advance(60)
        system.sweep(deps)
    assert names(system)[-1] == "retrying"
    system.live()

    assert names(system)[-1] == "completed"
    assert len(system.cloud.performs) == 1


def test_a_request_outlives_its_retry_deadline_while_lost_writes_make_starts_wait(system: System):
    system.policy = Policy(retry_deadline=20)
    system.world.ledger.write_probe("worker", 2)
    system.submit(request())
    system.live()

    assert names(system)[-2:] == ["started", "completed"]


def test_an_intent_that_cannot_be_withdrawn_does_not_end_the_attempt(system: System):
    class NeverWithdrawn(Mortal):
        def withdraw_intent(self, *_, **__):
            raise LedgerUnavailableError("down")

    system.cloud.fail("start", NotApplied("13", "not processed"))
    ledger = NeverWithdrawn(system.world.ledger, Fate("x", 0), ledger=True)

    assert system.start(request(), system.deps_over(ledger, system.cloud)).state == "started"


def test_an_outcome_is_recorded_when_redis_answers_again(system: System):
    ledger = Mortal(system.world.ledger, Fate("redis_down", 5), ledger=True)

    assert system.start(request(), system.deps_over(ledger, system.cloud)).state == "started"


def test_a_start_that_cannot_be_recorded_is_found_by_reconciling(system: System):
    class NeverStarted(Mortal):
        def started(self, *_, **__):
            raise LedgerUnavailableError("down")

    deps = system.deps_over(NeverStarted(system.world.ledger, Fate("x", 0), ledger=True), system.cloud)
    with pytest.raises(LedgerUnavailableError):
        system.start(request(), deps)
    system.live()

    assert names(system) == ["accepted", "starting", "reconciling", "started", "completed"]
    assert len(system.cloud.performs) == 1


def test_the_policy_outranks_the_frequency_of_the_definition(system: System):
    system.policy = Policy(frequency=0.5, frequency_floor=0.25)

    assert system.start(request()).facts["window_hours"] == 0.5


def test_requests_for_several_definitions_end_one_by_one(system: System):
    for key in ("x", "y"):
        system.cloud.add(Definition(customer_key=key))
    for number, key in enumerate([KEY, "x", "y", "x"]):
        system.submit(replace(request(f"r{number}"), customer_key=key))
    system.live()

    check_finished(system.world, ["r0", "r1", "r2", "r3"])
    assert sorted(perform.customer_key for perform in system.cloud.performs) == ["daily", "x", "x", "y"]
