"""One notification at work, over a group and a receiver in memory and a clock that moves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.events.typed import Gap, ImportEvent, Read
from sfmc_import.notifications.channel import Channel, Times
from sfmc_import.notifications.messages import Message
from sfmc_import.notifications.outages import Outage
from sfmc_import.notifications.sending import NotSent, Sent
from sfmc_import.settings.notify_table import SlackTable, WebhookTable
from tests.unit.sfmc_import.notifications.an_event import event

AT = 1772344800.0
"""The time of the events: 2026-03-01T06:00:00Z."""


@dataclass
class World:
    """Group, memory, receiver and clock in one; `batches` are what is received, one after the other."""

    batches: list[Sequence[Read] | Exception] = field(default_factory=list)
    answers: list[Sent | NotSent | Callable[[], None]] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    aside: list[tuple[str, str]] = field(default_factory=list)
    kept: list[list[str]] = field(default_factory=list)
    outages: dict[str, Outage] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    tries: list[tuple[int, str | None, float]] = field(default_factory=list)
    seconds: float = 0.0
    stopped: bool = False
    stop_when_empty: bool = True

    def receive(self, count: int, *, block_ms: int | None) -> list[Read]:
        assert count > 0
        self.seconds += (block_ms or 0) / 1000
        if not self.batches:
            self.stopped = self.stop_when_empty
            return []
        batch = self.batches.pop(0)
        if isinstance(batch, Exception):
            raise batch
        return list(batch)

    def acknowledge(self, *events: Read) -> None:
        self.acknowledged += [each.request_id or "" for each in events if isinstance(each, ImportEvent)]

    def keep(self, *events: Read) -> None:
        self.kept.append([each.request_id or "" for each in events if isinstance(each, ImportEvent)])

    def set_aside(self, event: ImportEvent, reason: str) -> None:
        self.aside.append((event.request_id or "", reason))

    def read(self) -> dict[str, Outage]:
        return dict(self.outages)

    def note(self, outage: Outage) -> None:
        self.outages[outage.mid] = outage

    def forget(self, outage: Outage) -> None:
        del self.outages[outage.mid]

    def note_try(self, attempts: int, error: str | None, at: float) -> None:
        self.tries.append((attempts, error, at - AT))

    def send(self, message: Message) -> Sent | NotSent:
        self.sent.append(message)
        answer = self.answers.pop(0) if self.answers else Sent("ok")
        if callable(answer):
            answer()
            return NotSent("stopped meanwhile")
        return answer

    def is_set(self) -> bool:
        return self.stopped

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.seconds += seconds

    def run(self, table: Any = None, **lines: Any) -> None:
        """Run one notification until nothing comes any more."""
        times = Times(lambda: self.seconds, lambda: AT + self.seconds, lambda: 1.0)
        made = (table or WebhookTable)(**{"url": "https://x", **lines})
        Channel("ops", made, self, self, self, self, times).run()

    @property
    def ids(self) -> list[str]:
        return [each.id for each in self.sent]


def test_each_wanted_event_is_sent_and_all_are_acknowledged() -> None:
    world = World([[event(1), event(2, "started"), event(3)]])
    world.run()

    assert world.ids == ["r1/1/import_failed", "r3/1/import_failed"]
    assert sorted(world.acknowledged) == ["r1", "r2", "r3"]


def test_an_event_is_acknowledged_after_it_was_sent_and_not_before() -> None:
    world = World([[event(1)]])
    seen: list[list[str]] = []
    world.answers = [lambda: seen.append(list(world.acknowledged))]
    world.run()

    assert seen == [[]]
    assert world.acknowledged == ["r1"]


def test_a_message_that_is_not_taken_is_tried_again_with_growing_pauses_and_the_same_id() -> None:
    world = World([[event(1)]], [NotSent("no")] * 3)
    world.run()

    assert world.ids == ["r1/1/import_failed"] * 4
    assert world.waits == [2.0, 4.0, 8.0]
    assert world.acknowledged == ["r1"]


def test_the_pause_that_the_other_side_asks_for_is_kept() -> None:
    world = World([[event(1)]], [NotSent("slow down", retry_after=50.0)])
    world.run()

    assert sum(world.waits) == 50.0


def test_what_is_held_is_kept_from_others_before_each_try_and_while_it_waits() -> None:
    world = World([[event(1), event(2)]], [NotSent("no", retry_after=100.0)])
    world.run(claim_after=60)

    assert len(world.kept) > 5
    assert world.kept[0] == ["r1", "r2"]


def test_a_message_that_is_refused_for_good_is_set_aside_and_the_next_one_is_sent() -> None:
    world = World([[event(1), event(2)]], [NotSent("HTTP 400", is_final=True)])
    world.run()

    assert world.aside == [("r1", "HTTP 400")]
    assert world.acknowledged == ["r2"]


def test_what_some_recipients_are_refused_is_sent_to_the_others_and_set_aside() -> None:
    world = World([[event(1), event(2)]], [Sent("took it", refused="refused for a@b.c")])
    world.run()

    assert world.aside == [("r1", "refused for a@b.c")]
    assert world.acknowledged == ["r2"]
    assert len(world.sent) == 2


def test_a_message_is_set_aside_when_its_deadline_is_over() -> None:
    world = World([[event(1)]], [NotSent("down")] * 100)
    world.run(deadline="1m")

    assert world.aside == [("r1", "down")]
    assert world.seconds < 62


def test_an_event_older_than_its_deadline_is_tried_once() -> None:
    world = World([[event(1), event(2)]], [NotSent("down"), Sent("ok")], seconds=3 * 86400.0)
    world.run()

    assert world.aside == [("r1", "down")]
    assert world.acknowledged == ["r2"]


def test_events_of_the_digest_time_are_one_message() -> None:
    world = World([[event(1)], [event(2)], [], [event(3)]])
    world.run(SlackTable, digest_seconds=3)

    assert [each.title for each in world.sent] == ["sfmc-import: 3 events: 3 import_failed"]
    assert world.acknowledged == ["r1", "r2", "r3"]


def test_a_flood_is_one_message_and_does_not_wait_for_the_digest_time() -> None:
    world = World([[event(number) for number in range(500)], [event(501)]])
    world.run(SlackTable, digest_seconds=3600)

    assert [len(each.lines) for each in world.sent] == [21, 1]
    assert world.sent[0].lines[-1] == "and 480 more"


def test_what_was_given_before_is_the_same_message_again() -> None:
    lost = World([[event(1), event(2)]])
    lost.run(SlackTable)
    again = World([[event(5)], [event(1, deliveries=2), event(2, deliveries=2)], [event(3)]])
    again.run(SlackTable)

    assert lost.ids == [again.ids[1]]
    assert len(again.ids) == 3


def test_the_end_of_the_process_sends_what_is_collected() -> None:
    world = World([[event(1)]])
    world.run(SlackTable, digest_seconds=3600)

    assert world.ids == ["r1/1/import_failed"]


def test_the_end_of_the_process_does_not_wait_for_a_receiver_that_fails() -> None:
    world = World([[event(1)]])
    world.answers = [lambda: setattr(world, "stopped", True)]
    world.run()

    assert (world.acknowledged, world.aside) == ([], [])


def test_a_gap_ends_nothing() -> None:
    world = World([[Gap(after="1-0", before="9-0"), event(9)]])
    world.run()

    assert world.ids == ["r9/1/import_failed"]


def test_an_outage_of_the_account_is_one_message_and_its_end_another() -> None:
    failing = [event(number, "retrying", code="login_failed", text="wrong") for number in range(500)]
    world = World([failing, [event(600, "started")], [event(601, "started")]])
    world.run(events=["retrying", "import_failed"])

    assert [each.title for each in world.sent] == [
        "sfmc-import: Marketing Cloud, business unit 7: does not work",
        "sfmc-import: Marketing Cloud, business unit 7: works again",
    ]
    assert "500 attempts failed" in world.sent[1].lines[0]
    assert world.outages == {}
    assert len(world.acknowledged) == 502


def test_an_outage_that_could_not_be_announced_is_set_aside_and_said_with_the_next_event() -> None:
    failing = [event(number, "retrying", code="17") for number in (1, 2, 3)]
    world = World([failing], [NotSent("no such channel", is_final=True)])
    world.run()

    assert world.aside == [("r1", "no such channel")]
    assert len(world.sent) == 2
    assert world.acknowledged == ["r2", "r3"]
    assert world.outages["7"].attempts == 2


def test_the_end_of_an_outage_that_could_not_be_announced_is_set_aside_and_said_with_the_next_event() -> None:
    first = World([[event(1, "retrying", code="17")]])
    first.run()
    answers = [NotSent("no such channel", is_final=True)]
    world = World([[event(2, "started"), event(3, "started")]], answers, outages=first.outages)
    world.run()

    assert world.aside == [("r2", "no such channel")]
    assert [each.title for each in world.sent] == ["sfmc-import: Marketing Cloud, business unit 7: works again"] * 2
    assert world.acknowledged == ["r3"]
    assert world.outages == {}


def test_an_outage_that_was_announced_is_remembered_over_a_restart() -> None:
    first = World([[event(1, "retrying", code="17")]])
    first.run()
    second = World([[event(2, "retrying", code="17"), event(3, "started")]], outages=first.outages)
    second.run()

    assert len(first.sent) == 1
    assert [each.title for each in second.sent] == ["sfmc-import: Marketing Cloud, business unit 7: works again"]
    assert "2 attempts" in second.sent[0].lines[0]


def test_an_outage_that_another_notifier_has_announced_is_not_said_again() -> None:
    other = World([[event(1, "retrying", code="17")]])
    other.run()
    world = World([[], [event(2, "retrying", code="17")], [], [event(3, "started")]])
    usual = world.receive

    def receive(count: int, *, block_ms: int | None) -> list[Read]:
        found = usual(count, block_ms=block_ms)
        # What the other one does while this one waits: it announces the outage, and its end.
        world.outages = dict(other.outages) if len(world.batches) == 3 else world.outages
        world.outages = {} if len(world.batches) == 1 else world.outages
        return found

    world.receive = receive  # type: ignore[method-assign]
    world.run()

    assert world.sent == []


def test_outages_that_are_not_asked_for_are_events_like_others() -> None:
    world = World([[event(1, "retrying", code="17")]])
    world.run(outages=False, events=["retrying"])

    assert world.ids == ["r1/1/retrying"]


@pytest.mark.parametrize(("failures", "said"), [(2, 0), (9, 2)])
def test_redis_that_is_away_for_long_is_said_once_and_its_return_once(failures: int, said: int) -> None:
    world = World([*[ServiceUnavailableError("Redis does not answer")] * failures, [event(1)]])
    world.run()

    assert len(world.sent) == said + 1
    assert [each.title for each in world.sent][:said] == [
        "sfmc-import: Redis: does not answer",
        "sfmc-import: Redis: answers again",
    ][:said]


def test_what_is_held_when_redis_goes_is_sent_when_it_is_given_again() -> None:
    world = World([[event(1)], ServiceUnavailableError("away"), [event(1, deliveries=2)]])
    world.run(SlackTable, digest_seconds=3600)

    assert world.ids == ["r1/1/import_failed"]
    assert world.acknowledged == ["r1"]


def test_each_try_in_vain_is_noted_for_people_to_see_and_the_end_of_it_once() -> None:
    world = World([[event(1), event(2)]], [NotSent("HTTP 500"), NotSent("HTTP 502"), Sent("ok"), Sent("ok")])
    world.run()

    assert world.tries == [(1, "HTTP 500", 1.0), (2, "HTTP 502", 3.0), (0, None, 7.0)]
