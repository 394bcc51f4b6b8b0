"""What `doctor` finds out about calls that are not made, or starts that wait, because calls to Marketing Cloud fail."""

from collections.abc import Iterator, Sequence

from sfmc_import.access import ReadAccess
from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.operations import requests
from sfmc_import.operations.causes import with_cause
from sfmc_import.operations.fixing import fix_for, login_of
from sfmc_import.operations.open_circuits import OpenCircuit, open_circuits
from sfmc_import.operations.troubles import TroubleView, sorted_out
from sfmc_import.operations.views import time_of
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.redis_server import Finding, Level
from sfmc_import.settings import Settings
from sfmc_import.waiting import BUDGET, RUNNING_LIMIT

LOOKED_AT = 20
"""Requests that are due next."""

OF_OURS = frozenset({"quota", BUDGET, RUNNING_LIMIT, "circuit_open"})
"""Codes of waits that are limits of this deployment, or stand for a circuit that is closed again."""


_FAILING = frozenset({"circuit_open", "rate_limited", "backoff", "reconciling", "following"})
"""Reasons to wait that something at Marketing Cloud, or on the way to it, may have."""

_WHAT = {"following": "runs need a look", "reconciling": "starts are in doubt"}


def fix_of(code: str, settings: Settings) -> str:
    """Say what a person can do about a call that failed."""
    return fix_for(code, login_of(settings))


def check_circuits(settings: Settings) -> Iterator[Finding]:
    """Say for what starts wait because calls fail: also if the login works from here."""
    access = ReadAccess(settings)
    try:
        circuits, due = open_circuits(access), requests.unfinished(access, LOOKED_AT)
    except (LedgerUnavailableError, ServiceUnavailableError):
        return
    yield from (_of_circuit(each, settings) for each in circuits)
    for trouble in with_cause(access, sorted_out(due, circuits, login_of(settings))):
        if BUDGET in trouble.codes:
            yield _of_budget(trouble, settings)
        if not _is_said(trouble, circuits):
            yield _of_trouble(trouble, settings)


def _of_circuit(circuit: OpenCircuit, settings: Settings) -> Finding:
    about = f"business unit {circuit.mid}" if circuit.mid else "the whole account"
    whose = " with one login" if circuit.is_of_login else ""
    if circuit.is_untried:
        return _of_untried(circuit, f"{about}{whose}", settings)
    by = f" (failed for {circuit.by})" if circuit.by else ""
    times = _times(circuit.since, circuit.until)
    which = "starts of processes that have it" if circuit.is_of_login else "starts"
    text = f"no call is made for {about}{whose}{times}, and {which} wait: {circuit.code}: {circuit.text or '-'}{by}"
    return Finding("fail", "calls", text, fix_of(circuit.code, settings))


def _of_untried(circuit: OpenCircuit, about: str, settings: Settings) -> Finding:
    """Say of a circuit whose pause is over that no process tries: whether calls work now is not known."""
    text = f"calls for {about} failed{_times(circuit.since, None)}: {circuit.code}: {circuit.text or '-'}"
    since = _times(circuit.until, None)
    why = "none has a call to make, or none with this login runs" if circuit.is_of_login else "none has a call to make"
    text += f"; no process has tried again{since}: {why}. The next call tries"
    return Finding("warn", "calls", text, f"if it fails again: {fix_of(circuit.code, settings)}")


def _is_said(trouble: TroubleView, circuits: Sequence[OpenCircuit]) -> bool:
    """Tell whether nothing failed for it at Marketing Cloud, or a circuit above says it."""
    failed = {*trouble.codes} - OF_OURS
    is_failure = trouble.reason in _FAILING and bool(failed)
    return not is_failure or any(each.holds(trouble.mid) and each.code in failed for each in circuits)


def _of_trouble(trouble: TroubleView, settings: Settings) -> Finding:
    code = next(code for code in trouble.codes if code not in OF_OURS)
    since = None if trouble.since is None else trouble.since.timestamp()
    times = _times(since, None if trouble.until is None else trouble.until.timestamp())
    what = _WHAT.get(trouble.reason, "starts wait")
    text = f"{what} in business unit {trouble.mid}{times}: {trouble.reason} ({', '.join(trouble.codes)})"
    level: Level = "warn" if trouble.reason in _WHAT else "fail"
    return Finding(level, "calls", f"{text}: {trouble.text} {trouble.affected}".strip(), fix_of(code, settings))


def _of_budget(trouble: TroubleView, settings: Settings) -> Finding:
    """Say until when a spent budget holds starts: nothing is broken, and it ends by itself."""
    since = None if trouble.since is None else trouble.since.timestamp()
    until = "" if trouble.until is None else f", until {trouble.until:%Y-%m-%d %H:%M:%S} UTC"
    text = f"starts wait in business unit {trouble.mid}{_times(since, None)}{until}: {trouble.reason} ({BUDGET})"
    return Finding("warn", "calls", f"{text}: {trouble.text} {trouble.affected}".strip(), fix_of(BUDGET, settings))


def _times(since: float | None, until: float | None) -> str:
    found = ((" since", time_of(since)), (", next try at", time_of(until)))
    return "".join(f"{word} {at:%Y-%m-%d %H:%M:%S} UTC" for word, at in found if at is not None)
