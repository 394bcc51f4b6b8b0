"""Tokens: early renewal, one request at a time, failures in words, and nothing that shows a secret."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.marketing_cloud import MarketingCloudConfig, PlainSecret
from sfmc_import.marketing_cloud.exchange import Limits
from sfmc_import.marketing_cloud.http import Failed, Reply
from sfmc_import.marketing_cloud.login import (
    MAX_BUSINESS_UNITS,
    MAX_TOKEN,
    QUOTED_SECONDS,
    PasswordSource,
    Token,
    TokenSource,
)
from sfmc_import.redaction import hidden
from sfmc_import.retrying import LOGIN, REFUSAL_SECONDS
from tests.support.waiting import eventually

CONFIG = MarketingCloudConfig(
    soap_url="https://t.soap.example/",
    auth_url="https://t.auth.example/",
    client_id="the-client",
    client_secret=PlainSecret("the-secret"),
)


def granted(secret: str, expires_in: float | None = 1000) -> Reply:
    life = {} if expires_in is None else {"expires_in": expires_in}
    return Reply(200, {}, json.dumps({"access_token": secret, "token_type": "Bearer", **life}).encode())


class Endpoint:
    """A token endpoint: gives token-1, token-2, … or what is put into `answers`; may be held up by `gate`."""

    def __init__(self) -> None:
        self.orders: list[dict] = []
        self.addresses: list[str] = []
        self.answers: list[Reply | Failed] = []
        self.refused_units: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, url, body, headers, limits):
        assert headers["Content-Type"] == "application/json"
        assert limits == Limits(whole=CONFIG.connect_timeout + CONFIG.token_timeout, answer=CONFIG.token_timeout)
        self.addresses.append(url)
        return self.held(url, body)

    def held(self, _url, body, *_):
        self.orders.append(json.loads(body))
        number = len(self.orders)
        assert self.gate.wait(60)
        if self.orders[-1]["account_id"] in self.refused_units:
            return Reply(401, {}, b'{"error": "invalid_client"}')
        return self.answers.pop(0) if self.answers else granted(f"token-{number}")


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def endpoint():
    return Endpoint()


@pytest.fixture
def clock():
    return Hands()


@pytest.fixture
def tokens(endpoint, clock):
    return TokenSource(CONFIG, endpoint, clock)


def test_a_token_is_asked_for_with_the_credentials_and_the_business_unit(tokens, endpoint):
    tokens.get("510001234", 60)

    assert endpoint.addresses == ["https://t.auth.example/v2/token"]
    assert endpoint.orders == [
        {
            "grant_type": "client_credentials",
            "client_id": "the-client",
            "client_secret": "the-secret",
            "account_id": "510001234",
        }
    ]


def test_a_token_is_used_again_until_four_fifths_of_its_life(tokens, endpoint, clock):
    first = tokens.get("1", 60)
    clock.now = 799

    assert tokens.get("1", 60) is first
    clock.now = 800
    assert tokens.get("1", 60).secret == "token-2"


def test_each_business_unit_has_its_own_token(tokens):
    assert tokens.get("1", 60).secret != tokens.get("2", 60).secret
    assert tokens.get("1", 60).secret == "token-1"


def test_a_reply_without_a_life_counts_as_the_documented_one(tokens, endpoint):
    endpoint.answers = [granted("t", expires_in=None)]

    assert tokens.get("1", 60).dies_at == pytest.approx(1079)


def test_many_threads_that_need_the_first_token_make_one_request(tokens, endpoint):
    endpoint.gate.clear()
    with ThreadPoolExecutor(16) as threads:
        asked = [threads.submit(tokens.get, "1", 60) for _ in range(16)]
        eventually(lambda: endpoint.orders, within=60, description="a request is under way")
        endpoint.gate.set()
        given = {asking.result().secret for asking in asked}

    assert given == {"token-1"}
    assert len(endpoint.orders) == 1


def test_many_threads_that_are_refused_with_the_same_token_make_one_request(tokens, endpoint):
    refused = tokens.get("1", 60)
    with ThreadPoolExecutor(16) as threads:
        given = {token.secret for token in threads.map(lambda _: tokens.renew("1", refused, 60), range(64))}

    assert given == {"token-2"}
    assert len(endpoint.orders) == 2


def test_while_one_thread_renews_early_the_others_go_on_with_the_token_they_have(tokens, endpoint, clock):
    tokens.get("1", 60)
    clock.now = 900
    endpoint.gate.clear()
    with ThreadPoolExecutor(1) as threads:
        renewing = threads.submit(tokens.get, "1", 60)
        eventually(lambda: len(endpoint.orders) == 2, within=60, description="the renewal is under way")

        assert tokens.get("1", 60).secret == "token-1"
        endpoint.gate.set()
        assert renewing.result().secret == "token-2"
    assert tokens.get("1", 60).secret == "token-2"


def test_an_early_renewal_that_fails_does_not_hurt_while_the_token_lives(tokens, endpoint, clock):
    tokens.get("1", 60)
    clock.now = 900
    endpoint.answers = [Reply(500, {}, b""), Reply(500, {}, b"")]

    assert tokens.get("1", 60).secret == "token-1"
    clock.now = 1000
    assert tokens.get("1", 60).code == "token_unavailable"


def test_a_failed_early_renewal_is_not_repeated_at_once(tokens, endpoint, clock):
    tokens.get("1", 60)
    clock.now = 900
    endpoint.answers = [Reply(503, {}, b"")]
    for _ in range(3):
        tokens.get("1", 60)
    assert len(endpoint.orders) == 2

    clock.now = 900 + LOGIN.backoff.cap
    assert tokens.get("1", 60).secret == "token-3"


def test_a_renewal_waits_as_long_as_the_token_endpoint_asks(tokens, endpoint, clock):
    tokens.get("1", 60)
    clock.now = 900
    endpoint.answers = [Reply(429, {"retry-after": "60"}, b"")]
    tokens.get("1", 60)
    clock.now = 959
    tokens.get("1", 60)
    assert len(endpoint.orders) == 2

    clock.now = 960
    assert tokens.get("1", 60).secret == "token-3"


def test_a_refused_client_is_an_account_wide_failure_that_says_what_to_check(tokens, endpoint):
    content = {"error": "invalid_client", "error_description": "Client authentication failed."}
    endpoint.answers = [Reply(401, {}, json.dumps(content).encode())] * 2

    fault = tokens.get("510001234", 60)

    assert isinstance(fault, NotApplied)
    assert (fault.code, fault.account_wide) == ("login_failed", True)
    for word in ("510001234", "invalid_client", "SFMC_CLIENT_ID", "SFMC_CLIENT_SECRET", "SFMC_AUTH_URL"):
        assert word in fault.text
    assert "\n" not in fault.text


@pytest.mark.parametrize(
    ("answer", "code", "account_wide"),
    [
        (Failed("dns", "cannot connect"), "token_unavailable", True),
        (Failed("read_timeout", "no answer"), "token_unavailable", True),
        (Reply(200, {}, b"<html>maintenance</html>"), "token_unavailable", True),
        (Reply(200, {}, b'["access_token"]'), "token_unavailable", True),
        (Reply(200, {}, b'{"access_token": ""}'), "token_unavailable", True),
        (Failed("proxy_refused", "407"), "proxy_refused", True),
        (Reply(500, {}, b""), "token_unavailable", True),
        (Reply(302, {}, b""), "token_unavailable", True),
        (Reply(407, {}, b""), "proxy_refused", True),
        (Reply(408, {}, b""), "token_unavailable", True),
        (Reply(503, {}, b""), "http_503", True),
        (Reply(400, {}, b""), "login_failed", True),
        (Reply(403, {}, b"<html>"), "login_failed", True),
        (Reply(401, {}, b'{"errorcode": 17, "message": "Not Authorized"}'), "17", True),
        (Reply(401, {}, b'{"errorcode": 10, "message": "Not Authorized"}'), "10", True),
        (Reply(401, {}, b'{"errorcode": 1, "message": "Unauthorized"}'), "login_failed", True),
        (Reply(401, {}, b'{"errorcode": [17]}'), "login_failed", True),
        (Reply(429, {}, b""), "http_429", True),
    ],
)
def test_a_token_request_that_fails_never_leaves_a_doubt(tokens, endpoint, answer, code, account_wide):
    endpoint.answers = [answer] * 2

    fault = tokens.get("1", 60)

    assert isinstance(fault, NotApplied)
    assert (fault.code, fault.account_wide) == (code, account_wide)


def test_the_time_that_a_throttled_endpoint_names_is_kept(tokens, endpoint):
    endpoint.answers = [Reply(429, {"retry-after": "17"}, b"")]

    assert tokens.get("1", 60).retry_after == 17


def test_after_a_failure_the_login_is_tried_again_when_its_pause_is_over(tokens, endpoint, clock):
    endpoint.answers = [Reply(500, {}, b"")]
    failed = tokens.get("1", 60)
    clock.now = failed.retry_after

    assert tokens.get("1", 60).secret == "token-2"


def test_a_business_unit_that_the_login_may_not_use_is_refused_while_the_login_works(endpoint, clock):
    tokens = TokenSource(replace(CONFIG, account_id="1"), endpoint, clock)
    endpoint.refused_units = {"42"}

    fault = tokens.get("42", 60)

    assert (type(fault), fault.code) == (Rejected, "other_business_unit")
    assert "42" in fault.text
    assert [order["account_id"] for order in endpoint.orders] == ["42", "1", "42"]
    assert tokens.get("1", 60).secret == "token-2"


def test_another_business_unit_may_prove_that_the_login_works(endpoint, clock):
    tokens = TokenSource(replace(CONFIG, account_id="1"), endpoint, clock)
    tokens.get("2", 60)
    endpoint.refused_units = {"1", "42"}

    assert tokens.get("42", 60).code == "other_business_unit"


def test_a_token_of_before_does_not_prove_that_the_login_works(endpoint, clock):
    tokens = TokenSource(replace(CONFIG, account_id="1"), endpoint, clock)
    tokens.get("1", 60)
    tokens.get("2", 60)
    endpoint.refused_units = {"1", "2", "42"}

    fault = tokens.get("42", 60)

    assert (type(fault), fault.code, fault.account_wide) == (NotApplied, "login_failed", True)


def test_the_business_unit_of_the_settings_is_never_refused_for_good(endpoint, clock):
    tokens = TokenSource(replace(CONFIG, account_id="1"), endpoint, clock)
    tokens.get("2", 60)
    endpoint.refused_units = {"1"}

    assert tokens.get("1", 60).code == "login_failed"


def test_a_refusal_of_a_business_unit_serves_all_who_ask_in_these_seconds_and_says_when_it_was_asked_for(
    endpoint, clock
):
    tokens = TokenSource(replace(CONFIG, account_id="1"), endpoint, clock)
    endpoint.refused_units = {"42"}
    clock.now = 100
    tokens.get("42", 60)
    clock.now = 101

    again = [tokens.get("42", 60) for _ in range(50)]

    assert {(fault.code, fault.asked_at) for fault in again} == {("other_business_unit", 100)}
    assert len(endpoint.orders) == 3
    endpoint.refused_units.clear()
    clock.now = 100 + REFUSAL_SECONDS
    assert isinstance(tokens.get("42", 60), Token)


def test_a_token_does_not_show_its_secret():
    token = Token("very-secret", renew_at=1, dies_at=2)

    assert "very-secret" not in f"{token} {token!r} {[token]}"
    assert "the-secret" not in f"{CONFIG} {CONFIG!r} {CONFIG.client_secret}"


USER_CONFIG = MarketingCloudConfig(soap_url="https://t.soap.example", username="u", account_id="510")


@pytest.mark.parametrize("mid", ["510", ""])
def test_a_user_name_works_in_its_own_business_unit(mid: str):
    assert not isinstance(PasswordSource(USER_CONFIG).get(mid, 60), Rejected)


def test_a_user_name_cannot_choose_another_business_unit():
    refused = PasswordSource(USER_CONFIG).get("99", 60)

    assert isinstance(refused, Rejected)
    assert refused.code == "other_business_unit"
    assert "510" in refused.text
    assert "99" in refused.text


def test_a_user_name_without_a_known_business_unit_is_not_judged():
    config = MarketingCloudConfig(soap_url="https://t.soap.example", username="u")

    assert not isinstance(PasswordSource(config).get("99", 60), Rejected)


REFUSALS = {
    "invalid_client": "SFMC_CLIENT_SECRET",
    "invalid_request": "SFMC_ACCOUNT_ID",
    "invalid_grant": "business unit",
    "invalid_scope": "rights",
    "unauthorized_client": "server-to-server",
    "unsupported_grant_type": "server-to-server",
}


@pytest.mark.parametrize("error", REFUSALS)
def test_a_refusal_has_the_words_of_the_service_and_advice_of_its_own(tokens, endpoint, error):
    content = {"error": error, "error_description": "As the service\nputs it \x1b[31m with the-secret"}
    endpoint.answers = [Reply(401, {}, json.dumps(content).encode())] * 2

    text = tokens.get("1", 60).text

    assert f"{error}: As the service puts it" in text
    assert REFUSALS[error] in text.partition("): ")[2]
    assert "the-secret" not in text
    assert text.isprintable()


@pytest.mark.parametrize(
    ("life", "expected"),
    [
        ("9" * 400, 86_400),
        ("-5", 1),
        ("0", 1),
        ("NaN", 1079),
        ("Infinity", 86_400),
        ("1e999", 86_400),
        ('"600"', 600),
        ('"soon"', 1079),
        ("true", 1079),
        ("null", 1079),
    ],
)
def test_the_life_of_a_token_is_finite_and_bounded_whatever_the_answer_says(tokens, endpoint, life, expected):
    endpoint.answers = [Reply(200, {}, b'{"access_token": "t", "expires_in": %s}' % life.encode())]

    assert tokens.get("1", 60).dies_at == pytest.approx(expected)


def test_before_the_time_is_over_that_the_token_endpoint_named_it_is_not_asked(tokens, endpoint, clock):
    endpoint.answers = [Reply(503, {"retry-after": "60"}, b"")]
    tokens.get("1", 60)
    clock.now = 20

    fault = tokens.get("1", 60)

    assert (fault.code, fault.retry_after, len(endpoint.orders)) == ("http_503", 40, 1)
    clock.now = 60
    assert tokens.get("1", 60).secret == "token-2"


def test_a_thread_does_not_wait_long_for_a_token_that_another_one_asks_for(endpoint, clock):
    quick = TokenSource(replace(CONFIG, connect_timeout=0.05), endpoint.held, clock)
    endpoint.gate.clear()
    with ThreadPoolExecutor(1) as threads:
        threads.submit(quick.get, "1", 60)
        eventually(lambda: endpoint.orders, within=60, description="a request is under way")

        fault = quick.get("1", 60)
        endpoint.gate.set()

    assert isinstance(fault, NotApplied)
    assert fault.code == "token_unavailable"


@pytest.mark.parametrize("size", [MAX_TOKEN + 1, 1_000_000])
def test_a_token_that_is_too_long_is_refused_and_not_remembered(tokens, endpoint, size):
    secret = "long-token-" + "x" * (size - 11)
    endpoint.answers = [granted(secret)]

    fault = tokens.get("1", 60)

    assert (type(fault), fault.code) == (NotApplied, "token_unavailable")
    assert fault.text == f"no token: that of the token endpoint has {size} characters, more than {MAX_TOKEN}"
    assert hidden(secret) == secret


@pytest.mark.parametrize("secret", ["a\x00b", "a\ud800", "a\r\nX: y", "\u00e9\u2028", "a\x7f"], ids=ascii)
def test_a_token_with_characters_that_no_token_may_have_is_refused_and_the_next_one_is_taken(
    tokens, endpoint, clock, secret
):
    endpoint.answers = [granted(secret)]

    fault = tokens.get("1", 60)

    assert (type(fault), fault.code, fault.account_wide) == (NotApplied, "token_unavailable", True)
    assert secret not in fault.text
    clock.now = fault.retry_after
    assert tokens.get("1", 60).secret == "token-2"


def test_a_token_of_the_greatest_length_is_taken_and_hidden(tokens, endpoint):
    secret = "long-token-" + "x" * (MAX_TOKEN - 11)
    endpoint.answers = [granted(secret)]

    assert tokens.get("1", 60).secret == secret
    assert hidden(secret) == "[redacted]"


def test_tokens_that_ended_some_time_ago_are_forgotten_whichever_business_unit_asks_next(tokens, endpoint, clock):
    endpoint.answers = [granted("the-first-token"), granted("the-other-token"), granted("the-third-token")]
    tokens.get("1", 60)
    clock.now = 900
    tokens.get("2", 60)
    clock.now = 1000 + QUOTED_SECONDS + 1

    tokens.get("3", 60)

    assert hidden("the-first-token, the-other-token, the-third-token") == "the-first-token, [redacted], [redacted]"


def test_business_units_without_a_token_are_not_remembered_for_ever(tokens, endpoint, clock):
    endpoint.answers = [Reply(401, {}, b"{}") for _ in range(3 * MAX_BUSINESS_UNITS)]
    for number in range(3 * MAX_BUSINESS_UNITS):
        tokens.get(str(number), 60)
        clock.now += 60

    assert len(tokens._refreshes) <= MAX_BUSINESS_UNITS
