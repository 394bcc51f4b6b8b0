"""Says what the ledger would decide about a file now, from one look at it; decides nothing.

The rules are those of `ledger/claim.lua` for a new request with a file; a test asks both about the same ledgers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sfmc_import.policy import Policy
from sfmc_import.request import FileInfo
from sfmc_import.runs import Definition


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the ledger has that a decision about one file of one definition depends on.

    Requests are plain mappings, as `status` shows them: `own` is the one with the id that the file has, `handled` the
    one that handled a file with its fingerprint (`event_handled` for its event), `holder` the one that holds the
    definition, `first` the first follow-up. `window_left` is in seconds, as it was last computed; `window_age` are the
    seconds since the start from which the window lasts, None where none is known. `is_paused` by an operator, for
    `pause_left` seconds where that ends by itself. `completed` says when a run of a definition in `after` of the policy
    completed last, where that is known; `running` how many imports of each of its groups with a limit run, or may run.
    `now` is the time of all this, in seconds since 1970.
    """

    own: Mapping[str, Any] | None = None
    handled: Mapping[str, Any] | None = None
    event_handled: Mapping[str, Any] | None = None
    holder: Mapping[str, Any] | None = None
    first: Mapping[str, Any] | None = None
    window_left: float = 0.0
    window_age: float | None = None
    window_by: str | None = None
    is_paused: bool = False
    pause_left: float | None = None
    completed: Mapping[str, float] = field(default_factory=dict)
    running: Mapping[str, int] = field(default_factory=dict)
    now: float = 0.0


Reason = Literal[
    "free", "same_request", "event", "file", "too_soon", "single_flight", "window", "after", "paused", "rate_limited"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """`start`, `duplicate` of a request, or `wait` for a `reason`, about `seconds`, behind the request `by`.

    The reasons to wait are those of `waiting.py`; after `after`, `by` is a CustomerKey, after `rate_limited` the group
    of which as many imports run as may, `*` for the account.
    """

    what: Literal["start", "duplicate", "wait"]
    reason: Reason
    by: str | None = None
    seconds: float | None = None


def predict(file: FileInfo, standing: Standing, policy: Policy, definition: Definition | None = None) -> Outlook:
    """Say what would follow if this file were submitted now, and decided at once by this definition."""
    standing = replace(standing, window_left=_window_left(standing, policy, definition))
    if standing.own is not None:
        return Outlook(what="duplicate", reason="same_request", by=_id(standing.own))
    if standing.event_handled is not None:
        return Outlook(what="duplicate", reason="event", by=_id(standing.event_handled))
    blocked = standing.holder is not None or standing.window_left > 0
    if standing.handled is not None and (file.has_fingerprint or blocked) and not _differs(file, standing.handled):
        return Outlook(what="duplicate", reason="file", by=_id(standing.handled))
    if not blocked and standing.first is None:
        return _unblocked(standing, policy)
    waits = _wait(standing)
    held = standing.window_left > 0 or (standing.holder is not None and _missing_run(standing, policy) is None)
    if policy.when_too_soon == "drop" and held and not standing.is_paused:
        return Outlook(what="duplicate", reason="too_soon", by=waits.by, seconds=waits.seconds)
    return waits


def _unblocked(standing: Standing, policy: Policy) -> Outlook:
    if standing.is_paused:
        return Outlook(what="wait", reason="paused", seconds=standing.pause_left)
    key = _missing_run(standing, policy)
    if key is not None:
        return Outlook(what="wait", reason="after", by=key)
    full = next((group for group, most in policy.limits if standing.running.get(group, 0) >= most), None)
    if full is not None:
        return Outlook(what="wait", reason="rate_limited", by=full)
    return Outlook(what="start", reason="free")


def _missing_run(standing: Standing, policy: Policy) -> str | None:
    """Give the first definition of `after` without a completed run that counts: since now, or since a time of day."""
    if not policy.after:
        return None
    since = policy.order_begins(standing.now)
    return next((key for key in policy.after if standing.completed.get(key, 0.0) < since), None)


def _window_left(standing: Standing, policy: Policy, definition: Definition | None) -> float:
    if standing.window_age is None or (definition is None and policy.frequency is None):
        return standing.window_left
    return max(0.0, policy.window(definition or Definition(customer_key="")) * 3600 - standing.window_age)


def _wait(standing: Standing) -> Outlook:
    opens = standing.window_left if standing.window_left > 0 else None
    if standing.holder is not None:
        return Outlook(what="wait", reason="single_flight", by=_id(standing.holder), seconds=opens)
    if opens is not None:
        return Outlook(what="wait", reason="window", by=standing.window_by, seconds=opens)
    return Outlook(what="wait", reason="single_flight", by=_id(standing.first))


def _id(request: Mapping[str, Any] | None) -> str | None:
    return None if request is None else str(request["request_id"])


def _differs(file: FileInfo, handled: Mapping[str, Any]) -> bool:
    """Tell whether a file with the same fingerprint is known to have had other content."""
    theirs = (handled.get("file") or {}).get("content_hash")
    return theirs is not None and file.content_hash is not None and theirs != file.content_hash
