"""Sorts the failures of a call into three classes, by what the caller does next."""

from collections.abc import Mapping
from dataclasses import dataclass, field

ABSENT = "43010"
"""The code of Marketing Cloud for a definition that does not exist."""


@dataclass(frozen=True, slots=True)
class NotApplied:
    """Nothing was done and trying again can help: `code` is a short stable word or vendor number.

    `account_wide` marks failures that hit every request of the account (login, maintenance, throttling);
    `retry_after` is in seconds, where the service named a time. `cause` is the failure of others for which no call was
    made, as code and text.
    """

    code: str
    text: str
    account_wide: bool = False
    retry_after: float | None = None
    cause: tuple[str, str] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """The call may have been carried out: reconcile before anything is sent again.

    `denied` marks answers that say that nothing was done, in words or codes that are not known well enough to be
    believed: one look is enough, and if no run has appeared by then, the call is made again.
    """

    code: str
    text: str
    denied: bool = False
    account_wide: bool = False
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Marketing Cloud refused for good; the same call will be refused again.

    `asked_at` is set where the answer was given before, or to another caller: when it was asked for, on CLOCK_BOOTTIME.
    """

    code: str
    text: str
    asked_at: float | None = field(default=None, compare=False)


Fault = NotApplied | Ambiguous | Rejected


SITUATIONS: Mapping[str, type[Fault]] = {
    # Nothing was written to the socket.
    "refused": NotApplied,
    "unreachable": NotApplied,
    "dns": NotApplied,
    "connect_timeout": NotApplied,
    "tls": NotApplied,
    "proxy_refused": NotApplied,
    "lease_over": NotApplied,
    # The end of the request was not written, and without its end no XML can be carried out.
    "not_sent": NotApplied,
    # No token, so nothing was sent; or the service says that it turned the token away, before any work.
    "token_unavailable": NotApplied,
    "login_failed": NotApplied,
    "token_refused": NotApplied,
    # Turned away before any work, by HTTP alone: not authorised, throttled.
    "http_refused": NotApplied,
    "http_429": NotApplied,
    "http_400": Rejected,
    "unsendable": Rejected,
    # The login cannot work in the business unit that the request names.
    "other_business_unit": Rejected,
    # Texts of the service that name a lasting cause.
    "permission_failed": Rejected,
    "not_retrievable": Rejected,
    # Says that it is not available, or refuses otherwise by HTTP; a server between may say so for one that has acted.
    "http_503": Ambiguous,
    "http_denied": Ambiguous,
    # The request may have arrived.
    "read_timeout": Ambiguous,
    "reset": Ambiguous,
    "broken_reply": Ambiguous,
    # Sent elsewhere: usually before any work, but some servers act and then point to the outcome. With a wrong address
    # no start gets so far, for the definition is read there before.
    "redirected": Ambiguous,
    "oversized_reply": Ambiguous,
    "http_status": Ambiguous,
    "unreadable_reply": Ambiguous,
    "no_task_id": Ambiguous,
    "server_fault": Ambiguous,
    "unexpected": Ambiguous,
}
"""What happened on the way, as the adapter names it."""

CODES: Mapping[int, type[Fault]] = {
    # "Exception occurred during [operation]": it may have acted before the exception.
    2: Ambiguous,
    # No access to the account; method not for this object; no object given.
    4: Rejected,
    5: Rejected,
    6: Rejected,
    # In maintenance; outage.
    9: NotApplied,
    10: NotApplied,
    # Not authorised.
    11: Rejected,
    # Wrong user name or password: not the request is wrong but the login, as while a password is being changed.
    12: NotApplied,
    # Database problems: "This request was not processed". Rate limited after a call-volume spike.
    13: NotApplied,
    17: NotApplied,
    # Import definitions: no key given, not found, object not supported, validation.
    43000: Rejected,
    43010: Rejected,
    43020: Rejected,
    43060: Rejected,
}
"""Error codes of faults and results (Marketing Cloud docs, "Error Codes": 0-99 and 43000-43999)."""

TEXTS: tuple[tuple[str, str], ...] = (
    # The text of code 13; one vendor page shows it under code 1.
    ("request was not processed", "13"),
    # The text of code 2, which often comes without its code.
    ("exception occurred during [", "2"),
    # The database gave up; what it did before is unknown.
    ("timeout expired", "2"),
    ("permission failed", "permission_failed"),
    ("insufficient privileges", "permission_failed"),
    # A query of ours that can never be answered.
    ("do not match with the fields", "not_retrievable"),
    ("unable to find a handler for object type", "not_retrievable"),
)
"""Texts that stand for a code where none, or a wrong one, is given."""

ACCOUNT_WIDE = frozenset(
    {
        *("token_unavailable", "login_failed", "token_refused", "proxy_refused"),
        *("http_refused", "http_429", "http_503", "9", "10", "12", "17"),
    }
)
"""Failures that hit every request of the account: another attempt within seconds would fail as well.

