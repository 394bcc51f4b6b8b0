"""Says what an attempt that is under way follows: why the request waited before it, and what failed last."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sfmc_import.waiting import dated, deadline_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt that is not the first; times in seconds since 1970.

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


def attempt_of(record: Mapping[str, Any]) -> Attempt | None:
    """Read from the record of a request which further attempt is under way; None for the first one, and for none."""
    number, error = record.get("attempt", 0), record.get("last_error")
    if record["state"] != "starting" or number < 2:
        return None
    deadline, then = deadline_of(record, "")
    return Attempt(
        number=number,
        since=record.get("since"),
        waited=record.get("waited") or None,
        waited_since=record.get("waited_since"),
        last_error=None if error is None else dated(error),
        deadline=deadline,
        then=then,
    )
