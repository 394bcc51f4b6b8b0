"""Who is calling: issues and keeps access tokens, and reads the credentials of a SOAP header."""

import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from lxml import etree

from sfmc_sandbox.clock import Clock
from sfmc_sandbox.settings import Principal
from sfmc_sandbox.store import Store
from sfmc_sandbox.wire.envelope import Envelope, SoapFaultError, header_block
from sfmc_sandbox.wire.vocabulary import local_name

_REFRESH_EARLY = 121
_LEGACY_FACTOR = 3
_KEPT_CHARACTERS = 64 * 1024 * 1024


@dataclass(frozen=True)
class Grant:
    """What a token stands for: who, in which business unit, until when (seconds since 1970)."""

    principal: Principal
    mid: int
    expires: float


class Tokens:
    """All tokens issued so far; above a limit the oldest are removed. A data folder keeps them over a restart.

    `known`: the principals whose tokens from earlier processes stay valid; `length`: characters of a new token.
    """

    def __init__(self, clock: Clock, lifetime: int, store: Store, known: Iterable[Principal], length: int = 64) -> None:
        self.length = length
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
        """The lifetime in the answer to a client: two minutes less than it is, so that the client refreshes early."""
        return self._lifetime - _REFRESH_EARLY if self._lifetime > 2 * _REFRESH_EARLY else self._lifetime

    @property
    def legacy_lifetime(self) -> int:
        """The lifetime of legacy tokens in seconds: three times that of other tokens."""
        return _LEGACY_FACTOR * self._lifetime

    def issue(self, principal: Principal, mid: int, *, legacy: bool = False) -> str:
        """A new token for `principal` in the business unit `mid`."""
        token = secrets.token_urlsafe(self.length)[: self.length]
        expires = self._clock.timestamp() + (self.legacy_lifetime if legacy else self._lifetime)
        self._grants[token] = Grant(principal, mid, expires)
        self._write("INSERT INTO tokens VALUES (?, ?, ?, ?)", token, principal.name, mid, expires)
        while len(self._grants) * self.length > _KEPT_CHARACTERS:
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
        """Expire every token now; returns how many there were."""
        self._grants = {token: Grant(g.principal, g.mid, 0.0) for token, g in self._grants.items()}
        self._write("UPDATE tokens SET expires = 0")
        return len(self._grants)

    def _write(self, statement: str, *values: float | str) -> None:
        with self._store.lock:
            self._store.connection.execute(statement, values)


LOGIN_FAILED = "Login Failed"
TOKEN_EXPIRED = "Token Expired"  # noqa: S105  the vendor's fault text


@dataclass(frozen=True)
class Caller:
    """A principal acting in one business unit."""

    principal: Principal
    mid: int


def match(principals: Iterable[Principal], name: str, secret: str) -> Principal | None:
    """The principal with this name and secret, or None."""
    found = next((principal for principal in principals if principal.name == name), None)
    if found is None or not hmac.compare_digest(found.secret.encode(), secret.encode()):
        return None
    return found


def authenticate(envelope: Envelope, users: Iterable[Principal], mids: Iterable[int], tokens: Tokens) -> Caller:
    """The caller, by `fueloauth`, legacy `oAuthToken` or UsernameToken; element namespaces do not matter.

    `users` may log in with a password, into the first of `mids` they may act in.
    Raises SoapFaultError (Security): `Token Expired`, or `Login Failed` for everything else that is wrong.
    """
    token = _token(envelope)
    if token:
        return _by_token(token, tokens)
    name, password = _username_token(envelope)
    user = match(users, name, password)
    mid = next((mid for mid in mids if user is not None and user.may_act_in(mid)), None)
    if user is None or mid is None:
        raise SoapFaultError("Security", LOGIN_FAILED)
    return Caller(user, mid)


def _by_token(token: str, tokens: Tokens) -> Caller:
    grant = tokens.find(token)
    if grant is None:
        raise SoapFaultError("Security", LOGIN_FAILED)
    if tokens.is_expired(grant):
        raise SoapFaultError("Security", TOKEN_EXPIRED)
    return Caller(grant.principal, grant.mid)


def _token(envelope: Envelope) -> str:
    modern = header_block(envelope, "fueloauth")
    if modern is not None:
        return (modern.text or "").strip() or "-"
    legacy = header_block(envelope, "oAuth")
    return "" if legacy is None else _text_below(legacy, "oAuthToken") or "-"


def _username_token(envelope: Envelope) -> tuple[str, str]:
    block = header_block(envelope, "Security")
    if block is None:
        return "", ""
    return _text_below(block, "Username"), _text_below(block, "Password")


def _text_below(element: etree._Element, name: str) -> str:
    return next(((node.text or "").strip() for node in element.iter() if local_name(node.tag) == name), "")
