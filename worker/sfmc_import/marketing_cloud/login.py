"""Gets OAuth2 access tokens, one per business unit; one thread renews a token early while others still use it."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from math import isnan, nan
from typing import Any, Protocol

import orjson

from sfmc_import.faults import Fault, NotApplied, Rejected, after_code, after_query, after_situation
from sfmc_import.marketing_cloud.envelopes import user_credentials
from sfmc_import.marketing_cloud.exchange import Limits, Post
from sfmc_import.marketing_cloud.http import Failed, MarketingCloudConfig, Reply
from sfmc_import.marketing_cloud.outage import Outage
from sfmc_import.redaction import KNOWN, MAX_LOOKED_AT, hidden
from sfmc_import.retrying import LOGIN, NO_JITTER, REFUSAL_SECONDS, Retry, Times, after

# Tokens live 20 minutes; replies name 1079 s so that they are renewed early
# (Marketing Cloud docs, "Access Token for Server-to-Server Integrations").
DEFAULT_LIFE = 1079.0
MIN_LIFE, MAX_LIFE = 1.0, 86_400.0
RENEW_AT = 0.8

MAX_TOKEN = 8_192
"""Characters of an access token. Those seen have 24 to 3,000; no document of the vendor names a limit."""

MAX_BUSINESS_UNITS = 1_000
"""Beyond so many, those without a token are forgotten."""

QUOTED_SECONDS = 600.0
"""How long after its end a token may still be quoted, by an answer to a call that began before."""

ADVICE: Mapping[str, str] = {
    # The six errors of a token endpoint (RFC 6749, 5.2).
    "invalid_client": "check SFMC_CLIENT_ID and SFMC_CLIENT_SECRET, and that SFMC_AUTH_URL is of the same tenant",
    "invalid_request": "check SFMC_ACCOUNT_ID, and that SFMC_AUTH_URL is the address of /v2/token",
    "invalid_grant": "check that the installed package may act in this business unit (SFMC_ACCOUNT_ID, or mid)",
    "invalid_scope": "give the installed package the rights that it needs (Imports, Data Extensions, Lists)",
    "unauthorized_client": "use an installed package with an API integration of the kind server-to-server",
    "unsupported_grant_type": "use an installed package with an API integration of the kind server-to-server",
}
OTHER_UNIT = (
    "Marketing Cloud gives this login no token for MID {}, though it gives one for another business unit:"
    " correct mid, leave it out, or let the installed package act in this business unit"
)
USUAL_ADVICE = (
    "check SFMC_AUTH_URL, SFMC_CLIENT_ID and SFMC_CLIENT_SECRET,"
    " and that the installed package may act in this business unit"
)


@dataclass(frozen=True, slots=True)
class Token:
    """An access token; times in seconds of the clock it was made with. `repr` hides its secret."""

    secret: str = field(repr=False)
    renew_at: float
    dies_at: float

    def __post_init__(self) -> None:
        # Whatever quotes this token from now on, a fault or a library's log, is shown without it.
        KNOWN.learn_passing(self.secret)

    def header_values(self) -> Mapping[str, str]:
        """Give the values of the credential placeholders of an envelope."""
        return {"token": self.secret}


@dataclass(frozen=True, slots=True)
class Want:
    """What a token is wanted for: another one than that `refused`, or the next one of `instead`, which is still valid.

    `alone`: to see whether the login works, so what other processes were given says nothing.
    """

    refused: Token | None = None
    instead: Token | None = None
    alone: bool = False


class SharedWithOthers(Protocol):
    """The token of a business unit that all processes of the account share."""

    def obtain(self, seconds: float, want: Want, ask: Callable[[float], Token | Fault]) -> Token | Fault:
        """Give what another process was given, or `ask` for all."""
        ...


Share = Callable[[str, Callable[[Token], None]], SharedWithOthers]
"""Opens the shared token of a business unit; its second argument is called with each token that came from Redis."""


class TokenSource:
    """Gives tokens to any number of threads; at most one request per business unit (MID) is under way.

    A thread waits for the request of another one at most as long as for a connection: a token that is slow to come
    must not hold the threads that other business units need. A token endpoint that fails, or wants to be left alone,
    does so for all business units: its pause is that of the login as a whole, and one thread tries whether it is over.
    A refusal for one business unit, between which and its repetition another one is given a token, is of this unit.
    """

    def __init__(
        self, config: MarketingCloudConfig, post: Post, clock: Callable[[], float], share: Share | None = None
    ) -> None:
        self._config = config
        self._share = share
        self._post = post
        self._clock = clock
        self._outage = Outage(clock, UNAVAILABLE)
        self._own_outage = Outage(clock, LOGIN_FAILED, mid=config.account_id)
        self._refreshes: dict[str, TokenRefresh] = {}
        self._given: list[Token] = []
        self._lock = threading.Lock()

    def get(self, mid: str, seconds: float) -> Token | Fault:
        """Give a token that should be valid, from memory if possible; a fault if there is none in so many seconds."""
        refresh = self._refresh(mid)
        seen = refresh.answers
        now = self._clock()
        held = refresh.held
        if held is not None and now < max(held.renew_at, min(refresh.quiet_until, held.dies_at)):
            return held
        return refresh.refresh(seen, seconds, Want(instead=held if held is not None and now < held.dies_at else None))

    def renew(self, mid: str, refused: object, seconds: float) -> Token | Fault:
        """Give another token than the one that was refused: one that was renewed meanwhile, or a new one."""
        refresh = self._refresh(mid)
        seen = refresh.answers
        held = refresh.held
        if held is not None and held is not refused:
            return held
        return refresh.refresh(seen, seconds, Want(refused=refused if isinstance(refused, Token) else None))

    def _refresh(self, mid: str) -> "TokenRefresh":
        found = self._refreshes.get(mid)
        if found is None:
            found = TokenRefresh(self._way_to_ask(mid), self._clock, self._config.connect_timeout)
            with self._lock:
                self._make_room()
                # One step, so that two threads that come first share a refresh.
                found = self._refreshes.setdefault(mid, found)
        return found

    def _way_to_ask(self, mid: str) -> Callable[[float, Want], Token | Fault]:
        ask = partial(self._ask, mid)
        if self._share is None:
            return lambda seconds, _: ask(seconds)
        shared = self._share(mid or self._config.account_id, self._note)
        return lambda seconds, want: shared.obtain(seconds, want, ask)

    def _make_room(self) -> None:
        """Forget business units without a token: a message may name any number of them."""
        if len(self._refreshes) >= MAX_BUSINESS_UNITS:
            idle = [mid for mid, refresh in self._refreshes.items() if refresh.is_idle()]
            for mid in idle:
                del self._refreshes[mid]

    def _ask(self, mid: str, seconds: float) -> Token | Fault:
        """Ask for a token, and find out whose refusal it is: of this business unit, or of the login."""
        until = self._clock() + seconds
        answer = self._try(mid, until)
        if not _is_refused(answer) or mid in {"", self._config.account_id} or not self._works_elsewhere(mid, until):
            return answer
        again = self._try(mid, until)
        if not isinstance(again, NotApplied) or not _is_refused(again):
            return again
        return after_situation("other_business_unit", OTHER_UNIT.format(mid))

    def _works_elsewhere(self, mid: str, until: float) -> bool:
        """Tell whether a token is given now to the business unit of the settings, or to another one that had one."""
        own = self._refresh(self._config.account_id)
        if isinstance(self._own_outage.attempt(partial(own.renew, until)), Token):
            return True
        others = (each for name, each in tuple(self._refreshes.items()) if each.held is not None and name != mid)
        other = next((each for each in others if each is not own), None)
        return other is not None and isinstance(other.renew(until), Token)

    def _try(self, mid: str, until: float) -> Token | Fault:
        return self._outage.attempt(lambda: self._send(mid, max(0.0, until - self._clock())))

    def _send(self, mid: str, seconds: float) -> Token | Fault:
        config = self._config
        order = {
            "grant_type": "client_credentials",
            "client_id": config.client_id,
            "client_secret": config.client_secret.get_secret_value(),
            "account_id": mid or config.account_id,
        }
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        asked = self._clock()
        whole = min(seconds, config.connect_timeout + config.token_timeout)
        limits = Limits(whole=whole, answer=config.token_timeout)
        return self._parse_answer(mid, asked, self._post(config.token_address, orjson.dumps(order), headers, limits))

    def _parse_answer(self, mid: str, asked: float, answer: Reply | Failed) -> Token | Fault:
        if isinstance(answer, Failed):
            situation = answer.situation if answer.situation == "proxy_refused" else "token_unavailable"
            return after_situation(situation, f"no token: {answer.text}")
        if answer.status == 200:
            token = read_token(asked, answer.content)
            if isinstance(token, Token):
                self._note(token)
            return token
        if 400 <= answer.status < 500 and answer.status not in PASSING_STATUSES:
            return _of_account(answer) or after_situation("login_failed", self._refused(mid, answer))
        if answer.status == 407:
            return after_situation("proxy_refused", "no token: the proxy wants another user and password (HTTP 407)")
        situation = f"http_{answer.status}" if answer.status in {429, 503} else "token_unavailable"
        text = f"no token: the token endpoint answers HTTP {answer.status}"
        return after_query(after_situation(situation, text, retry_after=answer.retry_after))

    def _note(self, token: Token) -> None:
        """Let redaction forget the tokens of all business units that ended some time ago."""
        ended = self._clock() - QUOTED_SECONDS
        with self._lock:
            for old in self._given:
                if old.dies_at < ended:
                    KNOWN.forget_passing(old.secret)
            self._given = [*(old for old in self._given if old.dies_at >= ended), token]

    def _refused(self, mid: str, answer: Reply) -> str:
        error, words = _reason(answer.content)
        quoted = f": {words.replace(self._config.client_secret.get_secret_value() or '…', '…')}" if words else ""
        return (
            f"Marketing Cloud gives no token for MID {mid or 'of the package'} (HTTP {answer.status}"
            f"{f', {error}' if error else ''}{quoted}): {ADVICE.get(error, USUAL_ADVICE)}"
        )


PASSING_STATUSES = frozenset({407, 408, 425, 429})
"""Refusals of the token endpoint that are not about the login."""


OF_ACCOUNT = frozenset({9, 10, 17})
"""Codes of a refusal that say what hits the whole account now, and nothing about the login."""

LOGIN_FAILED = frozenset({"login_failed"})

UNAVAILABLE = frozenset({"token_unavailable", "http_429", "http_503", "proxy_refused", *map(str, OF_ACCOUNT)})
"""Faults of the token endpoint that are those of every business unit."""

WAITED = "no token: another call is still waiting for the token of this business unit"


def _of_account(answer: Reply) -> Fault | None:
    """Give the fault of a refusal whose code is one of the whole account; None for one of the login."""
    code = _json(answer.content).get("errorcode")
    if not isinstance(code, float) or code not in OF_ACCOUNT:
        return None
    _, words = _reason(answer.content)
    said = f": {words}" if words else ""
    text = f"no token: the token endpoint answers HTTP {answer.status} with the code {int(code)}{said}"
    return after_query(after_code(int(code), text))


def _is_refused(answer: Token | Fault) -> bool:
    return isinstance(answer, NotApplied) and answer.code in LOGIN_FAILED


class TokenRefresh:
    """The token of one business unit and the right to ask for the next."""

    def __init__(
        self, ask: Callable[[float, Want], Token | Fault], clock: Callable[[], float], longest_wait: float
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._longest_wait = longest_wait
        self._renewing = threading.Lock()
        self._last: Token | Fault | None = None
        self.answers = 0
        self.held: Token | None = None
        self.quiet_until = 0.0

    def is_idle(self) -> bool:
        """Tell whether no thread asks for a token, none is valid, and no time is over that the service named."""
        now = self._clock()
        return (
            not self._renewing.locked() and now >= self.quiet_until and (self.held is None or now >= self.held.dies_at)
        )

    def refresh(self, seen: int, seconds: float, want: Want) -> Token | Fault:
        """Ask for a token, or share the answer that came since `answers` was `seen`; all within so many seconds.

        If `want.instead` is still valid, return it at once while another thread renews the token, or when that fails.
        """
        instead = want.instead
        if instead is None and (known := self._known_refusal()) is not None:
            return known
        until = self._clock() + seconds
        wait = 0.0 if instead is not None else max(0.0, min(seconds, self._longest_wait))
        if not self._renewing.acquire(timeout=wait):
            return instead or after_situation("token_unavailable", WAITED)
        try:
            answer = self._last
            if answer is None or self.answers == seen or answer is want.refused:
                asked_at = self._clock()
                answer = self._store(self._ask(max(0.0, until - asked_at), want), asked_at)
        finally:
            self._renewing.release()
        return answer if isinstance(answer, Token) or instead is None else instead

    def renew(self, until: float) -> Token | Fault:
        """Ask for another token, or share the answer to a question that another thread begins from now on."""
        return self.refresh(self.answers, max(0.0, until - self._clock()), Want(alone=True))

    def _known_refusal(self) -> Rejected | None:
        """Give the last answer, if it refused this business unit for good a moment ago."""
        last = self._last
        if isinstance(last, Rejected) and self._clock() - (last.asked_at or 0.0) < REFUSAL_SECONDS:
            return last
        return None

    def _store(self, answer: Token | Fault, asked_at: float) -> Token | Fault:
        if isinstance(answer, Token):
            self.held = answer
        else:
            self.quiet_until = self._clock() + self._pause(answer)
        # For others than the caller it says when it was asked for: what they want may have come later.
        self._last = replace(answer, asked_at=asked_at) if isinstance(answer, Rejected) else answer
        self.answers += 1
        return answer

    @staticmethod
    def _pause(fault: Fault) -> float:
        """Seconds in which a token that is still valid is not renewed again."""
        step = after(fault, 1, Times(chance=NO_JITTER), LOGIN)
        return step.after if isinstance(step, Retry) else LOGIN.backoff.cap


def read_token(asked: float, content: bytes) -> Token | Fault:
    """Read the answer of the token endpoint; its life counts from when it was `asked` for; a fault if unreadable."""
    fields = _json(content)
    secret, life = fields.get("access_token"), read_life(fields.get("expires_in", DEFAULT_LIFE))
    if not isinstance(secret, str) or not secret:
        return after_situation("token_unavailable", "no token: the answer of the token endpoint cannot be read")
    if len(secret) > MAX_TOKEN:
        text = f"no token: that of the token endpoint has {len(secret)} characters, more than {MAX_TOKEN}"
        return after_situation("token_unavailable", text)
    if not is_token(secret):
        # RFC 6749, A.12; what XML cannot carry would make each call unsendable for as long as the token lives.
        text = "no token: that of the token endpoint has characters that no access token may have"
        return after_situation("token_unavailable", text)
    return Token(secret, renew_at=asked + RENEW_AT * life, dies_at=asked + life)


def is_token(secret: object) -> bool:
    """Tell whether a text can be an access token."""
    return isinstance(secret, str) and 0 < len(secret) <= MAX_TOKEN and secret.isascii() and secret.isprintable()


def read_life(value: object) -> float:
    """Read the life of a token in seconds, finite and bounded; what is no number counts as the documented life."""
    try:
        life = float(value) if isinstance(value, float | str) else nan
    except ValueError:
        return DEFAULT_LIFE
    return DEFAULT_LIFE if isnan(life) else min(max(life, MIN_LIFE), MAX_LIFE)


MAX_WORDS = 200


def _reason(content: bytes) -> tuple[str, str]:
    """Give the error of a refusal and the service's own words, where it says them in the forms that are known."""
    fields = _json(content)
    error = fields.get("error")
    known = hidden(error[:MAX_LOOKED_AT])[:40] if isinstance(error, str) else ""
    known = known if known.replace("_", "").isalnum() else ""
    words = next((fields[name] for name in ("error_description", "message") if isinstance(fields.get(name), str)), "")
    # Hidden before anything is cut; a secret that was cut is not known any more.
    return known, " ".join("".join(filter(str.isprintable, hidden(words[:MAX_LOOKED_AT]).replace("\n", " "))).split())[
        :MAX_WORDS
    ]


