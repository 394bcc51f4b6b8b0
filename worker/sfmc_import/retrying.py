"""Decides what follows a failure, and holds every pause of the product on one page."""

from dataclasses import dataclass
from math import inf, isfinite
from typing import Literal

from sfmc_import.faults import GATED, UNPROVED, Ambiguous, Fault, Rejected

MAX_RETRY_AFTER_SECONDS = 3600.0
"""The longest pause that a `retry_after` of the service can ask for. After it one more call costs little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Pauses in seconds from `floor` to a bound that grows by `factor` up to `cap`, with full jitter in between.

    `first` is the bound after the first attempt; without it that bound is `floor * factor`.
    """

    floor: float
    cap: float
    factor: float = 2.0
    first: float | None = None

    def pause(self, tries: int, chance: float) -> float:
        """Seconds to wait after so many attempts (1 is the first); `chance` is a random number from 0 to 1."""
        # The exponent is bounded because a float overflows long before a request gives up.
        growth = self.factor ** (min(max(tries, 0), 64) - 1)
        longest = min(self.cap, (self.floor * self.factor if self.first is None else self.first) * growth)
        return self.floor + (longest - self.floor) * chance


@dataclass(frozen=True, slots=True)
class Retry:
    """Make the same call again `after` seconds."""

    after: float
    code: str


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Look for the run `after` seconds, before anything is sent again."""

    after: float
    code: str


@dataclass(frozen=True, slots=True)
class Reject:
    """Never make this call again."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """This policy ends: the pause of `after` seconds, or one more attempt, is more than it allows.

    Within a call the fault goes to the caller, who asks the next policy. A request ends as `gave_up`.
    """

    after: float
    code: str
    text: str


Next = Retry | Reconcile | Reject | GiveUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """What is known about time when a call failed, in seconds; `chance` is a random number from 0 to 1.

    `spent` counts from the first attempt of the call, `left_of_deadline` until the deadline of the request.
    `looked_up` is the code of a denied start after which no run appeared.
    """

    chance: float
    spent: float = 0.0
    left_of_deadline: float = inf
    looked_up: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How one kind of call is repeated; `deadline` and `results_delay` are in seconds.

    `on_ambiguous` says what follows a call that may have been carried out.
    `account_wide` allows to repeat what failed for the whole account.
    `sent` says that a start may have been sent before, so that the policy never gives up.
    `looks_for_run` marks the query that reconciles: its repetition is to reconcile again, until the deadline.
    `results_delay` is the pause before the first such query, and after an answer that is no proof.
    """

    name: str
    backoff: Backoff
    attempts: float = inf
    deadline: float = inf
    on_ambiguous: Literal["reconcile", "retry"] = "retry"
    account_wide: bool = True
    sent: bool = False
    looks_for_run: bool = False
    results_delay: float = 0.0


def after(fault: Fault, attempt: int, times: Times, policy: RetryPolicy) -> Next:
    """Decide what follows a fault of attempt number `attempt` (1 is the first)."""
    pause = _pause(fault, attempt, times, policy)
    if policy.looks_for_run:
        return _after_reconciling(fault, pause, times)
    if isinstance(fault, Rejected):
        return Reject(fault.code, fault.text)
    if isinstance(fault, Ambiguous) and policy.on_ambiguous == "reconcile":
        return _after_ambiguous(fault, times, policy)
    if _is_over(fault, attempt, pause, times, policy):
        return GiveUp(pause, fault.code, fault.text)
    return Retry(pause, fault.code)


def _after_ambiguous(fault: Ambiguous, times: Times, policy: RetryPolicy) -> Next:
    # The same refusal a second time, and no run after the first: now it is believed.
    if fault.denied and not fault.account_wide and times.looked_up == fault.code:
        return Reject(fault.code, fault.text)
    return Reconcile(max(policy.results_delay, pause_asked(fault)), fault.code)


def _after_reconciling(fault: Fault, pause: float, times: Times) -> Next:
    # A start may have been sent: only a refusal that lasts until the deadline ends the search.
    if isinstance(fault, Rejected) and times.left_of_deadline <= 0:
        return Reject(fault.code, fault.text)
    return Reconcile(pause, fault.code)


def _pause(fault: Fault, attempt: int, times: Times, policy: RetryPolicy) -> float:
    """The pause of the policy, and never less than the service asks for, or than the row of a start may take."""
    if fault.code in GATED:
        # No call was made: the quota has said when there will be room, or the circuit is asked again.
        return pause_asked(fault)
    backoff = policy.backoff.pause(attempt, min(max(times.chance, 0.0), 1.0))
    return max(backoff, pause_asked(fault), policy.results_delay if fault.code in UNPROVED else 0.0)


def pause_asked(fault: Fault) -> float:
    """Give the seconds that the service asks to wait, finite and bounded; 0 where it names no time."""
    asked = None if isinstance(fault, Rejected) else fault.retry_after
    return 0.0 if asked is None or not isfinite(asked) else min(max(0.0, asked), MAX_RETRY_AFTER_SECONDS)


