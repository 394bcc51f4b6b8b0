"""Reads pauses: those that hold now, the one that holds a request, and the text by which one is known again."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from sfmc_import.access import ReadAccess
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.ledger.operator_keys import PAUSES
from sfmc_import.ledger.reading import Pauses, lasts
from sfmc_import.operations.views import PauseView, time_of
from sfmc_import.waiting import BEFORE_A_START


def pauses(access: ReadAccess) -> list[PauseView]:
    """Give the pauses that hold now, everything first."""
    return [pause_view(scope, said) for scope, said in access.reader.pauses().said.items()]


HOLDS = "no start of it is sent, what comes waits, and runs are followed on"


def sentence(pause: PauseView, end: str) -> str:
    """Say what is paused, by whom, since and until when and why, and what that holds: a pause is no failure."""
    return (
        f"{_what(pause.scope)} is paused by {pause.operator} since {pause.since:%Y-%m-%d %H:%M:%S} UTC{end}"
        f" ({HOLDS}): {pause.reason}"
    )


def _what(scope: str) -> str:
    kind, _, rest = scope.partition(":")
    mid, _, key = rest.partition(":")
    return "everything" if kind == "all" else f"{key} of business unit {mid}" if key else f"business unit {mid}"


def as_written(access: ReadAccess, scope: str) -> tuple[str, PauseView | None]:
    """Give the pause of a scope as the ledger has it, `none` without one, and as it is shown; one that is over is none.

    The first is what `pause` and `resume` may expect. That of a definition is found by whatever name it was set.
    """
    found = _written(access, scope)
    if found is None and (other := _by_other_name(access, scope)) is not None:
        scope, found = other, _written(access, other)
    if found is None:
        return "none", None
    said = orjson.loads(found)
    return found.decode(), pause_view(scope, said) if lasts(said, access.reader.now()) else None


def _written(access: ReadAccess, scope: str) -> bytes | None:
    with redis_errors():
        client: Any = access.client
        found: bytes | None = client.hget(access.keys.name_of(PAUSES), scope)
    return found


def _by_other_name(access: ReadAccess, scope: str) -> str | None:
    if not scope.startswith("key:"):
        return None
    _, mid, name = scope.split(":", 2)
    [home] = access.reader.homes_of_names([(mid, name)])
    return access.reader.pauses().of_definition(mid, name, home)


def holders(access: ReadAccess, records: Sequence[Mapping[str, Any]]) -> list[PauseView | None]:
    """Give for each record of a request that waits the pause that holds its start, also where it waits for more."""
    waits = [_may_be_held(record) for record in records]
    if not any(waits):
        return [None] * len(records)
    found = access.reader.pauses()
    return [_holder(record, found) if is_paused else None for record, is_paused in zip(records, waits, strict=True)]


def _may_be_held(record: Mapping[str, Any]) -> bool:
    reason = record.get("waits_because")
    return reason == "paused" or (bool(reason) and record.get("state") in BEFORE_A_START)


def _holder(record: Mapping[str, Any], found: Pauses) -> PauseView | None:
    key = record["customer_key"]
    return holder(found, record["mid"], key, record.get("home") or key)


def holder(found: Pauses, mid: str, customer_key: str, home: str) -> PauseView | None:
    """Give the pause that holds a definition, by whatever key an operator named it."""
    scope = found.scope_of(mid, customer_key, home)
    return None if scope is None else pause_view(scope, found.said[scope])


def pause_view(scope: str, said: Mapping[str, Any]) -> PauseView:
    """Show what an operator said."""
    since, until = time_of(said["since"] / 1000), said.get("until")
    assert since is not None
    return PauseView(
        scope=scope,
        operator=said["operator"],
        reason=said["reason"],
        since=since,
        until=None if until is None else time_of(until / 1000),
    )
