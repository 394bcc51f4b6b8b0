"""A queue keeps its messages until disk or replicas have confirmed what was recorded of them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from sfmc_import.request import FileInfo
from sfmc_import.routing import Route
from sfmc_import.states import Reported
from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.arrivals import Arrival, Record, Unreadable
from sfmc_producers.sources.intake import Intake, SaidOnce
from sfmc_producers.sources.receiving import AT_ONCE, Message, Receiver
from sfmc_producers.sources.standing import describe_all
from sfmc_producers.submitter import RoutingRules, Submitter
from tests.support.fake_client import FakeClient
from tests.support.push_servers import Letters

ROUTES = (Route(pattern="*.csv", customer_key="orders"),)


class Clock:
    """Seconds that pass with each question for messages."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Box:
    """Gives its messages once, and ends the receiver when they are acknowledged, or after some rounds."""

    def __init__(self, clock: Clock, count: int = 3, rounds: int = 5) -> None:
        self.wakeup, self.clock, self.rounds = Wakeup(), clock, rounds
        self.messages = [Message(f"m{number}", b"%d" % number) for number in range(count)]
        self.acknowledged: list[str] = []

    def receive(self) -> Sequence[Message]:
        self.clock.now += 60.0
        self.rounds -= 1
        if self.rounds == 0:
            self.wakeup.stop()
        given, self.messages = self.messages, []
        return given

    def keep(self, messages: Sequence[Message]) -> None: ...

    def acknowledge(self, messages: Sequence[Message]) -> None:
        self.acknowledged += [each.id for each in messages]
        self.wakeup.stop()

    def close(self) -> None: ...


class Source:
    """A queue, what receives it, and what it does with the ledger."""

    def __init__(self, client: FakeClient, box: Box, parse: Any = None) -> None:
        self.letters, self.box = Letters(), box
        rules = RoutingRules(definitions=client, routes=ROUTES)  # type: ignore[arg-type]
        submitter = Submitter(client, rules, box.clock, lambda: datetime(2026, 3, 7, tzinfo=UTC))  # type: ignore[arg-type]
        self.intake = Intake("drop", submitter)
        more: Any = {"chance": lambda: 0.0, "max_deliveries": 9, "keep_after": 20.0, "clock": box.clock}
        self.receiver = Receiver(self.intake, self.letters, parse or files, lambda: box, **more)
        # While messages wait nothing is received, and no time passes by itself.
        box.wakeup.wait = self._pass  # type: ignore[method-assign]

    def _pass(self, _seconds: float) -> bool:
        self.box.receive()
        return True

    def run(self) -> list[Any]:
        with capture_logs() as logs:
            self.receiver.run(self.box.wakeup)
        return [each for each in logs if each["log_level"] == "error"]


def files(body: bytes) -> Sequence[Record]:
    return [Arrival(file=FileInfo(location="s3://drop", name=f"{body.decode()}.csv", version="1"))]


def unreadable(body: bytes) -> Sequence[Record]:
    return [Unreadable("no file")]


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


def test_what_is_not_confirmed_is_not_acknowledged_and_the_log_says_so_once(client: FakeClient) -> None:
    client.confirms_nothing = True
    source = Source(client, Box(Clock()))
    [said] = source.run()

    assert (said["event"], said["part"]) == ("backend_unavailable", "confirmation of the ledger")
    assert source.box.acknowledged == []
    assert len(client.requests) == 3


def test_what_is_not_confirmed_now_is_acknowledged_when_it_is_and_is_one_request(client: FakeClient) -> None:
    source = Source(client, Box(Clock()))
    client.confirms_nothing = True
    receive = source.box.receive

    def recover() -> Sequence[Message]:
        client.confirms_nothing = source.box.rounds > 3
        return receive()

    source.box.receive = recover  # type: ignore[method-assign]
    source.run()

    assert sorted(source.box.acknowledged) == ["m0", "m1", "m2"]
    assert len(client.requests) == 3
    assert client.confirmed == [list(client.requests)]


def test_a_record_that_waits_on_for_another_one_is_said_once_to_be_set_aside(client: FakeClient) -> None:
    client.confirms_nothing = True

    def both(body: bytes) -> Sequence[Record]:
        return [*unreadable(body), *files(body)]

    source = Source(client, Box(Clock(), count=1), both)
    with capture_logs() as logs:
        source.receiver.run(source.box.wakeup)

    assert source.box.acknowledged == []
    assert [each["event"] for each in logs].count("record_set_aside") == 1


