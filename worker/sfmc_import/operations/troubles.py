"""What keeps every request of a business unit waiting: since when, the codes, and what somebody must do."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

import orjson

from sfmc_import.access import ReadAccess
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.ledger.quota_keys import CIRCUIT
from sfmc_import.operations.fixing import Login, advice_for, login_of
from sfmc_import.operations.usage import account_of
from sfmc_import.operations.views import RequestView, Time, View, WaitingView, time_of
from sfmc_import.waiting import RUNNING_LIMIT, is_odd, sentence

ACCOUNT_WIDE = ("circuit_open", "rate_limited", "redis_unsure")
"""Reasons to wait that hit every request of a business unit."""

NETWORK = frozenset({"refused", "unreachable", "dns", "connect_timeout", "tls"})
"""Codes of a network that is away: each request waits for itself, and all of them for the same."""

_HELD = "circuit_open"
"""The code of a call that was not made; what failed is the code of the circuit."""


class TroubleView(View):
    """One of them: a reason of waiting.md with its sentence, since when it lasts, the codes of failures, what to do.

    `runs` are those that cannot be asked for, or say something odd, among those that are polled next.
    """

    mid: str
    reason: str
    text: str
    since: Time | None
    codes: tuple[str, ...]
    advice: str
    runs: int = 0


def troubles(access: ReadAccess, due: Iterable[RequestView]) -> tuple[TroubleView, ...]:
    """Give what is in the way of requests that are due next, and of runs; each of a business unit once."""
    # What is due next may be a run that is followed too.
    views = {each.request_id: each for each in due}.values()
    return sorted_out(views, open_circuits(access), login_of(access.settings))


def sorted_out(
    due: Iterable[RequestView], circuits: Mapping[str, Mapping[str, Any]], login: Login = ""
) -> tuple[TroubleView, ...]:
    """Sort requests that are due next by what is in their way; `circuits` are those that let no call pass."""
    hit = [_Hit(each.mid, each.waiting, _odd(each)) for each in due if each.waiting is not None and _is_trouble(each)]
    groups = groupby(sorted(hit, key=_Hit.place), key=_Hit.place)
    return tuple(_trouble(*place, list(hits), circuits, login) for place, hits in groups)


@dataclass(frozen=True, slots=True)
class _Hit:
    mid: str
    wait: WaitingView
    odd: str
    """What Marketing Cloud says of its run, where that is neither progress nor an end."""

    def place(self) -> tuple[str, str]:
        return self.mid, self.wait.reason


def _odd(view: RequestView) -> str:
    return str(view.import_status) if is_odd(view.import_status) else ""


def _is_trouble(view: RequestView) -> bool:
    """Tell whether something is wrong; that as many imports run as may is not."""
    wait = view.waiting
    if wait is None:
        return False
    if wait.reason == "following":
        return wait.last_error is not None or is_odd(view.import_status)
    is_limit_of_ours = wait.last_error is not None and wait.last_error.code == RUNNING_LIMIT
    if wait.reason == "backoff" and wait.last_error is not None:
        return wait.last_error.code in NETWORK
    return wait.reason in ACCOUNT_WIDE and not is_limit_of_ours


def open_circuits(access: ReadAccess) -> Mapping[str, Mapping[str, Any]]:
    """Give the circuits that let no call pass: of the account under an empty name, of logins by business unit."""
    with redis_errors():
        client: Any = access.client
        found = client.hgetall(access.keys.name_of(CIRCUIT, account_of(access)))
    circuits = {name.decode(): orjson.loads(text) for name, text in found.items()}
    return {name: circuit for name, circuit in circuits.items() if circuit.get("until")}


def _trouble(
    mid: str, reason: str, hits: Sequence[_Hit], circuits: Mapping[str, Mapping[str, Any]], login: Login
) -> TroubleView:
    circuit = (circuits.get(mid) or circuits.get("")) if reason == _HELD else None
    moments = [moment for each in hits if (moment := _begin(each.wait)) is not None]
    codes = [each.wait.last_error.code if each.wait.last_error else each.odd for each in hits]
    if circuit:
        # It was open before the oldest of these requests came.
        begun = time_of(circuit["since"] / 1000) if circuit.get("since") else None
        moments += [begun] if begun else []
        codes = [circuit.get("code", ""), *(code for code in codes if code != _HELD)]
    known = tuple(dict.fromkeys(code for code in codes if code))
    text, advice = _sentence(reason, known, hits), advice_for(known, login)
    if any(each.odd for each in hits):
        advice = f"To do: {LOOK_AT_RUNS}. {advice}"
    since = min(moments, default=None)
    runs = len(hits) if reason == "following" else 0
    return TroubleView(mid=mid, reason=reason, text=text, since=since, codes=known, advice=advice, runs=runs)


LOOK_AT_RUNS = "look at the runs in Marketing Cloud; they are followed on until their deadline"


def _begin(wait: WaitingView) -> datetime | None:
    """Give since when it is so: of a run since when it cannot be asked for."""
    if wait.reason == "following" and wait.last_error is not None:
        return wait.last_error.since
    return wait.since


def _sentence(reason: str, codes: tuple[str, ...], hits: Sequence[_Hit]) -> str:
    odd = next((each.odd for each in hits if each.odd), None)
    failed = next((each.wait.last_error.code for each in hits if each.wait.last_error is not None), "")
    return sentence(reason, failed if reason == "following" else next(iter(codes), ""), odd)