def _json(content: bytes) -> dict[str, Any]:
    try:
        # Every number as a float: one of 400 digits is no reason to do without the token beside it.
        fields = json.loads(content, parse_int=float)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


class Credential(Protocol):
    """A login that fills the credential placeholders; `repr` hides its secret."""

    def header_values(self) -> Mapping[str, str]:
        """Give the values of the credential placeholders for one call."""
        ...


class CredentialSource(Protocol):
    """Logins per business unit (MID); safe for threads."""

    def get(self, mid: str, seconds: float) -> Credential | Fault:
        """Give a login that should be valid within so many seconds, or the fault why there is none."""
        ...

    def renew(self, mid: str, refused: Credential, seconds: float) -> Credential | Fault:
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

    def get(self, mid: str, seconds: float) -> Credential | Fault:
        """Give the user's login; with it no other business unit can be chosen, and the service would not say so."""
        del seconds
        if mid in {"", self._mid} or not self._mid:
            return self._login
        return after_situation(
            "other_business_unit",
            f"the login of SFMC_USERNAME works in business unit {self._mid} (SFMC_ACCOUNT_ID) and cannot choose {mid}:"
            " leave mid out, or use an installed package (SFMC_CLIENT_ID)",
        )

    def renew(self, mid: str, refused: Credential, seconds: float) -> Credential | Fault:
        """Say that the user was refused."""
        del refused, seconds
        return after_situation(
            "login_failed",
            f"Marketing Cloud refuses the user name or password (MID {mid}): check SFMC_USERNAME and SFMC_PASSWORD,"
            " and that the user is active and may use the API",
        )
