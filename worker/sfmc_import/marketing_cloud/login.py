"""Gets OAuth2 access tokens, one per business unit; one thread renews a token early while others still use it."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from sfmc_import.faults import Fault, after_situation
from sfmc_import.marketing_cloud.envelopes import user_credentials
from sfmc_import.marketing_cloud.http import Failed, MarketingCloudConfig, Post, Reply
from sfmc_import.redaction import KNOWN, hidden
from sfmc_import.retrying import LOGIN, NO_JITTER, Retry, Times, after

# Tokens live 20 minutes; replies name 1079 s so that they are renewed early
# (Marketing Cloud docs, "Access Token for Server-to-Server Integrations").
DEFAULT_LIFE = 1079.0
RENEW_AT = 0.8


@dataclass(frozen=True, slots=True)
class Token:
    """An access token; times in seconds of the clock it was made with. `repr` hides its secret."""

    secret: str = field(repr=False)
    renew_at: float
    dies_at: float

    def __post_init__(self) -> None:
        # Whatever quotes this token from now on, a fault or a library's log, is shown without it.
        KNOWN.learn(self.secret, passing=True)

    def header_values(self) -> Mapping[str, str]:
        """Give the values of the credential placeholders of an envelope."""
        return {"token": self.secret}


class TokenSource:
    """Gives tokens to any number of threads; at most one request per business unit (MID) is under way."""

    def __init__(self, config: MarketingCloudConfig, post: Post, clock: Callable[[], float]) -> None:
        self._config = config
        self._post = post
        self._clock = clock
        self._refreshes: dict[str, TokenRefresh] = {}

    def get(self, mid: str) -> Token | Fault:
        """Give a token that should be valid, from memory if possible; a fault if there is none."""
        refresh = self._refresh(mid)
        seen = refresh.answers
        now = self._clock()
        held = refresh.held
        if held is not None and now < max(held.renew_at, min(refresh.quiet_until, held.dies_at)):
            return held
        return refresh.refresh(seen, instead=held if held is not None and now < held.dies_at else None)

    def renew(self, mid: str, refused: object) -> Token | Fault:
        """Give another token than the one that was refused: one that was renewed meanwhile, or a new one."""
        refresh = self._refresh(mid)
        seen = refresh.answers
        held = refresh.held
        return held if held is not None and held is not refused else refresh.refresh(seen, instead=None)

    def _refresh(self, mid: str) -> "TokenRefresh":
        # One atomic step, so that two threads that come first share a refresh.
        return self._refreshes.get(mid) or self._refreshes.setdefault(
            mid, TokenRefresh(lambda: self._ask(mid), self._clock)
        )

    def _ask(self, mid: str) -> Token | Fault:
        config = self._config
        order = {
            "grant_type": "client_credentials",
            "client_id": config.client_id,
            "client_secret": config.client_secret.get_secret_value(),
            "account_id": mid or config.account_id,
        }
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        asked = self._clock()
        answer = self._post(config.token_address, orjson.dumps(order), headers, config.token_timeout)
        return self._parse_answer(mid, asked, answer)

    def _parse_answer(self, mid: str, asked: float, answer: Reply | Failed) -> Token | Fault:
        if isinstance(answer, Failed):
            return after_situation("token_unavailable", f"no token: {answer.text}")
        if answer.status == 200:
            return read_token(asked, answer.content) or after_situation(
                "token_unavailable", "no token: the answer of the token endpoint cannot be read"
            )
        if answer.status == 429 or answer.status >= 500:
            situation = "http_429" if answer.status == 429 else "token_unavailable"
            text = f"no token: the token endpoint answers HTTP {answer.status}"
            return after_situation(situation, text, retry_after=answer.retry_after)
        return after_situation("login_failed", self._refused(mid, answer))

    def _refused(self, mid: str, answer: Reply) -> str:
        return (
            f"Marketing Cloud gives no token for MID {mid or 'of the package'} (HTTP {answer.status}"
            f"{_reason(answer.content)}): check SFMC_AUTH_URL, SFMC_CLIENT_ID and SFMC_CLIENT_SECRET,"
            " and that the installed package may act in this business unit"
        )


class TokenRefresh:
    """The token of one business unit and the right to ask for the next."""

    def __init__(self, ask: Callable[[], Token | Fault], clock: Callable[[], float]) -> None:
        self._ask = ask
        self._clock = clock
        self._renewing = threading.Lock()
        self._last: Token | Fault | None = None
        self.answers = 0
        self.held: Token | None = None
        self.quiet_until = 0.0

    def refresh(self, seen: int, instead: Token | None) -> Token | Fault:
        """Ask for a token, or share the answer that came since `answers` was `seen`.

        If `instead` is still valid, return it at once while another thread renews the token, or when that fails.
        """
        if not self._renewing.acquire(blocking=instead is None):
            return instead  # type: ignore[return-value] # acquire gives False only where there is one
        try:
            answer = self._last
            if answer is None or self.answers == seen:
                answer = self._store(self._ask())
        finally:
            self._renewing.release()
        return answer if isinstance(answer, Token) or instead is None else instead

    def _store(self, answer: Token | Fault) -> Token | Fault:
        if isinstance(answer, Token):
            self.held = answer
        else:
            self.quiet_until = self._clock() + self._pause(answer)
        self._last = answer
        self.answers += 1
        return answer

    @staticmethod
    def _pause(fault: Fault) -> float:
        """Seconds in which a token that is still valid is not renewed again."""
        step = after(fault, 1, Times(chance=NO_JITTER), LOGIN)
        return step.after if isinstance(step, Retry) else LOGIN.backoff.cap


def read_token(asked: float, content: bytes) -> Token | None:
    """Read the answer of the token endpoint; its life counts from when it was `asked` for; None when unreadable."""
    fields = _json(content)
    secret, life = fields.get("access_token"), fields.get("expires_in", DEFAULT_LIFE)
    if not isinstance(secret, str) or not secret or isinstance(life, bool) or not isinstance(life, int | float):
        return None
    return Token(secret, renew_at=asked + RENEW_AT * life, dies_at=asked + life)


def _reason(content: bytes) -> str:
    reason = _json(content).get("error")
    known = hidden(reason) if isinstance(reason, str) else ""
    return f", {known[:40]}" if known.replace("_", "").isalnum() else ""


def _json(content: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return fields if isinstance(fields, dict) else {}


class Credential(Protocol):
    """A login that fills the credential placeholders; `repr` hides its secret."""

    def header_values(self) -> Mapping[str, str]:
        """Give the values of the credential placeholders for one call."""
        ...


class CredentialSource(Protocol):
    """Logins per business unit (MID); safe for threads."""

    def get(self, mid: str) -> Credential | Fault:
        """Give a login that should be valid, or the fault why there is none."""
        ...

    def renew(self, mid: str, refused: Credential) -> Credential | Fault:
        """Give another login than the one that the service refused, or the fault why there is none."""
        ...


class PasswordCredential:
    """A WS-Security UsernameToken: nonce and time are new for each call."""

    def __init__(self, config: MarketingCloudConfig) -> None:
        self._config = config

    def header_values(self) -> Mapping[str, str]:
        """Give user, password, nonce, time and id."""
        return user_credentials(self._config)


class PasswordSource:
    """The one login of a user name and password, for the business unit of the user alone; it cannot be renewed."""

    def __init__(self, config: MarketingCloudConfig) -> None:
        self._login = PasswordCredential(config)
        self._mid = config.account_id

    def get(self, mid: str) -> Credential | Fault:
        """Give the user's login; with it no other business unit can be chosen, and the service would not say so."""
        if mid in {"", self._mid} or not self._mid:
            return self._login
        return after_situation(
            "other_business_unit",
            f"the login of SFMC_USERNAME works in business unit {self._mid} (SFMC_ACCOUNT_ID) and cannot choose {mid}:"
            " leave mid out, or use an installed package (SFMC_CLIENT_ID)",
        )

    def renew(self, mid: str, refused: Credential) -> Credential | Fault:
        """Say that the user was refused."""
        del refused
        return after_situation(
            "login_failed",
            f"Marketing Cloud refuses the user name or password (MID {mid}): check SFMC_USERNAME and SFMC_PASSWORD,"
            " and that the user is active and may use the API",
        )
