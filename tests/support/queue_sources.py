"""Sources that are queues, in this process over a real ledger; one can die at any of its calls, as by kill -9."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import redis as redis_py

from sfmc_import.client import Client
from sfmc_import.settings import Route
from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.arrivals import Arrival, Parse
from sfmc_producers.sources.dead_letters import SourceDeadLetters
from sfmc_producers.sources.intake import Intake, Recorded
from sfmc_producers.sources.receiving import Mailbox, Message, Receiver
from sfmc_producers.submitter import RoutingRules, Submitter
from sfmc_transport import Keys

STEPS = ("receive", "take", "acknowledge")


class KilledError(BaseException):
    """The process is gone: nothing after this runs in it."""


class Life:
    """Ends before or after the first call of a step; a mailbox of somebody dead is not closed."""

    def __init__(self, step: str = "", moment: str = "") -> None:
        self.step, self.moment, self.is_over = step, moment, False

    def call(self, step: str, action: Callable[[], Any], counts: Callable[[Any], bool] = lambda _: True) -> Any:
        """Do the call of a step, or die before or after it."""
        if (step, self.moment) == (self.step, "before"):
            self.end()
        answer = action()
        if (step, self.moment) == (self.step, "after") and counts(answer):
            self.end()
        return answer

    def end(self) -> None:
        self.is_over = True
        raise KilledError


class MortalMailbox:
    """A mailbox whose owner may die at its calls."""

    def __init__(self, inner: Mailbox, life: Life) -> None:
        self._inner, self._life, self._is_ended = inner, life, False

    def receive(self) -> Sequence[Message]:
        return self._life.call("receive", self._inner.receive, bool)

    def keep(self, messages: Sequence[Message]) -> None:
        self._inner.keep(messages)

    def acknowledge(self, messages: Sequence[Message]) -> None:
        self._life.call("acknowledge", lambda: self._inner.acknowledge(messages))

    def close(self) -> None:
        if not self._life.is_over:
            self.end()

    def end(self) -> None:
        if not self._is_ended:
            self._is_ended = True
            self._inner.close()


class MortalIntake(Intake):
    """An intake whose owner may die before or after the ledger has an arrival."""

    life: Life

    def record_many(self, arrivals: Sequence[Arrival]) -> list[Recorded]:
        return self.life.call("take", lambda: super(MortalIntake, self).record_many(arrivals))


class QueueSources:
    """Makes receivers of one queue over the ledger at `url`."""

    def __init__(self, url: str, parse: Parse, open_mailbox: Callable[[], Mailbox]) -> None:
        self._parse, self._open = parse, open_mailbox
        self._client, self._broker = Client(url, mid="42"), redis_py.Redis.from_url(url, socket_timeout=2)
        self._left: list[MortalMailbox] = []

    def receiver(self, life: Life | None = None) -> Receiver:
        """Make a receiver; visibility in these tests is a second."""
        life = life or Life()
        rules = RoutingRules(definitions=None, routes=(Route(pattern="*", customer_key="orders"),))  # type: ignore[arg-type]
        intake = MortalIntake("drop", Submitter(self._client, rules, time.monotonic, lambda: datetime.now(UTC)))
        intake.life = life
        more: Any = {"chance": lambda: 0.0, "max_deliveries": 9, "keep_after": 0.25}
        set_aside = SourceDeadLetters(self._broker, Keys())
        return Receiver(intake, set_aside, self._parse, lambda: self._mailbox(life), **more)

    def _mailbox(self, life: Life) -> MortalMailbox:
        self._left.append(MortalMailbox(self._open(), life))
        return self._left[-1]

    def close(self) -> None:
        # The threads of those that died go on in this process.
        for each in self._left:
            each.end()
        self._client.close()
        self._broker.close()


@contextmanager
def queue_sources(url: str, parse: Parse, open_mailbox: Callable[[], Mailbox]) -> Iterator[QueueSources]:
    """Make receivers for the length of a block."""
    made = QueueSources(url, parse, open_mailbox)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def running(*receivers: Receiver) -> Iterator[None]:
    """Run receivers in threads for the length of a block."""
    wakeups = [Wakeup() for _ in receivers]
    threads = [
        threading.Thread(target=each.run, args=(wakeup,)) for each, wakeup in zip(receivers, wakeups, strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for wakeup in wakeups:
            wakeup.stop()
        for thread in threads:
            thread.join(30)
    assert not any(thread.is_alive() for thread in threads)


def accepted_files(redis: redis_py.Redis) -> list[dict[str, Any]]:
    """The file of each request in the ledger, in order."""
    entries: Any = redis.xrange("sfmc-import:events")
    events = [json.loads(fields.get("event") or fields.get(b"event")) for _, fields in entries]
    return [event["data"]["file"] for event in events if event["type"] == "sfmc.import.accepted"]
