"""Logins of people at the console: a random session in place of the token, kept as a hash and for some hours."""

import secrets
from typing import Any

from sfmc_import.access import ReadAccess
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.ledger.ledger_settings import LedgerSettings
from sfmc_import.ledger.operator_keys import SESSION
from sfmc_import.operations import tokens


def seconds() -> float:
    """Give how long a login lasts."""
    return LedgerSettings().session_ttl


def begin(access: ReadAccess, token: str) -> str | None:
    """Log in with a token and give the session, which is shown this once; None for a token that does not count."""
    if tokens.known(access, token) is None:
        return None
    session = secrets.token_urlsafe(32)
    with redis_errors():
        access.client.set(_key(access, session), tokens.digest(token), px=round(seconds() * 1000))
    return session


def owner(access: ReadAccess, session: str) -> tokens.TokenView | None:
    """Give whose session this is; None where it is over, or its token was revoked."""
    with redis_errors():
        client: Any = access.client
        found = client.get(_key(access, session))
    return None if found is None else tokens.of_digest(access, found.decode())


def end(access: ReadAccess, session: str) -> None:
    """Log out."""
    with redis_errors():
        access.client.delete(_key(access, session))


def _key(access: ReadAccess, session: str) -> str:
    return access.keys.name_of(SESSION, tokens.digest(session))
