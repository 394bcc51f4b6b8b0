"""Receives messages from a queue of any kind: takes what is in them, then acknowledges; nothing is lost in between."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import structlog

from sfmc_import.errors import SfmcImportError
from sfmc_import.retrying import Backoff
from sfmc_import.states import Reported
from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.arrivals import Arrival, Ignored, Parse, Record, Unreadable
from sfmc_producers.sources.intake import Intake, Recorded, SaidOnce, SetAside, Taken
from sfmc_producers.submitter import InvalidRequest

PAUSES = Backoff(floor=1.0, cap=60.0)
"""Seconds between two tries to reach a source that does not answer."""

RETRY_SECONDS = 1.0
"""Seconds until messages that were not taken are tried again, at least."""

MOST_WAITING = 1000
"""So many messages may wait at a time, for the definitions of their business unit or for a delivery, while others are
received; with more of them none is received."""


SENT_BACK = "replayed:"
AT_ONCE = 50
"""Messages whose records are taken together at most: between two such groups they are kept, if it is time."""


class SourceUnavailableError(Exception):
    """The source does not answer now; the text says which and why."""


class SourceRefusedError(SfmcImportError):
    """The source refuses us for good (login, host key, rights): it is not tried again, a person must act."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a queue; `id` stays the same over redeliveries, `receipt` is what acknowledging needs.

    `deliveries` counts how often it was given to somebody, this time included.
    """

    id: str
    body: bytes
    receipt: Any = None
    deliveries: int = 1


class Mailbox(Protocol):
    """A queue of messages. Every call has a deadline, and raises SourceUnavailableError or SourceRefusedError."""

    def receive(self) -> Sequence[Message]:
        """Wait a few seconds for messages and give them; they stay ours until acknowledged or too old."""
        ...

    def keep(self, messages: Sequence[Message]) -> None:
        """Say that we are still at these, so that no other gets them; asked every `keep_after` seconds."""
        ...

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Remove messages whose arrivals the ledger has."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


@runtime_checkable
class GivesBack(Protocol):
    """A mailbox that can let others have messages at once."""

    def give_back(self, messages: Sequence[Message]) -> None:
        """Let another receiver have messages that are ours; this time does not count as a delivery."""
        ...


@runtime_checkable
class LooksForRecords(Protocol):
    """A mailbox in the Redis of the ledger: a primary that took over may lack what was recorded before."""

    def acknowledge_recorded(
        self, messages: Sequence[Message], recorded: Sequence[str | Reported], marks: Sequence[str] = ()
    ) -> bool:
        """Remove messages if all of these records and the keys `marks` are there; False: none is removed."""
        ...


class Receiver:
    """A source that is a queue. Messages are handled in order; while Redis is away they are kept, not given back.

    What waits for something else, such as the definitions of one business unit, holds up no other message as long as
    no more than `most_waiting` wait; what came first is tried first.
    A message that was delivered more than `max_deliveries` times ends the processes that read it: it is set aside
    unread. Messages that we have are kept every `keep_after` seconds, in the middle of a batch too: between the
    `at_once` whose records are taken together. Of several receivers of one queue one `replays` dead letters. `chance`
    gives numbers from 0 to 1, `clock` gives seconds. With a name of its `queue` an arrival that nothing tells from
    another of its name is known by its message, whose id must stay the same as long as the file is remembered.
    """

    def __init__(
        self,
        intake: Intake,
        set_aside: SetAside,
        parse: Parse,
        open_mailbox: Callable[[], Mailbox],
        *,
        chance: Callable[[], float],
        max_deliveries: int,
        keep_after: float,
        replays: bool = True,
        at_once: int = AT_ONCE,
        most_waiting: int = MOST_WAITING,
        queue: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self._replays, self._queue = intake.source, replays, queue
        self._at_once = at_once
        self._keep_after, self._clock, self._kept_at = keep_after, clock, 0.0
        self._intake, self._set_aside, self._parse = intake, set_aside, parse
        self._open, self._chance, self._max_deliveries = open_mailbox, chance, max_deliveries
        self._mailbox: Mailbox | None = None
        self._waiting: list[Message] = []
        self._most_waiting, self._tried_at, self._is_full = most_waiting, 0.0, False
        self._ignored: Counter[str] = Counter()
        # What was recorded for the messages that are taken now, and is to be confirmed before they are acknowledged.
        self._recorded: list[str | Reported | None] = []
        self._set_aside_now: list[str] = []
        self._said = SaidOnce()
        self._log = structlog.get_logger("sfmc_producers.sources").bind(source=self.name)

    def run(self, wakeup: Wakeup) -> None:
        """Receive until `wakeup` closes; raises SourceRefusedError."""
        failures = 0
        try:
            while not wakeup.is_closing:
                try:
                    self._round(wakeup)
                except SourceUnavailableError as error:
                    failures += 1
                    pause = PAUSES.pause(failures, self._chance())
                    self._intake.standing.failed(str(error), id(self), again_in=pause)
                    self._say_unavailable(error, failures)
                    self._drop_mailbox()
                    wakeup.wait(pause)
                    continue
                if failures:
                    self._log.info("source_available", failures=failures)
                failures = 0
                self._say_standing()
            self._give_back()
        finally:
            self._drop_mailbox()

    def _say_standing(self) -> None:
        """Say that the queue answers, and why messages of it are held where what all of them need does not answer."""
        count, standing, submitter = len(self._waiting), self._intake.standing, self._intake.submitter
        if count and (text := submitter.outage(None)[0] or self._set_aside.outage(self.name)):
            standing.holds(text, id(self), count=count, again_in=submitter.next_in)
        else:
            standing.looked(id(self), more=count)

    def _give_back(self) -> None:
        """Let the next process go on at once with what waits."""
        mailbox: object = self._mailbox
        if self._waiting and isinstance(mailbox, GivesBack):
            with suppress(SourceUnavailableError):
                mailbox.give_back(self._waiting)

    def _round(self, wakeup: Wakeup) -> None:
        self._mailbox = self._mailbox or self._open()
        for letter in self._set_aside.replayed(self.name) if self._replays else ():
            # An id of its own: what still cannot be read becomes a dead letter again.
            if self._take([Message(f"{SENT_BACK}{letter.id}", letter.body)]) == [True] and self._are_confirmed():
                self._set_aside.done(self.name, letter)
        new = self._receive(self._mailbox, wakeup)
        if wakeup.is_closing and not new:
            return
        known = {each.id for each in new}
        old = [each for each in self._waiting if each.id not in known]
        if self._is_time():
            self._tried_at = self._clock()
            self._waiting = self._work_off(self._mailbox, [*old, *new], [])
        else:
            self._waiting = old + self._work_off(self._mailbox, new, old)

    def _receive(self, mailbox: Mailbox, wakeup: Wakeup) -> Sequence[Message]:
        """Receive, or only wait where more messages would wait, too: for Redis, or beside too many."""
        self._say_full(len(self._waiting) >= self._most_waiting)
        if self._waiting and (self._is_full or self._intake.submitter.is_ledger_waiting):
            wakeup.wait(self._pause())
            return ()
        new = mailbox.receive()
        if not self._waiting:
            self._kept_at = self._clock()
        return new

    def _is_time(self) -> bool:
        """Tell whether those that wait are tried again; then they come before what is new."""
        next_in = self._intake.submitter.next_in
        return next_in == 0.0 or self._clock() - self._tried_at >= RETRY_SECONDS

    def _work_off(self, mailbox: Mailbox, messages: Sequence[Message], others: Sequence[Message]) -> list[Message]:
        """Take messages and acknowledge them; gives those that are not taken now. `others` are only kept."""
        done: list[Message] = []
        left: list[Message] = []
        for begin in range(0, len(messages), self._at_once):
            self._keep(mailbox, [*others, *done, *left, *messages[begin:]])
            some = messages[begin : begin + self._at_once]
            for message, is_taken in zip(some, self._take(some), strict=True):
                (done if is_taken else left).append(message)
        if not messages:
            self._keep(mailbox, others)
        if done and not self._are_acknowledged(mailbox, done):
            return [*done, *left]
        return left

    def _are_acknowledged(self, mailbox: Mailbox, done: Sequence[Message]) -> bool:
        recorded, letters = [each for each in self._recorded if each is not None], self._set_aside_now
        if not self._are_confirmed():
            return False
        if isinstance(mailbox, LooksForRecords):
            return mailbox.acknowledge_recorded(done, recorded, self._set_aside.marks(self.name, letters))
        mailbox.acknowledge(done)
        return True

    def _are_confirmed(self) -> bool:
        """Tell whether disk or replicas have all that was recorded since this was asked last."""
        recorded, self._recorded = self._recorded, []
        set_aside, self._set_aside_now = self._set_aside_now, []
        if recorded and not self._intake.confirm(recorded):
            return False
        return not set_aside or self._set_aside.confirm(self.name, set_aside)

    def _keep(self, mailbox: Mailbox, messages: Sequence[Message]) -> None:
        if messages and self._clock() - self._kept_at >= self._keep_after:
            mailbox.keep(messages)
            self._kept_at = self._clock()

    def _pause(self) -> float:
        """Wait until what does not answer is asked again, but not beyond the time to keep the messages."""
        wanted = max(RETRY_SECONDS, self._intake.submitter.next_in or 0.0)
        return max(0.0, min(wanted, self._kept_at + self._keep_after - self._clock()))

    def _say_full(self, is_full: bool) -> None:
        if is_full and not self._is_full:
            self._log.warning("messages_held_up", messages=len(self._waiting), action="waiting")
        self._is_full = is_full

    def records(self, body: bytes) -> Sequence[Record]:
        """Read the body of a message, as a person may ask about it; nothing is taken."""
        return self._parse(body)

    def _take(self, messages: Sequence[Message]) -> list[bool]:
        """Take all records of messages; False for a message of which the ledger does not take a record now."""
        records = [self._records(message) for message in messages]
        arrivals = [each for some in records for each in some if isinstance(each, Arrival)]
        answers = iter(self._intake.record_many(arrivals))
        return [self._take_all(message, some, answers) for message, some in zip(messages, records, strict=True)]

    def _take_all(self, message: Message, records: Sequence[Record], answers: Iterator[Recorded]) -> bool:
        # Each of them, also after one that is not taken: each arrival has its answer.
        taken = [self._take_record(message, *numbered, answers) for numbered in enumerate(records, start=1)]
        return all(taken)

    def _records(self, message: Message) -> Sequence[Record]:
        if message.deliveries > self._max_deliveries:
            return [Unreadable(f"it was delivered {message.deliveries} times and never acknowledged")]
        try:
            return [self._identified(each, message) for each in self._parse(message.body)]
        except Exception:  # noqa: BLE001 - the edge to text from outside: it costs this message alone, which is kept
            self._log.exception("message_not_understood", message_id=message.id)
            return [Unreadable("it cannot be read; the log of the source has the reason")]

    def _identified(self, record: Record, message: Message) -> Record:
        if self._queue is None or not isinstance(record, Arrival):
            return record
        if record.event_id is not None or record.file.has_fingerprint:
            return record
        return replace(record, event_id=f"{self._queue}/{message.id}")

    def _take_record(self, message: Message, number: int, record: Record, answers: Iterator[Recorded]) -> bool:
        if isinstance(record, Arrival):
            taken = next(answers)
            if isinstance(taken, Taken):
                self._recorded.append(taken.recorded)
            if not isinstance(taken, InvalidRequest):
                return isinstance(taken, Taken)
            record = Unreadable("; ".join(taken.problems))
        if isinstance(record, Ignored):
            self._ignored[record.reason] += 1
            names = {"reason": record.reason, "message_id": message.id}
            self._log.info("record_ignored", **names, so_far=self._ignored[record.reason])
            return True
        # A letter that was sent back becomes one letter again, however many records of its message cannot be read.
        record_id = message.id if message.id.startswith(SENT_BACK) else f"{message.id}:{number}"
        if not self._set_aside.add(self.name, record_id, message.body, f"record {number}: {record.text}"):
            return False
        self._set_aside_now.append(record_id)
        if self._said.is_new(record_id):
            self._log.warning("record_set_aside", message_id=message.id, record=number, reason=record.text)
        return True

    def _say_unavailable(self, error: SourceUnavailableError, failures: int) -> None:
        if failures == 1:
            self._log.error("source_unavailable", reason=str(error), action="waiting")

    def _drop_mailbox(self) -> None:
        # What waits is given back, or comes again.
        mailbox, self._mailbox, self._waiting = self._mailbox, None, []
        if mailbox is not None:
            mailbox.close()
