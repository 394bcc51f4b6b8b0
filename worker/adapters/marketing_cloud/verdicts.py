"""What an exchange means: a fact, or a fault by the table of worker.domain.fault_table; nothing is sent here."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from worker.adapters.marketing_cloud.replies import (
    Page,
    SoapFault,
    UnreadableError,
    parse,
    plain_rows,
    plain_start,
    read_task_id,
)
from worker.adapters.marketing_cloud.wire import Failed, Reply
from worker.domain.fault_table import after_code, after_situation
from worker.domain.faults import Fault, NotApplied
from worker.domain.runs import Accepted

MAX_TEXT = 300
ERRORS = frozenset({"Error", "Has Errors"})
LOGIN_TEXTS = ("token expired", "login failed", "soap authorization failed")

Understand = Callable[[str, Reply], Any]
"""Reads an answer with zeep; see Service.understand."""


def judge_start(answer: Reply | Failed, understand: Understand) -> Accepted | Fault:
    """Judge the answer to Perform "start"."""
    if isinstance(answer, Failed):
        return after_situation(answer.situation, answer.text)
    try:
        root = parse(answer.content)
        plain = plain_start(root) if answer.status == 200 else None
        return plain or _judge(answer, _understood("Perform", answer, understand), _stated_start)
    except UnreadableError as error:
        return _by_status(answer, str(error))


def judge_page(answer: Reply | Failed, understand: Understand) -> Page | Fault:
    """Judge the answer to Retrieve; what is ambiguous for a start is to be folded with `after_query`."""
    if isinstance(answer, Failed):
        return after_situation(answer.situation, answer.text)
    try:
        root = parse(answer.content)
        plain = plain_rows(root) if answer.status == 200 else None
        return plain or _judge(answer, _understood("Retrieve", answer, understand), _stated_page)
    except UnreadableError as error:
        return _by_status(answer, str(error))


def _understood(operation: str, answer: Reply, understand: Understand) -> Any:
    try:
        return understand(operation, answer)
    except Exception as error:
        # Only the kind of the error is told: zeep puts whole replies into its texts.
        raise UnreadableError(f"zeep cannot read it: {type(error).__name__}") from error


def _judge(answer: Reply, message: Any, stated: Callable[[Any], Fault]) -> Fault:
    fault = _stated_fault(answer, message) if isinstance(message, SoapFault) else stated(message)
    if isinstance(fault, NotApplied) and fault.retry_after is None:
        return replace(fault, retry_after=answer.retry_after)
    return fault


def _stated_fault(answer: Reply, fault: SoapFault) -> Fault:
    text = _short(fault.text)
    if fault.code is not None:
        return after_code(fault.code, text)
    if fault.kind == "Security" or text.lower().startswith(LOGIN_TEXTS):
        return after_situation("token_refused", text)
    if not fault.kind or answer.status == 429:
        return _by_status(answer, text or "a fault without a code")
    verdict = after_code(None, text)
    return after_situation("server_fault", text) if _unexplained(fault, verdict) else verdict


def _unexplained(fault: SoapFault, verdict: Fault) -> bool:
    return fault.kind == "Server" and verdict.code == "no_code"


def _stated_start(message: Any) -> Fault:
    results = _results(message)
    if message is None or len(results) > 1:
        raise UnreadableError("not one result for one definition")
    result = results[0] if results else None
    status = getattr(result, "StatusCode", None) if result is not None else message.OverallStatus
    task = getattr(result, "Task", None)
    if status == "OK":
        return after_situation("no_task_id", "Marketing Cloud says OK but names no Task.ID to follow")
    if status not in ERRORS:
        raise UnreadableError("neither OK nor Error")
    if read_task_id(getattr(task, "ID", None)):
        raise UnreadableError("an error and a Task.ID at once")
    code = getattr(result, "ErrorCode", None) or getattr(task, "ErrorCode", None)
    text = getattr(result, "StatusMessage", None) or message.OverallStatusMessage
    return after_code(code, _short(text or "an error without a text"))


def _stated_page(message: Any) -> Fault:
    status = getattr(message, "OverallStatus", None)
    if not status or status == "OK":
        raise UnreadableError("no OverallStatus, or one that belongs to another message")
    return after_code(None, _short(status.removeprefix("Error:")) or "an error without a text")


def _results(message: Any) -> list[Any]:
    return list(getattr(getattr(message, "Results", None), "Result", None) or [])


def _by_status(answer: Reply, text: str) -> Fault:
    told = f"HTTP {answer.status}, {text}"
    if answer.status == 200:
        return after_situation("unreadable_reply", told)
    if answer.status in {400, 429}:
        return after_situation(f"http_{answer.status}", told, retry_after=answer.retry_after)
    return after_situation("http_status", told)


def _short(text: str) -> str:
    return " ".join(text.split())[:MAX_TEXT]
