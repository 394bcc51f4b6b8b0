"""Submitting the ticks of schedules: beats that die at any instant, a ledger that is away, two policy files."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sfmc_import.client import SubmitResult
from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.request import BadRequestError, IdTakenError
from sfmc_import.schedules import Schedule, Tick
from sfmc_import.ticker import LOOK_SECONDS, RETRY_SECONDS, Ticker

FIVE = Schedule(source="five", customer_key="k", cron=("0 5 * * *",), time_zone="UTC", mid="7")
SIX = Schedule(source="six", customer_key="l", cron=("0 6 * * *",), time_zone="UTC")
BEGIN = datetime(2026, 5, 1, 4, 59, 55, tzinfo=UTC)


class KilledError(BaseException):
    """What stands for kill -9 at a step."""


class Shared:
    """Redis as all beats see it: the clock, what was noted, the requests by id; a beat may be killed at a step."""

    def __init__(self) -> None:
        self.now = BEGIN
        self.seen: dict[str, datetime] = {}
        self.requests: dict[str, Mapping[str, Any]] = {}
        self.times: dict[str, datetime] = {}
        self.steps: list[str] = []
        self.at_step: Callable[[str], None] = lambda _: None

    def read(self, _: Sequence[str]) -> tuple[datetime, Mapping[str, datetime]]:
        self._step("read")
        return self.now, dict(self.seen)

    def note(self, source: str, seen: datetime) -> None:
        self._step("note")
        self.seen[source] = seen
        self._step("noted")

    def submit(self, *, request_id: str, **given: Any) -> SubmitResult:
        self._step("submit")
        is_new = request_id not in self.requests
        if not is_new and self.requests[request_id]["customer_key"] != given["customer_key"]:
            raise IdTakenError(request_id)
        self.requests.setdefault(request_id, given)
        self.times.setdefault(request_id, self.now)
        self._step("submitted")
        return SubmitResult(request_id=request_id, is_new=is_new)

    def recorded_at(self, request_id: str) -> datetime | None:
        return self.times.get(request_id)

    def own_id(self, usual: str) -> str:
        self._step("own id")
        return f"own:{usual}"

    def beat(self, *schedules: Schedule) -> Ticker:
        return Ticker(schedules or (FIVE,), self, self.submit)

    def _step(self, name: str) -> None:
        self.steps.append(name)
        self.at_step(name)


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return BEGIN.replace(hour=hour, minute=minute, second=second)


@pytest.fixture
def shared() -> Shared:
    made = Shared()
    made.beat(FIVE, SIX).look()
    return made


def test_a_tick_is_submitted_with_its_identity_and_the_next_look_is_at_the_next_tick(shared: Shared):
    assert shared.beat().look() == 5.0
    shared.now = at(5)
    assert shared.beat().look() == LOOK_SECONDS
    [given] = shared.requests.values()

    assert given == {"customer_key": "k", "mid": "7", "source": "five", "event_id": "five/2026-05-01T05:00:00Z"}


def test_any_number_of_beats_give_one_request(shared: Shared):
    beats = [shared.beat() for _ in range(3)]
    shared.now = at(5)
    read = shared.seen.copy()
    for beat in beats:
        shared.seen = read.copy()  # each of them read before the others had noted
        beat.look()

    assert len(shared.requests) == 1


@pytest.mark.parametrize("step", ["submit", "own id", "submitted", "note", "noted"])
def test_a_beat_that_is_killed_while_the_id_of_its_tick_is_taken_leads_to_one_request(shared: Shared, step: str):
    taken = Tick("five", at(5)).request_id
    shared.submit(request_id=taken, customer_key="another", source="somebody")

    def die(name: str) -> None:
        if name == step:
            raise KilledError

    shared.now, shared.at_step = at(5), die
    with pytest.raises(KilledError):
        shared.beat().look()
    shared.now, shared.at_step = at(5, 20), lambda _: None
    shared.beat().look()

    assert set(shared.requests) == {taken, f"own:{taken}"}


@pytest.mark.parametrize("step", ["read", "submit", "submitted", "note", "noted"])
def test_the_tick_of_a_beat_that_is_killed_at_any_step_is_submitted_once(shared: Shared, step: str):
    def die(name: str) -> None:
        if name == step:
            raise KilledError

    shared.now, shared.at_step = at(5), die
    with pytest.raises(KilledError):
        shared.beat().look()
    shared.now, shared.at_step = at(5, 20), lambda _: None
    shared.beat().look()

    assert [given["event_id"] for given in shared.requests.values()] == ["five/2026-05-01T05:00:00Z"]


@pytest.mark.parametrize("error", [ServiceUnavailableError("away"), LedgerUnavailableError("away")])
def test_while_the_ledger_is_away_a_tick_waits(shared: Shared, error: Exception):
    def fail(name: str) -> None:
        if name in {"submit", "note"}:
            raise error

    shared.now, shared.at_step = at(5), fail
    beat = shared.beat()
    assert [beat.look(), beat.look()] == [RETRY_SECONDS] * 2
    assert beat.looked_at is None
    shared.now, shared.at_step = at(5, 30), lambda _: None
    beat.look()

    assert len(shared.requests) == 1


def test_a_new_schedule_begins_now_and_makes_up_for_nothing():
    shared = Shared()
    shared.now = at(5, 0, 1)
    shared.beat().look()

    assert (shared.requests, shared.seen) == ({}, {"five": at(5, 0, 1)})


def test_what_was_seen_on_a_clock_that_was_ahead_holds_nothing_up(shared: Shared):
    shared.seen["five"] = at(5) + timedelta(days=400)
    shared.now = BEGIN
    shared.beat().look()
    shared.now = at(5)
    shared.beat().look()

    assert len(shared.requests) == 1


def test_a_clock_that_is_set_back_repeats_no_tick(shared: Shared):
    for now in (at(5, 10), at(4, 50), at(5, 10)):
        shared.now = now
        shared.beat().look()

    assert len(shared.requests) == 1


@pytest.mark.parametrize("error", [BadRequestError(["taken"]), RuntimeError("a defect")])
def test_a_schedule_that_is_refused_or_fails_keeps_no_other_waiting(shared: Shared, error: Exception):
    def refuse(**given: Any) -> SubmitResult:
        if given["source"] == "five":
            raise error
        return shared.submit(**given)

    shared.now = at(6)
    Ticker((FIVE, SIX), shared, refuse).look()

    assert [given["source"] for given in shared.requests.values()] == ["six"]


@pytest.mark.parametrize("customer_key", ["another", FIVE.customer_key])
def test_whoever_uses_the_id_of_a_coming_tick_makes_it_not_vanish(shared: Shared, customer_key: str):
    foreseen = Tick("five", at(5))
    shared.now = at(4, 59, 59)
    shared.submit(request_id=foreseen.request_id, customer_key=customer_key, source="somebody")
    shared.now = at(5)
    for _ in range(2):
        shared.beat().look()

    assert shared.requests[f"own:{foreseen.request_id}"]["customer_key"] == FIVE.customer_key
    assert len(shared.requests) == 2


def test_a_tick_whose_ids_are_both_taken_is_refused_and_said(shared: Shared):
    foreseen = Tick("five", at(5))
    for request_id in (foreseen.request_id, f"own:{foreseen.request_id}"):
        shared.submit(request_id=request_id, customer_key="another", source="somebody")
    shared.now = at(5)
    beat = shared.beat()
    beat.look()

    assert "refused" in beat.failures["five"].text
