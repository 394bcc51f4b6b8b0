"""What keeps every request of a business unit waiting: since when, the codes, and what somebody must do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from sfmc_import.access import ReadAccess
from sfmc_import.display import clause
from sfmc_import.operations.fixing import Login, advice_for, login_of
from sfmc_import.operations.open_circuits import OpenCircuit, open_circuits
from sfmc_import.operations.views import RequestView, Time, View, WaitingView, time_of
from sfmc_import.redaction import hidden
from sfmc_import.waiting import RUNNING_LIMIT, is_odd, sentence

ACCOUNT_WIDE = ("circuit_open", "rate_limited", "redis_unsure")
"""Reasons to wait that hit every request of a business unit."""

NETWORK = frozenset({"refused", "unreachable", "dns", "connect_timeout", "tls"})
"""Codes of a network that is away: each request waits for itself, and all of them for the same."""

_HELD = "circuit_open"
"""The code of a call that was not made; what failed is the code of the circuit."""


class TroubleView(View):
    """One of them: a reason of waiting.md with its sentence, since when it lasts, the codes of failures, what to do.

    `runs` are those that cannot be asked for, or say something odd, among those that are polled next. `until` is when
    the first of them is tried anew, `failed_by` the processes and the logins whose calls failed, where that is known.
    `mid` is empty where it holds for every business unit.
    """

    mid: str
    reason: str
    text: str
    since: Time | None
    until: Time | None = None
    codes: tuple[str, ...]
    advice: str
    runs: int = 0
    failed_by: str | None = None

    @property
    def about(self) -> str:
        """What it holds for."""
        return f"business unit {self.mid}" if self.mid else "all business units"


def troubles(access: ReadAccess, due: Iterable[RequestView]) -> tuple[TroubleView, ...]:
    """Give what is in the way of requests that are due next, of runs and of what comes, once for each business unit."""
    # What is due next may be a run that is followed too.
    views = {each.request_id: each for each in due}.values()
    return sorted_out(views, open_circuits(access), login_of(access.settings))


def sorted_out(
    due: Iterable[RequestView], circuits: Sequence[OpenCircuit], login: Login = ""
) -> tuple[TroubleView, ...]:
    """Sort requests that are due next by what is in their way; `circuits` let no call pass, also without a request."""
    hit = [_Hit(each.mid, each.waiting, _odd(each)) for each in due if each.waiting is not None and _is_trouble(each)]
    groups = groupby(sorted(hit, key=_Hit.place), key=_Hit.place)
    found = [_trouble(*place, list(hits), circuits, login) for place, hits in groups]
    idle = (each for each in circuits if not any(_says(trouble, each) for trouble in found))
    return (*(_of_circuit(each, login) for each in idle), *found)


def _says(trouble: TroubleView, circuit: OpenCircuit) -> bool:
    """Tell whether a trouble of requests names this circuit."""
    return trouble.reason == _HELD and circuit.holds(trouble.mid) and circuit.code in trouble.codes


def _of_circuit(circuit: OpenCircuit, login: Login) -> TroubleView:
    """Say of a circuit that no request has met yet what the next file or request will."""
    whose = "with one login" if circuit.is_of_login else "to Marketing Cloud"
    failed = f": {clause(hidden(circuit.text))}" if circuit.text else ""
    verb = "failed" if circuit.is_untried else "fail"
    known_by = "" if circuit.is_untried else circuit.by
    by = f" It failed for {known_by}." if known_by else ""
    return TroubleView(
        mid=circuit.mid,
        reason=_HELD,
        text=f"Calls {whose} {verb}{failed}.{by} {NO_ONE_TRIES if circuit.is_untried else NO_FILE_STARTS}",
        since=time_of(circuit.since),
        until=None if circuit.is_untried else time_of(circuit.until),
        codes=(circuit.code,) if circuit.code else (),
        advice=advice_for((circuit.code,), login),
        failed_by=known_by or None,
    )


NO_ONE_TRIES = (
    "No process has tried again since its pause ended: none has a call to make, or none with this login runs. The next"
    " call tries."
)
NO_FILE_STARTS = (
    "No request waits for it yet: what comes will, and new definitions are not seen. One call at a time tries again."
)


@dataclass(frozen=True, slots=True)
class _Hit:
    mid: str
    wait: WaitingView
    odd: str
    """What Marketing Cloud says of its run, where that is neither progress nor an end."""

    def place(self) -> tuple[str, str]:
        return self.mid, self.wait.reason


def _odd(view: RequestView) -> str:
    return str(view.import_status) if is_odd(view.import_status) else ""


def _is_trouble(view: RequestView) -> bool:
    """Tell whether something is wrong; that as many imports run as may is not."""
    wait = view.waiting
    if wait is None:
        return False
    if wait.reason == "following":
        return wait.last_error is not None or is_odd(view.import_status)
    is_limit_of_ours = wait.last_error is not None and wait.last_error.code == RUNNING_LIMIT
    if wait.reason == "backoff" and wait.last_error is not None:
        return wait.last_error.code in NETWORK
    return wait.reason in ACCOUNT_WIDE and not is_limit_of_ours


def _circuits_of(mid: str, codes: Sequence[str], circuits: Sequence[OpenCircuit]) -> list[OpenCircuit]:
    """Give the circuits that hold these requests: several logins may fail, and that of others be open beside them."""
    found = [each for each in circuits if each.holds(mid) and not each.is_untried]
    same = [each for each in found if each.code in codes]
    of_all = [each for each in found if not each.is_of_login]
    return same or of_all or (found if {*codes} <= {_HELD} else [])


def _trouble(mid: str, reason: str, hits: Sequence[_Hit], circuits: Sequence[OpenCircuit], login: Login) -> TroubleView:
    codes = [each.wait.last_error.code if each.wait.last_error else each.odd for each in hits]
    held_by = _circuits_of(mid, codes, circuits) if reason == _HELD else []
    # Something else may have held the oldest of these requests before.
    opened = [begun for each in held_by if (begun := time_of(each.since))]
    moments = opened or [moment for each in hits if (moment := _begin(each.wait)) is not None]
    if held_by:
        codes = [*(each.code for each in held_by), *(code for code in codes if code != _HELD)]
    failed_by = ", ".join(dict.fromkeys(each.by for each in held_by if each.by))
    known = tuple(dict.fromkeys(code for code in codes if code))
    text, advice = _sentence(reason, known, hits), advice_for(known, login)
    if any(each.odd for each in hits):
        advice = f"To do: {LOOK_AT_RUNS}. {advice}"
    return TroubleView(
        mid=mid,
        reason=reason,
        text=f"{text} It failed for {failed_by}." if failed_by else text,
        since=min(moments, default=None),
        until=min((each.wait.until for each in hits if each.wait.until is not None), default=None),
        codes=known,
        advice=advice,
        runs=len(hits) if reason == "following" else 0,
        failed_by=failed_by or None,
    )


LOOK_AT_RUNS = "look at the runs in Marketing Cloud; they are followed on until their deadline"


def _begin(wait: WaitingView) -> datetime | None:
    """Give since when it is so: of a run since when it cannot be asked for."""
    if wait.reason == "following" and wait.last_error is not None:
        return wait.last_error.since
    return wait.since


def _sentence(reason: str, codes: tuple[str, ...], hits: Sequence[_Hit]) -> str:
    odd = next((each.odd for each in hits if each.odd), None)
    failed = next((each.wait.last_error.code for each in hits if each.wait.last_error is not None), "")
    return sentence(reason, failed if reason == "following" else next(iter(codes), ""), odd)
