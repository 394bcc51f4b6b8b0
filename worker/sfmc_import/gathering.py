"""Gathers the questions of many threads, so that one Retrieve answers them together."""

import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import structlog

from sfmc_import.faults import Fault, NotApplied, Rejected
from sfmc_import.ports import MarketingCloud, Refusal
from sfmc_import.request import fold_key, is_spelling_of
from sfmc_import.retrying import is_account_wide
from sfmc_import.runs import Accepted, Definition, Run
from sfmc_import.thread_use import ThreadUse

Q = TypeVar("Q")
"""What is asked for: the CustomerKey of a definition, or a tuple of one and of what its answer depends on."""

A = TypeVar("A")

MOST = 100
"""Questions of one batch; more of them make the answer no cheaper (50 have nearly all of the gain)."""
REST_SECONDS = 60.0
"""How long every question goes alone after a batch that was not answered as it should be."""
SOON_SECONDS = 5.0
"""A batch that failed within this time is asked again one by one; after more, its failure is the answer."""
SLOW_SECONDS = 600.0
"""How long a definition goes alone after a failure that took more than SOON_SECONDS, unless it is answered."""
MOST_SLOW = 10_000
"""Definitions of a business unit that are remembered for a failure that took long."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a question waits for others, in seconds: `box` at most, less when no other came for `quiet`.

    While a call of the same kind is under way it waits for its end, but not longer than `held`. Where `spares_threads`
    it waits for nothing once threads have been scarce for `box`.
    """

    box: float
    quiet: float = 0.02
    held: float = 0.5
    spares_threads: bool = False


@dataclass(slots=True)
class _Batch(Generic[Q, A]):
    """Questions that go together; the thread that asked the first one sends them."""

    begun: float
    newest: float
    is_closed: bool
    questions: list[Q] = field(default_factory=list)
    answers: Mapping[Q, A | Refusal] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class _Lane(Generic[Q, A]):
    """What is asked of one business unit: the batch that still takes questions, and what is under way."""

    open: _Batch[Q, A] | None = None
    under_way: int = 0
    newest: float = float("-inf")
    rests_until: float = float("-inf")
    slow: dict[object, float] = field(default_factory=dict)


def _definition(question: object) -> object:
    return question[0] if isinstance(question, tuple) else question


