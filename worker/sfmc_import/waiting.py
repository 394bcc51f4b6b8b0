"""Says why an unfinished request waits: the closed set of reasons, a sentence for each, and which fault gives which."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Any

from sfmc_import.faults import ACCOUNT_WIDE, NOT_ASKED, Fault, NotApplied
from sfmc_import.retrying import is_account_wide
from sfmc_import.runs import RUNNING

NOT_REACHED = frozenset({"refused", "unreachable", "dns", "connect_timeout", "tls", "not_sent"})
"""Codes of calls of which nothing reached Marketing Cloud."""

NOT_ANSWERED_CODES = frozenset(
    {
        *("read_timeout", "reset", "broken_reply", "unreadable_reply", "oversized_reply", "http_status", "http_denied"),
        *("redirected", "server_fault", "unexpected", "no_code", "2"),
    }
)
"""Codes of a question without an answer that can be used. A start that is answered so is looked for instead."""

RUNNING_LIMIT = "running_limit"
"""The code of a wait until fewer imports run."""

BUDGET = "budget"
"""The code of a call that was not made because a budget of calls is spent."""

BUDGET_OF_DAY = "the budget of calls of the day is used (SFMC_CALLS_PER_DAY)"
BUDGET_OF_YEAR = "the budget of calls of the year is used (SFMC_CALLS_PER_YEAR)"
"""Which budget it is, as the text of what failed."""

REASONS: Mapping[str, str] = {
    "queued": "It waits for a worker to take it.",
    "not_before": "Its sender asked for a start not before a time.",
    "window": "MaxImportFrequency of the definition, or the pause after an import that ended in Error, is not over.",
    "single_flight": "Another request of the definition is not finished, or comes first: one runs at a time.",
    "after": "The policy names a definition that must have a completed run first.",
    "paused": "An operator paused its definition, its business unit or everything.",
    "rate_limited": "Marketing Cloud or the quota limits the calls of the account, or as many imports run as may.",
    "circuit_open": "Marketing Cloud, or the login to it, does not work for the whole account.",
    "redis_unsure": "Redis lost writes, or did not confirm the last one: a start would not be safe.",
    "file_check": "Marketing Cloud would import another file now, or none.",
    "backoff": "The last attempt failed. It is tried again after a pause, and looked for first if it may have started.",
    "worker_lost": "A worker was lost with it, and such requests act one at a time.",
    "reconciling": "A start may have been applied: its run is looked for before anything is sent again.",
    "following": "The import runs; its result is asked for from time to time.",
}
"""Every reason with its sentence, for people who read `status`, the HTTP API or the console."""

_BY_CAUSE: Mapping[tuple[str, str], str] = {
    **dict.fromkeys(
        (("rate_limited", "17"), ("rate_limited", "http_429")), "Marketing Cloud limits the calls of the account."
    ),
    **dict.fromkeys(
        (("circuit_open", code) for code in ("login_failed", "12", "token_refused", "http_refused")),
        "A login to Marketing Cloud does not work. A process with another login goes on, and may take up what waits.",
    ),
    ("circuit_open", "circuit_open"): "No call is made for now: calls failed, of the whole account or with one login.",
    ("rate_limited", "quota"): "Calls are spread over the minute (SFMC_CALLS_PER_MINUTE), and others come first.",
    ("rate_limited", "budget"): "The budget of calls is used: SFMC_CALLS_PER_DAY or SFMC_CALLS_PER_YEAR.",
    ("file_check", "near_midnight"): "It is near midnight, and FileSpec has a date; it starts when midnight is over.",
    ("rate_limited", RUNNING_LIMIT): "As many imports run as may; it starts when another one ends.",
    **dict.fromkeys(
        (("backoff", code) for code in sorted(NOT_ANSWERED_CODES)),
        "A question before its start failed, so nothing was sent by this attempt. It is asked again after a pause.",
    ),
}
"""The sentences of a reason that has several causes, by the code of what failed last."""

_TRIED_AGAIN = frozenset({"backoff", "reconciling", "following"})
NOT_ANSWERED = "Marketing Cloud does not say how the run goes: the question fails. It is asked again."
NOT_FOUND_OUT = (
    "A start may have been applied, and its run cannot be looked for: the question fails. It is asked again."
)
OWN_ERROR = "task_failed"
"""The code of what an error of this program has met."""

OWN_ERROR_MET = (
    "An error of this program came up, and its log has it. It is tried again after a pause; a start that may have been"
    " applied is looked for, and is not sent again before."
)
"""The sentence about that, whatever it waits for."""

TAKEN = "A worker has taken it, and asks Marketing Cloud for its definition before anything is decided."
NO_ANSWER = "no_answer"
"""Stands for a reason where Marketing Cloud has not answered for long, and nothing has failed yet."""

UNANSWERED = (
    "Marketing Cloud does not answer what it is asked. After its time a question is asked again; of a start that was"
    " sent the run is looked for."
)
"""The sentence about that."""


def sentence(reason: str, code: str = "", status: str | None = None, text: str = "") -> str:
    """Say why a request waits, by the code and the text of what failed last and by the status of its run."""
    if text in (BUDGET_OF_DAY, BUDGET_OF_YEAR):
        return f"{text[0].upper()}{text[1:]}; it goes on when that is over, or with a higher budget."
    if code == OWN_ERROR and reason in _TRIED_AGAIN:
        return OWN_ERROR_MET
    if reason != "following":
        return _BY_CAUSE.get((reason, code)) or REASONS.get(reason, "")
    if code:
        return NOT_ANSWERED
    if is_odd(status):
        return f"Marketing Cloud says {status} of the run, which is no end and no progress. It is asked again."
    return REASONS[reason]


def is_odd(status: str | None) -> bool:
    """Tell whether this status of a run says neither that it goes on nor how it ended."""
    return bool(status) and (status == "Unknown" or status not in RUNNING)


NO_FAILURE = frozenset({"not_before", "window", "single_flight", "after", "paused", "worker_lost"})
"""Reasons to wait that are no failure of a call: what failed before such a wait does not hold the request now."""

OPEN_ENDED = frozenset({"queued", "single_flight", "after"})
"""Reasons without a time: what ends the wait is an event, not the clock."""

_BY_CODE: Mapping[str, str] = {
    "17": "rate_limited",
    "http_429": "rate_limited",
    "quota": "rate_limited",
    "budget": "rate_limited",
    "pattern_mismatch": "file_check",
    "near_midnight": "file_check",
    "paused": "paused",
    "window": "window",
    "writes_lost": "redis_unsure",
    "ledger_down": "redis_unsure",
}


def reason_of(fault: Fault) -> str:
    """Give the reason for which a request waits after this fault; of a call that was held, after what failed."""
    code = fault.cause[0] if isinstance(fault, NotApplied) and fault.cause else fault.code
    return _BY_CODE.get(code) or ("circuit_open" if is_account_wide(fault) else "backoff")


def reason_by_code(code: str) -> str | None:
    """Give the reason of a wait that hits every request, by the code of what failed; None for a wait of its own."""
    return _BY_CODE.get(code) or ("circuit_open" if code in ACCOUNT_WIDE else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Why a request waits; times in seconds since 1970.

    `until` is when it is decided anew; None where no time ends the wait. `held_by` is the request in its way,
    `attempts` how often it was tried, `last_error` what failed last: code, text, at, since, first_code, first_at,
    is_past. At the `deadline` it is given up, and `then` is its state; both are None where no time does that, as while
    the whole account cannot be used.
    `asked_since` is since when a worker asks for its definition or its run, without an answer yet.
    """

    reason: str
    text: str
    since: float | None
    until: float | None
    held_by: str | None
    attempts: int
    last_error: Mapping[str, Any] | None
    deadline: float | None = None
    then: str | None = None
    asked_since: float | None = None


