"""Tokens of Google: only those of one account for one audience, with keys that are fetched seldom."""

import json
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from sfmc_server.authentication import NotNowError, Received
from sfmc_server.fetching import FetchError
from sfmc_server.google import GoogleTokens, KeySet
from tests.support.push_servers import pushing

EMAIL, AUDIENCE = "drop@project.iam.gserviceaccount.com", "https://imports.example.com/events/drop"
KEYS = "https://www.googleapis.com/oauth2/v3/certs"
FAR = 4_000_000_000


@dataclass
class Google:
    """Its keys by name, as it publishes them; `fetches` counts how often it was asked."""

    keys: dict[str, RSAPrivateKey] = field(default_factory=dict)
    fetches: int = 0
    now: float = 0.0
    is_down: bool = False

    def fetch(self, url: str) -> bytes:
        assert url == KEYS
        self.fetches += 1
        if self.is_down:
            raise FetchError("www.googleapis.com gave no whole answer in time")
        return self.document()

    def document(self) -> bytes:
        algorithm = jwt.get_algorithm_by_name("RS256")
        found = [
            {**json.loads(algorithm.to_jwk(key.public_key())), "kid": name, "alg": "RS256"}
            for name, key in self.keys.items()
        ]
        return json.dumps({"keys": found}).encode()

    def add(self, name: str) -> None:
        self.keys[name] = generate_private_key(65537, 2048)

    def token(self, kid: str = "one", key: Any = None, algorithm: str = "RS256", **claims: Any) -> Received:
        given = {"iss": "https://accounts.google.com", "aud": AUDIENCE, "email": EMAIL, "email_verified": True}
        given |= {"iat": 1, "exp": FAR, **claims}
        known = {name: value for name, value in given.items() if value is not None}
        text = jwt.encode(known, key or self.keys[kid], algorithm, headers={"kid": kid})
        return Received({"authorization": f"Bearer {text}"}, {}, b"")


@pytest.fixture(scope="module")
def pairs() -> Google:
    made = Google()
    made.add("one")
    made.add("two")
    return made


@pytest.fixture
def google(pairs: Google) -> Google:
    return Google({"one": pairs.keys["one"]})


@pytest.fixture
def tokens(google: Google) -> GoogleTokens:
    return GoogleTokens(KeySet(KEYS, google.fetch, lambda: google.now), AUDIENCE, EMAIL)


def test_a_token_of_the_account_for_the_audience_is_accepted_and_the_keys_are_fetched_once(google, tokens) -> None:
    assert [tokens.accepts(google.token()) for _ in range(3)] == [True] * 3
    assert tokens.accepts(google.token(iss="accounts.google.com"))
    assert google.fetches == 1


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://other.example.com"},
        {"email": "other@project.iam.gserviceaccount.com"},
        {"email": None},
        {"email_verified": False},
        {"email_verified": "true"},
        {"iss": "https://evil.example.com"},
        {"exp": 1000},
        {"exp": None},
        {"iat": FAR - 1},
    ],
    ids=str,
)
def test_a_token_with_another_claim_is_refused(google, tokens, claims: dict[str, Any]) -> None:
    assert not tokens.accepts(google.token(**claims))


def test_a_token_that_another_key_or_another_way_signed_is_refused(google, tokens, pairs) -> None:
    assert not tokens.accepts(google.token(key=pairs.keys["two"]))
    assert not tokens.accepts(google.token(key="x" * 40, algorithm="HS256"))
    for wrong in ("", "Bearer", "Bearer a.b.c", "Bearer " + "a" * 9000):
        assert not tokens.accepts(Received({"authorization": wrong}, {}, b""))


def test_a_new_key_is_fetched_when_a_token_names_it_but_not_for_every_token(google, tokens, pairs) -> None:
    assert tokens.accepts(google.token())
    google.keys["two"] = pairs.keys["two"]
    assert not tokens.accepts(google.token("two"))
    google.now = 61.0
    assert tokens.accepts(google.token("two"))
    forged = [tokens.accepts(google.token(f"kid-{number}", key=pairs.keys["two"])) for number in range(20)]
    assert (forged, google.fetches) == ([False] * 20, 2)


def test_old_keys_serve_for_a_day_while_google_is_away_then_the_answer_is_not_now(google, tokens) -> None:
    assert tokens.accepts(google.token())
    google.is_down = True
    google.now = 20_000.0
    assert tokens.accepts(google.token())
    google.now = 90_000.0
    with pytest.raises(NotNowError):
        tokens.accepts(google.token())


def test_without_any_keys_the_sender_is_asked_to_post_again(google, tokens) -> None:
    google.is_down = True
    with pushing(tokens, auth="google-oidc", audience=AUDIENCE, email=EMAIL) as push:
        answer = push.post(b"{}", **dict(google.token().headers))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")


def test_keys_can_be_in_a_file(google, tmp_path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(google.document())
    tokens = GoogleTokens(KeySet(str(file), google.fetch, lambda: google.now), AUDIENCE, EMAIL)
    assert tokens.accepts(google.token())
    assert google.fetches == 0
