"""Tokens of Google: signed by its keys, for our audience, from one service account."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import structlog

from sfmc_server.authentication import NotNowError, Received, bearer_token
from sfmc_server.fetching import Fetch, FetchError

ISSUERS = ["https://accounts.google.com", "accounts.google.com"]
LEEWAY = 30
MAX_TOKEN = 8192
MAX_KEYS = 32
FRESH_SECONDS = 3600.0
STALE_SECONDS = 86_400.0
"""Keys are used for so long when no newer ones can be fetched."""

PAUSE_SECONDS = 60.0
"""Between two fetches: a token may name any key it likes."""

log = structlog.get_logger("sfmc_server.google")


@dataclass
class KeySet:
    """The keys of a file or an https address, kept for a while; safe for threads, one of which fetches."""

    place: str
    fetch: Fetch
    clock: Callable[[], float]
    _keys: Mapping[str, Any] = field(default_factory=dict)
    _read_at: float | None = None
    _tried_at: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def key(self, name: str) -> Any | None:
        """Give the key of this name; None when there is none. Raises NotNowError while no keys are there."""
        # Without the lock: a token that waits for new keys holds up no other.
        if name in self._keys and self._is_younger(FRESH_SECONDS):
            return self._keys[name]
        with self._lock:
            is_old = not self._is_younger(FRESH_SECONDS)
            if (is_old or name not in self._keys) and self._may_try():
                self._renew()
            if not self._is_younger(STALE_SECONDS):
                raise NotNowError
            return self._keys.get(name)

    def _is_younger(self, seconds: float) -> bool:
        return self._read_at is not None and self.clock() - self._read_at < seconds

    def _may_try(self) -> bool:
        return self._tried_at is None or self.clock() - self._tried_at >= PAUSE_SECONDS

    def _renew(self) -> None:
        self._tried_at = self.clock()
        try:
            found = jwt.PyJWKSet.from_json(self._document().decode())
        except (FetchError, OSError, ValueError, jwt.PyJWTError) as error:
            log.error("google_keys_unavailable", place=self.place, reason=str(error))
            return
        self._keys = {str(key.key_id): key.key for key in found.keys[:MAX_KEYS] if key.algorithm_name == "RS256"}
        self._read_at = self.clock()

    def _document(self) -> bytes:
        return self.fetch(self.place) if "://" in self.place else Path(self.place).read_bytes()


@dataclass(frozen=True)
class GoogleTokens:
    """A token must be for `audience` and from the account `email`: a good signature alone is any customer's."""

    keys: KeySet
    audience: str
    email: str

    def accepts(self, received: Received) -> bool:
        """Check signature, issuer, audience, time and account."""
        token = bearer_token(received.headers)
        if not token or len(token) > MAX_TOKEN:
            return False
        try:
            claims = self._claims(token)
        except jwt.PyJWTError:
            return False
        return claims.get("email") == self.email and claims.get("email_verified") is True

    def _claims(self, token: str) -> Mapping[str, Any]:
        name = jwt.get_unverified_header(token).get("kid")
        key = self.keys.key(name) if isinstance(name, str) else None
        if key is None:
            return {}
        return jwt.decode(
            token,
            key,
            algorithms=["RS256"],
            audience=self.audience,
            issuer=ISSUERS,
            leeway=LEEWAY,
            options={"require": ["exp", "iat", "iss", "aud"]},
        )
