"""Starting: what each answer of ledger and Marketing Cloud leads to."""

from dataclasses import replace

import pytest

from tests.integration.crash_points.mortality import Fate, Mortal
from tests.truth import by_request, check_finished, name_of
from tests.unit.worker.service.conftest import KEY, wish
from tests.works import Works
from worker.domain.faults import Ambiguous, NotApplied, Rejected
from worker.domain.policy import Policy
from worker.domain.runs import Definition
from worker.ports import LedgerDownError


def names(works: Works, request_id: str = "a") -> list[str]:
    return [name_of(event) for event in by_request(works.world.events())[request_id]]


def starts(works: Works) -> int:
    return sum(operation == "start" for operation, _ in works.cloud.calls)


def test_a_request_is_started_with_its_window(works: Works):
    report = works.start(wish())

    assert (report.event, report.state) == ("import_started", "started")
    assert report.facts["window_hours"] == 2
    assert report.facts["task_id"] == works.cloud.performs[0].task_id
    assert names(works) == ["accepted", "starting", "started"]


def test_runs_that_exist_are_listed_before_the_start(works: Works):
    works.start(wish())

    assert [operation for operation, _ in works.cloud.calls] == ["definition", "runs_of", "start"]


def test_what_stands_in_the_way_is_reported(works: Works):
    works.start(wish("a"))
    report = works.start(wish("b", file=None))

    assert (report.event, report.state) == ("request_duplicate", "duplicate")
    assert report.facts == {"held_by": "a", "opens_in": 7200.0}
    assert works.start(wish("c")).state == "deferred"
    assert starts(works) == 1


def test_a_definition_that_does_not_exist_rejects_the_request(works: Works):
    report = works.start(replace(wish(), customer_key="nobody"))

    assert (report.state, report.facts["code"]) == ("rejected", "43010")
    assert "nobody" in report.facts["text"]
    assert starts(works) == 0


@pytest.mark.parametrize("operation", ["definition", "runs_of"])
@pytest.mark.parametrize(
    ("fault", "state", "event"),
    [
        (NotApplied("9", "in maintenance"), "retrying", "start_postponed"),
        (Rejected("4", "no access"), "rejected", "start_rejected"),
    ],
)
def test_a_query_before_the_start_that_fails_starts_nothing(works: Works, operation, fault, state, event):
    works.cloud.fail(operation, fault)
    report = works.start(wish())

    assert (report.event, report.state, report.facts["code"]) == (event, state, fault.code)
    assert names(works)[-1] == state
    assert works.cloud.performs == []


@pytest.mark.parametrize(
    ("fault", "applied", "state", "event"),
    [
        (NotApplied("9", "in maintenance", account_wide=True), False, "retrying", "start_postponed"),
        (Ambiguous("reset", "reset"), False, "reconciling", "start_in_doubt"),
        (Ambiguous("reset", "reset"), True, "reconciling", "start_in_doubt"),
        (Rejected("43060", "invalid"), False, "rejected", "start_rejected"),
    ],
)
def test_each_fault_of_the_start_leads_to_its_state(works: Works, fault, applied, state, event):
    works.cloud.fail("start", fault, applied=applied)
    report = works.start(wish())

    assert (report.event, report.state, report.facts["code"]) == (event, state, fault.code)
    assert names(works)[-1] == state
    assert starts(works) == 1


def test_a_start_that_was_not_applied_is_tried_again_within_the_call(works: Works):
    works.cloud.fail("start", NotApplied("13", "not processed"), times=2)

    assert works.start(wish()).state == "started"
    assert starts(works) == 3
    assert len(works.cloud.performs) == 1


def test_a_pause_that_the_service_asks_for_is_kept(works: Works):
    works.cloud.fail("start", NotApplied("17", "limited", account_wide=True, retry_after=77.0))
    report = works.start(wish())

    assert report.facts["retry_in"] == 77.0
    assert works.world.due()["a"] - works.world.now_ms() == 77_000