def _is_over(fault: Fault, attempt: int, pause: float, times: Times, policy: RetryPolicy) -> bool:
    if policy.sent:
        return False
    wide = is_account_wide(fault)
    if wide and not policy.account_wide:
        return True
    left = min(policy.deadline - times.spent, inf if wide else times.left_of_deadline)
    return attempt >= policy.attempts or pause > left


def is_account_wide(fault: Fault) -> bool:
    """Tell whether a fault hits every request of the account, so that it cannot end a single one."""
    return not isinstance(fault, Rejected) and fault.account_wide


IN_CALL = RetryPolicy(
    name="IN_CALL",
    backoff=Backoff(floor=0.0, first=0.25, cap=8.0),
    attempts=5,
    deadline=20.0,
    on_ambiguous="reconcile",
    account_wide=False,
)
"""Perform, within one task. The deadline is SFMC_CALL_RETRY_SECONDS."""

QUERY = RetryPolicy(
    name="QUERY", backoff=Backoff(floor=0.0, first=0.25, cap=8.0), attempts=4, deadline=20.0, account_wide=False
)
"""Retrieve, within one task: it changes nothing, so an ambiguous query is made again."""

LEDGER = RetryPolicy(name="LEDGER", backoff=Backoff(floor=0.0, first=0.1, cap=2.0), deadline=60.0)
"""A step of the ledger while Redis is unavailable. After the deadline reconciling finds the outcome."""

SCHEDULED = RetryPolicy(name="SCHEDULED", backoff=Backoff(floor=15.0, cap=900.0), on_ambiguous="reconcile")
"""A request, by the ledger and the sweep. The pauses are SFMC_RETRY_BACKOFF and SFMC_RETRY_BACKOFF_CAP."""

REPEAT = RetryPolicy(name="REPEAT", backoff=SCHEDULED.backoff, on_ambiguous="reconcile", sent=True)
"""A request whose start was sent and left no trace, where the policy of the definition allows to repeat it."""

RECONCILE = RetryPolicy(name="RECONCILE", backoff=Backoff(floor=10.0, cap=60.0), sent=True, looks_for_run=True)
"""The query that polls for the run of an ambiguous start. The cap is SFMC_RESULTS_DELAY."""

LOGIN = RetryPolicy(name="LOGIN", backoff=Backoff(floor=1.0, first=1.0, cap=60.0))
"""A login that fails, by one process for all its requests: none of them tries it before the pause is over."""

WATCHER = RetryPolicy(name="WATCHER", backoff=Backoff(floor=1.0, first=1.0, cap=4.0))
"""A submit of the watcher. The cap is short: a try is cheap, and files should go out within ten seconds."""

API = RetryPolicy(
    name="API",
    backoff=Backoff(floor=0.0, first=0.25, cap=4.0),
    attempts=20,
    deadline=15.0,
    on_ambiguous="reconcile",
)
"""A call of the HTTP API by its client. The attempts are so many that the deadline ends it. What may have been done is
not done again: the caller gets the fault."""

POLICIES = (IN_CALL, QUERY, LEDGER, SCHEDULED, REPEAT, RECONCILE, LOGIN, WATCHER, API)

REFUSAL_SECONDS = 3.0
"""How long one answer serves all who ask for a definition that does not exist, or a business unit that is refused."""

CONFIRM_SECONDS = REFUSAL_SECONDS + 0.5
"""A request that came after such an answer is not ended by it: after this pause the answer is a later one."""

ERROR_STEPS = (1, 5, 15, 45, 135, 405, 1215)


def pauses_after_errors(first: float) -> tuple[float, ...]:
    """Seconds that a definition waits after so many imports in a row ended in Error; beyond the last, its window.

    One error may be the file's fault, and a corrected file must not wait for hours. Several are the definition's.
    """
    return tuple(first * step for step in ERROR_STEPS)


NO_JITTER = 1.0
"""The `chance` of a caller that need not spread its attempts; the pause is the bound itself."""

CONNECT = Backoff(floor=0.25, cap=5.0)
"""Connecting to Redis: a worker that starts, a reader of events."""

NOTIFY = Backoff(floor=0.5, first=2.0, cap=900.0)
"""Sending a notification whose receiver fails: again within seconds, then every quarter of an hour."""

BROKER_CONNECT = {"interval_start": 1, "interval_step": 1, "interval_max": 3}
"""Connecting to the broker, in kombu's terms. Celery's pauses grow to half a minute: too long after an outage."""

PUBLISH = {"max_retries": 5, "interval_start": 0.0, "interval_step": 0.2, "interval_max": 1.0}
"""Sending a wake-up, in kombu's terms.

A connection from before an outage fails once although the broker is back. Without another attempt the other wake-ups
of the sweep would wait for the next one. A wake-up that is sent twice costs one script.
"""

REDIS_COMMAND = Backoff(floor=0.02, cap=0.5)
REDIS_COMMAND_RETRIES = 3
REDIS_COMMAND_SECONDS = 3.0
"""One command, repeated when its connection was lost. After so many seconds no further try begins: so a server that
is silent until a time limit is asked once."""

WAKE_PAUSE_SECONDS = 10.0
"""After this time, or half a lease if that is less, the sweep sends a wake-up again that was lost."""
