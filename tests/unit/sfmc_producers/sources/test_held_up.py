"""Messages of a business unit whose definitions cannot be read wait, and hold up no others."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from sfmc_import.request import FileInfo
from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.arrivals import Arrival, Record
from sfmc_producers.sources.intake import Intake
from sfmc_producers.sources.receiving import Message, Receiver
from sfmc_producers.submitter import RoutingRules, Submitter

DOWN, UP = "111", "222"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Passing(Wakeup):
    """Lets time pass instead of waiting."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock, self.waits = clock, 0

    def wait(self, seconds: float) -> bool:
        self.waits += 1
        self._clock.now += max(seconds, 0.01)
        return False


class Box:
    """Gives one message a call, and a second passes with each; `then` happens when all were given."""

    def __init__(self, clock: Clock, wakeup: Wakeup, mids: Sequence[str], then: Callable[[], None]) -> None:
        self._clock, self._wakeup, self._then = clock, wakeup, then
        self.messages = [Message(f"m{n}", json.dumps([mid, n]).encode()) for n, mid in enumerate(mids)]
        self.given, self.acknowledged, self.kept = 0, list[str](), set[str]()

    def receive(self) -> Sequence[Message]:
        self._clock.now += 1.0
        if self.given == len(self.messages):
            self._then()
            return ()
        self.given += 1
        return [self.messages[self.given - 1]]

    def keep(self, messages: Sequence[Message]) -> None:
        self.kept.update(each.id for each in messages)

    def acknowledge(self, messages: Sequence[Message]) -> None:
        self.acknowledged += [each.id for each in messages]
        if len(self.acknowledged) == len(self.messages):
            self._wakeup.stop()

    def close(self) -> None:
        pass


class Nothing:
    def outage(self, _source: str) -> str:
        return ""

    def replayed(self, _source: str) -> list[bytes]:
        return []


def parse(body: bytes) -> Sequence[Record]:
    mid, number = json.loads(body)
    return [Arrival(file=FileInfo(location="s3://drop", name="a.csv", version=str(number)), mid=mid)]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def run(client, clock):
    for mid in (DOWN, UP):
        client.define("contacts", "a.csv", mid)
    client.mids_down = {DOWN}

    def run_until_all_are_taken(box: Box, wakeup: Wakeup, **more) -> None:
        submitter = Submitter(client, RoutingRules(definitions=client), clock, lambda: datetime(2026, 3, 7, tzinfo=UTC))
        usual = {"chance": lambda: 0.0, "max_deliveries": 9, "keep_after": 5.0, "clock": clock}
        Receiver(Intake("drop", submitter), Nothing(), parse, lambda: box, **usual, **more).run(wakeup)

    return run_until_all_are_taken


def versions(client) -> list[tuple[str, str]]:
    return [(each.mid, each.file.version) for each in client.requests.values()]


def test_only_messages_of_a_business_unit_whose_definitions_are_unreadable_wait_and_stay_in_order(client, clock, run):
    wakeup = Passing(clock)
    taken_before: list[str] = []

    def heal() -> None:
        taken_before[:] = taken_before or box.acknowledged
        client.mids_down = set()

    box = Box(clock, wakeup, [DOWN, UP, DOWN, UP, UP, DOWN], heal)
    run(box, wakeup)

    assert taken_before == ["m1", "m3", "m4"]
    assert versions(client) == [(UP, "1"), (UP, "3"), (UP, "4"), (DOWN, "0"), (DOWN, "2"), (DOWN, "5")]
    assert box.kept >= {"m0", "m2"}


def test_beside_too_many_that_wait_none_is_received_and_it_is_said_once(client, clock, run):
    wakeup = Passing(clock)
    box = Box(clock, wakeup, [DOWN, UP, DOWN, UP, UP], lambda: None)
    given: list[int] = []
    usual_wait = wakeup.wait

    def wait(seconds: float) -> bool:
        given.append(box.given)
        if len(given) == 5:
            client.mids_down = set()
        return usual_wait(seconds)

    wakeup.wait = wait  # type: ignore[method-assign]
    with capture_logs() as logs:
        run(box, wakeup, most_waiting=2)

    assert given[:5] == [3] * 5
    assert [each["event"] for each in logs].count("messages_held_up") == 1
    assert sorted(box.acknowledged) == ["m0", "m1", "m2", "m3", "m4"]


def test_while_redis_is_away_nothing_more_is_received(client, clock, run):
    wakeup = Passing(clock)
    client.mids_down, client.ledger_is_down = set(), True
    box = Box(clock, wakeup, [UP, UP], lambda: None)
    usual_wait = wakeup.wait

    def wait(seconds: float) -> bool:
        assert box.given == 1
        client.ledger_is_down = wakeup.waits < 5
        return usual_wait(seconds)

    wakeup.wait = wait  # type: ignore[method-assign]
    run(box, wakeup)

    assert box.acknowledged == ["m0", "m1"]
    assert wakeup.waits >= 5


def test_what_waits_is_given_back_at_an_end_in_order_where_the_queue_can_and_not_after_an_error(client, clock, run):
    class GivingBox(Box):
        def __init__(self, *given) -> None:
            super().__init__(*given)
            self.given_back: list[str] = []

        def give_back(self, messages: Sequence[Message]) -> None:
            self.given_back += [each.id for each in messages]

    def fail() -> None:
        raise ZeroDivisionError

    wakeup = Passing(clock)
    box = GivingBox(clock, wakeup, [DOWN, UP, DOWN], wakeup.stop)
    run(box, wakeup)
    assert (box.acknowledged, box.given_back) == (["m1"], ["m0", "m2"])

    broken = GivingBox(clock, wakeup, [DOWN], fail)
    with pytest.raises(ZeroDivisionError):
        run(broken, Passing(clock))
    assert broken.given_back == []
