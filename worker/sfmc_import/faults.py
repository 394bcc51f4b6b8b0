"""Sorts the failures of a call into three classes, by what the caller does next."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NotApplied:
    """Nothing was done and trying again can help: `code` is a short stable word or vendor number.

    `account_wide` marks failures that hit every request of the account (login, maintenance, throttling);
    `retry_after` is in seconds, where the service named a time.
    """

    code: str
    text: str
    account_wide: bool = False
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """The call may have been carried out: reconcile before anything is sent again."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """Marketing Cloud refused for good; the same call will be refused again."""

    code: str
    text: str


Fault = NotApplied | Ambiguous | Rejected


SITUATIONS: Mapping[str, type[Fault]] = {
    # Nothing was written to the socket.
    "refused": NotApplied,
    "unreachable": NotApplied,
    "dns": NotApplied,
    "connect_timeout": NotApplied,
    "tls": NotApplied,
    "lease_over": NotApplied,
    # No token, so nothing was sent; or the token was turned away, which happens before any work.
    "token_unavailable": NotApplied,
    "login_failed": NotApplied,
    "token_refused": NotApplied,
    # Turned away before any work.
    "http_429": NotApplied,
    "http_400": Rejected,
    "unsendable": Rejected,
    # The login cannot work in the business unit that the request names.
    "other_business_unit": Rejected,
    # The request may have arrived.
    "read_timeout": Ambiguous,
    "reset": Ambiguous,
    "broken_reply": Ambiguous,
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
    # Not authorised; wrong user name or password.
    11: Rejected,
    12: Rejected,
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
)
"""Texts that stand for a code where none, or a wrong one, is given."""

ACCOUNT_WIDE = frozenset({"login_failed", "token_refused", "http_429", "9", "10", "17"})
"""Failures that hit every request of the account: another attempt within seconds would fail as well."""


def after_situation(situation: str, text: str, *, retry_after: float | None = None) -> Fault:
    """Give the fault for what happened on the way; an unknown situation is ambiguous."""
    return _fault(SITUATIONS.get(situation, Ambiguous), situation, text, retry_after)


def after_code(code: int | None, text: str) -> Fault:
    """Give the fault for an error that Marketing Cloud returned; `code` is None or 0 where it named none."""
    named = _code_of(code, text)
    return _fault(CODES.get(int(named), Rejected) if named else Rejected, named or "no_code", text, None)


def after_query(fault: Fault) -> NotApplied | Rejected:
    """Give the fault of a query: it changes nothing, so nothing of it was applied where a start would be ambiguous."""
    return NotApplied(fault.code, fault.text) if isinstance(fault, Ambiguous) else fault


def _code_of(code: int | None, text: str) -> str:
    lowered = text.lower()
    from_text = next((meant for words, meant in TEXTS if words in lowered), "")
    if from_text and code not in CODES:
        return from_text
    return str(code) if code else ""


def _fault(kind: type[Fault], code: str, text: str, retry_after: float | None) -> Fault:
    if kind is NotApplied:
        return NotApplied(code, text, account_wide=code in ACCOUNT_WIDE, retry_after=retry_after)
    return kind(code, text)