def waiting_of(record: Mapping[str, Any], due_at: float | None) -> Waiting | None:
    """Read from the record of a request why it waits; None when it does not wait. `due_at` is its next time."""
    reason = record.get("waits_because")
    if not reason:
        return None
    error = record.get("last_error")
    code = "" if error is None else str(error["code"])
    deadline, then = deadline_of(record, str(reason))
    asked_since = _asked_since(record)
    return Waiting(
        reason=reason,
        text=_text(record, reason, code) + said_of_question(asked_since),
        since=record.get("waits_since"),
        until=None if reason in OPEN_ENDED else due_at,
        held_by=record.get("waits_behind") or None,
        attempts=record.get("attempt", 0),
        last_error=None if error is None else dated(error, waited_for(record, str(reason))),
        deadline=deadline,
        then=then,
        asked_since=asked_since,
    )


def _text(record: Mapping[str, Any], reason: str, code: str) -> str:
    if reason == "queued" and _is_resolved_now(record):
        return TAKEN
    if reason == "reconciling" and has_failed_look(record):
        return OWN_ERROR_MET if code == OWN_ERROR else NOT_FOUND_OUT
    error = record.get("last_error")
    said = str(error["text"]) if reason == "rate_limited" and error is not None else ""
    return sentence(reason, code, record.get("import_status"), said)