def test_a_worker_that_lost_its_lease_before_sending_sends_nothing(works: Works):
    class TakenOver(Mortal):
        def intend(self, grant, known, **more):
            works.world.advance(180)
            works.start(wish())
            return self._port.intend(grant, known, **more)

    deps = works.deps_over(TakenOver(works.world.ledger, Fate("die_before", 0), ledger=True), works.cloud)
    report = works.start(wish(), deps)

    assert (report.event, report.state) == ("lease_lost", "fenced")
    assert len(works.cloud.performs) == 1


@pytest.mark.parametrize(("seconds", "performs"), [(148, 1), (149, 0), (180, 0), (3600, 0)])
def test_a_worker_that_was_frozen_sends_only_while_the_answer_fits_into_its_lease(works: Works, seconds, performs):
    thaw = iter([seconds])

    class Frozen(Mortal):
        def start(self, *args, **more):
            works.world.advance(next(thaw, 3600))
            return self._port.start(*args, **more)

    works.start(wish(), works.deps_over(works.world.ledger, Frozen(works.cloud, Fate("x", 0), ledger=False)))

    assert len(works.cloud.performs) == performs
    assert names(works)[-1] == ("started" if performs else "retrying")


@pytest.mark.parametrize("kind", ["redis_down", "reply_lost"])
def test_without_a_recorded_intent_nothing_is_sent_and_nothing_is_in_doubt(works: Works, kind: str):
    class Forgetful(Mortal):
        def intend(self, *args, **more):
            fate = Fate(kind, 1)
            return fate.meet(lambda: self._port.intend(*args, **more), ledger=True)

    ledger = Forgetful(works.world.ledger, Fate(kind, 0), ledger=True)
    report = works.start(wish(), works.deps_over(ledger, works.cloud))

    assert (report.state, report.facts["code"]) == ("retrying", "ledger_down")
    assert works.cloud.performs == []
    works.live()
    check_finished(works.world, ["a"])
    assert names(works)[-1] == "completed"


def test_a_mark_that_cannot_be_taken_back_does_not_end_the_attempt(works: Works):
    class NeverNotSent(Mortal):
        def not_sent(self, _):
            raise LedgerDownError("down")

    works.cloud.fail("start", NotApplied("13", "not processed"))
    ledger = NeverNotSent(works.world.ledger, Fate("x", 0), ledger=True)

    assert works.start(wish(), works.deps_over(ledger, works.cloud)).state == "started"


def test_an_outcome_is_kept_in_hand_while_redis_is_away(works: Works):
    ledger = Mortal(works.world.ledger, Fate("redis_down", 3), ledger=True)

    assert works.start(wish(), works.deps_over(ledger, works.cloud)).state == "started"


def test_a_start_that_cannot_be_recorded_is_found_by_looking(works: Works):
    class NeverStarted(Mortal):
        def started(self, *_, **__):
            raise LedgerDownError("down")

    deps = works.deps_over(NeverStarted(works.world.ledger, Fate("x", 0), ledger=True), works.cloud)
    with pytest.raises(LedgerDownError):
        works.start(wish(), deps)
    works.live()

    assert names(works) == ["accepted", "starting", "reconciling", "started", "completed"]
    assert len(works.cloud.performs) == 1


def test_the_policy_outranks_the_frequency_of_the_definition(works: Works):
    works.policy = Policy(frequency=0.5, frequency_floor=0.25)

    assert works.start(wish()).facts["window_hours"] == 0.5


def test_requests_for_several_definitions_end_one_by_one(works: Works):
    for key in ("x", "y"):
        works.cloud.add(Definition(customer_key=key))
    for number, key in enumerate([KEY, "x", "y", "x"]):
        works.submit(replace(wish(f"r{number}"), customer_key=key))
    works.live()

    check_finished(works.world, ["r0", "r1", "r2", "r3"])
    assert sorted(perform.customer_key for perform in works.cloud.performs) == ["daily", "x", "x", "y"]
