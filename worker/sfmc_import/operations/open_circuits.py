"""For what no call is made because calls failed: of the whole account, or of one login, and since and until when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from sfmc_import.access import ReadAccess
from sfmc_import.circuits import LOGIN_CODES, WAY_CODES
from sfmc_import.faults import ACCOUNT_WIDE
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.ledger.quota_keys import CIRCUIT
from sfmc_import.operations.usage import account_of
from sfmc_import.operations.views import AttemptView, RequestView, WaitingView, time_of
from sfmc_import.permits import OF_LOGIN

FORGOTTEN_SECONDS = 600.0
"""So long after its pause a circuit that no call has touched says nothing any more; quota.lua forgets it then."""


UNTRIED_SECONDS = 15.0
"""So long after its pause a process that has a call to make has tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCircuit:
    """A circuit that lets no call pass; times in seconds since 1970.

    `mid` is empty where it holds for every business unit, `is_of_login` tells whether for the calls of one login only,
    whose id is `login`, and `by` names the processes and the logins whose calls failed, the newest first. With
    `is_untried` its pause is over and no process has tried again: none has a call to make, or none with this login
    runs any more.
    """

    code: str
    text: str = ""
    mid: str = ""
    is_of_login: bool = False
    login: str = ""
    by: str = ""
    since: float | None = None
    until: float | None = None
    is_untried: bool = False

    def holds(self, mid: str) -> bool:
        """Tell whether calls of this business unit may be held by it."""
        return self.mid in {"", mid}


def open_circuits(access: ReadAccess) -> tuple[OpenCircuit, ...]:
    """Give the circuits that let no call pass, that of the account first."""
    now = access.reader.now()
    read = [_read(scope, said, now) for scope, said in _all(access)]
    return tuple(each for each in read if each.until is not None and now - each.until < FORGOTTEN_SECONDS)


def _all(access: ReadAccess) -> list[tuple[str, Mapping[str, Any]]]:
    with redis_errors():
        client: Any = access.client
        found = client.hgetall(access.keys.name_of(CIRCUIT, account_of(access)))
    return [(name.decode(), orjson.loads(text)) for name, text in sorted(found.items())]


Scope = tuple[str, bool]
"""The business unit of a circuit, empty for all, and whether it is of one login."""


@dataclass(frozen=True, slots=True)
class WorksAgain:
    """Since when calls work again: `closed` has when circuits closed (seconds since 1970), `still_open` which have not.

    A request that waits for a circuit is tried at a time of its own after that one has closed.
    """

    closed: tuple[tuple[Scope, float], ...] = ()
    still_open: frozenset[Scope] = frozenset()

    def since(self, mid: str, code: str, failed_at: float) -> float | None:
        """Give since when what failed with this code works; None where nothing says it."""
        if not self.closed or code not in _OF_ALL:
            return None
        scopes = _scopes(mid, code)
        if scopes & self.still_open:
            return None
        return max((at for scope, at in self.closed if scope in scopes and at > failed_at), default=None)


_HELD = "circuit_open"
_OF_ALL = ACCOUNT_WIDE | {_HELD}


def _scopes(mid: str, code: str) -> set[Scope]:
    """Give the circuits that such a failure opens; where a call was held and nothing says why, any of them."""
    if code == _HELD:
        return {("", False), ("", True), (mid, True)}
    return {("", True)} if code in WAY_CODES else {(mid, True)} if code in LOGIN_CODES else {("", False)}


def works_again(access: ReadAccess) -> WorksAgain:
    """Read which circuits have closed."""
    read = [(_scope(name), said) for name, said in _all(access)]
    closed = tuple((scope, said["closed"] / 1000) for scope, said in read if said.get("closed"))
    return WorksAgain(closed, frozenset(scope for scope, said in read if said.get("until")))


def _scope(name: str) -> Scope:
    mid, of_login, _ = name.partition(OF_LOGIN)
    return mid, bool(of_login)


def with_calls_that_work(access: ReadAccess, views: Sequence[RequestView]) -> list[RequestView]:
    """Say of each request that still waits for a circuit which has closed since that calls work again."""
    if not any(_may_work(each) for each in views):
        return list(views)
    found = works_again(access)
    return [_noted(each, found) for each in views]


def _now(view: RequestView) -> WaitingView | AttemptView | None:
    return view.waiting or view.attempting


def _may_work(view: RequestView) -> bool:
    now = _now(view)
    error = None if now is None else now.last_error
    return error is not None and not error.is_past and error.code in _OF_ALL


def _noted(view: RequestView, found: WorksAgain) -> RequestView:
    now = _now(view)
    if now is None or now.last_error is None or not _may_work(view):
        return view
    since = time_of(found.since(view.mid, now.last_error.code, now.last_error.at.timestamp()))
    if since is None:
        return view
    more: dict[str, Any] = {"last_error": now.last_error.model_copy(update={"is_past": True})}
    if view.waiting is None:
        return view.model_copy(update={"attempting": now.model_copy(update=more)})
    if view.waiting.reason in {_HELD, "rate_limited"}:
        more["text"] = WORK_AGAIN.format(f"{since:%Y-%m-%d %H:%M:%S}")
    return view.model_copy(update={"waiting": now.model_copy(update=more)})


WORK_AGAIN = "Calls failed, and work again since {} UTC; it is tried at its next time."


def _read(scope: str, said: Mapping[str, Any], now: float) -> OpenCircuit:
    mid, of_login, login = scope.partition(OF_LOGIN)
    waited_for = max(said.get("until") or 0, (said.get("probe_until") or 0) if said.get("probe") else 0) / 1000
    return OpenCircuit(
        mid=mid,
        is_of_login=bool(of_login),
        login=login,
        code=said.get("code") or "",
        text=said.get("text") or "",
        by=said.get("by") or "",
        since=said["since"] / 1000 if said.get("since") else None,
        until=said["until"] / 1000 if said.get("until") else None,
        is_untried=bool(waited_for) and now - waited_for > UNTRIED_SECONDS,
    )