def test_of_very_many_things_the_newest_were_said_before() -> None:
    said = SaidOnce(most=2)

    assert [said.is_new(each) for each in "abacab"] == [True, True, False, True, False, True]


class BoxOfTheLedger(Box):
    """A queue in the Redis of the ledger, which another server serves the first time."""

    is_another = True

    def acknowledge_recorded(
        self, messages: Sequence[Message], request_ids: Sequence[str], marks: Sequence[str]
    ) -> bool:
        if self.is_another:
            self.is_another = False
            return False
        self.asked = [*request_ids, *marks]
        self.acknowledge(messages)
        return True


def test_what_was_recorded_at_another_server_is_recorded_again_and_then_acknowledged(client: FakeClient) -> None:
    box = BoxOfTheLedger(Clock())
    source = Source(client, box)
    client.confirmed.clear()
    source.run()

    assert sorted(box.acknowledged) == ["m0", "m1", "m2"]
    assert (box.is_another, box.asked, len(client.requests)) == (False, list(client.requests), 3)


def unrouted(body: bytes) -> Sequence[Record]:
    return [Arrival(file=FileInfo(location="s3://drop", name=f"{body.decode()}.txt", version="1"))]


def test_a_message_is_not_let_go_of_where_the_event_that_its_file_starts_nothing_is_not_there(
    client: FakeClient,
) -> None:
    box = BoxOfTheLedger(Clock(), count=1)
    Source(client, box, unrouted).run()

    [file] = {file for _, file, _ in client.reported}
    assert (box.is_another, box.acknowledged) == (False, ["m0"])
    assert box.asked == [Reported(file.fingerprint, "unrouted")]
    assert client.confirmed[-1] == box.asked


def test_a_message_whose_dead_letter_went_to_another_server_becomes_one_again(client: FakeClient) -> None:
    box = BoxOfTheLedger(Clock(), count=1)
    Source(client, box, unreadable).run()

    assert (box.acknowledged, box.asked) == (["m0"], ["drop:m0:1"])


def test_one_barrier_stands_for_all_that_is_acknowledged_together(client: FakeClient) -> None:
    source = Source(client, Box(Clock(), count=2 * AT_ONCE + 1))
    source.run()

    assert [len(each) for each in client.confirmed] == [2 * AT_ONCE + 1]
    assert len(source.box.acknowledged) == 2 * AT_ONCE + 1


def test_a_message_that_cannot_be_read_stays_until_its_dead_letter_is_confirmed(client: FakeClient) -> None:
    source = Source(client, Box(Clock()), unreadable)
    source.letters.confirms_nothing = True
    source.run()

    assert source.box.acknowledged == []
    assert len(source.letters.kept) == 3


def test_why_nothing_is_confirmed_is_said_where_the_trouble_of_a_source_is_shown(client: FakeClient) -> None:
    client.confirms_nothing = True
    source = Source(client, Box(Clock()))
    source.run()

    assert source.intake.submitter.outage(None) == ("Redis at 127.0.0.1:6379 has not confirmed in time", "redis")
    assert source.intake.submitter.next_in is not None


def standing_of(source: Source) -> Any:
    [found] = describe_all({"drop": source.intake.standing}, source.box.clock.now)
    return found


def test_a_source_that_holds_its_messages_says_why_since_when_and_when_it_tries_again(client: FakeClient) -> None:
    client.confirms_nothing = True
    source = Source(client, Box(Clock()))
    source.intake.standing.clock = source.box.clock
    source.run()
    said = standing_of(source)

    assert (said["state"], said["text"]) == ("held", "Redis at 127.0.0.1:6379 has not confirmed in time")
    assert (said["files"], said["more"], "again" in said, said["age"] > 60.0) == ([], 3, True, True)


def test_a_source_whose_messages_are_confirmed_again_is_well(client: FakeClient) -> None:
    source = Source(client, Box(Clock()))
    source.intake.standing.holds("no answer", id(source.receiver), count=3, again_in=1.0)
    source.run()

    assert (standing_of(source)["state"], standing_of(source)["more"]) == ("watched", 0)


def test_a_source_whose_dead_letter_is_not_confirmed_says_that_it_holds_its_messages(client: FakeClient) -> None:
    source = Source(client, Box(Clock()), unreadable)
    source.letters.confirms_nothing = True
    source.run()
    said = standing_of(source)

    assert (said["state"], said["text"], said["more"]) == ("held", "letters are not confirmed", 3)