class Gatherer(Generic[Q, A]):
    """Asks for many threads; a question that comes alone goes at once.

    `many` answers several questions of a business unit in one call, or refuses; what it leaves out is asked alone. So
    is, for a while, each definition of a call that failed after a long time: one of them may make all others wait.
    A thread waits at most `longest` seconds for the batch of another.
    """

    def __init__(
        self,
        one: Callable[[str, Q], A | Refusal],
        many: Callable[[str, Sequence[Q]], Mapping[Q, A] | Refusal],
        pace: Pace,
        longest: float,
        clock: Callable[[], float] = time.monotonic,
        use: ThreadUse | None = None,
    ) -> None:
        self._one = one
        self._many = many
        self._pace = pace
        self._longest = longest
        self._clock = clock
        self._lanes: dict[str, _Lane[Q, A]] = {}
        self._use = use or ThreadUse()
        self._changed = self._use.changed

    def ask(self, mid: str, question: Q) -> A | Refusal:
        """Give the answer to a question that is sent after this call began."""
        with self._changed:
            lane = self._lanes.setdefault(mid, _Lane())
            goes_alone = max(lane.rests_until, lane.slow.get(_definition(question), 0.0)) > self._clock()
            batch, leads = (None, False) if goes_alone else self._join(lane, question)
        if batch is None:
            return self._ask_alone(mid, lane, question)
        if leads:
            self._send(mid, lane, batch)
        elif not batch.done.wait(self._longest):
            return NotApplied("read_timeout", "another call is still reading this")
        return self._answer(mid, lane, batch, question)

    def waiting(self, mid: str) -> int:
        """Count the questions that wait for others."""
        with self._changed:
            lane = self._lanes.get(mid)
            return 0 if lane is None or lane.open is None else len(lane.open.questions)

    def _join(self, lane: _Lane[Q, A], question: Q) -> tuple[_Batch[Q, A], bool]:
        now, batch = self._clock(), lane.open
        leads = batch is None
        if batch is None:
            # Where no thread asked for a while, none is expected.
            is_alone = not lane.under_way and now - lane.newest > self._pace.box
            batch = _Batch(begun=now, newest=now, is_closed=is_alone)
            lane.open = None if is_alone else batch
        batch.questions.append(question)
        batch.newest = lane.newest = now
        if len(batch.questions) >= MOST:
            batch.is_closed, lane.open = True, None
            self._changed.notify_all()
        return batch, leads

    def _send(self, mid: str, lane: _Lane[Q, A], batch: _Batch[Q, A]) -> None:
        with self._changed:
            while (left := self._left(lane, batch)) > 0:
                self._changed.wait(left)
            if lane.open is batch:
                lane.open = None
            lane.under_way += 1
        try:
            batch.answers = self._asked(mid, lane, batch.questions)
        finally:
            batch.done.set()
            with self._changed:
                lane.under_way -= 1
                self._changed.notify_all()

    def _left(self, lane: _Lane[Q, A], batch: _Batch[Q, A]) -> float:
        """Seconds until a batch must go."""
        if batch.is_closed:
            return 0.0
        until = min(batch.begun + self._pace.box, batch.newest + self._pace.quiet)
        if lane.under_way:
            until = batch.begun + self._pace.held
        if self._pace.spares_threads and self._use.scarce_since is not None:
            # A wave of short Performs is over before that.
            until = min(until, self._use.scarce_since + self._pace.box)
        return until - self._clock()

    def _asked(self, mid: str, lane: _Lane[Q, A], questions: Sequence[Q]) -> Mapping[Q, A | Refusal]:
        if len(questions) == 1:
            return {questions[0]: self._ask_alone(mid, lane, questions[0])}
        begun = self._clock()
        found = self._many(mid, questions)
        if isinstance(found, Mapping):
            return found
        if is_account_wide(found):
            return dict.fromkeys(questions, found)
        if self._clock() - begun > SOON_SECONDS:
            self._note_slow(lane, questions)
            return dict.fromkeys(questions, found)
        self._rest(mid, lane, found, len(questions))
        return {}

    def _ask_alone(self, mid: str, lane: _Lane[Q, A], question: Q) -> A | Refusal:
        begun = self._clock()
        answer = self._one(mid, question)
        if not isinstance(answer, Fault):
            with self._changed:
                lane.slow.pop(_definition(question), None)
        elif not is_account_wide(answer) and self._clock() - begun > SOON_SECONDS:
            self._note_slow(lane, [question])
        return answer

    def _note_slow(self, lane: _Lane[Q, A], questions: Sequence[Q]) -> None:
        with self._changed:
            until = self._clock() + SLOW_SECONDS
            for each in map(_definition, questions):
                lane.slow.pop(each, None)
                lane.slow[each] = until
            while len(lane.slow) > MOST_SLOW:
                del lane.slow[next(iter(lane.slow))]

    def _answer(self, mid: str, lane: _Lane[Q, A], batch: _Batch[Q, A], question: Q) -> A | Refusal:
        if question in batch.answers:
            return batch.answers[question]
        answer = self._one(mid, question)
        if batch.answers and answer is not None and not isinstance(answer, Fault):
            self._rest(mid, lane, Rejected("missing_row", f"{question} was left out of an answer"), 1)
        return answer

    def _rest(self, mid: str, lane: _Lane[Q, A], fault: Refusal, questions: int) -> None:
        """Note that questions had better go alone for a while."""
        lane.rests_until = self._clock() + REST_SECONDS
        log.warning("batch_not_answered", mid=mid, code=fault.code, text=fault.text, questions=questions)


class Batches(Protocol):
    """Calls of Marketing Cloud that answer several questions."""

    @property
    def asks_newer(self) -> bool:
        """Whether Marketing Cloud has not refused yet to be asked for runs above a TaskResultID."""
        ...

    def definitions_of(self, mid: str, customer_keys: Collection[str]) -> Sequence[Definition] | Refusal:
        """Retrieve the ImportDefinitions that these keys find, as Marketing Cloud spells them."""
        ...

    def newer_runs_of(self, mid: str, customer_keys: Collection[str], above: str) -> Sequence[Run] | Refusal:
        """List the rows of ImportResultsSummary that name one of these definitions and have a greater TaskResultID."""
        ...


# Other characters may be compared in ways that make one answer that of two questions.
_PLAIN = re.compile(r"[A-Za-z0-9_.:@/+()#&-]+(?: [A-Za-z0-9_.:@/+()#&-]+)*")


_Newer = tuple[str, str]
"""The CustomerKey whose runs are asked for, and the TaskResultID above which."""


