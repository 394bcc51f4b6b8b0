"""The checker of the chaos program detects every broken promise, and finds nothing in a clean run."""

from collections import Counter
from typing import Any

import pytest

from sfmc_harness.chaos.final_state import Event, FinalState, Perform, Sent
from sfmc_harness.chaos.plan import DATED_FILE, EXACT_FILE, Midnight
from sfmc_harness.chaos.verdict import Checker

KEY = "orders"
MIDNIGHT = Midnight(1100.0, ("20260630", "20260701"))
BEFORE, AFTER = "dated_20260630.csv", "dated_20260701.csv"


class Scenario:
    """Builds a final state: each event comes a second after the one before."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.performs: list[Perform] = []
        self.sent: list[Sent] = []
        self.states: dict[str, str] = {}
        self.left: dict[str, int] = {}
        self.endless: list[str] = []
        self.foreign: set[str] = set()
        self.waiting: dict[str, float | None] = {}
        self.file_spec = EXACT_FILE
        self.now = 1000.0
        self.numbers: Counter[str] = Counter()

    def add(self, request: str, *names: str, **data: Any) -> "Scenario":
        for name in names:
            self.now += 1
            self.numbers[request] += 1
            number = self.numbers[request]
            self.events.append(Event(self.now, f"{request}/{number}/{name}", name, request, KEY, data))
            self.states[request] = name
        return self

    def apply(
        self, task: str, status: str = "Completed", at: float | None = None, file: str | None = None
    ) -> "Scenario":
        self.now += 0.5
        self.performs.append(Perform(at or self.now, task, KEY, status, {"file": file}))
        return self

    def send(self, request: str, **more: Any) -> "Scenario":
        self.sent.append(Sent(request, KEY, "celery", self.now, **more))
        return self

    def refuse(self, request: str) -> "Scenario":
        data = {"message_id": request, "request_id": None}
        self.events.append(Event(self.now, f"dead-letter/{len(self.events)}", "message_rejected", "None", KEY, data))
        return self

    def violations(self, **windows: float) -> set[str]:
        final_state = FinalState(
            sent=self.sent, events=self.events, states=self.states, performs=self.performs,
            left=self.left, endless=self.endless, foreign=frozenset(self.foreign), waiting=self.waiting,
        )  # fmt: skip
        checker = Checker(final_state, windows, {KEY: self.file_spec}, MIDNIGHT)
        return {violation.kind for violation in checker.violations()}


def one_good_run(request: str = "a", task: str = "1") -> Scenario:
    return (
        Scenario().add(request, "accepted", "starting").apply(task).add(request, "started", "completed", task_id=task)
    )


@pytest.fixture
def scenario() -> Scenario:
    return one_good_run()


def test_a_request_that_ran_once_and_ended_is_not_blamed(scenario: Scenario) -> None:
    scenario.sent.append(Sent("a", KEY, "celery", 1000))

    assert scenario.violations(orders=5) == set()


def test_a_duplicate_of_a_request_that_came_to_nothing_is_forgotten_unless_one_was_taken_up() -> None:
    scenario = Scenario().add("a", "accepted", "starting")
    for name in "bc":
        scenario.add(name, "accepted").add(name, "duplicate", held_by="a", final=False)
    scenario.add("a", "gave_up", code="worker_lost")
    assert scenario.violations() == {"forgotten"}

    scenario.add("c", "accepted", instead_of="a").add("c", "starting").apply("1")
    assert scenario.add("c", "started", "completed", task_id="1").violations() == set()


def test_a_second_perform_for_the_same_request_is_a_double() -> None:
    scenario = Scenario().add("a", "accepted", "starting").apply("1").apply("2")

    assert "double" in scenario.add("a", "started", "completed", task_id="2").violations()


def test_a_perform_that_no_request_was_starting_is_a_double(scenario: Scenario) -> None:
    scenario.apply("9", at=900.0)

    assert scenario.violations() == {"double"}


def test_a_perform_while_another_request_is_followed_is_two_at_once() -> None:
    scenario = Scenario().add("a", "accepted", "starting").apply("1").add("a", "started", task_id="1")
    scenario.add("b", "accepted", "starting").apply("2").add("b", "started", "completed", task_id="2")
    scenario.add("a", "completed", task_id="1")

    assert scenario.violations() == {"two at once"}


@pytest.mark.parametrize(("window", "expected"), [(100.0, {"inside the window"}), (1.0, set())])
def test_a_perform_inside_the_window_of_another_request_is_noticed(
    scenario: Scenario, window: float, expected: set[str]
) -> None:
    scenario.add("b", "accepted", "starting").apply("2").add("b", "started", "completed", task_id="2")

    assert scenario.violations(orders=window) == expected


def test_a_forced_perform_inside_the_window_is_not_blamed(scenario: Scenario) -> None:
    scenario.add("b", "accepted", "starting", force=True).apply("2").add("b", "started", "completed", task_id="2")

    assert scenario.violations(orders=100) == set()


def test_a_perform_after_an_import_that_failed_is_not_inside_its_window() -> None:
    scenario = Scenario().add("a", "accepted", "starting").apply("1", "Error")
    scenario.add("a", "started", "import_failed", task_id="1")
    scenario.add("b", "accepted", "starting").apply("2").add("b", "started", "completed", task_id="2")

    assert scenario.violations(orders=100) == set()


def test_a_request_without_an_end_is_lost() -> None:
    assert Scenario().add("a", "accepted").violations() == {"lost"}


def test_a_message_that_left_no_trace_is_lost(scenario: Scenario) -> None:
    scenario.sent.append(Sent("b", KEY, "celery", 1000))

    assert scenario.violations() == {"lost"}


@pytest.mark.parametrize(
    ("applied", "data", "expected"),
    [(True, {}, {"unjust unknown"}), (False, {}, set()), (True, {"candidates": ["1", "2"]}, set())],
    ids=["its row was there", "no row", "several rows"],
)
def test_an_unknown_start_is_just_only_without_a_row_or_with_several(
    applied: bool, data: dict[str, Any], expected: set[str]
) -> None:
    scenario = Scenario().add("a", "accepted", "starting")
    if applied:
        scenario.apply("1")

    assert scenario.add("a", "reconciling").add("a", "start_unknown", **data).violations() == expected


def test_a_start_that_was_never_applied_is_untrue() -> None:
    scenario = Scenario().add("a", "accepted", "starting").add("a", "started", "completed", task_id="7")

    assert scenario.violations() == {"untrue"}


def test_an_end_that_the_run_did_not_have_is_untrue() -> None:
    scenario = Scenario().add("a", "accepted", "starting").apply("1", "Error")

    assert scenario.add("a", "started", "completed", task_id="1").violations() == {"untrue"}


def test_a_run_that_two_requests_claim_is_untrue(scenario: Scenario) -> None:
    scenario.add("b", "accepted", "starting").add("b", "started", "completed", task_id="1")

    assert scenario.violations() == {"untrue"}


def test_a_start_that_is_reported_as_given_up_is_untrue() -> None:
    scenario = Scenario().add("a", "accepted", "starting").apply("1")

    assert scenario.add("a", "gave_up", code="worker_lost").violations() == {"untrue"}


@pytest.mark.parametrize("names", [("starting",), ("accepted", "completed"), ("accepted", "duplicate", "duplicate")])
def test_a_step_that_life_does_not_have_is_impossible(names: tuple[str, ...]) -> None:
    assert "impossible event" in Scenario().add("a", *names).violations()


def test_an_event_that_is_missing_or_comes_twice_is_impossible(scenario: Scenario) -> None:
    del scenario.events[1]

    assert "impossible event" in scenario.violations()


def test_a_state_that_no_event_reported_is_noticed(scenario: Scenario) -> None:
    scenario.states["a"] = "started"
    scenario.states["b"] = "accepted"

    assert scenario.violations() == {"state without event"}


def test_what_is_left_over_is_noticed(scenario: Scenario) -> None:
    scenario.left["unacked"] = 1
    assert scenario.violations() == {"left over"}

    scenario.left["unacked"] = 0
    scenario.endless.append("forgotten")
    assert scenario.violations() == {"left over"}


def test_a_request_that_waits_for_the_other_side_of_midnight_holds_nothing() -> None:
    scenario = Scenario().add("a", "accepted", "starting").add("a", "retrying", code="near_midnight")
    scenario.add("b", "accepted", "starting").apply("1").add("b", "started", "completed", task_id="1")
    scenario.add("a", "starting").apply("2").add("a", "started", "completed", task_id="2")

    assert scenario.violations() == set()


@pytest.mark.parametrize(("due", "expected"), [({"a": 5000.0}, set()), ({"a": 4000.0}, {"lost"}), ({}, {"lost"})])
def test_a_request_may_be_unfinished_only_while_it_waits_for_the_time_of_its_sender(
    due: dict[str, float | None], expected: set[str]
) -> None:
    scenario = Scenario().send("a", eta=5000.0).add("a", "accepted")
    scenario.waiting = due

    assert scenario.violations() == expected


def test_a_start_before_the_time_that_its_sender_named_is_too_early() -> None:
    scenario = one_good_run().send("a", eta=1001.0)
    assert scenario.violations() == set()

    scenario.sent[:] = []
    assert scenario.send("a", eta=1003.0).violations() == {"too early"}


@pytest.mark.parametrize(("deadline", "expected"), [(1002.0, set()), (990.0, {"too late"})])
def test_a_start_after_the_deadline_of_its_sender_is_too_late(deadline: float, expected: set[str]) -> None:
    assert one_good_run().send("a", expires=deadline).violations() == expected


@pytest.mark.parametrize(("deadline", "expected"), [(1000.5, set()), (2000.0, {"unjust end"}), (None, {"unjust end"})])
def test_a_request_expires_only_when_the_deadline_of_its_sender_is_over(
    deadline: float | None, expected: set[str]
) -> None:
    assert Scenario().send("a", expires=deadline).add("a", "accepted", "expired").violations() == expected


def test_a_request_of_another_deployment_is_noticed(scenario: Scenario) -> None:
    scenario.foreign.add("a")

    assert scenario.violations() == {"other account"}


@pytest.mark.parametrize(("imported", "expected"), [(AFTER, set()), (BEFORE, {"another file"}), (None, set())])
def test_a_run_that_took_another_file_than_that_of_its_request_is_noticed(
    imported: str | None, expected: set[str]
) -> None:
    file = {"file": {"name": AFTER}}
    scenario = Scenario().add("a", "accepted", "starting", **file).apply("1", file=imported)

    assert scenario.add("a", "started", "completed", task_id="1", **file).violations() == expected


@pytest.mark.parametrize(
    ("spec", "name", "at", "expected"),
    [
        (DATED_FILE, BEFORE, 1150.0, set()),
        (DATED_FILE, BEFORE, 1101.0, set()),
        (DATED_FILE, BEFORE, 1050.0, {"unjust end"}),
        (DATED_FILE, AFTER, 1150.0, {"unjust end"}),
        (EXACT_FILE, "other.csv", 1050.0, set()),
        (EXACT_FILE, EXACT_FILE, 1050.0, {"unjust end"}),
        (EXACT_FILE, None, 1050.0, {"unjust end"}),
    ],
)
def test_a_request_is_rejected_only_for_a_file_that_file_spec_does_not_select(
    spec: str, name: str | None, at: float, expected: set[str]
) -> None:
    scenario = Scenario()
    scenario.now, scenario.file_spec = at, spec
    scenario.add("a", "accepted", file={"name": name} if name else None).add("a", "rejected", code="pattern_mismatch")

    assert scenario.violations() == expected


def test_a_request_gives_up_only_for_workers_that_were_lost() -> None:
    assert Scenario().add("a", "accepted", "gave_up", code="worker_lost").violations() == set()
    assert Scenario().add("a", "accepted", "gave_up", code="login_failed").violations() == {"unjust end"}


@pytest.mark.parametrize(
    ("events", "tries", "expected"),
    [(1, 1, set()), (2, 2, set()), (0, 1, {"refused in silence"}), (2, 1, {"refused in silence"})],
)
def test_each_message_that_no_one_can_accept_ends_in_one_event(events: int, tries: int, expected: set[str]) -> None:
    scenario = Scenario().send("a", refused=True, tries=tries)
    for _ in range(events):
        scenario.refuse("a")

    assert scenario.violations() == expected


def test_a_refused_message_under_the_id_of_a_request_leaves_the_request_as_it_is(scenario: Scenario) -> None:
    scenario.send("a").send("a", refused=True).refuse("a")

    assert scenario.violations() == set()


def test_a_message_that_can_be_accepted_is_not_refused(scenario: Scenario) -> None:
    assert scenario.send("a").refuse("a").violations() == {"unjust end"}


def test_unknown_starts_are_counted_by_the_last_reason_of_the_doubt() -> None:
    scenario = Scenario().add("a", "accepted", "starting").add("a", "reconciling", code="reset")
    scenario.add("a", "start_unknown").add("b", "accepted", "starting", "start_unknown")

    state = FinalState(sent=[], events=scenario.events, states={}, performs=[], left={}, endless=[])
    assert Checker(state).unknowns() == {"reset": 1, "worker_lost": 1}
