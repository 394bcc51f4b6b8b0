"""What keeps every request of a business unit waiting, by those that are due next: since when, and the codes."""

from collections.abc import Iterable
from itertools import groupby

from sfmc_import.operations.views import RequestView, Time, View, WaitingView
from sfmc_import.waiting import REASONS

ACCOUNT_WIDE = ("circuit_open", "rate_limited", "redis_unsure")
"""Reasons to wait that hit every request of a business unit."""


class TroubleView(View):
    """One of them: a reason of waiting.md with its sentence, since when the first of the requests waits, the codes."""

    mid: str
    reason: str
    text: str
    since: Time | None
    codes: tuple[str, ...]


def troubles(due: Iterable[RequestView]) -> tuple[TroubleView, ...]:
    """Give what is in the way of requests that wait; each of a business unit once."""
    hit = [(each.mid, each.waiting) for each in due if each.waiting is not None and each.waiting.reason in ACCOUNT_WIDE]
    ranked = sorted(hit, key=lambda pair: (pair[0], pair[1].reason))
    groups = groupby(ranked, key=lambda pair: (pair[0], pair[1].reason))
    return tuple(_trouble(*names, [wait for _, wait in pairs]) for names, pairs in groups)


def _trouble(mid: str, reason: str, waits: list[WaitingView]) -> TroubleView:
    return TroubleView(
        mid=mid,
        reason=reason,
        text=REASONS[reason],
        since=min((each.since for each in waits if each.since is not None), default=None),
        codes=tuple(dict.fromkeys(each.last_error.code for each in waits if each.last_error is not None)),
    )
