"""Runs deliveries beside everything else: for each target a few threads, each with one connection."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import structlog

from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.retrying import Backoff
from sfmc_producers.checked_files import OpenContent
from sfmc_producers.content_errors import ContentError
from sfmc_producers.delivery.job import Job, deliver
from sfmc_producers.delivery.names import taken_as
from sfmc_producers.delivery.progress import FromFirstByte, Lines, WatchFile
from sfmc_producers.delivery.records import Held, LeaseLostError, Records
from sfmc_producers.delivery.targets import (
    FileRefusedError,
    LoginRefusedError,
    Session,
    TargetOptions,
    TargetRefusedError,
    TargetUnavailableError,
)
from sfmc_producers.delivery.unpacking import Decryption, Limits, unpacked

PAUSES = Backoff(floor=1.0, cap=300.0)
ORDER_SECONDS = 60.0
"""How long a file that waits keeps its place before younger ones of its name, when its source does not ask for it."""

MAX_QUEUED = 1000
"""Files of one target that this process has taken up; the others are asked for again with the next scan."""

HARMLESS = (FileRefusedError, ContentError, LeaseLostError, LedgerUnavailableError, OSError)
"""What happens to one file; its connection is as good as before, so no further login is needed."""

log = structlog.get_logger("sfmc_producers.delivery")


CLOSING = "the program ends"
UNDELIVERED = "undelivered"
"""The code of a file that waits because its target or its content failed."""


class ClosingError(Exception):
    """The program ends: what was sent so far stays, and its name is free for the next one."""


@dataclass(slots=True)
class _Entry:
    job: Job[Any]
    answer: Any = None
    is_done: bool = False
    not_before: float = 0.0
    failures: int = 0
    asked: float = field(default_factory=time.monotonic)
    name: str = ""

    def __post_init__(self) -> None:
        self.name = taken_as(self.job.name)

    @property
    def is_waiting(self) -> bool:
        """Whether it has no final answer yet."""
        return not self.is_done or isinstance(self.answer, Held)

    @property
    def said(self) -> Held:
        """What its source hears while it waits."""
        return self.answer if isinstance(self.answer, Held) else Held("it is on its way", is_under_way=True)


@dataclass(slots=True)
class _Outage:
    """Why a target is not asked now; `until` in seconds of the steady clock."""

    until: float = 0.0
    text: str = ""
    failures: int = 0

    @property
    def held(self) -> Held:
        """What a source hears of its file meanwhile."""
        return Held(self.text, code=UNDELIVERED, again_at=self.until)


@dataclass(slots=True)
class Target:
    """One [[target]]: its lines, where it is, and how a connection is opened; `take` may be called by any thread.

    `account` tells the login from all others: a refused one is not tried again, by whichever process.
    """

    name: str
    options: TargetOptions
    place: str
    open: Callable[[], Session]
    records: Records
    chance: Callable[[], float]
    account: str
    kind: str = "sftp"
    decrypt: Decryption | None = None
    watch: WatchFile = Lines
    _entries: dict[str, _Entry] = field(default_factory=dict)
    _queue: deque[_Entry] = field(default_factory=deque)
    _lanes: set[tuple[str, str]] = field(default_factory=set)
    _threads: int = 0
    _running: list[threading.Thread] = field(default_factory=list)
    _is_closing: bool = False
    _outage: _Outage = field(default_factory=_Outage)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _login: threading.Lock = field(default_factory=threading.Lock)

    def unpacked(self, open_content: OpenContent, forms: Sequence[str], verify_with: Sequence[str] = ()) -> OpenContent:
        """Give what opens the unpacked content, within the limits of this target."""
        limits = Limits(self.options.max_unpacked, self.options.max_ratio)
        decrypt = None if self.decrypt is None else partial(self.decrypt.open, verify_with=verify_with)
        return unpacked(open_content, forms, limits, decrypt)

    def knows(self, request_id: str) -> bool:
        """Tell whether it has taken up the file of this request, which then needs no further look."""
        with self._changed:
            return request_id in self._entries

    def take(self, job: Job[Any]) -> Any:
        """Give what `submit` of the job answered, or Held with the reason why it is not done yet: ask again."""
        with self._changed:
            entry = self._entries.get(job.request_id)
            if entry is not None and entry.is_done and not isinstance(entry.answer, Held):
                del self._entries[job.request_id]
                return entry.answer
            now = time.monotonic()
            if self._is_closing:
                return Held(CLOSING)
            if now < self._outage.until:
                return self._outage.held
            if entry is None:
                return self._add(_Entry(job))
            entry.asked = now
            if entry.is_done and (older := self._older(entry, now)) is not None:
                return replace(older.said, text=f"request {older.job.request_id} comes first: {older.said.text}")
            if entry.is_done and now >= entry.not_before:
                # The file may have been seen anew since: what it should be now is in the newer job.
                entry.job, entry.is_done = job, False
                self._enqueue(entry)
            return entry.answer or Held(f"on its way to {self.name}", is_under_way=True)

    def close(self, seconds: float) -> None:
        """End the connections in order, within so many seconds; an upload stops, and can go on from there at once."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
            running = list(self._running)
        deadline = time.monotonic() + seconds
        for each in running:
            each.join(max(0.0, deadline - time.monotonic()))

    def _older(self, entry: _Entry, now: float) -> _Entry | None:
        """Give a file that came before this one, has its name at the target, and waits too."""
        for each in self._entries.values():
            if each is entry:
                return None
            if each.is_waiting and now - each.asked < ORDER_SECONDS and each.name == entry.name:
                return each
        return None

    def _require_open(self, _: int) -> None:
        if self._is_closing:
            raise ClosingError(CLOSING)

    def _add(self, entry: _Entry) -> Held:
        if len(self._entries) >= MAX_QUEUED:
            self._entries = {name: each for name, each in self._entries.items() if not each.is_done}
            return Held(f"waits for its turn at {self.name}", is_under_way=True)
        self._entries[entry.job.request_id] = entry
        self._enqueue(entry)
        return Held(f"on its way to {self.name}", is_under_way=True)

    def _enqueue(self, entry: _Entry) -> None:
        self._queue.append(entry)
        self._changed.notify()
        if self._threads < min(self.options.connections, len(self._queue) + len(self._lanes)):
            self._threads += 1
            thread = threading.Thread(target=self._work, name=f"sfmc-target-{self.name}", daemon=True)
            self._running = [*(each for each in self._running if each.is_alive()), thread]
            thread.start()

    def _work(self) -> None:
        session: Session | None = None
        try:
            while (entry := self._next()) is not None:
                session = self._one(entry, session)
        finally:
            if session is not None:
                session.close()

    def _next(self) -> _Entry | None:
        """Wait for the first file whose definition is free; None after an idle time, and when the process ends."""
        with self._changed:
            while (entry := next((each for each in self._queue if each.job.lane not in self._lanes), None)) is None:
                if self._is_closing or not self._changed.wait(self.options.idle):
                    self._threads -= 1
                    return None
            if self._is_closing:
                self._threads -= 1
                return None
            self._queue.remove(entry)
            self._lanes.add(entry.job.lane)
            return entry

    def _one(self, entry: _Entry, session: Session | None) -> Session | None:
        opened = session
        answer: Any = Held("it failed; the log has the reason")
        is_sound = False
        try:
            opened = opened or self.open()
            answer = self._deliver(entry, opened)
            is_sound = True
        except ClosingError:
            answer, is_sound = Held(CLOSING), True
        except (TargetUnavailableError, TargetRefusedError) as error:
            if isinstance(error, LoginRefusedError):
                self._note_lock_out()
            answer = self._say_outage(error)
        except Exception as error:  # noqa: BLE001 - whatever happens to one file, the others go on
            answer = self._say_failed(entry, error)
            is_sound = isinstance(error, HARMLESS)
        self._finish(entry, answer)
        if is_sound:
            return opened
        if opened is not None:
            with suppress(Exception):
                opened.close()
        return None

    def _deliver(self, entry: _Entry, session: Session) -> Any:
        def connected() -> Session:
            # One login at a time: after a refused one no other is tried.
            with self._login:
                if time.monotonic() < self._outage.until:
                    raise TargetUnavailableError(self._outage.text)
                if not session.is_connected:
                    self._require_no_lock_out()
                    session.connect()
                    self._note_let_in()
            return session

        watch = FromFirstByte(
            lambda: self.watch(entry.job.name, self.name, entry.job.total, self.options.progress_every)
        )

        def report(sent: int) -> None:
            self._require_open(sent)
            watch.at(sent)

        try:
            answer = deliver(entry.job, self.records, connected, report)
        finally:
            watch.end()
        if not isinstance(answer, Held):
            self._outage = _Outage()
            log.info("file_delivered", file=entry.job.name, target=self.name, request_id=entry.job.request_id)
        return answer

    def _require_no_lock_out(self) -> None:
        """Raise TargetUnavailableError while a refused login, of this process or another, is too recent."""
        left = self.records.locked_out(self.account, self.options.lock_out)
        if left > 0:
            text = f"target {self.name}: its login was refused a short time ago; it is tried again after lock_out"
            log.warning("target_locked_out", target=self.name, again_in=round(left, 1), action="waiting")
            self._outage = _Outage(time.monotonic() + left, text)
            raise TargetUnavailableError(text)

    def _note_lock_out(self) -> None:
        # Without Redis this process still waits.
        with suppress(LedgerUnavailableError):
            self.records.lock_out(self.account)

    def _note_let_in(self) -> None:
        # Without Redis the record ends by itself.
        with suppress(LedgerUnavailableError):
            self.records.let_in(self.account)

    def _say_outage(self, error: Exception) -> Held:
        with self._changed:
            now, before = time.monotonic(), self._outage
            if now < before.until:
                return before.held
            is_refused = isinstance(error, TargetRefusedError)
            failures = before.failures + 1
            pause = self.options.lock_out if is_refused else PAUSES.pause(failures, self.chance())
            self._outage = _Outage(now + pause, f"target {self.name}: {error}", failures)
        event = "target_refused" if is_refused else "target_unavailable"
        log.error(event, target=self.name, reason=str(error), again_in=round(pause, 1), action="waiting")
        return self._outage.held

    def _say_failed(self, entry: _Entry, error: Exception) -> Held:
        entry.failures += 1
        entry.not_before = time.monotonic() + PAUSES.pause(entry.failures, self.chance())
        log.warning(
            "delivery_failed", file=entry.job.name, target=self.name, reason=str(error), action="waiting",
            exc_info=None if isinstance(error, HARMLESS) else error,
        )  # fmt: skip
        return Held(f"target {self.name}: {error}", code=UNDELIVERED, again_at=entry.not_before)

    def _finish(self, entry: _Entry, answer: Any) -> None:
        with self._changed:
            entry.answer = Held("Redis does not answer") if answer is None else answer
            entry.not_before = max(entry.not_before, time.monotonic() + 1.0)
            entry.is_done = True
            self._lanes.discard(entry.job.lane)
            self._changed.notify_all()
