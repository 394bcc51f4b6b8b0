"""One notification at work: reads its group of the stream, sends what is wanted, acknowledges what was sent."""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog

from sfmc_import.errors import SfmcImportError
from sfmc_import.events.typed import Gap, ImportEvent, Read
from sfmc_import.notifications import messages
from sfmc_import.notifications.choosing import is_wanted
from sfmc_import.notifications.messages import Message
from sfmc_import.notifications.outages import Outage, turn_of
from sfmc_import.notifications.sending import NotSent, Sender, Sent
from sfmc_import.retrying import NOTIFY
from sfmc_import.settings.notify_table import NotifyTable

MOST = 500
"""Events that are held at most before they are sent."""

BLOCK_MS = 1000

log = structlog.get_logger("sfmc_import.notifications")


class Group(Protocol):
    """The consumer group of one notification; see EventGroup. Its methods raise ServiceUnavailableError."""

    def receive(self, count: int, *, block_ms: int | None) -> list[Read]:
        """Give what there is."""
        ...

    def acknowledge(self, *events: Read) -> None:
        """Say that these are done."""
        ...

    def keep(self, *events: Read) -> None:
        """Say that these are being handled still."""
        ...

    def set_aside(self, event: ImportEvent, reason: str) -> None:
        """Keep one for a person to see."""
        ...


class OutageMemory(Protocol):
    """What is remembered of outages over a restart; its methods raise ServiceUnavailableError."""

    def read(self) -> dict[str, Outage]:
        """Give them by business unit."""
        ...

    def note(self, outage: Outage) -> None:
        """Remember one."""
        ...

    def forget(self, outage: Outage) -> None:
        """Forget one."""
        ...

    def note_try(self, attempts: int, error: str | None, at: float) -> None:
        """Remember that a message was tried so often in vain, and why; None when one was sent."""
        ...


class Stop(Protocol):
    """Says when the process ends."""

    def is_set(self) -> bool:
        """Tell whether it ends."""
        ...

    def wait(self, seconds: float) -> Any:
        """Wait so long, or until it ends."""
        ...


@dataclass(slots=True)
class Times:
    """Where a channel gets its times and its chance from."""

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random
    redis_silence: float = 30.0
    """Seconds that Redis may be away before that is said."""


class Stopped(Exception):  # noqa: N818 - no error
    """The process ends; what is not sent is given again."""


