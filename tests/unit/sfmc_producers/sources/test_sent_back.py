"""A dead letter of a source that is sent back and still cannot be read is one letter again."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.arrivals import Unreadable
from sfmc_producers.sources.intake import Intake, SentBack
from sfmc_producers.sources.receiving import Message, Receiver
from sfmc_producers.submitter import RoutingRules, Submitter


class Letters:
    """Implements SetAside in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.sent_back: list[SentBack] = []

    def add(self, _source: str, record_id: str, body: bytes, _text: str) -> bool:
        self.kept.setdefault(record_id, body)
        return True

    def confirm(self, _source: str, record_ids: Sequence[str]) -> bool:
        return self.kept.keys() >= set(record_ids)

    def outage(self, _source: str) -> str:
        return ""

    def replayed(self, _source: str) -> list[SentBack]:
        return list(self.sent_back)

    def done(self, _source: str, letter: SentBack) -> None:
        self.sent_back.remove(letter)


class Box:
    """Gives one message, then ends the source."""

    def __init__(self, wakeup: Wakeup, messages: list[Message]) -> None:
        self._wakeup, self._messages = wakeup, messages

    def receive(self) -> list[Message]:
        given, self._messages = self._messages, []
        if not given:
            self._wakeup.stop()
        return given

    def keep(self, messages: object) -> None: ...

    def acknowledge(self, messages: object) -> None: ...

    def close(self) -> None: ...


def run(client, letters: Letters, messages: list[Message]) -> None:
    wakeup = Wakeup()
    submitter = Submitter(client, RoutingRules(definitions=client), lambda: 0.0, lambda: datetime.now(UTC))
    Receiver(
        Intake("drop", submitter), letters, lambda _: [Unreadable("bad")] * 4, lambda: Box(wakeup, messages),
        chance=lambda: 0.0, max_deliveries=9, keep_after=5.0,
    ).run(wakeup)  # fmt: skip


def test_a_letter_that_is_sent_back_again_and_again_does_not_become_more(client):
    letters = Letters()
    run(client, letters, [Message("m", b"four bad records")])
    assert len(letters.kept) == 4
    before, letters.kept = letters.kept, {}
    letters.sent_back = [SentBack(name, body, body) for name, body in before.items()]
    run(client, letters, [])

    assert (len(letters.kept), letters.sent_back) == (4, [])
