"""Access tokens: issued, recognised, kept, expired on the sandbox's clock; knows no HTTP and no SOAP."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from sfmc_sandbox.clock import Clock
from sfmc_sandbox.settings import Principal
from sfmc_sandbox.store import Store

_REFRESH_EARLY = 121
_LEGACY_FACTOR = 3
_KEPT = 100_000


@dataclass(frozen=True)
class Grant:
    """What a token stands for: who, in which business unit, until when (seconds since 1970)."""

    principal: Principal
    mid: int
    expires: float


class Tokens:
    """All tokens issued so far, oldest forgotten first; a data folder keeps them over a restart.

    `known` are the principals that tokens from before the start may stand for.
    """

    def __init__(self, clock: Clock, lifetime: int, store: Store, known: Iterable[Principal]) -> None:
        self._clock = clock
        self._lifetime = lifetime
        self._store = store
        principals = {principal.name: principal for principal in known}
        rows = store.connection.execute("SELECT token, principal, mid, expires FROM tokens ORDER BY rowid").fetchall()
        self._grants = {
            token: Grant(principals[name], mid, expires) for token, name, mid, expires in rows if name in principals
        }

    @property
    def expires_in(self) -> int:
        """What a client is told: two minutes less than the lifetime, so that it refreshes early."""
        return self._lifetime - _REFRESH_EARLY if self._lifetime > 2 * _REFRESH_EARLY else self._lifetime

    @property
    def legacy_lifetime(self) -> int:
        """Seconds that legacy tokens live, as a client is told: an hour where others live 20 minutes."""
        return _LEGACY_FACTOR * self._lifetime

    def issue(self, principal: Principal, mid: int, *, legacy: bool = False) -> str:
        """A new token for `principal` in the business unit `mid`."""
        token = secrets.token_urlsafe(48)
        expires = self._clock.timestamp() + (self.legacy_lifetime if legacy else self._lifetime)
        self._grants[token] = Grant(principal, mid, expires)
        self._write("INSERT INTO tokens VALUES (?, ?, ?, ?)", token, principal.name, mid, expires)
        while len(self._grants) > _KEPT:
            oldest = next(iter(self._grants))
            del self._grants[oldest]
            self._write("DELETE FROM tokens WHERE token = ?", oldest)
        return token

    def find(self, token: str) -> Grant | None:
        """The grant of `token`, expired or not; None for a token that was never issued."""
        return self._grants.get(token)

    def is_expired(self, grant: Grant) -> bool:
        """Whether the grant's time is over."""
        return self._clock.timestamp() >= grant.expires

    def expire_all(self) -> int:
        """End every token now; returns how many there were."""
        self._grants = {token: Grant(g.principal, g.mid, 0.0) for token, g in self._grants.items()}
        self._write("UPDATE tokens SET expires = 0")
        return len(self._grants)

    def _write(self, statement: str, *values: float | str) -> None:
        with self._store.lock:
            self._store.connection.execute(statement, values)
