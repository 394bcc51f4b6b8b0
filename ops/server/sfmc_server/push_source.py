"""One push source: from a POST to requests in the ledger. Runs in threads of its own; the event loop waits for it."""

import asyncio
import hashlib
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import orjson
import structlog

from sfmc_producers.push import event_grid, sns
from sfmc_producers.push.forms import FORMS
from sfmc_producers.push.options import PushOptions
from sfmc_producers.push.posts import NotReadableError, Post, UnusablePostError, readable
from sfmc_producers.sources.arrivals import Arrival, Ignored, Record, Unreadable
from sfmc_producers.sources.intake import Intake, SetAside
from sfmc_producers.submitter import InvalidRequest
from sfmc_server.amazon import SnsMessages
from sfmc_server.answers import NOT_ALLOWED, Answer, RefusedError, later, problem, too_large
from sfmc_server.authentication import NotNowError, Received, Verifier
from sfmc_server.bodies import unpacked

THREADS = 4
"""Of each source: one whose backend hangs keeps no other source waiting."""

MAX_WAITING = 64
"""POSTs of a source that are worked on or wait for a thread; the next ones are asked to come later."""

REFUSED_LOG_SECONDS = 10.0


class RefusalLog:
    """Says that POSTs were refused, at most once in so many seconds: whoever is refused must not fill the log."""

    def __init__(self, source: str) -> None:
        self._log = structlog.get_logger("sfmc_server.push").bind(source=source)
        self._lock = threading.Lock()
        self._count = 0
        self._since: float | None = None

    def note(self) -> None:
        """Count one, and log the number when it is time."""
        with self._lock:
            self._count += 1
            now = time.monotonic()
            if self._since is not None and now - self._since < REFUSED_LOG_SECONDS:
                return
            count, self._count, self._since = self._count, 0, now
        self._log.warning("push_refused", posts=count, detail="the signature or the token is not that of the sender")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the events of a POST; `is_complete` says that each is in the ledger or set aside."""

    counts: Mapping[str, int]
    is_complete: bool


class PushSource:
    """Checks, reads and takes what is posted to one source."""

    def __init__(self, options: PushOptions, verifier: Verifier, intake: Intake, set_aside: SetAside) -> None:
        self.name, self.options = intake.source, options
        self._form = FORMS[options.form]
        self._verifier, self._intake, self._set_aside = verifier, intake, set_aside
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=f"sfmc-push-{self.name}")
        self._waiting = 0
        self._is_ending = False
        self._refusals = RefusalLog(self.name)
        self._log = structlog.get_logger("sfmc_server.push").bind(source=self.name)

    async def take(self, received: Received) -> Answer:
        """Do all that blocks in a thread; raises RefusedError when too many wait already, and at the end."""
        if self._is_ending or self._waiting >= MAX_WAITING:
            raise RefusedError(later(1.0))
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self.answer, received)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Begin no further event; what was not taken is posted again."""
        self._is_ending = True
        self._threads.shutdown(wait=False, cancel_futures=True)

    def answer(self, received: Received) -> Answer:
        """Give the answer to a POST."""
        try:
            if not self._verifier.accepts(received):
                self._refusals.note()
                return NOT_ALLOWED
            encoding = received.headers.get("content-encoding", "")
            return self._take_post(Post(received.headers, unpacked(received.raw, encoding, self.options.max_unpacked)))
        except RefusedError as error:
            return error.answer
        except NotNowError:
            return later(10.0)
        except UnusablePostError as error:
            self._log.warning("post_unusable", reason=str(error))
            return problem(error.status, str(error))

    def replay(self) -> None:
        """Take what an operator sent back; what still cannot be read is set aside anew."""
        for body in self._set_aside.replayed(self.name):
            try:
                events: Sequence[Any] = [orjson.loads(body)]
            except orjson.JSONDecodeError:
                is_done = self._put_aside(body, "it is not JSON", f"replayed:{time.time_ns()}")
            else:
                is_done = self._take_events(events, f"replayed:{time.time_ns()}").is_complete
            if is_done:
                self._set_aside.done(self.name, body)

    def _take_post(self, post: Post) -> Answer:
        if isinstance(self._verifier, SnsMessages):
            self._confirm(self._verifier, post)
        try:
            events = self._form.split(post)
        except NotReadableError as error:
            outcome = Outcome({"set_aside": 1}, self._put_aside(post.body, str(error)))
        else:
            if len(events) > self.options.max_events:
                return too_large(f"a body may have {self.options.max_events} events")
            if self.options.form in {"auto", "event-grid"} and (code := event_grid.validation_code(events)):
                return Answer(200, {"validationResponse": code})
            outcome = self._take_events(events)
        if not outcome.is_complete:
            return later(self._intake.submitter.next_in)
        return Answer(200, {name: outcome.counts.get(name, 0) for name in ("taken", "ignored", "set_aside")})

    def _confirm(self, messages: SnsMessages, post: Post) -> None:
        envelope = sns.envelope_of(post)
        if envelope["Type"] == sns.CONFIRMATION and not messages.confirm(envelope):
            raise UnusablePostError("SubscribeURL is not one of the topic")

    def _take_events(self, events: Sequence[Any], again: str = "") -> Outcome:
        """Take all events; one that is not taken now keeps no other waiting. Raises UnusablePostError after that."""
        counts: Counter[str] = Counter()
        for event in events:
            if self._is_ending:
                return Outcome(counts, is_complete=False)
            counts[self._take_event(event, again)] += 1
        if counts["not_now"]:
            return Outcome(counts, is_complete=False)
        if counts["unusable"]:
            raise UnusablePostError("an event is nested too deeply")
        return Outcome(counts, is_complete=True)

    def _take_event(self, event: Any, again: str) -> str:
        record = self._read(event)
        if isinstance(record, Arrival):
            taken = self._intake.take(record)
            if not isinstance(taken, InvalidRequest):
                return "taken" if taken else "not_now"
            record = Unreadable("; ".join(taken.problems))
        if isinstance(record, Ignored):
            self._log.info("record_ignored", reason=record.reason)
            return "ignored"
        try:
            body = orjson.dumps(event)
        except orjson.JSONEncodeError:
            # What is read may be nested more deeply than what is written.
            return "unusable"
        return "set_aside" if self._put_aside(body, record.text, again) else "not_now"

    def _read(self, event: Any) -> Record:
        try:
            return readable(self._form, event, self.options.location)
        except Exception:  # noqa: BLE001 - the edge to text from outside: it costs this event alone, which is kept
            self._log.exception("message_not_understood")
            return Unreadable("it cannot be read; the log of the server has the reason")

    def _put_aside(self, body: bytes, text: str, again: str = "") -> bool:
        """Keep the bytes of one event; the same bytes are kept once, however often they are posted."""
        record_id = hashlib.sha256(body).hexdigest() + again
        if not self._set_aside.add(self.name, record_id, body, text):
            return False
        self._log.warning("record_set_aside", reason=text)
        return True