def has_failed_look(record: Mapping[str, Any]) -> bool:
    """Tell whether what failed last is the question for the run of a start in doubt, and not the start."""
    error, since = record.get("last_error"), record.get("since")
    return record["state"] == "reconciling" and error is not None and error["at"] / 1000 > (since or inf)


def _is_resolved_now(record: Mapping[str, Any]) -> bool:
    return bool(record.get("resolving_until")) and record["state"] in BEFORE_A_START


def _asked_since(record: Mapping[str, Any]) -> float | None:
    """Give since when the question is under way that a worker asks for a request that waits; None without one."""
    state = record["state"]
    is_polled = state == "started" and bool(record.get("resolving_until"))
    is_looked_for = state == "reconciling" and bool(record.get("owner"))
    is_asked = is_polled or is_looked_for or _is_resolved_now(record)
    return record.get("polled_at") if is_asked else None


def held_until(record: Mapping[str, Any], due_at: float | None) -> float | None:
    """Give until when the worker that has a request now holds it; None where none has it."""
    state = record["state"]
    if _is_resolved_now(record) or (state == "started" and record.get("resolving_until")):
        return float(record["resolving_until"])
    is_at_work = bool(record.get("owner")) and state in {"starting", "reconciling"}
    return due_at if is_at_work else None


def said_of_question(since: float | None) -> str:
    """Say since when Marketing Cloud is asked; empty where it is not."""
    if since is None:
        return ""
    return f" It is asked since {datetime.fromtimestamp(since, UTC):%H:%M:%S} UTC, without an answer yet."


def dated(error: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """Give what failed last with its times in seconds; it is past where the request waits for another reason.

    Nothing fails now in a wait that is no failure, also where the wait itself is noted as what failed.
    """
    at = error["at"] / 1000
    if reason in NO_FAILURE:
        said = {"code": error["code"], "text": error["text"], "at": at}
        return said | {"since": None, "is_past": error["code"] != reason}
    times = {name: error[name] / 1000 for name in ("since", "first_at") if name in error}
    return {**error, "at": at, "since": at, **times}


def waited_for(record: Mapping[str, Any], reason: str) -> str:
    """Give the reason of a wait; an attempt, and the wait for a worker before it, end no wait."""
    return record.get("waited") or reason if reason in _BETWEEN else reason


def deadline_of(record: Mapping[str, Any], reason: str) -> tuple[float | None, str | None]:
    """Give the time at which a request is given up if nothing changes, and the state that it has then.

    It holds on while a further attempt is under way, or waits for a worker: `reason` is empty, or `queued`, then.
    """
    code = _failing_code(record.get("last_error"))
    reason = waited_for(record, reason)
    found = [(record["expires"], "expired")] if "expires" in record and record["state"] in BEFORE_A_START else []
    if code not in _ENDS_NO_REQUEST:
        found += _own_deadline(record, reason)
    return min(found, default=(None, None), key=lambda pair: pair[0] or 0.0)


_BETWEEN = ("", "queued")
_UNTIL_IT_GIVES_UP = frozenset(
    {
        *(("retrying", "backoff"), ("retrying", "rate_limited")),
        *(("starting", "backoff"), ("starting", "rate_limited"), ("starting", "reconciling")),
    }
)
BEFORE_A_START = frozenset({"accepted", "deferred", "retrying"})
"""States in which a request waits for its start: a pause holds it then, whatever else it waits for."""

_ENDS_NO_REQUEST = ACCOUNT_WIDE | NOT_ASKED
"""Failures of the whole account: their time does not count."""


LIMITS = frozenset({"quota", BUDGET, RUNNING_LIMIT})
"""Codes of waits for a limit of ours: what failed before one still ends the request after it."""


def _failing_code(error: Mapping[str, Any] | None) -> str:
    """Give the code of the failure whose time counts: while a limit of ours holds a request, the one before that."""
    code = "" if error is None else str(error["code"])
    return str((error or {}).get("first_code") or code) if code in LIMITS else code


def _own_deadline(record: Mapping[str, Any], reason: str) -> list[tuple[float, str]]:
    state, ending = record["state"], record.get("ending")
    if "retry_until" in record and (state, reason) in _UNTIL_IT_GIVES_UP:
        return [(record["retry_until"], "gave_up")]
    if state == "reconciling" and "reconcile_until" in record:
        then = ending["state"] if ending else "retrying" if record.get("denied") else "start_unknown"
        return [(record["reconcile_until"], then)]
    if state == "started" and "follow_until" in record:
        return [(record["follow_until"], "follow_timed_out")]
    return []
