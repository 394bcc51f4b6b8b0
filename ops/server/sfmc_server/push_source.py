"""One push source: from a POST to requests in the ledger. Runs in threads of its own; the event loop waits for it."""

import asyncio
import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import orjson
import structlog

from sfmc_producers.push import event_grid, sns
from sfmc_producers.push.forms import FORMS
from sfmc_producers.push.inbox import Inbox
from sfmc_producers.push.options import PushOptions
from sfmc_producers.push.posts import NotReadableError, Post, UnusablePostError, readable
from sfmc_producers.sources.arrivals import Arrival, Ignored, Record, Unreadable
from sfmc_producers.sources.intake import Intake, SaidOnce, SetAside
from sfmc_producers.sources.standing import INBOX, MAIN
from sfmc_producers.submitter import InvalidRequest
from sfmc_server.amazon import SnsMessages
from sfmc_server.answers import NOT_ALLOWED, Answer, RefusedError, later, problem, too_large
from sfmc_server.authentication import NotNowError, Received, Verifier
from sfmc_server.batching import Batches
from sfmc_server.bodies import unpacked
from sfmc_server.google import GoogleTokens

THREADS = 4
"""Of each source: one whose backend hangs keeps no other source waiting."""

MAX_WAITING = 64
"""POSTs of a source that are worked on or wait for a thread; the next ones are asked to come later."""

MAX_TOGETHER = 64
"""POSTs whose events are recorded together."""

TOGETHER_BYTES = 65_536
"""A longer body, or one that is packed, is worked on alone: it may have thousands of events, and fill memory."""

TIME_LIMIT_SECONDS = 0.05
"""How long POSTs wait for those before them: longer than it takes to record them, unless a backend is slow."""

EVENTS_AT_ONCE = 200
"""Events that are recorded together: between such groups a source can end."""

REFUSED_LOG_SECONDS = 10.0
UNREAD_SECONDS = 60.0
"""How long an event may wait before it is said that no producer takes it up, and how often."""

NOT_TAKEN_SECONDS = 300.0
"""How long after the last POST that was not taken it counts as a trouble of its source."""

TOO_DEEP = InvalidRequest(problems=("it is nested too deeply",))


NOT_OF_THE_SENDER = "the signature or the token is not that of the sender"


class RefusalLog:
    """Says that POSTs were refused, at most once in so many seconds: whoever is refused must not fill the log."""

    def __init__(self, source: str) -> None:
        self._log = structlog.get_logger("sfmc_server.push").bind(source=source)
        self._lock = threading.Lock()
        self._count = self._all = 0
        self._since: float | None = None

    def note(self) -> str | None:
        """Count one; gives a sentence about all so far, and logs their number, when it is time."""
        with self._lock:
            self._count += 1
            self._all += 1
            now = time.monotonic()
            if self._since is not None and now - self._since < REFUSED_LOG_SECONDS:
                return None
            count, self._count, self._since, of_all = self._count, 0, now, self._all
        self._log.warning("push_refused", posts=count, detail=NOT_OF_THE_SENDER)
        at = datetime.now(UTC)
        return f"refused POSTs: {of_all}, the last at {at:%Y-%m-%d %H:%M:%S} UTC: {NOT_OF_THE_SENDER}"


def is_large(received: Received) -> bool:
    """Tell whether a POST may have so much in it that no other should wait for it."""
    return len(received.raw) > TOGETHER_BYTES or "content-encoding" in received.headers


def packed(event: Any) -> bytes | None:
    """Write an event as JSON; None where it is nested more deeply than can be written."""
    try:
        return orjson.dumps(event)
    except orjson.JSONEncodeError:
        return None


Read = TypeVar("Read")
IS_ENDING = "this server ends"
NOT_KEPT = "Redis or the definitions did not answer"


