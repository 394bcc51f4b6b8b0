"""Processes of one account that share access tokens over the real scripts in fakeredis, on clocks that tests move."""

import json
from collections.abc import Callable
from dataclasses import replace

from sfmc_import.ledger import LedgerSettings
from sfmc_import.ledger.token_keys import TOKEN, TOKEN_LEASE
from sfmc_import.marketing_cloud import MarketingCloudConfig, PlainSecret, TokenSharing
from sfmc_import.marketing_cloud.http import Reply
from sfmc_import.marketing_cloud.login import TokenSource
from sfmc_import.marketing_cloud.shared_tokens import SharedToken
from sfmc_import.sealing import Seal
from tests.support.ledger_world import FakeRedisWorld

MID = "510001234"
KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
PREFIX = "sfmc-import:"
CONFIG = MarketingCloudConfig(
    soap_url="https://t.soap.example/",
    auth_url="https://t.auth.example/",
    client_id="the-client",
    client_secret=PlainSecret("the-secret"),
    account_id=MID,
)


class Endpoint:
    """Gives tokens of 1,000 seconds, or what is put into `answers`; `meanwhile` happens before an answer."""

    def __init__(self) -> None:
        self.orders: list[dict] = []
        self.answers: list[Reply | Exception] = []
        self.meanwhile: Callable[[], object] = str

    def __call__(self, _url, body, *_):
        self.orders.append(json.loads(body))
        number = len(self.orders)
        self.meanwhile()
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        return Reply(200, {}, json.dumps({"access_token": f"the-token-{number}", "expires_in": 1000}).encode())


class Process:
    """One process of the account: its clock, how it waits, and its tokens."""

    def __init__(self, account: "Account", began: float, config: MarketingCloudConfig, sharing, pause=None) -> None:
        self.now, self.waited = began, 0.0
        self.while_waiting: Callable[[], object] = str
        self._account = account

        def share(mid, note):
            return SharedToken(sharing, config, mid, clock=self.clock, pause=pause or self.pause, note=note)

        self.tokens = TokenSource(config, account.endpoint, self.clock, share)

    def clock(self) -> float:
        return self.now + self._account.passed

    def pause(self, seconds: float) -> None:
        self.waited += seconds
        self._account.advance(seconds)
        self.while_waiting()

    def get(self, mid: str = MID, seconds: float = 60.0):
        return self.tokens.get(mid, seconds)


class Account:
    """Processes of one account, their Redis and the token endpoint."""

    def __init__(self) -> None:
        self.world = FakeRedisWorld(LedgerSettings())
        self.endpoint = Endpoint()
        self.passed = 0.0

    def advance(self, seconds: float) -> None:
        self.passed += seconds
        self.world.advance(seconds)

    def process(self, began=1000.0, *, key=KEY, prefix=PREFIX, ledger=None, pause=None, **more) -> Process:
        sharing = TokenSharing(ledger or self.world.ledger.tokens(), Seal(key), prefix)
        return Process(self, began, replace(CONFIG, **more), sharing, pause)

    def names(self, kind=TOKEN) -> list[str]:
        return [name.decode() for name in self.world.client.scan_iter(f"*}}{kind.letter}:*")]

    def lease(self, owner: str = "another") -> None:
        """Let another process ask, for as long as nothing ends it."""
        [name] = self.names() or [self.name_of()]
        self.world.client.set(name.replace(TOKEN.letter, TOKEN_LEASE.letter), owner, px=60_000)

    def unlease(self) -> None:
        self.world.client.delete(*self.names(TOKEN_LEASE))

    def name_of(self) -> str:
        """The key of the token, which only who has the key of the seal can name."""
        self.process().get()
        [name] = self.names()
        self.world.client.delete(name)
        self.endpoint.orders.clear()
        return name
