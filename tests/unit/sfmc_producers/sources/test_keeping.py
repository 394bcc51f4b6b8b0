"""Messages stay ours while they are worked on, and are given back or come again otherwise."""

from collections.abc import Callable, Sequence

import pytest

from sfmc_import.request import FileInfo
from sfmc_import.routing import Routed
from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.arrivals import Arrival, Record
from sfmc_producers.sources.intake import Recorded, Taken
from sfmc_producers.sources.parallel import run_parallel
from sfmc_producers.sources.receiving import Message, Receiver, SourceRefusedError
from sfmc_producers.sources.standing import Standing

MESSAGES = [Message(f"m{number}", b"") for number in range(4)]


class Box:
    """A mailbox with some batches; it ends the receiver when all of them are acknowledged, or at `ends`."""

    def __init__(self, wakeup: Wakeup, *batches: Sequence[Message], ends: int = 0) -> None:
        self.wakeup, self.batches = wakeup, list(batches or [MESSAGES])
        self.left, self.received, self.ends = sum(map(len, self.batches)) - ends, 0, ends
        self.kept: list[list[str]] = []
        self.acknowledged: list[str] = []
        self.is_closed = False

    def receive(self) -> Sequence[Message]:
        self.received += 1
        return self.batches.pop(0) if self.batches else ()

    def keep(self, messages: Sequence[Message]) -> None:
        self.kept.append([each.id for each in messages])

    def acknowledge(self, messages: Sequence[Message]) -> None:
        self.acknowledged += [each.id for each in messages]
        if len(self.acknowledged) == self.left:
            self.wakeup.stop()

    def close(self) -> None:
        self.is_closed = True


class Intake:
    """Takes everything, and lets time pass; `answers` come first."""

    source = "drop"

    def __init__(self, passes: Callable[[], None] = lambda: None, answers: Sequence[bool] = ()) -> None:
        self.submitter, self._passes, self._answers = self, passes, list(answers)
        self.next_in: float | None = None
        self.is_ledger_waiting, self.standing = False, Standing()

    def record_many(self, arrivals: Sequence[Arrival]) -> list[Recorded]:
        self._passes()
        taken = Taken(Routed(customer_key="orders", mid="42", by="route"), is_new=True, request_id="r")
        return [taken if not self._answers or self._answers.pop(0) else None for _ in arrivals]

    def outage(self, _mid: str | None) -> tuple[str, str]:
        return "", ""

    def confirm(self, _request_ids: Sequence[str]) -> bool:
        return True


class Nothing:
    """No dead letters."""

    def outage(self, _source: str) -> str:
        return ""

    def replayed(self, _source: str) -> list[bytes]:
        return []


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


def parse(body: bytes) -> Sequence[Record]:
    return [Arrival(file=FileInfo(location="s3://drop", name="a.csv", version="1"))]


def receiver(intake: Intake, box: Box, clock: Callable[[], float] = lambda: 0.0) -> Receiver:
    more = {"chance": lambda: 0.0, "max_deliveries": 9, "keep_after": 20.0, "clock": clock, "at_once": 1}
    return Receiver(intake, Nothing(), parse, lambda: box, **more)  # type: ignore[arg-type]


def test_a_batch_that_takes_long_is_kept_as_a_whole_before_its_time_is_over() -> None:
    clock, wakeup = Clock(), Wakeup()
    box = Box(wakeup)
    receiver(Intake(lambda: clock.pass_by(15)), box, clock).run(wakeup)
    assert box.kept == [["m0", "m1", "m2", "m3"]]
    assert box.acknowledged == ["m0", "m1", "m2", "m3"]


def test_a_quick_batch_is_not_kept() -> None:
    wakeup = Wakeup()
    box = Box(wakeup)
    receiver(Intake(), box).run(wakeup)
    assert (box.kept, box.acknowledged) == ([], ["m0", "m1", "m2", "m3"])


def test_what_the_ledger_does_not_take_is_kept_alone_and_the_rest_is_acknowledged_at_once() -> None:
    clock, wakeup = Clock(), Wakeup()
    box = Box(wakeup)
    intake = Intake(lambda: clock.pass_by(6), [True, False, True, True, False])
    intake.next_in = 0.0
    wakeup.set()
    receiver(intake, box, clock).run(wakeup)
    assert box.kept == [["m1"]]
    assert box.acknowledged == ["m0", "m2", "m3", "m1"]


def test_at_the_end_what_was_not_taken_is_not_acknowledged() -> None:
    wakeup = Wakeup()
    box = Box(wakeup)
    receiver(Intake(wakeup.stop, [True, False, True, True]), box).run(wakeup)
    assert box.acknowledged == ["m0", "m2", "m3"]
    assert box.is_closed


def test_one_receiver_that_is_refused_ends_the_others_and_says_so() -> None:
    def refuse() -> None:
        raise SourceRefusedError("no")

    first, second, wakeup = Wakeup(), Wakeup(), Wakeup()
    boxes = Box(first), Box(second)
    with pytest.raises(SourceRefusedError):
        run_parallel([receiver(Intake(), boxes[0]), receiver(Intake(refuse), boxes[1])], wakeup)
    assert all(box.is_closed for box in boxes)