class Channel:
    """Runs one notification until its end; used by one thread."""

    def __init__(
        self,
        name: str,
        table: NotifyTable,
        group: Group,
        sender: Sender,
        memory: OutageMemory,
        stop: Stop,
        times: Times | None = None,
    ) -> None:
        self.name = name
        self._table, self._group, self._sender, self._memory, self._stop = table, group, sender, memory, stop
        self._times = times or Times()
        self._log = log.bind(notification=name)
        self._held: list[ImportEvent] = []
        """Events that are collected for one message."""
        self._held_since = 0.0
        self._open: dict[str, ImportEvent] = {}
        """What was received and is not acknowledged."""
        self._kept_at = 0.0
        self._outages: dict[str, Outage] = {}
        self._redis_away: datetime | None = None
        self._redis_text = ""
        self._redis_said = False
        self._has_failed = True
        """Whether the last message may be noted as not sent; a notifier before this one may have noted it."""

    def run(self) -> None:
        """Run until the end."""
        failures = 0
        with suppress(Stopped, SfmcImportError):
            while not self._stop.is_set():
                try:
                    self.turn()
                except SfmcImportError as error:
                    failures += 1
                    self._redis_failed(error)
                    self._stop.wait(NOTIFY.pause(min(failures, 3), self._times.chance()))
                    continue
                failures = 0
            self._flush()

    def turn(self) -> None:
        """Read once, and send what is due; raises ServiceUnavailableError."""
        # Anew each time: another notifier may have said it.
        self._outages = self._memory.read() if self._table.outages else {}
        found = self._group.receive(MOST, block_ms=self._block_ms())
        self._redis_answered()
        events = [each for each in found if isinstance(each, ImportEvent)]
        self._open |= {each.position: each for each in events}
        for gap in (each for each in found if isinstance(each, Gap)):
            self._log.warning("notification_gap", after=gap.after, before=gap.before, count=gap.count)
        again = [each for each in events if each.deliveries > 1]
        if again:
            # They were one message, perhaps sent already: so they are one again, and have the same id.
            self._flush()
        self._take(events)
        if again or self._is_due():
            self._flush()
        else:
            self._keep()

    def _block_ms(self) -> int:
        if not self._held:
            return BLOCK_MS
        left = self._held_since + self._table.digest - self._times.clock()
        return max(1, min(BLOCK_MS, int(left * 1000)))

    def _take(self, events: Sequence[ImportEvent]) -> None:
        """Send, hold or pass over each; what is passed over is acknowledged in one go."""
        passed_over, changed = [], set()
        for event in events:
            about_outage = self._table.outages and self._tells_of_an_outage(event)
            if about_outage:
                changed.add(event.mid)
            if about_outage and event.position not in self._open:
                # It was set aside: the other side did not take what is to be said of it.
                continue
            if about_outage or not is_wanted(event, self._table.events, self._table.keys):
                passed_over.append(event)
            elif self._table.digest == 0:
                self._deliver(messages.of_events([event], self._table.max_events), [event])
            else:
                self._held_since = self._held_since if self._held else self._times.clock()
                self._held.append(event)
        for mid in changed & self._outages.keys():
            self._memory.note(self._outages[mid])
        self._acknowledge(passed_over)

    def _is_due(self) -> bool:
        if not self._held:
            return False
        return len(self._held) >= MOST or self._times.clock() - self._held_since >= self._table.digest

    def _flush(self) -> None:
        held, self._held = self._held, []
        if held:
            self._deliver(messages.of_events(held, self._table.max_events), held)

    def _tells_of_an_outage(self, event: ImportEvent) -> bool:
        """Say once that nothing works, and once that it works again; True for an event that is only about that."""
        turn = turn_of(event, self._outages)
        if turn is None:
            return False
        outage, is_over = turn.outage, turn.kind == "over"
        if turn.kind != "goes_on":
            said = self._deliver(messages.of_outage(outage, event.time, is_over=is_over), [], about=event)
            if not said:
                # Nothing is noted, so that the next event says it.
                return True
        if is_over:
            del self._outages[event.mid]
            self._memory.forget(outage)
            return False
        if turn.kind == "began":
            self._memory.note(outage)
        self._outages[event.mid] = outage
        return True

    def _deliver(self, message: Message, events: Sequence[ImportEvent], *, about: ImportEvent | None = None) -> bool:
        """Send until it is taken, or until its deadline is over; then acknowledge or set aside. Tells which.

        `about` is the event behind a message that has no events: it is set aside as well, and not acknowledged.
        """
        attempt = 0
        while True:
            attempt += 1
            # So that all of them are claimed together if this process dies, and are the same message again.
            self._keep(always=True)
            answer = self._sender.send(message)
            if not isinstance(answer, NotSent):
                said = {"id": message.id, "events": len(events), "attempt": attempt, "text": answer.text}
                self._log.info("notification_sent", **said)
                self._note_try(0, None)
                self._note_refused(message, events, answer)
                self._acknowledge([each for each in events if each.position in self._open])
                return True
            self._note_try(attempt, answer.text)
            pause = max(NOTIFY.pause(attempt, self._times.chance()), answer.retry_after or 0.0)
            if answer.is_final or self._times.now() + pause > message.at + self._table.deadline:
                self._give_up(message, events if about is None else [about], answer)
                return False
            facts = {"id": message.id, "attempt": attempt, "wait": round(pause, 1), "error": answer.text}
            self._log.warning("notification_not_sent", **facts)
            self._wait(pause)

    def _note_try(self, attempts: int, error: str | None) -> None:
        if error is None and not self._has_failed:
            return
        # It is for people to see: without Redis the sending itself goes on.
        with suppress(SfmcImportError):
            self._memory.note_try(attempts, error, self._times.now())
            self._has_failed = error is not None

    def _acknowledge(self, events: Sequence[ImportEvent]) -> None:
        if events:
            self._group.acknowledge(*events)
        for event in events:
            self._open.pop(event.position, None)

    def _note_refused(self, message: Message, events: Sequence[ImportEvent], answer: Sent) -> None:
        """Keep what not everybody gets: its events are set aside. Of an outage the log alone says it."""
        if not answer.refused:
            return
        fix = "correct the address in the policy file; send it again, to all, with sfmc-import notify replay"
        self._log.error(
            "notification_refused_in_part", id=message.id, events=len(events), error=answer.refused, fix=fix
        )
        for event in events:
            self._group.set_aside(event, answer.refused)
            self._open.pop(event.position, None)

    def _give_up(self, message: Message, events: Sequence[ImportEvent], answer: NotSent) -> None:
        fix = "see the settings with sfmc-import notify test; send it again with sfmc-import notify replay"
        self._log.error("notification_set_aside", id=message.id, events=len(events), error=answer.text, fix=fix)
        for event in events:
            self._group.set_aside(event, answer.text)
            self._open.pop(event.position, None)

    def _wait(self, seconds: float) -> None:
        """Wait, and keep what is held from other notifiers meanwhile; raises Stopped at the end of the process."""
        until = self._times.clock() + seconds
        while (left := until - self._times.clock()) > 0:
            self._stop.wait(min(left, self._table.claim_after / 3))
            if self._stop.is_set():
                raise Stopped
            # While Redis is away nothing takes them either.
            with suppress(SfmcImportError):
                self._keep()

    def _keep(self, *, always: bool = False) -> None:
        now = self._times.clock()
        if self._open and (always or now - self._kept_at >= self._table.claim_after / 3):
            self._group.keep(*self._open.values())
            self._kept_at = now

    def _redis_failed(self, error: SfmcImportError) -> None:
        now = datetime.fromtimestamp(self._times.now(), UTC)
        # What is open is given again.
        self._held, self._open = [], {}
        if self._redis_away is None:
            self._redis_away, self._redis_text = now, str(error)
            self._log.warning("notifier_waits_for_redis", error=str(error))
        away = (now - self._redis_away).total_seconds()
        if self._table.outages and not self._redis_said and away >= self._times.redis_silence:
            text = messages.of_redis(self._redis_away, now, self._redis_text, is_over=False)
            self._redis_said = not isinstance(self._sender.send(text), NotSent)

    def _redis_answered(self) -> None:
        if self._redis_away is None:
            return
        since, self._redis_away = self._redis_away, None
        self._log.info("notifier_goes_on", since=since.isoformat())
        if self._redis_said:
            now = datetime.fromtimestamp(self._times.now(), UTC)
            self._redis_said = False
            over = messages.of_redis(since, now, self._redis_text, is_over=True)
            answer = self._sender.send(over)
            if isinstance(answer, NotSent):
                self._log.warning("notification_not_sent", id=over.id, attempt=1, wait=0.0, error=answer.text)