class GatheringMarketingCloud:
    """Implements sfmc_import.ports.MarketingCloud: asks for definitions and newer runs together, passes all else on."""

    def __init__(
        self,
        service: MarketingCloud,
        batches: Batches,
        pace: Pace,
        longest: float,
        clock: Callable[[], float] = time.monotonic,
        use: ThreadUse | None = None,
    ) -> None:
        self._service = service
        self._batches = batches
        self._use = use = use or ThreadUse()
        self.definitions_asked: Gatherer[str, Definition | None] = Gatherer(
            service.definition, self._many_definitions, pace, longest, clock, use
        )
        self.runs_asked: Gatherer[_Newer, Sequence[Run]] = Gatherer(
            self._newer_runs, self._many_newer_runs, pace, longest, clock, use
        )

    def prepare(self) -> None:
        """See sfmc_import.ports.MarketingCloud.prepare."""
        self._service.prepare()

    def stop(self, seconds: float) -> None:
        """See sfmc_import.ports.MarketingCloud.stop."""
        self._service.stop(seconds)

    def start(self, mid: str, customer_key: str, *, not_after: float) -> Accepted | Fault:
        """See sfmc_import.ports.MarketingCloud.start."""
        with self._use.starting():
            return self._service.start(mid, customer_key, not_after=not_after)

    def definition(self, mid: str, customer_key: str) -> Definition | Refusal | None:
        """See sfmc_import.ports.MarketingCloud.definition."""
        if not _PLAIN.fullmatch(customer_key):
            return self._service.definition(mid, customer_key)
        return self.definitions_asked.ask(mid, customer_key)

    def definition_of_object(self, mid: str, object_id: str) -> Definition | Refusal | None:
        """See sfmc_import.ports.MarketingCloud.definition_of_object."""
        return self._service.definition_of_object(mid, object_id)

    def definitions(self, mid: str) -> Sequence[Definition] | Refusal:
        """See sfmc_import.ports.MarketingCloud.definitions."""
        return self._service.definitions(mid)

    def runs_of(self, mid: str, customer_key: str, *, above: str | None = None) -> Sequence[Run] | Refusal:
        """See sfmc_import.ports.MarketingCloud.runs_of; all runs of a definition are asked for alone."""
        is_number = above is not None and above.isascii() and above.isdigit()
        if above is None or not (is_number and self._batches.asks_newer and _PLAIN.fullmatch(customer_key)):
            return self._service.runs_of(mid, customer_key, above=above)
        return self.runs_asked.ask(mid, (customer_key, above))

    def runs(self, mid: str, task_ids: Collection[str]) -> Mapping[str, Run] | Refusal:
        """See sfmc_import.ports.MarketingCloud.runs."""
        return self._service.runs(mid, task_ids)

    def _many_definitions(self, mid: str, keys: Sequence[str]) -> Mapping[str, Definition | None] | Refusal:
        found = self._batches.definitions_of(mid, keys)
        if isinstance(found, (NotApplied, Rejected)):
            return found
        answers: dict[str, Definition | None] = {}
        for key in keys:
            named = [each for each in found if is_spelling_of(each.customer_key, key)]
            if named:
                answers[key] = next((each for each in named if each.customer_key == key), named[0])
        if any(not any(is_spelling_of(each.customer_key, key) for key in keys) for each in found):
            return NotApplied("other_definition", "an answer has a definition that was not asked for")
        return answers

    def _newer_runs(self, mid: str, question: _Newer) -> Sequence[Run] | Refusal:
        customer_key, above = question
        return self._service.runs_of(mid, customer_key, above=above)

    def _many_newer_runs(self, mid: str, questions: Sequence[_Newer]) -> Mapping[_Newer, Sequence[Run]] | Refusal:
        """Ask above the lowest TaskResultID of all; to know more runs that existed does no question harm."""
        asked = {fold_key(key): key for key, _ in questions}
        found = self._batches.newer_runs_of(mid, tuple(asked.values()), min((above for _, above in questions), key=int))
        if isinstance(found, (NotApplied, Rejected)):
            return found
        rows: dict[str, list[Run]] = defaultdict(list)
        for run in found:
            rows[fold_key(run.customer_key)].append(run)
        if set(rows) - set(asked) - {""}:
            return NotApplied("other_definition", "an answer has a run of a definition that was not asked for")
        # A row that names no definition may be of each of them: it existed before all of these starts.
        return {question: [*rows[fold_key(question[0])], *rows[""]] for question in questions}
