"""What `doctor` says of what stands at the top of `status`, which it reads from Redis or asks a server for."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sfmc_import.operations.broker import BrokerView
from sfmc_import.operations.notified import NotificationView
from sfmc_import.operations.pausing import sentence
from sfmc_import.operations.troubles import NO_ONE_TRIES, NO_REQUEST_TRIED, TroubleView
from sfmc_import.operations.views import PauseView
from sfmc_import.redis_server import Finding, Level
from sfmc_import.waiting import BUDGET, NO_ANSWER, RUNNING_LIMIT

OF_OURS = frozenset({"quota", BUDGET, RUNNING_LIMIT, "circuit_open"})
"""Codes of waits that are limits of this deployment, or stand for a circuit that is closed again."""

_GO_ON_MEANWHILE = {"following": "runs need a look", "reconciling": "starts are in doubt"}


def check_troubles(found: Sequence[TroubleView]) -> Iterator[Finding]:
    """Say what is in the way of starts and runs: a failure where calls fail; what is a limit of ours is none."""
    for each in found:
        level = _level(each)
        if level is not None:
            yield Finding(level, "calls", _said(each), each.advice.removeprefix("To do: "))


def check_pauses(found: Sequence[PauseView]) -> Iterator[Finding]:
    """Say what is paused: that is no failure, and the answer to why nothing starts."""
    for each in found:
        end = " until sfmc-import resume" if each.until is None else _at(" until", each.until)
        yield Finding("ok", "paused", sentence(each, end))


def check_broker(broker: BrokerView | None) -> Iterator[Finding]:
    """Say since when the queue does not answer."""
    if broker is not None:
        yield Finding("fail", "broker", f"{broker.text}{_at(', since', broker.since)}", broker.fix)


def check_notifications(found: Sequence[NotificationView]) -> Iterator[Finding]:
    """Say which notification sends nothing: a failure where sending fails, a warning where no notifier runs."""
    for each in found:
        if each.is_idle:
            text = f"{each.name}: no notifier runs, so nothing is sent"
            yield Finding("warn", "notify", text, "start sfmc-import notify run there")
        elif each.attempts:
            since = _at(" since", each.failing_since)
            text = f"{each.name}: a notifier runs, and nothing is sent{since}: {each.error}"
            yield Finding("fail", "notify", text, f"find the cause there with sfmc-import notify test {each.name}")


def _level(trouble: TroubleView) -> Level | None:
    """Give none for what is no failure, or is said of starts without an answer."""
    failed = {*trouble.codes} - OF_OURS
    if trouble.reason == "redis_unsure":
        # After lost writes starts wait for a while, and the loss is said by itself.
        return "warn" if "writes_lost" in failed else "fail"
    if trouble.reason == NO_ANSWER or not failed:
        return "warn" if BUDGET in trouble.codes else None
    return "warn" if trouble.reason in _GO_ON_MEANWHILE or _is_untried(trouble) else "fail"


def _is_untried(trouble: TroubleView) -> bool:
    return NO_ONE_TRIES in trouble.text or NO_REQUEST_TRIED in trouble.text


def _said(trouble: TroubleView) -> str:
    end = ", until" if BUDGET in trouble.codes else ", next try at"
    times = _at(" since", trouble.since) + _at(end, trouble.until)
    why = f"{trouble.reason} ({', '.join(trouble.codes) or '-'}): {trouble.text} {trouble.affected}".strip()
    return f"{_what(trouble)} in {trouble.about}{times}: {why}"


def _what(trouble: TroubleView) -> str:
    if trouble.requests:
        return _GO_ON_MEANWHILE.get(trouble.reason, "starts wait")
    return "calls failed" if _is_untried(trouble) else "no call is made"


def _at(word: str, moment: datetime | None) -> str:
    return "" if moment is None else f"{word} {moment:%Y-%m-%d %H:%M:%S} UTC"