They are no reason to end a single request: the time in which the account cannot be used does not count against the
retry deadline of a request, nor against the deadline to look for or to follow its run.
"""

GATED = frozenset({"quota", "budget", "circuit_open"})
"""Answers of our own in the place of a call: the quota of the account, or its circuit breaker, holds it."""

NOT_ASKED = GATED | {"ledger_down"}
"""Answers that say nothing about Marketing Cloud: no call was made."""

DENIED = frozenset({"http_503", "http_denied"})
"""Ambiguous situations in which the answer says that nothing was done."""

UNPROVED = frozenset({"http_refused", "http_429", "http_400"})
"""Situations that count as not applied by what the answer says. A server between may say it for a start that it has
passed on, so a run is looked for before the next attempt, and before the request ends."""

OF_A_LOOK = frozenset({"nothing_started", "no_run_yet"})
"""What a look for the run of a start in doubt came to: an outcome, and not the cause of a wait."""

ADVICE: Mapping[str, str] = {
    "permission_failed": "the installed package, or the API user, lacks a right: Automations, and Data Extensions or"
    " Lists and Subscribers, in this business unit",
}
"""What a person can do about a text of the service that does not say it."""


def is_in_words_of_the_service(fault: Fault) -> bool:
    """Tell whether Marketing Cloud itself gave the answer, not a server between that can answer for it."""
    return fault.code not in DENIED


def after_situation(situation: str, text: str, *, retry_after: float | None = None) -> Fault:
    """Give the fault for what happened on the way; an unknown situation is ambiguous."""
    return _fault(SITUATIONS.get(situation, Ambiguous), situation, text, retry_after)


def after_code(code: int | None, text: str) -> Fault:
    """Give the fault for an error that Marketing Cloud returned; `code` is None or 0 where it named none.

    An error that is not known is denied: it is looked up and tried again before it can reject.
    """
    named = _code_of(code, text)
    text = text or "no text"
    kind = CODES.get(int(named)) if named.isdigit() else SITUATIONS.get(named)
    if kind is None:
        return Ambiguous(named or "no_code", text, denied=True)
    return _fault(kind, named, f"{text} ({ADVICE[named]})" if named in ADVICE else text, None)


def after_query(fault: Fault) -> NotApplied | Rejected:
    """Give the fault of a query: it changes nothing, so only a named, lasting cause is final."""
    if isinstance(fault, Ambiguous) or fault.code == "http_400":
        wide = not isinstance(fault, Rejected) and fault.account_wide
        asked = None if isinstance(fault, Rejected) else fault.retry_after
        return NotApplied(fault.code, fault.text, account_wide=wide, retry_after=asked)
    return fault


def _code_of(code: int | None, text: str) -> str:
    lowered = text.lower()
    from_text = next((meant for words, meant in TEXTS if words in lowered), "")
    if from_text and code not in CODES:
        return from_text
    return str(code) if code else ""


def _fault(kind: type[Fault], code: str, text: str, retry_after: float | None) -> Fault:
    if kind is NotApplied:
        return NotApplied(code, text, account_wide=code in ACCOUNT_WIDE, retry_after=retry_after)
    if kind is Ambiguous:
        wide = code in ACCOUNT_WIDE
        return Ambiguous(code, text, denied=code in DENIED, account_wide=wide, retry_after=retry_after)
    return Rejected(code, text)
