"""For what no call is made because calls failed: of the whole account, or of one login, and since and until when."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from sfmc_import.access import ReadAccess
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.ledger.quota_keys import CIRCUIT
from sfmc_import.operations.usage import account_of
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
    with redis_errors():
        client: Any = access.client
        found = client.hgetall(access.keys.name_of(CIRCUIT, account_of(access)))
    now = access.reader.now()
    read = [_read(name.decode(), orjson.loads(text), now) for name, text in sorted(found.items())]
    return tuple(each for each in read if each.until is not None and now - each.until < FORGOTTEN_SECONDS)


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