class PushSource:
    """Checks, reads and takes what is posted to one source.

    With an `inbox` the events that name a file are kept there, for the producer that delivers it.
    """

    def __init__(
        self,
        options: PushOptions,
        verifier: Verifier,
        intake: Intake,
        set_aside: SetAside,
        inbox: Inbox | None = None,
    ) -> None:
        self.name, self.options = intake.source, options
        self.standing, self.submitter = intake.standing, intake.submitter
        self.standing.place, self.standing.kind = f"push, {options.form}", "push"
        self.standing.ready()
        self._form, self._place = FORMS[options.form], options.place
        self._verifier, self._intake, self._set_aside = verifier, intake, set_aside
        self._inbox, self._said_unread, self._said = inbox, 0.0, SaidOnce()
        self._not_taken_at: float | None = None
        self._not_taken_for = ""
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=f"sfmc-push-{self.name}")
        # What is fetched to know a sender may take long: such POSTs do not wait for each other.
        self._is_alone = isinstance(verifier, (SnsMessages, GoogleTokens))
        self._batches = Batches(
            self.answers, self._threads, threads=THREADS, most=MAX_TOGETHER, time_limit=TIME_LIMIT_SECONDS
        )
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
            if self._is_alone or is_large(received):
                [answer] = await asyncio.get_running_loop().run_in_executor(self._threads, self.answers, [received])
                if isinstance(answer, Exception):
                    raise answer
                return answer
            return await self._batches.add(received)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Begin no further event; what was not taken is posted again."""
        self._is_ending = True
        self._threads.shutdown(wait=False, cancel_futures=True)

    def answers(self, batch: Sequence[Received]) -> list[Answer | Exception]:
        """Give the answer to each POST, or the error that is its end; the events of all are taken together."""
        read = [self._answer_or_error(partial(self._events_of, each)) for each in batch]
        taken = iter(self._take_events([event for each in read if isinstance(each, list) for event in each]))
        return [
            self._answer_or_error(partial(self._answer_to, list(islice(taken, len(each)))))
            if isinstance(each, list)
            else each
            for each in read
        ]

    def _answer_or_error(self, action: Callable[[], Read]) -> Read | Answer | Exception:
        try:
            return action()
        except RefusedError as error:
            return error.answer
        except NotNowError:
            return later(10.0)
        except UnusablePostError as error:
            self._log.warning("post_unusable", reason=str(error))
            return problem(error.status, str(error))
        except Exception as error:  # noqa: BLE001 - the edge to one POST: it costs no other, and its waiter gets it
            return error

    def _events_of(self, received: Received) -> list[Any] | Answer:
        """Check and read a POST; its answer where it has no events."""
        if not self._verifier.accepts(received):
            self.standing.note = self._refusals.note() or self.standing.note
            return NOT_ALLOWED
        encoding = received.headers.get("content-encoding", "")
        post = Post(received.headers, unpacked(received.raw, encoding, self.options.max_unpacked))
        if isinstance(self._verifier, SnsMessages):
            self._confirm(self._verifier, post)
        try:
            events = list(self._form.split(post))
        except NotReadableError as error:
            return self._answer_to(["set_aside" if self._put_aside(post.body, str(error)) else "not_now"])
        if len(events) > self.options.max_events:
            return too_large(f"a body may have {self.options.max_events} events")
        if self.options.form in {"auto", "event-grid"} and (code := event_grid.validation_code(events)):
            return Answer(200, {"validationResponse": code})
        return events

    def _answer_to(self, taken: Sequence[str]) -> Answer:
        """Give the answer to a POST of whose events this became; raises UnusablePostError."""
        counts = Counter(taken)
        if counts["not_now"] or counts["not_named"]:
            next_in = self.submitter.next_in
            self._not_taken_for = self._cause()
            if not (self._not_taken_for or self._is_ending or counts["not_now"]):
                # Files that no definition names yet: nothing is wrong, and the next POST asks newer ones.
                return later(next_in)
            cause = self._not_taken_for or (IS_ENDING if self._is_ending else NOT_KEPT)
            text = f"{cause}; refused last at {datetime.now(UTC):%H:%M:%S} UTC, the next POST asks anew"
            self.standing.failed(text, again_in=next_in, state="not_taken")
            self._not_taken_at = time.monotonic()
            return later(next_in)
        self.standing.looked()
        self._not_taken_at = None
        if counts["unusable"]:
            raise UnusablePostError("an event is nested too deeply")
        return Answer(200, {name: counts[name] for name in ("taken", "ignored", "set_aside")})

    def replay(self) -> None:
        """Take what an operator sent back; what still cannot be read is set aside anew."""
        for letter in self._set_aside.replayed(self.name):
            if self._take_again(letter.body, f"replayed:{letter.id}"):
                self._set_aside.done(self.name, letter)

    def _take_again(self, body: bytes, again: str) -> bool:
        try:
            events: Sequence[Any] = [orjson.loads(body)]
        except orjson.JSONDecodeError:
            return self._put_aside(body, "it is not JSON", again)
        taken = self._take_events(events, again)
        if "unusable" in taken:
            return self._put_aside(body, "it is nested too deeply", again)
        return {"not_now", "not_named"}.isdisjoint(taken)

    def _confirm(self, messages: SnsMessages, post: Post) -> None:
        envelope = sns.envelope_of(post)
        if envelope["Type"] == sns.CONFIRMATION and not messages.confirm(envelope):
            raise UnusablePostError("SubscribeURL is not one of the topic")

    def _take_events(self, events: Sequence[Any], again: str = "") -> list[str]:
        """Take all events, many at once; one that is not taken now keeps no other waiting."""
        taken: list[str] = []
        for begin in range(0, len(events), EVENTS_AT_ONCE):
            some = events[begin : begin + EVENTS_AT_ONCE]
            taken += ["not_now"] * len(some) if self._is_ending else self._take_some(some, again)
        return taken

    def _take_some(self, events: Sequence[Any], again: str) -> list[str]:
        records = [self._read(event) for event in events]
        found = [(event, each) for event, each in zip(events, records, strict=True) if isinstance(each, Arrival)]
        answers = iter(self._taken(found))
        return [
            self._end_of(event, record, next(answers) if isinstance(record, Arrival) else None, again)
            for event, record in zip(events, records, strict=True)
        ]

    def _taken(self, found: Sequence[tuple[Any, Arrival]]) -> Sequence[bool | InvalidRequest]:
        """Record the requests of these events, or keep the events for the producer that delivers their files."""
        if self._inbox is None:
            return self._intake.take_many([arrival for _, arrival in found])
        bodies = [packed(event) for event, _ in found]
        kept = iter(self._inbox.add([each for each in bodies if each is not None]))
        return [TOO_DEEP if each is None else next(kept) for each in bodies]

    def _cause(self) -> str:
        """Say in words what does not take events now; empty where nothing is known."""
        kept = "" if self._inbox is None else self._inbox.outage
        return self.submitter.outage(self.options.mid)[0] or kept or self._set_aside.outage(self.name)

    def _is_cause_over(self) -> bool:
        """Ask whether disk and replicas confirm again, although nothing is posted, and tell whether nothing fails."""
        if not self._not_taken_for or not (self.submitter.confirm([]) and self._set_aside.confirm(self.name, [])):
            return False
        if self._inbox is not None:
            self._inbox.ask_anew()
        return not self._cause()

    def forget_not_taken(self, after: float = NOT_TAKEN_SECONDS) -> None:
        """Say no more that nothing is taken once its cause is over, or where nothing was posted for so long."""
        at = self._not_taken_at
        if at is not None and (time.monotonic() - at > after or self._is_cause_over()):
            self._not_taken_at = None
            self.standing.well(MAIN)
            self.standing.ready()

    def say_unread(self) -> None:
        """Say that no producer takes up what is kept, from time to time."""
        seconds = None if self._inbox is None else self._inbox.unread_seconds()
        if seconds is None or seconds < UNREAD_SECONDS:
            self.standing.well(INBOX)
            return
        self.standing.failed("events wait", INBOX, state="not_read", for_seconds=seconds)
        if time.monotonic() < self._said_unread + UNREAD_SECONDS:
            return
        self._said_unread = time.monotonic()
        fix = f"its files are delivered by: sfmc-import source {self.name}"
        self._log.error("inbox_not_read", seconds=round(seconds), fix=fix)

    def _end_of(self, event: Any, record: Record, taken: bool | InvalidRequest | None, again: str) -> str:
        """Say what became of an event, and keep what cannot be taken."""
        if isinstance(record, Arrival):
            if not isinstance(taken, InvalidRequest):
                return "taken" if taken else "not_named" if self._intake.is_list_new(record) else "not_now"
            record = Unreadable("; ".join(taken.problems))
        if isinstance(record, Ignored):
            self._log.info("record_ignored", reason=record.reason)
            return "ignored"
        body = packed(event)
        if body is None:
            return "unusable"
        return "set_aside" if self._put_aside(body, record.text, again) else "not_now"

    def _read(self, event: Any) -> Record:
        try:
            return readable(self._form, event, self._place)
        except Exception:  # noqa: BLE001 - the edge to text from outside: it costs this event alone, which is kept
            self._log.exception("message_not_understood")
            return Unreadable("it cannot be read; the log of the server has the reason")

    def _put_aside(self, body: bytes, text: str, again: str = "") -> bool:
        """Keep the bytes of one event; the same bytes are kept once, however often they are posted."""
        record_id = hashlib.sha256(body).hexdigest() + again
        is_kept = self._set_aside.add(self.name, record_id, body, text)
        if not is_kept or not self._set_aside.confirm(self.name, [record_id]):
            return False
        if self._said.is_new(record_id):
            self._log.warning("record_set_aside", reason=text)
        return True
