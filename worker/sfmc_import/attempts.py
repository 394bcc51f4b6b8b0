"""Says what is known of an attempt that is under way: what it asks, why the request waited before it, what failed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sfmc_import.waiting import dated, deadline_of, waited_for

ASKED_BEFORE = "Marketing Cloud is asked what must be known before the start; it has not answered yet."
CONFIRMED_FIRST = (
    "The start is recorded. It is sent as soon as disk or replicas of Redis confirm that, or it was sent and Marketing"
    " Cloud has not answered yet. Without an answer its run is looked for."
)
"""What is known of a start where SFMC_DURABILITY lets it be confirmed before it is sent."""

SENT = "The start was sent, and Marketing Cloud has not answered yet. Without an answer its run is looked for."


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt; times in seconds since 1970.

    `text` says what Marketing Cloud has not answered yet; `until` is how long the worker that sent the start waits.
    `waited` is the reason of waiting.md for which the request waited before it, `waited_since` since when. If it fails
    too, no other begins after the `deadline`, and the request has the state `then`.
    """

    number: int
    since: float | None
    waited: str | None
    waited_since: float | None
    last_error: Mapping[str, Any] | None
    deadline: float | None = None
    then: str | None = None
    text: str = ""
    until: float | None = None


def attempt_of(record: Mapping[str, Any]) -> Attempt | None:
    """Read from the record of a request which attempt is under way; None where there is none."""
    number, error = record.get("attempt", 0), record.get("last_error")
    if record["state"] != "starting" or number < 1:
        return None
    deadline, then = deadline_of(record, "")
    is_sent = bool(record.get("sent"))
    return Attempt(
        number=number,
        since=record.get("since"),
        waited=record.get("waited") or None,
        waited_since=record.get("waited_since"),
        last_error=None if error is None else dated(error, waited_for(record, "")),
        deadline=deadline,
        then=then,
        text=SENT if is_sent else ASKED_BEFORE,
        until=record.get("answer_by") if is_sent else None,
    )
