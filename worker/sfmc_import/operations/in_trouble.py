"""Which requests are hit by something that hits others too: what failed, or that Marketing Cloud does not answer."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from sfmc_import import faults
from sfmc_import.operations.fixing import FIXES
from sfmc_import.operations.paused_too import pause_beside
from sfmc_import.operations.views import AttemptView, LastError, PauseView, RequestView, WaitingView
from sfmc_import.waiting import NO_ANSWER, NOT_ANSWERED_CODES, NOT_REACHED, RUNNING_LIMIT, is_odd, reason_by_code

ACCOUNT_WIDE = ("circuit_open", "rate_limited", "redis_unsure")
"""Reasons to wait that hit every request of a business unit."""

OF_SERVICE = NOT_REACHED | NOT_ANSWERED_CODES | {"13", "oversized_query", "endless_pages"}
"""Codes of calls that fail without a fault of their request: each waits for itself, and all of them for the same."""

LONG_SECONDS = 30.0
"""Marketing Cloud answers within seconds; what is not answered for so long is said."""


@dataclass(frozen=True, slots=True)
class Alike:
    """Requests that are hit like another one: how many, and all definitions of them and of it."""

    count: int = 0
    customer_keys: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A request that is hit: since when, what failed with which code, when it is tried anew, when it is given up."""

    mid: str
    customer_key: str
    reason: str
    since: datetime | None
    until: datetime | None = None
    code: str = ""
    text: str = ""
    odd: str = ""
    """What Marketing Cloud says of its run, where that is neither progress nor an end."""
    deadline: datetime | None = None
    then: str | None = None
    is_unanswered: bool = False
    first: tuple[datetime, str] | None = None
    """When another code failed first, and which, if there was neither a success nor another wait since."""
    alike: Alike = field(default_factory=Alike)
    """Which others it stands for."""
    group: str = ""
    """The code by which it is brought together with others."""
    is_overdue: bool = False
    """Whether it could be tried since longer than a process that has a call to make takes."""
    is_waiting: bool = False
    pause: PauseView | None = None
    """What holds its start beside that, where it waits."""

    @property
    def pause_of_all(self) -> PauseView | None:
        """Its pause, if that holds all for which it stands as well."""
        is_own = self.pause is not None and self.pause.scope.startswith("key:")
        return None if is_own and len(self.alike.customer_keys | {self.customer_key}) > 1 else self.pause

    def place(self) -> tuple[str, str]:
        """By what hits are brought together."""
        return self.mid, self.reason


def hit_of(view: RequestView, now: float) -> Hit | None:
    """Say what hits a request at this time, in seconds since 1970; None where nothing does."""
    held, silent = _failing(view), _unanswered(view, now)
    # An attempt that lasts has passed what held every request: it waits for its own answer.
    is_past = silent is not None and view.waiting is None and held is not None and held.reason in ACCOUNT_WIDE
    return silent if held is None or is_past else held


def _failing(view: RequestView) -> Hit | None:
    """Say of a request what failed: a run that cannot be asked for, or a wait for more than itself."""
    wait, error = view.waiting, _error_of(view)
    reason = _reason(view, wait, error)
    if reason is None:
        return None
    hit = _hit(view, reason, _begin(view, error), code="" if error is None else error.code)
    until = hit.until if error is None or error.until is None else error.until
    return hit if error is None else replace(hit, text=error.text, until=until, first=_first(error))


def _begin(view: RequestView, error: LastError | None) -> datetime | None:
    """Give since when it fails with this code; of a wait without a failure, since when it waits."""
    if error is not None:
        return error.since
    if view.attempting is not None and view.attempting.waited in ACCOUNT_WIDE:
        return view.attempting.waited_since
    return view.waiting.since if view.waiting else None


def _first(error: LastError) -> tuple[datetime, str] | None:
    return None if error.first_at is None else (error.first_at, error.first_code or "")


def _error_of(view: RequestView) -> LastError | None:
    now = view.waiting or view.attempting
    error = None if now is None else now.last_error
    return None if error is None or error.is_past else error


def _reason(view: RequestView, wait: WaitingView | None, error: LastError | None) -> str | None:
    """Give the reason for which something is wrong; that as many imports run as may is not."""
    code = "" if error is None else error.code
    if wait is not None and wait.reason == "following":
        return "following" if error is not None or is_odd(view.import_status) else None
    if wait is not None and wait.reason in ACCOUNT_WIDE:
        if wait.last_error is not None and wait.last_error.is_past:
            return None
        return None if code == RUNNING_LIMIT else _by_cause(wait.reason, code)
    if code in faults.ACCOUNT_WIDE and _is_in_doubt(view):
        return "reconciling"
    if wait is not None and wait.reason == "reconciling":
        return "reconciling" if _is_of_service(code) and _is_of_look(view, error) else None
    return _between(wait, code)


def _between(wait: WaitingView | None, code: str) -> str | None:
    """Give the reason while an attempt is under way, or waits for a worker: both end no wait."""
    if (wait is None or wait.reason == "queued") and (reason := reason_by_code(code)) in ACCOUNT_WIDE:
        return reason
    is_waiting = wait is None or wait.reason in {"backoff", "queued"}
    return "backoff" if is_waiting and _is_of_service(code) else None


def _by_cause(reason: str, code: str) -> str | None:
    """Give one reason for one cause: a call that failed, and one that was held for that or for a limit of ours."""
    found = reason_by_code(code)
    if not code or reason not in {"circuit_open", "rate_limited"} or found == reason:
        return reason
    if reason == "circuit_open":
        return found or reason
    return found or ("backoff" if _is_of_service(code) else None)


def _is_of_service(code: str) -> bool:
    return code in OF_SERVICE or (code.isdigit() and code not in FIXES)


def _is_in_doubt(view: RequestView) -> bool:
    """Tell whether its start is in doubt, or is sent anew after that: one that the whole account fails with is said."""
    if view.attempting is not None:
        return view.attempting.waited == "reconciling"
    return view.waiting is not None and view.waiting.reason == "reconciling"


def _is_of_look(view: RequestView, error: LastError | None) -> bool:
    """Tell whether the question for the run of a start in doubt failed, and not the start alone."""
    return error is not None and view.since is not None and error.at > view.since


def _unanswered(view: RequestView, now: float) -> Hit | None:
    """Say of a request for which Marketing Cloud is asked that it has not answered for long, if its worker lives."""
    if view.worker is not None and view.worker.is_gone:
        return None
    since = view.waiting.asked_since if view.waiting else view.attempting.since if view.attempting else None
    if since is None or now - since.timestamp() < LONG_SECONDS:
        return None
    is_run = view.waiting is not None and view.waiting.reason == "following"
    return _hit(view, "following" if is_run else NO_ANSWER, since, is_unanswered=True)


def _hit(view: RequestView, reason: str, since: datetime | None, *, code: str = "", is_unanswered: bool = False) -> Hit:
    now: WaitingView | AttemptView | None = view.waiting or view.attempting
    return Hit(
        mid=view.mid,
        customer_key=view.customer_key,
        reason=reason,
        since=since,
        until=view.waiting.until if view.waiting else None,
        code=code,
        odd=str(view.import_status) if is_odd(view.import_status) else "",
        deadline=now.deadline if now else None,
        then=now.then if now else None,
        is_unanswered=is_unanswered,
        is_waiting=view.waiting is not None,
        pause=pause_beside(view),
    )
