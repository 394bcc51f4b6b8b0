"""What keeps every request of a business unit waiting: since when, the codes, and what somebody must do."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

import orjson

from sfmc_import.access import ReadAccess
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.ledger.quota_keys import CIRCUIT
from sfmc_import.operations.fixing import advice_for
from sfmc_import.operations.usage import account_of
from sfmc_import.operations.views import RequestView, Time, View, WaitingView, time_of
from sfmc_import.waiting import REASONS

ACCOUNT_WIDE = ("circuit_open", "rate_limited", "redis_unsure")
"""Reasons to wait that hit every request of a business unit."""

RUNNING_LIMIT = "running_limit"
"""The code of a wait until fewer imports run."""

_HELD = "circuit_open"
"""The code of a call that was not made; what failed is the code of the circuit."""


class TroubleView(View):
    """One of them: a reason of waiting.md with its sentence, since when it lasts, the codes of failures, what to do."""

    mid: str
    reason: str
    text: str
    since: Time | None
    codes: tuple[str, ...]
    advice: str


def troubles(access: ReadAccess, due: Iterable[RequestView]) -> tuple[TroubleView, ...]:
    """Give what is in the way of requests that are due next; each of a business unit once."""
    return sorted_out(due, open_circuits(access))


def sorted_out(due: Iterable[RequestView], circuits: Mapping[str, Mapping[str, Any]]) -> tuple[TroubleView, ...]:
    """Sort requests that are due next by what is in their way; `circuits` are those that let no call pass."""
    hit = [(each.mid, each.waiting) for each in due if each.waiting is not None and _is_trouble(each.waiting)]
    ranked = sorted(hit, key=lambda pair: (pair[0], pair[1].reason))
    groups = groupby(ranked, key=lambda pair: (pair[0], pair[1].reason))
    return tuple(_trouble(*names, [wait for _, wait in pairs], circuits) for names, pairs in groups)


def _is_trouble(wait: WaitingView) -> bool:
    """Tell whether something is wrong; that as many imports run as may is not."""
    is_limit_of_ours = wait.last_error is not None and wait.last_error.code == RUNNING_LIMIT
    return wait.reason in ACCOUNT_WIDE and not is_limit_of_ours


def open_circuits(access: ReadAccess) -> Mapping[str, Mapping[str, Any]]:
    """Give the circuits that let no call pass: of the account under an empty name, of logins by business unit."""
    with redis_errors():
        client: Any = access.client
        found = client.hgetall(access.keys.name_of(CIRCUIT, account_of(access)))
    circuits = {name.decode(): orjson.loads(text) for name, text in found.items()}
    return {name: circuit for name, circuit in circuits.items() if circuit.get("until")}


def _trouble(mid: str, reason: str, waits: list[WaitingView], circuits: Mapping[str, Mapping[str, Any]]) -> TroubleView:
    circuit = (circuits.get(mid) or circuits.get("")) if reason == _HELD else None
    moments = [each.since for each in waits if each.since is not None]
    codes = [each.last_error.code for each in waits if each.last_error is not None]
    if circuit:
        # It was open before the oldest of these requests came.
        begun = time_of(circuit["since"] / 1000) if circuit.get("since") else None
        moments += [begun] if begun else []
        codes = [code for code in (circuit.get("code"), *codes) if code and code != _HELD]
    known = tuple(dict.fromkeys(codes))
    since = min(moments, default=None)
    return TroubleView(mid=mid, reason=reason, text=REASONS[reason], since=since, codes=known, advice=advice_for(known))
