"""One access token of a business unit for all processes of an account: one asks for it, the others read it sealed."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson
import structlog

from sfmc_import.faults import Fault
from sfmc_import.marketing_cloud.http import MarketingCloudConfig
from sfmc_import.marketing_cloud.login import MAX_LIFE, Token, Want, is_token
from sfmc_import.ports import LedgerUnavailableError, TokenLedger, TokenLook, TokenName
from sfmc_import.sealing import Seal

AWAY_SECONDS = 30.0
"""How long a process asks by itself after Redis did not answer."""

QUIET_SECONDS = 1.0
"""How long a token that is still valid is not renewed again while another process does so."""

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5
"""Seconds between two looks while another process asks."""

_FIELDS = ("token", "at", "renew_at", "dies_at")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TokenSharing:
    """With what tokens are shared: where they lie, the seal, and the prefix of the deployment."""

    ledger: TokenLedger
    seal: Seal
    prefix: str


@dataclass(slots=True)
class _Search:
    """What one search has found: a token that is `held` and still valid, and when it looked last.

    `seen` is the sealed token that is to be replaced. `now` is the time of Redis, in ms, before the moment `at`.
    """

    owner: str
    seen: str
    is_refused: bool
    held: Token | None
    now: int = 0
    at: float = 0.0


class SharedToken:
    """The token of one business unit; one thread at a time asks through it.

    Trouble with Redis is no error: this process then asks for itself, as it does when another one takes too long.
    `pause` sleeps, `note` is called with each token that came from Redis.
    """

    def __init__(
        self,
        sharing: TokenSharing,
        config: MarketingCloudConfig,
        mid: str,
        *,
        clock: Callable[[], float],
        pause: Callable[[float], None],
        note: Callable[[Token], None],
    ) -> None:
        self._ledger, self._seal = sharing.ledger, sharing.seal
        self._clock, self._pause, self._note = clock, pause, note
        self._asking_seconds = config.connect_timeout + config.token_timeout
        self._mid = mid
        self._about = _about(sharing.prefix, config, mid)
        self._name = TokenName(mid, self._seal.name(self._about))
        # The token that this process had last, and how it is sealed in Redis.
        self._secret = self._text = ""
        self._away_until = self._quiet_until = float("-inf")

    def obtain(self, seconds: float, want: Want, ask: Callable[[float], Token | Fault]) -> Token | Fault:
        """Give the token of all processes, or `ask` for it; while another one asks, wait for a part of the time."""
        now = self._clock()
        until = now + seconds
        if want.alone or now < self._away_until:
            return ask(seconds)
        if want.instead is not None and now < self._quiet_until:
            return want.instead
        search = self._begin(want)
        try:
            found = self._find(search, want, until)
        except LedgerUnavailableError as error:
            self._note_away(error)
            return ask(max(0.0, until - self._clock()))
        return found or self._ask(search, want, until, ask)

    def _begin(self, want: Want) -> _Search:
        replaced = want.refused or want.instead
        is_known = replaced is not None and replaced.secret == self._secret
        return _Search(uuid4().hex, self._text if is_known else "", want.refused is not None, want.instead)

    def _find(self, search: _Search, want: Want, until: float) -> Token | None:
        """Look until there is a token; None when it is the turn of this process, or the time to wait is over."""
        wait = (until - self._clock()) / 2
        waits_until = until - min(self._asking_seconds, wait)
        for pause in _pauses(waits_until - self._clock()):
            called = self._clock()
            look = self._ledger.look(self._name, search.owner, search.seen, refused=search.is_refused)
            search.now, search.at = look.now, self._clock()
            if look.strange:
                self._note_unreadable()
            if look.kind == "token" and self._is_fresh(look, called, search, want):
                return search.held
            if look.kind == "wait" and search.held is not None:
                self._quiet_until = search.at + QUIET_SECONDS
                return search.held
            if look.kind == "lease" or search.at >= waits_until:
                return None
            if look.kind == "wait":
                self._pause(pause)
        return None

    def _is_fresh(self, look: TokenLook, called: float, search: _Search, want: Want) -> bool:
        """Note what was found; False when it is to be replaced, because it is near its end or worth nothing."""
        token = self._read(look, called)
        search.seen = look.text
        search.is_refused = token is None or (want.refused is not None and token.secret == want.refused.secret)
        if token is None or search.is_refused:
            return False
        if search.held is None or search.held.dies_at < token.dies_at:
            search.held = token
            self._secret, self._text = token.secret, look.text
        return search.at < token.renew_at

    def _ask(self, search: _Search, want: Want, until: float, ask: Callable[[float], Token | Fault]) -> Token | Fault:
        answer: Token | Fault | None = None
        try:
            answer = ask(max(0.0, until - self._clock()))
        finally:
            self._tell(search, answer)
        # Who had a valid token before hears of the fault, and lets the login rest.
        found = search.held if search.held is not want.instead else None
        return found if found is not None and not isinstance(answer, Token) else answer

    def _tell(self, search: _Search, answer: object) -> None:
        """Share the token that came, or let another process ask."""
        try:
            if isinstance(answer, Token) and answer.dies_at > self._clock():
                self._share(search, answer)
            else:
                self._ledger.leave(self._name, search.owner)
        except LedgerUnavailableError as error:
            self._note_away(error)

    def _share(self, search: _Search, token: Token) -> None:
        # `at` is later than the time that Redis said, so no process takes the token for younger than it is.
        ends = {
            "renew_at": search.now + round((token.renew_at - search.at) * 1000),
            "dies_at": search.now + round((token.dies_at - search.at) * 1000),
        }
        plain = orjson.dumps({"token": token.secret, "at": search.now, **ends})
        text = self._seal.close(plain, self._about)
        self._secret, self._text = token.secret, text
        self._ledger.share(self._name, search.owner, search.seen, text, token.dies_at - self._clock())

    def _read(self, look: TokenLook, called: float) -> Token | None:
        plain = self._seal.open(look.text, self._about)
        fields = _fields(plain)
        if fields is None or not fields[1] <= look.now < fields[3] <= fields[1] + MAX_LIFE * 1000:
            # No process asks in the future: the clock of Redis was set back, and how long the token lives is not known.
            self._note_unreadable()
            return None
        secret, _, renew_at, dies_at = fields
        # `called` is before the time that Redis said, so the token seems no younger than it is.
        times = {"renew_at": called + (renew_at - look.now) / 1000, "dies_at": called + (dies_at - look.now) / 1000}
        token = Token(secret, **times)
        self._note(token)
        return token

    def _note_unreadable(self) -> None:
        log.warning("shared_token_unreadable", mid=self._mid)

    def _note_away(self, error: LedgerUnavailableError) -> None:
        self._away_until = self._clock() + AWAY_SECONDS
        # The text of the error may quote what was sent.
        log.warning("tokens_not_shared", mid=self._mid, error=type(error.__cause__ or error).__name__)


def _about(prefix: str, config: MarketingCloudConfig, mid: str) -> bytes:
    """Say whose token it is; it leaves this process neither in a key nor in a value."""
    login = (config.client_id, config.client_secret.get_secret_value())
    digests = [hashlib.sha256(each.encode("utf-8", "surrogatepass")).hexdigest() for each in login]
    return orjson.dumps(["access token", prefix, config.token_address, *digests, mid])


def _fields(plain: bytes | None) -> tuple[str, int, int, int] | None:
    """Read the token, when it was asked for, is renewed and ends, in ms of Redis; None for what says no such things."""
    try:
        said = orjson.loads(plain or b"")
    except orjson.JSONDecodeError:
        return None
    values: list[Any] = [said.get(name) for name in _FIELDS] if isinstance(said, dict) else []
    is_whole = [type(each) for each in values] == [str, int, int, int] and is_token(values[0])
    return (values[0], values[1], values[2], values[3]) if is_whole else None


def _pauses(seconds: float) -> Iterator[float]:
    """Give growing pauses that together take so long; at least one, for a process that ends does not sleep."""
    pause, passed = FIRST_PAUSE, 0.0
    while True:
        yield pause
        passed += pause
        if passed >= seconds:
            return
        pause = min(2 * pause, LONGEST_PAUSE)
